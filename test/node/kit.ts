/** A whole tree in one process and in virtual time: nothing sleeps, nothing depends on speed. */
import { expect } from "vitest";
import {
  type Commands,
  createNode,
  memoryTransport,
  type Node,
  type NodeEvents,
  type NodeOptions,
  type Transport,
} from "../../src/index.js";
import { SimulatedClock } from "../../src/testing/simulated-clock.js";
import { seededRandom } from "../../src/testing/prng.js";
import type { Random } from "../../src/health/clock.js";
import { Process, type Publication } from "./process.js";

export type { Process, Publication } from "./process.js";

export interface WorldOptions {
  readonly seed?: number;
  readonly tree?: string;
}

export type WorldNodeOptions = Omit<NodeOptions, "transport"> & {
  /** @default a process of its own */
  readonly process?: Process;
};

/** Longer than anything that a test waits for by default. */
const PATIENCE_MS = 120_000;

export class World {
  readonly clock = new SimulatedClock();
  readonly random: Random;
  readonly broker;
  /** Everything that any process published. */
  readonly wire: Publication[] = [];
  readonly #processes = new Map<Node, Process>();
  readonly #connected = new Map<Transport, Process>();

  constructor({ seed = 1, tree = "local" }: WorldOptions = {}) {
    this.random = seededRandom(seed);
    this.broker = memoryTransport({ clock: this.clock, tree });
  }

  get nowMs(): number {
    return this.clock.now();
  }

  process(options: { readonly maxPayloadBytes?: number } = {}): Process {
    const published = (publication: Publication): void => void this.wire.push(publication);
    const process = new Process({ clock: this.clock, broker: this.broker, published, ...options });
    this.#connected.set(process.transport, process);
    return process;
  }

  /** Whose transport that is. */
  processWith(transport: Transport): Process {
    const process = this.#connected.get(transport);
    if (process === undefined) throw new Error("the transport is not of this world");
    return process;
  }

  /** Creates a node in a process of its own. Who stops itself is known without a warning on the console. */
  node({ process = this.process(), ...options }: WorldNodeOptions): Node {
    const { clock, transport } = process;
    const node = createNode({ random: this.random, clock, ...options, transport });
    node.on("node.fenced", () => {});
    this.#processes.set(node, process);
    return node;
  }

  processOf(node: Node): Process {
    const process = this.#processes.get(node);
    if (process === undefined) throw new Error(`${node.path} is not of this world`);
    return process;
  }

  kill(node: Node): void {
    this.processOf(node).kill();
  }

  /** Starts nodes in this order and waits until each is SYNCHRONIZED. */
  async up(...nodes: readonly Node[]): Promise<void> {
    for (const node of nodes) await node.start();
    for (const node of nodes) await this.until(() => node.state === "SYNCHRONIZED", `${node.path} SYNCHRONIZED`);
  }

  /** Lets virtual time pass. */
  run(ms: number): Promise<void> {
    return this.clock.advance(ms);
  }

  async until(condition: () => boolean, what = "the condition", withinMs = PATIENCE_MS): Promise<void> {
    const holds = await this.clock.runUntil(condition, { withinMs });
    if (!holds) expect.fail(`${what} did not hold within ${withinMs} ms of virtual time`);
  }

  /** Lets time pass until the promise is settled. */
  async settle<T>(promise: Promise<T>, withinMs = PATIENCE_MS): Promise<T> {
    let isSettled = false;
    const note = (): void => void (isSettled = true);
    promise.then(note, note);
    await this.until(() => isSettled, "the promise", withinMs);
    return promise;
  }

  /** The error that the promise is rejected with. */
  async failure(promise: Promise<unknown>, withinMs = PATIENCE_MS): Promise<unknown> {
    return this.settle(
      promise.then(
        (value) => expect.fail(`resolved with ${JSON.stringify(value)}`),
        (error: unknown) => error,
      ),
      withinMs,
    );
  }

  /** Ends nodes; all promises that this involves are settled afterwards. */
  async end(...nodes: readonly Node[]): Promise<void> {
    await this.settle(Promise.all(nodes.map((node) => node.stop({ timeoutMs: 100 }))));
  }

  /** What was published since a moment under subjects with this ending, by kind. */
  sent(kind: string, { sinceMs = 0, subject = "" }: { readonly sinceMs?: number; readonly subject?: string } = {}) {
    return this.wire.filter(
      (publication) =>
        publication.atMs >= sinceMs && publication.subject.endsWith(subject) && publication.kinds.includes(kind),
    );
  }
}

/** The events of one kind from now on. */
export function record<K extends keyof NodeEvents>(node: Node, name: K): NodeEvents[K][] {
  const events: NodeEvents[K][] = [];
  node.on(name, (event) => events.push(event));
  return events;
}

/** The states that a node enters from now on. */
export function states(node: Node): string[] {
  const entered: string[] = [];
  node.on("state.changed", ({ state }) => entered.push(state));
  return entered;
}

/** A promise with its resolvers: a handler that ends when the test says so. */
export function gate<T = void>(): { readonly opened: Promise<T>; readonly open: (value: T) => void } {
  const resolvers: ((value: T) => void)[] = [];
  const opened = new Promise<T>((resolve) => resolvers.push(resolve));
  return { opened, open: (value) => resolvers[0]?.(value) };
}

/** Ends never. */
export const forever = (): Promise<never> => new Promise(() => {});

/** A handler that counts how often it ran. */
export function counter(): { readonly count: () => number; readonly ran: () => number } {
  let runs = 0;
  return { count: () => ++runs, ran: () => runs };
}

/** A parent and one child with these commands, both SYNCHRONIZED. */
export async function pair(world: World, commands: Commands, options: Partial<WorldNodeOptions> = {}) {
  const shop = world.node({ path: "shop", children: [{ id: "a" }], commandTimeoutMs: 60_000 });
  const child = world.node({ path: "shop.a", commands, ...options });
  await world.up(shop, child);
  return { shop, child };
}
