/**
 * Far more commands than can be run, over a real server: what is too much is shed at once, queues keep to their limits, and
 * whatever was accepted ends in exactly one outcome and ran exactly once if it completed.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { heapBytes } from "../../benchmarks/heap.js";
import { Load } from "../../benchmarks/overload-load.js";
import { createNode, type Node, type NodeOptions, type Transport } from "../../src/index.js";
import { connectNats } from "../../src/nats.js";
import { type NatsServer, startNatsServer } from "../support/nats-server.js";

const CONCURRENCY = 4;
const QUEUE_MAX = 32;
const LINK_QUEUE_MAX = 64;
const LIMITS = { concurrency: CONCURRENCY, queueMax: QUEUE_MAX, linkQueueMax: LINK_QUEUE_MAX };
/** Some twenty times what four handlers of 10 ms can do. */
const RATE = 8_000;
const SECONDS = 1.5;
const HEAP_GROWTH_MAX_BYTES = 64 * 2 ** 20;

let server: NatsServer;
beforeAll(async () => {
  server = await startNatsServer();
});
afterAll(() => server.stop());

/** Counts what it runs, by the command's number. */
class Worker {
  readonly runs = new Map<number, number>();
  mostRunning = 0;
  mostQueued = 0;
  node: Node | null = null;
  #running = 0;

  readonly commands = {
    work: async ({ number }: { number: number }) => {
      this.runs.set(number, (this.runs.get(number) ?? 0) + 1);
      this.mostRunning = Math.max(this.mostRunning, ++this.#running);
      this.mostQueued = Math.max(this.mostQueued, this.node?.status.queued ?? 0);
      await sleep(10);
      this.#running--;
    },
  };

  get repeated(): number {
    return [...this.runs.values()].filter((count) => count > 1).length;
  }
}

/** Nodes of one test, each over a connection of its own. */
class Tree implements AsyncDisposable {
  readonly #nodes: Node[] = [];
  readonly #transports: Transport[] = [];

  async add(options: Omit<NodeOptions, "transport">): Promise<Node> {
    const transport = await connectNats({ servers: server.url, tree: "overload" });
    this.#transports.push(transport);
    const node = createNode({ ...options, transport });
    this.#nodes.push(node);
    await node.start();
    return node;
  }

  async ready(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.until("SYNCHRONIZED", { timeoutMs: 20_000 })));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.#nodes) await node.stop();
    for (const transport of this.#transports) await transport.close();
  }
}

describe("a child that is offered far more than it can run", { timeout: 60_000 }, () => {
  let worker: Worker;
  beforeEach(() => {
    worker = new Worker();
  });

  test("sheds what is too much; what it accepted completes, having run once", async () => {
    await using tree = new Tree();
    const root = await tree.add({ path: "shop", children: [{ id: "a" }], ...LIMITS });
    worker.node = await tree.add({ path: "shop.a", commands: worker.commands, ...LIMITS });
    await tree.ready();
    const heapBefore = heapBytes();
    const tally = await new Load(root, "a").offer({ rate: RATE, seconds: SECONDS });
    expect(tally.others).toEqual(new Map());
    expect(tally.completed + tally.shed).toBe(tally.offered);
    expect(tally.shed).toBeGreaterThan(0);
    expect(worker.repeated).toBe(0);
    expect(worker.runs.size).toBe(tally.completed);
    expect(worker.mostRunning).toBeLessThanOrEqual(CONCURRENCY);
    expect(worker.mostQueued).toBeLessThanOrEqual(QUEUE_MAX);
    expect(tally.mostPending).toBeLessThanOrEqual(LINK_QUEUE_MAX + QUEUE_MAX + CONCURRENCY);
    expect(heapBytes() - heapBefore).toBeLessThan(HEAP_GROWTH_MAX_BYTES);
    expect(root.child("a")).toMatchObject({ link: "alive", pending: 0 });
  });

  test("behind a relay does so too", async () => {
    await using tree = new Tree();
    const root = await tree.add({ path: "shop", children: [{ id: "a" }], ...LIMITS });
    const relay = await tree.add({ path: "shop.a", children: [{ id: "x" }], ...LIMITS });
    worker.node = await tree.add({ path: "shop.a.x", commands: worker.commands, ...LIMITS });
    await tree.ready();
    const load = new Load(root, "a.x");
    let mostRelayed = 0;
    const watch = setInterval(() => (mostRelayed = Math.max(mostRelayed, relay.child("x")?.pending ?? 0)), 1);
    const tally = await load.offer({ rate: RATE, seconds: SECONDS });
    clearInterval(watch);
    expect(tally.others).toEqual(new Map());
    expect(tally.completed + tally.shed).toBe(tally.offered);
    expect(tally.shed).toBeGreaterThan(0);
    expect(worker.repeated).toBe(0);
    expect(worker.runs.size).toBe(tally.completed);
    expect(worker.mostQueued).toBeLessThanOrEqual(QUEUE_MAX);
    expect(mostRelayed).toBeLessThanOrEqual(LINK_QUEUE_MAX + QUEUE_MAX + CONCURRENCY);
  });

  // Each refused one waited for its next attempt until its deadline: the flood piled up at the caller.
  test("with commands that are sent again keeps no more of them than its caller may hold", async () => {
    await using tree = new Tree();
    const root = await tree.add({ path: "shop", children: [{ id: "a" }], ...LIMITS });
    worker.node = await tree.add({ path: "shop.a", commands: worker.commands, ...LIMITS });
    await tree.ready();
    const command = { idempotent: true, timeoutMs: 3_000 };
    const tally = await new Load(root, "a").offer({ rate: RATE, seconds: SECONDS, command });
    const timedOut = tally.others.get("DEADLINE_EXCEEDED") ?? 0;
    expect([...tally.others.keys()].filter((code) => code !== "DEADLINE_EXCEEDED")).toEqual([]);
    expect(tally.completed + tally.shed + timedOut).toBe(tally.offered);
    expect(tally.shed).toBeGreaterThan(0);
    expect(worker.repeated).toBe(0);
    expect(worker.runs.size).toBeGreaterThanOrEqual(tally.completed);
    expect(tally.mostPending).toBeLessThanOrEqual(2 * LINK_QUEUE_MAX + QUEUE_MAX + CONCURRENCY);
  });

  test("runs on as before once the flood is over", async () => {
    await using tree = new Tree();
    const root = await tree.add({ path: "shop", children: [{ id: "a" }], ...LIMITS });
    worker.node = await tree.add({ path: "shop.a", commands: worker.commands, ...LIMITS });
    await tree.ready();
    const load = new Load(root, "a");
    await load.offer({ rate: RATE, seconds: 0.5 });
    const tally = await load.offer({ rate: 100, seconds: 0.5 });
    expect(tally).toMatchObject({ shed: 0, completed: tally.offered });
    expect(root.state).toBe("SYNCHRONIZED");
  });
});
