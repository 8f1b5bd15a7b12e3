/** Effectively once: keys, duplicates, lost frames, lost executors, lost sessions. */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { describe, expect, test } from "vitest";
import { type CommandOutcome, type Commands, type Node, type NodeOptions, validated } from "../../src/index.js";
import { gate, World } from "./kit.js";

const forever = (): Promise<never> => new Promise(() => {});

async function pair(world: World, commands: Commands, options: Partial<NodeOptions> = {}) {
  const shop = world.node({ path: "shop", children: [{ id: "a" }], commandTimeoutMs: 60_000 });
  const child = world.node({ path: "shop.a", commands, ...options });
  await world.up(shop, child);
  return { shop, child };
}

/** A handler that counts how often it ran. */
function counter(): { readonly count: () => number; readonly ran: () => number } {
  let runs = 0;
  return { count: () => ++runs, ran: () => runs };
}

describe("one key runs once", () => {
  test("one after the other: the second call gets the stored outcome", async () => {
    const world = new World();
    const { count, ran } = counter();
    const { shop } = await pair(world, { count });
    const options = { commandId: "order-17" };
    expect(await world.settle(shop.command("a", "count", {}, options))).toBe(1);
    await world.run(60_000);
    expect(await world.settle(shop.command("a", "count", {}, options))).toBe(1);
    expect(ran()).toBe(1);
    expect(await world.settle(shop.command("a", "count", {}, { commandId: "order-18" }))).toBe(2);
  });

  test("a stored failure is a failure again", async () => {
    const world = new World();
    let runs = 0;
    const { shop } = await pair(world, {
      fail: () => {
        runs++;
        throw new Error(`failure ${runs}`);
      },
    });
    const first = await world.settle(shop.tryCommand("a", "fail", {}, { commandId: "k" }));
    const second = await world.settle(shop.tryCommand("a", "fail", {}, { commandId: "k" }));
    expect([first, second].map((outcome) => outcome.status !== "completed" && outcome.error.message)).toEqual([
      "fail at shop.a: failure 1",
      "fail at shop.a: failure 1",
    ]);
  });

  // The first caller's promise used to be forgotten for ever.
  test("at the same time: all callers get the one outcome", async () => {
    const world = new World();
    const { count, ran } = counter();
    const ends = gate();
    const { shop } = await pair(world, { count: async () => (await ends.opened, count()) });
    const answers = [1, 2, 3].map(() => shop.command("a", "count", {}, { commandId: "k" }));
    await world.run(100);
    ends.open();
    expect(await world.settle(Promise.all(answers), 1_000)).toEqual([1, 1, 1]);
    expect(ran()).toBe(1);
  });

  test("at the same time, each caller keeps its own deadline", async () => {
    const world = new World();
    const ends = gate();
    const { shop } = await pair(world, { wait: () => ends.opened });
    const call = (timeoutMs: number) => shop.tryCommand("a", "wait", {}, { commandId: "k", timeoutMs });
    const [long, short] = [call(5_000), call(1_000)];
    expect(await world.settle(short)).toMatchObject({ status: "timedOut", durationMs: 1_000 });
    await world.run(1_000);
    ends.open();
    expect(await world.settle(long)).toMatchObject({ status: "completed", durationMs: 2_000 });
  });

  test("a relay that gives a command of the same key keeps its own answer", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const a = world.node({ path: "shop.a", children: [{ id: "x" }] });
    const { count, ran } = counter();
    const ends = gate();
    const x = world.node({ path: "shop.a.x", commands: { count: async () => (await ends.opened, count()) } });
    await world.up(shop, a, x);
    const answers = [
      shop.command("a.x", "count", {}, { commandId: "k" }),
      a.command("x", "count", {}, { commandId: "k" }),
    ];
    await world.run(100);
    ends.open();
    expect(await world.settle(Promise.all(answers), 1_000)).toEqual([1, 1]);
    expect(ran()).toBe(1);
  });

  test("outcomes are kept up to outcomesMax, at least the latest half", async () => {
    const world = new World();
    const { count, ran } = counter();
    const { shop } = await pair(world, { count }, { outcomesMax: 10 });
    const call = (key: number) => world.settle(shop.command("a", "count", {}, { commandId: `k${key}` }));
    for (let key = 1; key <= 20; key++) expect(await call(key)).toBe(key);
    for (let key = 16; key <= 20; key++) expect(await call(key)).toBe(key);
    expect(ran()).toBe(20);
    expect(await call(1)).toBe(21);
  });

  test("outcomes are kept up to outcomesMaxBytes", async () => {
    const world = new World();
    let runs = 0;
    const { shop } = await pair(
      world,
      { make: () => ({ run: ++runs, bytes: new Uint8Array(1_000) }) },
      { outcomesMaxBytes: 10_000 },
    );
    const call = (key: number) =>
      world.settle(shop.command<{ run: number }>("a", "make", {}, { commandId: `k${key}` }));
    for (let key = 1; key <= 12; key++) await call(key);
    expect((await call(12)).run).toBe(12);
    expect((await call(1)).run).toBe(13);
  });
});

