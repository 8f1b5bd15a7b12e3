/**
 * Teaches: tests for your own service, generated instead of written. The coordination machine that every node runs is a
 * pure XState machine, so it serves as the model: @xstate/graph finds a path to every edge between the situations that
 * matter to us, and each path is driven through a real node, which must be where the model says after every step.
 *
 *   npm install --save-dev @xstate/graph
 *   npm run build && npx tsx examples/model-based-test.ts
 */
import { setImmediate as turn } from "node:timers/promises";
import { getShortestPaths } from "@xstate/graph";
import { createNode, memoryTransport, type Node } from "fractal-tree";
import { type ChildCounts, type CoordinationEvent, coordinationMachine, NO_CHILDREN } from "fractal-tree/machines";
import type { SnapshotFrom } from "xstate";

/** Our service: `shop` is of no use without `stock`, but of some without `mail`. */
const CHILDREN = [{ id: "stock", critical: true }, { id: "mail" }];

/** How the parent counts its children when these run. */
function countsOf(...running: readonly string[]): ChildCounts {
  const criticalUnavailable = running.includes("stock") ? 0 : 1;
  return { ...NO_CHILDREN, expected: CHILDREN.length, ready: running.length, criticalUnavailable };
}

/** Events of the model, each with what makes it happen in the real tree. */
const EVENTS: readonly { readonly event: CoordinationEvent; readonly make: (shop: Shop) => Promise<void> }[] = [
  { event: { type: "coordination.requested", counts: countsOf() }, make: (shop) => shop.begin() },
  { event: { type: "children.changed", counts: countsOf() }, make: (shop) => shop.run() },
  { event: { type: "children.changed", counts: countsOf("stock") }, make: (shop) => shop.run("stock") },
  { event: { type: "children.changed", counts: countsOf("stock", "mail") }, make: (shop) => shop.run("stock", "mail") },
  { event: { type: "fault.raised", reason: "drill" }, make: async (shop) => shop.node.fail("drill") },
  { event: { type: "cleanup.done", retryInMs: null }, make: (shop) => shop.cleanedUp() },
  { event: { type: "shutdown.requested" }, make: (shop) => shop.node.stop() },
];

/** The real thing. */
class Shop {
  readonly #transport = memoryTransport();
  readonly #children = new Map<string, Node>();
  readonly node = createNode({
    path: "shop",
    transport: this.#transport,
    children: CHILDREN,
    backoff: { baseMs: 60_000, maxMs: 60_000 }, // it is not to recover before the model says so
  });
  #isStarted = false;

  async begin(): Promise<void> {
    if (this.#isStarted) return this.node.recover();
    this.#isStarted = true;
    await this.node.start();
  }

  /** The node cleans up by itself; its children go before it can call them again. */
  async cleanedUp(): Promise<void> {
    await this.node.until("DISCONNECTED", { timeoutMs: 1_000 });
    await this.run();
  }

  /** Has exactly these children run, and waits until the parent has seen it. */
  async run(...ids: readonly string[]): Promise<void> {
    for (const { id } of CHILDREN) {
      if (ids.includes(id)) await this.#startChild(id);
      else await this.#stopChild(id);
    }
    await turn();
  }

  async #startChild(id: string): Promise<void> {
    if (this.#children.has(id)) return;
    const child = createNode({ path: `shop.${id}`, transport: this.#transport });
    this.#children.set(id, child);
    await child.start();
    while (this.node.child(id)?.link !== "alive") await turn();
  }

  async #stopChild(id: string): Promise<void> {
    await this.#children.get(id)?.stop();
    this.#children.delete(id);
  }
}

type Snapshot = SnapshotFrom<typeof coordinationMachine>;

function situation({ value, context }: Snapshot): string {
  return `${value} with ${context.counts.ready} of ${context.counts.expected} children, failure: ${context.failure}`;
}

const thresholds = { degraded: { count: 1 }, failed: { fraction: 1 } } as const;
const timeouts = { initTimeoutMs: 10_000, recoveryTimeoutMs: null, cleanupTimeoutMs: 5_000 };

const paths = getShortestPaths(coordinationMachine, {
  input: { thresholds, ...timeouts, hasUplink: false },
  events: (snapshot) => EVENTS.map(({ event }) => event).filter((event) => snapshot.can(event)),
  serializeState: (snapshot, event, previous) =>
    `${situation(snapshot)} by ${event?.type} from ${previous === undefined ? "nothing" : situation(previous)}`,
});

/** A node that was stopped is over; the machine alone could go on. */
function isDrivable({ steps }: (typeof paths)[number]): boolean {
  return steps.slice(0, -1).every(({ event }) => event.type !== "shutdown.requested");
}

async function drive({ steps }: (typeof paths)[number]): Promise<void> {
  const shop = new Shop();
  try {
    for (const { event, state } of steps) {
      await EVENTS.find((each) => each.event === event)?.make(shop);
      await shop.node.until(state.value, { timeoutMs: 1_000 });
    }
  } finally {
    await shop.run();
    await shop.node.stop();
  }
}

const drivable = paths.filter(isDrivable);
for (const path of drivable) {
  console.log(path.steps.map(({ event, state }) => `${event.type} → ${state.value}`).join(", "));
  await drive(path);
}
const states = new Set(drivable.map(({ state }) => state.value));
console.log(`${drivable.length} paths driven through a real node, ${states.size} of 5 states reached, no difference`);
