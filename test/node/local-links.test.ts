/** Nodes of one thread: neither can die without the other, so that they hardly watch each other. */
import { afterEach, describe, expect, test } from "vitest";
import {
  createNode,
  InvalidOptionError,
  memoryTransport,
  type Node,
  type NodeOptions,
  type Transport,
} from "../../src/index.js";
import { decodeFrame, encodeFrame } from "../../src/protocol/codec.js";
import type { Message, UnknownMessage } from "../../src/protocol/messages.js";
import { seededRandom } from "../../src/testing/prng.js";
import { SimulatedClock } from "../../src/testing/simulated-clock.js";

type Said = Message | UnknownMessage;

/** A thread with a memory transport, and everything that is published on it. */
class Thread {
  readonly clock = new SimulatedClock();
  readonly transport = memoryTransport({ clock: this.clock });
  readonly nodes: Node[] = [];
  said: { readonly subject: string; readonly message: Said }[] = [];
  readonly #random = seededRandom(7);

  constructor() {
    this.transport.subscribe("ft.local.>", (payload, subject) => {
      if (subject.includes(".end.")) return;
      const decoded = decodeFrame(payload, subject.includes(".up.") ? "up" : "down");
      if (decoded.kind === "malformed") throw new Error(decoded.reason);
      for (const message of decoded.frame.messages) this.said.push({ subject, message });
    });
  }