describe("lost frames", () => {
  test("commands and answers arrive once and in order over a line that loses a third of its frames", async () => {
    const world = new World();
    const order: number[] = [];
    const { shop, child } = await pair(world, { work: (n: number) => (order.push(n), n) }, { concurrency: 1 });
    for (const node of [shop, child]) world.processOf(node).passes = () => world.random() > 0.3;
    const answers: Promise<unknown>[] = [];
    for (let n = 0; n < 200; n++) {
      answers.push(shop.command("a", "work", n));
      await world.run(7);
    }
    await world.settle(Promise.all(answers));
    expect(order).toEqual(Array.from({ length: 200 }, (_, n) => n));
    expect([shop.state, child.state]).toEqual(["SYNCHRONIZED", "SYNCHRONIZED"]);
  });

  test("frames that arrive twice change nothing", async () => {
    const world = new World();
    const { count, ran } = counter();
    const { shop, child } = await pair(world, { count });
    for (const node of [shop, child]) {
      world.processOf(node).passes = ({ subject, payload }) => {
        world.broker.publish(subject, payload);
        return true;
      };
    }
    await world.settle(Promise.all(Array.from({ length: 50 }, () => shop.command("a", "count"))));
    await world.run(5_000);
    expect(ran()).toBe(50);
    expect([shop.state, child.state]).toEqual(["SYNCHRONIZED", "SYNCHRONIZED"]);
  });

  test("a lost command is repeated with backoff, and only the oldest", async () => {
    const world = new World();
    const { shop } = await pair(world, { work: (n: number) => n });
    const { passes } = world.processOf(shop);
    world.processOf(shop).passes = ({ kinds }) => !kinds.includes("command.run");
    const sinceMs = world.nowMs;
    const answers = Array.from({ length: 10 }, (_, n) => shop.command("a", "work", n));
    await world.run(3_000);
    const attempts = world.sent("command.run", { sinceMs });
    expect(attempts.slice(1).every(({ kinds }) => kinds.length === 1)).toBe(true);
    // 200, 400, 800 and 1,600 ms after each other.
    expect(attempts.map(({ atMs }) => atMs - sinceMs)).toEqual([0, 200, 600, 1_400, 3_000]);
    world.processOf(shop).passes = passes;
    await world.settle(Promise.all(answers));
  });
});

describe("lost sessions", () => {
  test("a result that could not be delivered is answered from the cache in the next session", async () => {
    const world = new World();
    const { count, ran } = counter();
    const ends = gate();
    const { shop, child } = await pair(world, { count: async () => (await ends.opened, count()) });
    const answer = shop.command("a", "count", {}, { timeoutMs: 120_000 });
    await world.run(100);
    world.processOf(child).disconnect();
    ends.open();
    await world.run(5_000);
    world.processOf(child).reconnect();
    expect(await world.settle(answer)).toBe(1);
    expect(ran()).toBe(1);
  });

  test("a child that fails and recovers keeps what it runs", async () => {
    const world = new World();
    const { count, ran } = counter();
    const ends = gate();
    const { shop, child } = await pair(world, { count: async () => (await ends.opened, count()) });
    const answer = shop.command("a", "count");
    await world.run(100);
    child.fail("a moment");
    await world.run(10);
    ends.open();
    expect(await world.settle(answer)).toBe(1);
    expect(ran()).toBe(1);
  });
});

