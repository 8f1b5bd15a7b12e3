/** Supervised children of this process, in virtual time. */
import {
  type Commands,
  createNode,
  type Node,
  type NodeOptions,
  type OwnedChildSpec,
  type StartContext,
  type SupervisionEvent,
} from "../../src/index.js";
import { type World, type WorldNodeOptions } from "../node/kit.js";

/** Every incarnation that was started of one child, and how often its start was asked for. */
export class Incarnations {
  readonly nodes: Node[] = [];
  attempts = 0;
  /** Thrown by the starts to come; null to start. */
  fault: Error | null = null;

  get latest(): Node {
    const node = this.nodes.at(-1);
    if (node === undefined) throw new Error("none was started");
    return node;
  }
}

export type ChildParts = Partial<Omit<OwnedChildSpec, "id" | "start">> & {
  readonly commands?: Commands;
  /** Further options of the child's own node. */
  readonly node?: Partial<NodeOptions>;
};

/** Declares a child that runs in the parent's process. */
export function declared(id: string, { commands = {}, node = {}, ...spec }: ChildParts = {}) {
  const incarnations = new Incarnations();
  const start = ({ path, transport, clock, random }: StartContext): Node => {
    incarnations.attempts++;
    if (incarnations.fault !== null) throw incarnations.fault;
    const child = createNode({ path, transport, clock, random, commands, ...node });
    child.on("node.fenced", () => {});
    incarnations.nodes.push(child);
    return child;
  };
  return { incarnations, spec: { id, start, ...spec } satisfies OwnedChildSpec };
}

/** A family: a supervisor and its children, in the order of their ids. */
export function family(
  world: World,
  ids: readonly string[],
  options: Partial<WorldNodeOptions> & { child?: ChildParts } = {},
) {
  const { child = {}, ...node } = options;
  const children = ids.map((id) => declared(id, child));
  const shop = world.node({ path: "shop", children: children.map(({ spec }) => spec), ...node });
  const decisions: SupervisionEvent[] = [];
  shop.on("supervision.decided", (event) => decisions.push(event));
  const of = (id: string): Incarnations => (children[ids.indexOf(id)] as (typeof children)[number]).incarnations;
  return { shop, of, decisions };
}

/** What was decided, in short: `a restarting 1`. */
export function story(decisions: readonly SupervisionEvent[]): readonly string[] {
  return decisions.map(({ id, decision, generation }) => `${id} ${decision} ${generation}`);
}
