/** Supervised children in virtual time: of this process, or each incarnation in a process of its own. */
import {
  type Commands,
  createNode,
  type Node,
  type NodeOptions,
  type OwnedChildSpec,
  type StartContext,
  type SupervisionEvent,
} from "../../src/index.js";
import { type Process, type World, type WorldNodeOptions } from "../node/kit.js";
import { type Host, hosting } from "./hosting.js";

/** Every incarnation that was started of one child, and how often its start was asked for. */
export class Incarnations {
  readonly nodes: Node[] = [];
  /** Of children with processes of their own. */
  readonly processes: Process[] = [];
  readonly contexts: StartContext[] = [];
  /** Thrown by the starts to come; null to start. */
  fault: Error | null = null;

  get attempts(): number {
    return this.contexts.length;
  }

  get latest(): Node {
    return lastOf(this.nodes);
  }

  get process(): Process {
    return lastOf(this.processes);
  }

  /** Notes a start, which may be one that fails. */
  attempt(context: StartContext): void {
    this.contexts.push(context);
    if (this.fault !== null) throw this.fault;
  }
}

function lastOf<T>(incarnations: readonly T[]): T {
  const latest = incarnations.at(-1);
  if (latest === undefined) throw new Error("none was started");
  return latest;
}

export type ChildParts = Partial<Omit<OwnedChildSpec, "id">> & {
  readonly commands?: Commands;
  /** Further options of the child's own node. */
  readonly node?: Partial<NodeOptions>;
  /** Each incarnation has a process of its own. @default it runs in the parent's */
  readonly host?: Host;
};

/** Declares a child that runs in the parent's process. */
export function declared(id: string, { commands = {}, node = {}, ...spec }: Omit<ChildParts, "host"> = {}) {
  const incarnations = new Incarnations();
  const start = (context: StartContext): Node => {
    incarnations.attempt(context);
    const { path, transport, clock, random } = context;
    const child = createNode({ path, transport, clock, random, commands, ...node });
    child.on("node.fenced", () => {});
    incarnations.nodes.push(child);
    return child;
  };
  return { incarnations, spec: { id, start, ...spec } satisfies OwnedChildSpec };
}

/** Declares a child whose incarnations have processes of their own. */
export function hosted(world: World, id: string, { commands = {}, node = {}, host = {}, ...spec }: ChildParts = {}) {
  const incarnations = new Incarnations();
  const start = hosting(world, incarnations, { ...host, node: { commands, ...node } });
  return { incarnations, spec: { id, start, ...spec } satisfies OwnedChildSpec };
}

export type FamilyOptions = Partial<WorldNodeOptions> & {
  /** What all children have in common. */
  readonly child?: ChildParts;
  /** What some children have besides. */
  readonly each?: Readonly<Record<string, ChildParts>>;
};

/** A family: a supervisor and its children, in the order of their ids. */
export function family(world: World, ids: readonly string[], options: FamilyOptions = {}) {
  const { child = {}, each = {}, ...node } = options;
  const children = ids.map((id) => {
    const { host, ...parts } = { ...child, ...each[id] };
    return host === undefined ? declared(id, parts) : hosted(world, id, { ...parts, host });
  });
  const shop = world.node({ path: "shop", children: children.map(({ spec }) => spec), ...node });
  const of = (id: string): Incarnations => (children[ids.indexOf(id)] as (typeof children)[number]).incarnations;
  return { shop, of, decisions: decisionsOf(shop) };
}

/** The decisions of a node from now on. */
export function decisionsOf(node: Node): SupervisionEvent[] {
  const decisions: SupervisionEvent[] = [];
  node.on("supervision.decided", (event) => decisions.push(event));
  return decisions;
}

/** What was decided, in short: `a restarting 1`. */
export function story(decisions: readonly SupervisionEvent[]): readonly string[] {
  return decisions.map(({ id, decision, generation }) => `${id} ${decision} ${generation}`);
}

/** What was decided of one kind. */
export function only(
  decisions: readonly SupervisionEvent[],
  decision: SupervisionEvent["decision"],
): readonly SupervisionEvent[] {
  return decisions.filter((event) => event.decision === decision);
}