describe("lost executors", () => {
  test("a command that may have begun ends as unknown", async () => {
    const world = new World();
    const { shop, child } = await pair(world, { hang: forever });
    const answer = shop.tryCommand("a", "hang");
    await world.run(100);
    world.kill(child);
    const outcome = await world.settle(answer, 15_000);
    expect(outcome).toMatchObject({ status: "unknown", attempts: 1, error: { code: "EXECUTOR_LOST" } });
  });

  test("a command that was waiting for credit did not begin", async () => {
    const world = new World();
    const { shop, child } = await pair(world, { hang: forever }, { concurrency: 1, queueMax: 1 });
    const answers = Array.from({ length: 10 }, () => shop.tryCommand("a", "hang"));
    await world.run(100);
    world.kill(child);
    const statuses = (await world.settle(Promise.all(answers), 15_000)).map(({ status }) => status);
    expect(statuses.filter((status) => status === "unknown")).toHaveLength(2);
    expect(statuses.filter((status) => status === "notStarted")).toHaveLength(8);
  });

  test("an idempotent command runs at the child's successor, under the same id", async () => {
    const world = new World();
    const ids: string[] = [];
    const { shop, child } = await pair(world, {
      work: (_: unknown, { commandId }) => (ids.push(commandId), forever()),
    });
    const answer = shop.tryCommand<string>("a", "work", {}, { idempotent: true });
    await world.run(100);
    world.kill(child);
    await world.until(() => shop.child("a")?.link === "dead");
    const work = (_: unknown, { commandId }: { readonly commandId: string }) => (ids.push(commandId), "done");
    await world.up(world.node({ path: "shop.a", commands: { work } }));
    const outcome = await world.settle(answer, 1_000);
    expect(outcome).toMatchObject({ status: "completed", value: "done", attempts: 2 });
    expect(ids).toEqual([outcome.commandId, outcome.commandId]);
  });

  test("an idempotent command for a child that is away waits for it", async () => {
    const world = new World();
    const { shop, child } = await pair(world, {});
    world.kill(child);
    await world.until(() => shop.child("a")?.link === "dead");
    const answer = shop.command("a", "hello", {}, { idempotent: true });
    await world.run(5_000);
    await world.up(world.node({ path: "shop.a", commands: { hello: () => "hello" } }));
    expect(await world.settle(answer, 1_000)).toBe("hello");
  });

  test("a successor that takes over before the death is noticed: not idempotent is unknown, idempotent runs again", async () => {
    const world = new World();
    const { shop, child } = await pair(world, { work: forever });
    const once = shop.tryCommand("a", "work");
    const again = shop.tryCommand("a", "work", {}, { idempotent: true });
    await world.run(100);
    world.kill(child);
    await world.up(world.node({ path: "shop.a", commands: { work: () => "done" } }));
    expect(await world.settle(once, 1_000)).toMatchObject({ status: "unknown" });
    expect(await world.settle(again, 1_000)).toMatchObject({ status: "completed", value: "done" });
  });

  test("a relay that dies: the caller learns that the effect is unknown", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const a = world.node({ path: "shop.a", children: [{ id: "x" }] });
    const x = world.node({ path: "shop.a.x", commands: { hang: forever } });
    await world.up(shop, a, x);
    const answer = shop.tryCommand("a.x", "hang");
    await world.run(100);
    world.kill(a);
    expect(await world.settle(answer, 15_000)).toMatchObject({ status: "unknown", error: { code: "EXECUTOR_LOST" } });
  });

  test("retries end after attemptsMax", async () => {
    const world = new World();
    const { shop, child } = await pair(world, { work: () => "never" });
    await world.settle(child.drain());
    const options = { idempotent: true, retry: { attemptsMax: 3, baseMs: 10, maxMs: 100 } };
    const outcome = await world.settle(shop.tryCommand("a", "work", {}, options));
    expect(outcome).toMatchObject({ status: "notStarted", attempts: 3, error: { code: "DRAINING" } });
    expect(outcome.durationMs).toBeGreaterThanOrEqual(20);
  });

  test("a failure is an answer: it is not retried", async () => {
    const world = new World();
    let runs = 0;
    const { shop } = await pair(world, {
      fail: () => {
        runs++;
        throw new Error("no");
      },
    });
    const outcome = await world.settle(shop.tryCommand("a", "fail", {}, { idempotent: true }));
    expect([outcome.status, outcome.attempts, runs]).toEqual(["failed", 1, 1]);
  });

  test('"command.undelivered" tells of an unknown effect', async () => {
    const world = new World();
    const { shop, child } = await pair(world, { hang: forever });
    const told: string[] = [];
    shop.on("command.undelivered", ({ path, name, error }) => told.push(`${path} ${name} ${error.code}`));
    void shop.tryCommand("a", "hang");
    await world.run(100);
    world.kill(child);
    await world.run(15_000);
    expect(told).toEqual(["shop.a hang EXECUTOR_LOST"]);
  });
});

describe("drain()", () => {
  test("finishes what was accepted, refuses what comes, and the node stays", async () => {
    const world = new World();
    const ends = gate<string>();
    const { shop, child } = await pair(world, { work: () => ends.opened }, { concurrency: 1 });
    const accepted = [shop.command("a", "work"), shop.command("a", "work")];
    await world.run(10);
    let isDrained = false;
    const drained = child.drain().then(() => (isDrained = true));
    await world.run(10);
    expect(await world.settle(shop.tryCommand("a", "work"))).toMatchObject({
      status: "notStarted",
      error: { code: "DRAINING" },
    });
    expect(isDrained).toBe(false);
    ends.open("done");
    expect(await world.settle(Promise.all(accepted))).toEqual(["done", "done"]);
    await world.settle(drained);
    await world.settle(child.drain());
    expect(child.state).toBe("SYNCHRONIZED");
  });
});