  node(options: Omit<NodeOptions, "transport"> & { readonly transport?: Transport }): Node {
    const { clock, transport } = this;
    const node = createNode({ clock, transport, random: this.#random, ...options });
    this.nodes.push(node);
    return node;
  }

  /** The transport as somebody outside of the thread has it. */
  elsewhere(): Transport & { isMute: boolean } {
    const { transport } = this;
    const { namespace, tree, maxPayloadBytes } = transport;
    const other = {
      namespace,
      tree,
      maxPayloadBytes,
      connected: true,
      isMute: false,
      publish: (subject: string, payload: Uint8Array) => {
        if (!other.isMute) transport.publish(subject, payload);
      },
      subscribe: transport.subscribe.bind(transport),
      onConnection: transport.onConnection.bind(transport),
      close: () => Promise.resolve(),
    };
    return other;
  }

  count(kind: Said["kind"]): number {
    return this.said.filter(({ message }) => message.kind === kind).length;
  }

  async synchronized(node: Node): Promise<void> {
    const isReady = await this.clock.runUntil(() => node.state === "SYNCHRONIZED", { withinMs: 20_000 });
    if (!isReady) throw new Error(`${node.path} is ${node.state}`);
  }

  stop(): void {
    for (const node of this.nodes) void node.stop();
  }
}

let thread = new Thread();
afterEach(() => {
  thread.stop();
  thread = new Thread();
});

/** A root with leaves, started together. */
async function family(ids: readonly string[], options: Partial<NodeOptions> = {}): Promise<readonly [Node, ...Node[]]> {
  const root = thread.node({ path: "shop", children: ids.map((id) => ({ id })) });
  const leaves = ids.map((id) => thread.node({ ...options, path: `shop.${id}` }));
  await Promise.all([root, ...leaves].map((node) => node.start()));
  await thread.synchronized(root);
  return [root, ...leaves];
}

describe("a quiet tree", () => {
  test("hardly beats, and nobody is suspected for it", async () => {
    const [root, ...leaves] = await family(["a", "b", "c"]);
    await thread.clock.advance(10_000);
    thread.said = [];
    await thread.clock.advance(3_600_000);
    // One beat each in 108 to 120 s; usually they come every 2 s.
    expect(thread.count("heartbeat.beat")).toBeGreaterThanOrEqual(29);
    expect(thread.said.length).toBeLessThanOrEqual(4 * 35);
    expect(root.children().map(({ link }) => link)).toEqual(["alive", "alive", "alive"]);
    expect(leaves.map(({ state }) => state)).toEqual(["SYNCHRONIZED", "SYNCHRONIZED", "SYNCHRONIZED"]);
  });

  test("starts with five frames for each node, however long its parent takes to coordinate", async () => {
    const mid = thread.node({ path: "shop.mid", children: [{ id: "a" }] });
    const leaf = thread.node({ path: "shop.mid.a" });
    await Promise.all([mid.start(), leaf.start()]);
    await thread.clock.advance(1_500);
    const root = thread.node({ path: "shop", children: [{ id: "mid" }] });
    await root.start();
    await thread.synchronized(root);
    // The middle one is called, the leaf had its announcement remembered.
    const announced = thread.said.filter(({ message }) => message.kind === "ready.announce");
    expect(announced.map(({ subject }) => subject.split(".").at(-1))).toEqual(["mid", "a", "mid"]);
    expect(thread.count("init.open")).toBe(2);
  });
});

describe("the parent is told at the usual pace", () => {
  test("that a handler runs, and that it has ended", async () => {
    let end: () => void = () => {};
    const work = (): Promise<void> => new Promise((resolve) => (end = resolve));
    const [root] = await family(["a"], { commands: { work } });
    await thread.clock.advance(60_000);
    const done = root.command("a", "work", null, { timeoutMs: 60_000 });
    await thread.clock.advance(1_000);
    expect(root.children()[0]?.status?.running).toBe(1);
    end();
    await thread.clock.advance(2_100);
    expect(root.children()[0]?.status?.running).toBe(0);
    await done;
  });

  test("of progress without any call", async () => {
    const [, leaf] = await family(["a"]);
    await thread.clock.advance(60_000);
    thread.said = [];
    leaf?.progress();
    await thread.clock.advance(1_000);
    const reported = thread.said.map(({ message }) => (message.kind === "status.report" ? message.progress : null));
    expect(new Set(reported)).toEqual(new Set([1]));
  });

  test("so that a child that makes no progress is ended in time", async () => {
    const { clock, transport } = thread;
    const ends: string[] = [];
    const start = ({ path }: { readonly path: string }): Node =>
      createNode({ path, clock, transport, commands: { work: () => new Promise(() => {}) } });
    const child = { id: "a", start, requireProgress: { withinMs: 5_000 } };
    const root = thread.node({ path: "shop", children: [child] });
    root.on("supervision.decided", ({ decision, reason }) => {
      if (decision === "killed") ends.push(reason);
    });
    await root.start();
    await thread.synchronized(root);
    await clock.advance(60_000);
    expect(ends).toEqual([]);
    root.command("a", "work", null, { timeoutMs: 60_000 }).catch(() => {});
    await clock.advance(9_000);
    expect(ends).toEqual([expect.stringMatching(/^no progress for/)]);
  });
});

describe("nothing is lost within a thread", () => {
  const echo = (input: unknown): unknown => input;

  test("so that a call is two frames, and no acknowledgement or repetition follows", async () => {
    const [root] = await family(["a", "b"], { commands: { echo } });
    await thread.clock.advance(60_000);
    thread.said = [];
    expect(await Promise.all([root.command("a", "echo", 1), thread.clock.advance(10)])).toEqual([1, undefined]);
    const all = root.fanOut("*", "echo", 2, { idempotent: true }).outcomes;
    expect(await Promise.all([all, thread.clock.advance(100)])).toMatchObject([{ length: 2 }, undefined]);
    // Until the reports of what was done.
    const said = thread.said.map(({ subject, message }) => `${subject.slice("ft.local.".length)} ${message.kind}`);
    expect(said.filter((each) => !each.endsWith(" status.report"))).toEqual([
      "down.shop.a command.run",
      "up.shop.a complete.command",
      "all.shop command.run",
      "up.shop.a complete.command",
      "up.shop.b complete.command",
    ]);
    await thread.clock.advance(30_000);
    expect(["ack.frame", "heartbeat.ack", "command.run"].map((kind) => thread.count(kind as Said["kind"]))).toEqual([
      0, 0, 2,
    ]);
  });

  test("a relay tells of new credit, though it has nothing else to say", async () => {
    let running = 0;
    const ends: (() => void)[] = [];
    const meet = (): Promise<void> => {
      if (++running === 50) for (const end of ends) end();
      return running === 50 ? Promise.resolve() : new Promise((resolve) => ends.push(resolve));
    };
    const root = thread.node({ path: "shop", children: [{ id: "m" }] });
    const m = thread.node({ path: "shop.m", queueMax: 10, children: [{ id: "a" }] });
    const a = thread.node({ path: "shop.m.a", queueMax: 10, concurrency: 100, commands: { meet } });
    await Promise.all([root, m, a].map((node) => node.start()));
    await thread.synchronized(root);
    await thread.clock.advance(60_000);
    const all = Promise.all(Array.from({ length: 50 }, () => root.tryCommand("m.a", "meet", null)));
    await thread.clock.advance(2_000);
    expect((await all).map(({ status }) => status)).toEqual(Array.from({ length: 50 }, () => "completed"));
  });

  test("a transport that is closed under running nodes ends them at once", async () => {
    const close = (): void => void thread.transport.close();
    const [root, a] = await family(["a"], { commands: { close, wait: () => new Promise(() => {}) } });
    const lost = [root.tryCommand("a", "wait"), root.tryCommand("a", "close")];
    await thread.clock.advance(100);
    expect(await Promise.all(lost)).toMatchObject([{ status: "unknown" }, { status: "unknown" }]);
    expect([root.state, a?.state]).toEqual(["DISCONNECTED", "DISCONNECTED"]);
  });

  test("a child is told when the offer that it accepts is taken back", async () => {
    const start = ({ path }: { readonly path: string }): Node => thread.node({ path });
    const root = thread.node({ path: "shop", children: [{ id: "own", start }, { id: "b" }], initTimeoutMs: 5_000 });
    await root.start();
    await thread.clock.advance(1_000);
    const watching = thread.transport.subscribe("ft.local.down.shop.b", (payload) => {
      const decoded = decodeFrame(payload, "down");
      if (decoded.kind !== "frame" || decoded.frame.messages.every(({ kind }) => kind !== "init.open")) return;
      watching.unsubscribe();
      root.fail("no luck");
    });
    const b = thread.node({ path: "shop.b" });
    b.on("state.changed", ({ state }) => state === "SYNCHRONIZED" && b.report("here"));
    await b.start();
    expect(await thread.clock.runUntil(() => root.state === "FAILED", { withinMs: 10_000 })).toBe(true);
    const isWhole = (): boolean => root.state === "SYNCHRONIZED" && root.child("b")?.link === "alive";
    expect(await thread.clock.runUntil(isWhole, { withinMs: 3_000 })).toBe(true);
  });

  test("what goes wrong with one message does not cost those that came with it", async () => {
    const problem = new Error("a user's logger");
    const uncaught = new Promise((resolve) => process.once("uncaughtException", resolve));
    let isArmed = true;
    const info = (fields: object): void => {
      if (!isArmed || !("state" in fields) || fields.state !== "alive") return;
      isArmed = false;
      throw problem;
    };
    const quiet = (): void => {};
    const logger = { debug: quiet, info, warn: quiet, error: quiet };
    const root = thread.node({ path: "shop", logger, children: [{ id: "a" }] });
    const a = thread.node({ path: "shop.a" });
    const heard: unknown[] = [];
    root.on("child.reported", ({ data }) => void heard.push(data));
    a.on("state.changed", ({ state }) => state === "SYNCHRONIZED" && queueMicrotask(() => a.report(1)));
    await Promise.all([root.start(), a.start()]);
    await thread.clock.advance(10_000);
    a.report(2);
    await thread.clock.advance(1_000);
    expect(await uncaught).toBe(problem);
    expect(heard).toEqual([1, 2]);
  });

  test("what is sent in one turn is bounded as ever, and in the next there is room again", async () => {
    const [root, a] = await family(["a"], { linkQueueMax: 100 });
    const heard: unknown[] = [];
    root.on("child.reported", ({ data }) => void heard.push(data));
    const flood = (): number => {
      let reported = 0;
      expect(() => {
        for (; reported < 1_000; reported++) a?.report(reported);
      }).toThrow(/does not keep up/);
      return reported;
    };
    expect(flood()).toBe(100);
    await thread.clock.advance(1);
    expect(flood()).toBe(100);
    await thread.clock.advance(1);
    expect(heard).toHaveLength(200);
  });
});

describe("a child elsewhere", () => {
  test("is beaten to and judged as ever, beside children of the thread", async () => {
    const root = thread.node({ path: "shop", children: [{ id: "near" }, { id: "far" }] });
    const near = thread.node({ path: "shop.near" });
    const transport = thread.elsewhere();
    const far = thread.node({ path: "shop.far", transport });
    await Promise.all([root.start(), near.start()]);
    await thread.clock.advance(60_000);
    await far.start();
    await thread.synchronized(root);
    await thread.clock.advance(20_000);
    thread.said = [];
    await thread.clock.advance(20_000);
    expect(thread.count("heartbeat.beat")).toBeGreaterThanOrEqual(9);
    expect([near.state, far.state]).toEqual(["SYNCHRONIZED", "SYNCHRONIZED"]);
    transport.isMute = true;
    await thread.clock.advance(12_000);
    expect(root.children().map(({ id, link }) => `${id} ${link}`)).toEqual(["near alive", "far dead"]);
  });
});

describe("nobody of the thread is judged by silence", () => {
  /** Everything that changed since, of nodes and links. */
  function changesOf(...nodes: readonly Node[]): readonly string[] {
    const changes: string[] = [];
    for (const node of nodes) {
      node.on("state.changed", ({ path, state }) => void changes.push(`${path} ${state}`));
      node.on("child.changed", ({ id, state }) => void changes.push(`${id} ${state}`));
    }
    return changes;
  }

  test("after a child elsewhere has left, to which more beats had been promised", async () => {
    const root = thread.node({ path: "shop", children: [{ id: "near" }, { id: "far" }] });
    const near = thread.node({ path: "shop.near" });
    const far = thread.node({ path: "shop.far", transport: thread.elsewhere() });
    await Promise.all([root, near, far].map((node) => node.start()));
    await thread.synchronized(root);
    await thread.clock.advance(60_000);
    const changes = changesOf(near);
    void far.stop();
    await thread.clock.advance(120_000);
    expect(changes).toEqual([]);
  });

  test.each([
    [1_000, 2_000],
    [2_000, 5_000],
    [200, 2_000],
  ])("when parent and child beat differently (%i and %i ms)", async (parentMs, childMs) => {
    const root = thread.node({ path: "shop", children: [{ id: "a" }], heartbeat: { minMs: 100, maxMs: parentMs } });
    const a = thread.node({ path: "shop.a", heartbeat: { maxMs: childMs } });
    await Promise.all([root.start(), a.start()]);
    await thread.synchronized(root);
    const changes = changesOf(root, a);
    await thread.clock.advance(600_000);
    expect(changes).toEqual([]);
  });

  test("a fenced parent tells its children", async () => {
    const root = thread.node({ path: "shop", children: [{ id: "m" }] });
    const mid = thread.node({ path: "shop.m", children: [{ id: "a" }, { id: "far" }] });
    const leaf = thread.node({ path: "shop.m.a" });
    // It judges its parent by silence.
    const far = thread.node({ path: "shop.m.far", transport: thread.elsewhere() });
    await Promise.all([root, mid, leaf, far].map((node) => node.start()));
    await thread.synchronized(root);
    mid.on("node.fenced", () => {});
    const epoch = [...mid.epoch.split(".").map(Number).slice(0, -1), 99];
    for (const boot of thread.transport.locals ?? []) {
      const header = { version: 1, session: "", ack: 0, broadcastAck: 0, credit: 0 };
      const frame = encodeFrame({ ...header, messages: [{ kind: "shutdown.fenced", seq: 0, boot, epoch }] });
      thread.transport.publish("ft.local.down.shop.m", frame);
    }
    await thread.clock.advance(1_000);
    expect([mid.state, leaf.state]).toEqual(["DISCONNECTED", "DEGRADED"]);
  });
});

describe("a look is not missed", () => {
  test("at a parent elsewhere, though all children are of the thread", async () => {
    const transport = thread.elsewhere();
    const root = thread.node({ path: "shop", transport, children: [{ id: "a" }] });
    const a = thread.node({ path: "shop.a" });
    await Promise.all([root.start(), a.start()]);
    await thread.synchronized(root);
    await thread.clock.advance(60_000);
    transport.isMute = true;
    await thread.clock.advance(3_400);
    expect(a.state).toBe("DEGRADED");
  });

  test("at the progress of a child that is started late", async () => {
    const { clock, transport } = thread;
    const kills: string[] = [];
    const root = thread.node({ path: "shop", children: [{ id: "absent" }, { id: "b" }], initTimeoutMs: 1_000 });
    root.on("supervision.decided", ({ decision, id }) => void (decision === "killed" && kills.push(id)));
    await Promise.all([root.start(), thread.node({ path: "shop.b" }).start()]);
    await clock.advance(60_000);
    const start = ({ path }: { readonly path: string }): Node => createNode({ path, clock, transport });
    void root.startChild({ id: "w", start, requireProgress: { withinMs: 5_000, whileIdle: true } });
    await clock.advance(6_500);
    expect(kills).toEqual(["w"]);
  });
});

test("who announced itself and ended before its parent coordinates is not remembered for long", async () => {
  const mid = thread.node({ path: "shop.mid" });
  const leaf = thread.node({ path: "shop.mid.a" });
  await Promise.all([mid.start(), leaf.start()]);
  await thread.clock.advance(3_000);
  void leaf.stop();
  await thread.clock.advance(60_000);
  const root = thread.node({ path: "shop", children: [{ id: "mid" }] });
  await root.start();
  await thread.synchronized(root);
  expect(mid.children()).toEqual([]);
});

test("a refusal of a restarted child proves that a broadcast has not begun: who was before is certainly gone", async () => {
  const { clock, transport } = thread;
  const made: Node[] = [];
  const start = ({ path }: { readonly path: string }): Node => {
    const node = createNode({ path, clock, transport });
    made.push(node);
    return node;
  };
  const root = thread.node({ path: "shop", children: ["a", "b"].map((id) => ({ id, start })) });
  await root.start();
  await thread.synchronized(root);
  made[0]?.fail("to be restarted");
  await clock.advance(30_000);
  const outcomes = root.fanOut("*", "nothing", null, { idempotent: true }).outcomes;
  let statuses: readonly string[] = [];
  void outcomes.then((all) => (statuses = all.map(({ status }) => status)));
  await clock.advance(1_000);
  expect([made.length, statuses]).toEqual([3, ["notStarted", "notStarted"]]);
});

describe("what is handed over within a thread", () => {
  /** A parent and a child with one handler that is busy for a second, and tells of its context. */
  async function busyPair() {
    const seen: unknown[] = [];
    const handler = async (_: null, { meta, epoch }: { readonly meta: unknown; readonly epoch: unknown }) => {
      seen.push({ meta, epoch });
      await new Promise((resolve) => thread.clock.setTimeout(() => resolve(null), 1_000));
    };
    const shop = thread.node({ path: "shop", children: [{ id: "a" }, { id: "b" }] });
    const commands = { work: handler };
    const [a, b] = [
      thread.node({ path: "shop.a", commands, concurrency: 1 }),
      thread.node({ path: "shop.b", commands }),
    ];
    await Promise.all([shop.start(), a.start(), b.start()]);
    await thread.synchronized(shop);
    return { shop, a, seen };
  }

  test("are the headers that the caller gave, whatever it does with its own afterwards", async () => {
    const { shop, seen } = await busyPair();
    const meta: Record<string, unknown> = {};
    for (const trace of ["1", "2", "3", undefined]) {
      meta["trace"] = trace;
      if (trace !== undefined) void shop.tryCommand("a", "work", null, { meta: meta as Record<string, string> });
    }
    await thread.clock.advance(5_000);
    expect(seen).toMatchObject([{ meta: { trace: "1" } }, { meta: { trace: "2" } }, { meta: { trace: "3" } }]);
  });

  test("are epochs that nobody can change", async () => {
    const { shop, a, seen } = await busyPair();
    void shop.tryCommand("a", "work", null);
    await thread.clock.advance(10);
    const epoch = (seen[0] as { epoch: number[] }).epoch;
    expect(() => epoch.push(999)).toThrow(TypeError);
    expect([a.epoch, shop.epoch].every((each) => Object.isFrozen(each))).toBe(true);
  });

  test("can be told to listeners that change it", async () => {
    const told: string[] = [];
    const node = thread.node({ path: "shop" });
    node.on("state.changed", ({ state, reasons }) => {
      (reasons as string[]).push("note");
      told.push(`${state} ${reasons.length}`);
    });
    await node.start();
    await thread.synchronized(node);
    expect(told).toEqual(["CONNECTING 1", "SYNCHRONIZED 1"]);
  });

  test("is refused where bytes would change it", async () => {
    const { shop } = await busyPair();
    const lone = "x\ud800";
    await expect(shop.command("a", lone)).rejects.toThrow(InvalidOptionError);
    await expect(shop.command("a", "work", null, { commandId: lone })).rejects.toThrow(InvalidOptionError);
    await expect(shop.command("a", "work", null, { meta: { [lone]: "1" } })).rejects.toThrow(InvalidOptionError);
    await expect(shop.command("a", "work", null, { meta: { a: lone } })).rejects.toThrow(InvalidOptionError);
  });
});
