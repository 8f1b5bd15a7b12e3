/**
 * Supervisors for the sentences of OTP's documentation: real nodes in virtual time, whose starts and ends are written
 * down in the order in which they happen, and whose starts and ends may take their time.
 */
import {
  createNode,
  inProcess,
  type Node,
  type NodeOptions,
  type OwnedChildSpec,
  type StartContext,
  type StartedChild,
  type Starter,
  type SupervisionEvent,
  type SupervisionOptions,
} from "../../src/index.js";
import { World, type WorldNodeOptions } from "../node/kit.js";

export { World } from "../node/kit.js";

export type Part = Partial<Omit<OwnedChildSpec, "id" | "start">> & {
  /** From the call of its start until its node is there, milliseconds. @default 0 */
  readonly startsInMs?: number;
  /** From the end of its node until its process is gone, milliseconds. @default 0 */
  readonly exitsInMs?: number;
  /** Its process goes only when it is killed. @default false */
  readonly isDeaf?: boolean;
  /** Further options of its own node. */
  readonly node?: Partial<NodeOptions>;
};

/** The children of one world: what happened to them, and their incarnations. */
export class Cast {
  readonly world: World;
  /** `a starts`, `a is told to stop`, `a is killed`, `a is gone`, in order. */
  readonly journal: string[] = [];
  /** Thrown by the starts to come of a child; absent to start. */
  readonly faults = new Map<string, Error>();
  /** What each start was given, by the child's id. */
  readonly contexts = new Map<string, StartContext[]>();
  readonly #nodes = new Map<string, Node[]>();
  readonly #gones = new Map<string, number>();

  constructor(world = new World()) {
    this.world = world;
  }

  /** Declares a child whose node runs in this process. */
  child(id: string, { startsInMs, exitsInMs, isDeaf, node, ...spec }: Part = {}): OwnedChildSpec {
    const part = { startsInMs, exitsInMs, isDeaf, node };
    return { id, start: this.starter(part as Part), ...spec };
  }

  /** Starts children of any id. */
  starter({ startsInMs = 0, exitsInMs = 0, isDeaf = false, node = {} }: Part = {}): Starter {
    return {
      start: async (context) => {
        this.journal.push(`${context.id} starts`);
        listIn(this.contexts, context.id).push(context);
        if (startsInMs > 0) await this.#sleep(startsInMs);
        const fault = this.faults.get(context.id);
        if (fault !== undefined) throw fault;
        const before = this.nodes(context.id).length;
        try {
          const started = await inProcess((given) => this.#node(given, node)).start(context);
          return this.#witness(context.id, started, { exitsInMs, isDeaf });
        } catch (error) {
          if (this.nodes(context.id).length > before) this.#gone(context.id);
          throw error;
        }
      },
    };
  }

  /** How often the child's start was called. */
  starts(id: string): number {
    return this.contexts.get(id)?.length ?? 0;
  }

  /** The incarnations of a child that came to life. */
  nodes(id: string): readonly Node[] {
    return this.#nodes.get(id) ?? [];
  }

  /** How many of them are not gone. */
  alive(id: string): number {
    return this.nodes(id).length - (this.#gones.get(id) ?? 0);
  }

  latest(id: string): Node {
    const node = this.nodes(id).at(-1);
    if (node === undefined) throw new Error(`${id} was never started`);
    return node;
  }

  /** What is written down from now on. */
  since(): () => readonly string[] {
    const from = this.journal.length;
    return () => this.journal.slice(from);
  }

  /** Waits until the child runs in an incarnation after `generation`, and the supervisor is whole. */
  async back(supervisor: Node, id: string, generation = 1): Promise<void> {
    const isBack = (): boolean => this.starts(id) > generation && supervisor.state === "SYNCHRONIZED";
    await this.world.until(isBack, `${id} is back`);
  }

  #node({ path, id, transport, clock, random }: StartContext, options: Partial<NodeOptions>): Node {
    const node = createNode({ path, transport, clock, random, ...options });
    node.on("node.fenced", () => {});
    listIn(this.#nodes, id).push(node);
    return node;
  }

  #witness(id: string, started: StartedChild, { exitsInMs, isDeaf }: { exitsInMs: number; isDeaf: boolean }) {
    const end: (() => void)[] = [];
    const killed = new Promise<void>((resolve) => end.push(resolve));
    const exited = started.exited.then(async (exit) => {
      if (isDeaf) await killed;
      else if (exitsInMs > 0) await Promise.race([this.#sleep(exitsInMs), killed]);
      this.#gone(id);
      return exit;
    });
    const stop = (timeoutMs: number): void => {
      this.journal.push(`${id} is told to stop`);
      started.stop(timeoutMs);
    };
    const kill = (): void => {
      this.journal.push(`${id} is killed`);
      started.kill();
      end[0]?.();
    };
    return { exited, stop, kill } satisfies StartedChild;
  }

  #gone(id: string): void {
    this.journal.push(`${id} is gone`);
    this.#gones.set(id, (this.#gones.get(id) ?? 0) + 1);
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.world.clock.setTimeout(resolve, ms));
  }
}

function listIn<T>(lists: Map<string, T[]>, id: string): T[] {
  const found = lists.get(id) ?? [];
  lists.set(id, found);
  return found;
}

export interface FamilyOptions extends SupervisionOptions {
  /** What each child is like. */
  readonly part?: Part;
  /** Further options of the supervisor's node. */
  readonly node?: Partial<WorldNodeOptions>;
}

/** A supervisor at `shop` whose children have these ids, or are these. Not started yet. */
export function family(
  cast: Cast,
  children: readonly (string | OwnedChildSpec)[],
  { part = {}, node = {}, ...supervision }: FamilyOptions = {},
): { readonly shop: Node; readonly decisions: SupervisionEvent[] } {
  const specs = children.map((child) => (typeof child === "string" ? cast.child(child, part) : child));
  const shop = cast.world.node({ path: "shop", children: specs, supervision, ...node });
  const decisions: SupervisionEvent[] = [];
  shop.on("supervision.decided", (event) => decisions.push(event));
  return { shop, decisions };
}

/** A started family. */
export async function running(...given: Parameters<typeof family>): Promise<ReturnType<typeof family>> {
  const made = family(...given);
  await given[0].world.up(made.shop);
  return made;
}

/** The ids that something was written of, in order. */
export function idsOf(journal: readonly string[], what: string): readonly string[] {
  return journal.filter((line) => line.endsWith(` ${what}`)).map((line) => line.slice(0, line.indexOf(" ")));
}

/** Whatever a child may end with. */
export const ENDS = {
  normal: (node: Node) => void node.stop(),
  shutdown: (node: Node) => void node.shutdownTree(),
  failed: (node: Node) => node.fail("out of luck"),
} as const;