describe("minSyncVersion", () => {
  async function synced(world: World, options: Partial<NodeOptions> = {}) {
    const { shop, child } = await pair(world, { read: () => child.synced?.version ?? 0 }, options);
    return { shop, child };
  }

  /** Keeps the parent's documents from arriving while `hold` is in force. */
  function holdSyncs(world: World, shop: Node): () => void {
    const process = world.processOf(shop);
    process.passes = ({ kinds }) => !kinds.includes("sync.full");
    return () => (process.passes = () => true);
  }

  test("holds a command until the document has come", async () => {
    const world = new World();
    const { shop } = await synced(world);
    const version = shop.synchronize({ v: 1 });
    expect(await world.settle(shop.command("a", "read", {}, { minSyncVersion: version }))).toBe(version);
  });

  test("waits for a document that is late", async () => {
    const world = new World();
    const { shop, child } = await synced(world);
    const release = holdSyncs(world, shop);
    shop.synchronize({ v: 1 });
    await world.run(10);
    const answer = shop.command("a", "read", {}, { minSyncVersion: 1 });
    await world.run(50);
    expect([child.status.running, shop.child("a")?.pending]).toEqual([0, 1]);
    release();
    expect(await world.settle(answer, 2_000)).toBe(1);
  });

  test("a version that never comes: the deadline answers, and the place is free again", async () => {
    const world = new World();
    const { shop } = await synced(world, { queueMax: 1 });
    for (let i = 0; i < 3; i++) {
      const outcome = await world.settle(shop.tryCommand("a", "read", {}, { minSyncVersion: 99, timeoutMs: 1_000 }));
      expect(outcome).toMatchObject({ status: "timedOut", durationMs: 1_000 });
      await world.run(100);
    }
  });

  test("an abort while it waits", async () => {
    const world = new World();
    const { shop, child } = await synced(world, { queueMax: 1 });
    const controller = new AbortController();
    const answer = shop.tryCommand("a", "read", {}, { minSyncVersion: 1, signal: controller.signal });
    await world.run(100);
    controller.abort();
    await world.settle(answer, 1);
    const second = shop.command("a", "read", {}, { minSyncVersion: 1 });
    await world.run(100);
    shop.synchronize({});
    expect(await world.settle(second, 1_000)).toBe(1);
    expect(child.status.running).toBe(0);
  });

  test("what waits when the node stops is answered and leaves nothing behind", async () => {
    const world = new World();
    const { shop, child } = await synced(world);
    const answer = shop.tryCommand("a", "read", {}, { minSyncVersion: 7 });
    await world.run(100);
    await world.settle(child.stop());
    expect(await world.settle(answer, 1_000)).toMatchObject({ status: "notStarted" });
  });
});

describe("validated()", () => {
  type Validate<Output> = StandardSchemaV1<unknown, Output>["~standard"]["validate"];

  function schema<Output>(validate: Validate<Output>): StandardSchemaV1<unknown, Output> {
    return { "~standard": { version: 1, vendor: "test", validate } };
  }

  const positive = schema((value) => {
    const qty = (value as { qty?: unknown } | undefined)?.qty;
    if (typeof qty === "number" && qty > 0) return { value: { qty: Math.floor(qty) } };
    return { issues: [{ message: "must be positive", path: ["items", { key: "qty" }] }, { message: "try again" }] };
  });

  test("the handler gets the validator's output", async () => {
    const world = new World();
    const { shop } = await pair(world, { reserve: validated(positive, ({ qty }) => qty * 2) });
    expect(await world.settle(shop.command("a", "reserve", { qty: 2.5 }))).toBe(4);
  });

  test("what it refuses did not start", async () => {
    const world = new World();
    const { count, ran } = counter();
    const { shop } = await pair(world, { reserve: validated(positive, count) });
    const error = await world.failure(shop.command("a", "reserve", { qty: -1 }));
    expect(error).toMatchObject({
      code: "INVALID_INPUT",
      status: "notStarted",
      message: "reserve at shop.a: items.qty: must be positive; try again",
    });
    expect(ran()).toBe(0);
  });

  test("a validator that is asynchronous, and one that throws", async () => {
    const world = new World();
    const slow = schema(async (value) => {
      await Promise.resolve();
      if (value === "broken") throw new Error("validator is broken");
      return { value: value as string };
    });
    const { shop } = await pair(world, { hello: validated(slow, (name) => `hello ${name}`) });
    expect(await world.settle(shop.command("a", "hello", "you"))).toBe("hello you");
    const outcome: CommandOutcome = await world.settle(shop.tryCommand("a", "hello", "broken"));
    expect(outcome).toMatchObject({ status: "failed", error: { message: "hello at shop.a: validator is broken" } });
  });
});
