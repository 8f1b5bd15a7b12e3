/** Effectively once, over lost frames, lost sessions and lost executors. */
import { describe, expect, test } from "vitest";
import { counter, forever, gate, pair, World } from "./kit.js";

describe("lost frames", () => {
  test("commands and answers arrive once and in order over a line that loses a third of its frames", async () => {
    const world = new World();
    const order: number[] = [];
    const { shop, child } = await pair(world, { work: (n: number) => (order.push(n), n) }, { concurrency: 1 });
    for (const node of [shop, child]) world.processOf(node).passes = () => world.random() > 0.3;
    const answers: Promise<unknown>[] = [];
    for (let n = 0; n < 200; n++) {
      answers.push(shop.command("a", "work", n, { timeoutMs: 600_000 }));
      await world.run(7);
    }
    await world.settle(Promise.all(answers), 600_000);
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

test("a lost frame of many commands is filled in a few round trips", async () => {
  const world = new World();
  const ends = gate();
  const started: number[] = [];
  // Nothing is answered, so that each acknowledgement comes as late as it may.
  const work = async (n: number) => (started.push(n), await ends.opened, n);
  const { shop } = await pair(world, { work }, { concurrency: 1_000 });
  const answers = Array.from({ length: 300 }, (_, n) => shop.command("a", "work", n));
  let isLost = false;
  world.processOf(shop).passes = ({ kinds }) => isLost || kinds.length <= 200 || !(isLost = true);
  for (let n = 300; n < 900; n++) answers.push(shop.command("a", "work", n));
  const sinceMs = world.nowMs + 100;
  await world.run(1_500);
  expect(isLost).toBe(true);
  expect(started).toEqual(Array.from({ length: 900 }, (_, n) => n));
  const again = world.sent("command.run", { sinceMs }).map(({ kinds }) => kinds.length);
  expect(again.slice(0, 7)).toEqual([1, 2, 4, 8, 16, 32, 64]);
  expect(Math.max(...again)).toBe(64);
  ends.open();
  await world.settle(Promise.all(answers));
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
