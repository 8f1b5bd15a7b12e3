/** Commands from a parent to the nodes below it: where they go, how they end. */
import { describe, expect, test } from "vitest";
import { type Commands, type Node } from "../../src/index.js";
import { gate, pair, World } from "./kit.js";

describe("where commands go", () => {
  const echo: Commands = { echo: (input: unknown, { path }) => ({ path, input }) };

  async function tree(world: World): Promise<Node> {
    const shop = world.node({ path: "shop", children: [{ id: "a" }, { id: "b" }] });
    const a = world.node({ path: "shop.a", children: [{ id: "x" }], commands: echo });
    const x = world.node({ path: "shop.a.x", children: [{ id: "y" }], commands: echo });
    const y = world.node({ path: "shop.a.x.y", commands: echo });
    await world.up(shop, a, x, y, world.node({ path: "shop.b", commands: echo }));
    return shop;
  }

  test.each(["a", "b", "a.x", "a.x.y"])("to %s", async (target) => {
    const world = new World();
    const shop = await tree(world);
    const answer = shop.command(target, "echo", { n: 1 });
    expect(await world.settle(answer)).toEqual({ path: `shop.${target}`, input: { n: 1 } });
  });

  test("to several, at any depth, in one fan-out", async () => {
    const world = new World();
    const shop = await tree(world);
    const { outcomes } = shop.fanOut<{ path: string }>(["b", "a.x.y", "a"], "echo");
    const paths = (await world.settle(outcomes)).map((outcome) => outcome.status === "completed" && outcome.value.path);
    expect(new Set(paths)).toEqual(new Set(["shop.b", "shop.a.x.y", "shop.a"]));
  });

  test('to all children with "*"', async () => {
    const world = new World();
    const shop = await tree(world);
    const outcomes = await world.settle(shop.fanOut("*", "echo").outcomes);
    expect(outcomes.map(({ target, status }) => `${target} ${status}`).toSorted()).toEqual([
      "a completed",
      "b completed",
    ]);
  });

  test("input and output may be undefined, null, or hold dates, bytes and big integers", async () => {
    const world = new World();
    const { shop } = await pair(world, { same: (input: unknown) => input });
    const values = [undefined, null, 0, "", [], { at: new Date(5), bytes: new Uint8Array([1, 2]), big: 2n ** 60n }];
    for (const value of values) expect(await world.settle(shop.command("a", "same", value))).toEqual(value);
  });

  test("meta reaches the handler over hops, and so do id and name", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const a = world.node({ path: "shop.a", children: [{ id: "x" }] });
    const x = world.node({
      path: "shop.a.x",
      commands: {
        see: (_: unknown, { meta, name, commandId, path, epoch }) => ({ meta, name, commandId, path, epoch }),
      },
    });
    await world.up(shop, a, x);
    const meta = { traceparent: "00-1-2-03" };
    const seen = await world.settle(shop.command("a.x", "see", {}, { meta, commandId: "key-1" }));
    const epoch = x.epoch.split(".").map(Number);
    expect(seen).toEqual({ meta, name: "see", commandId: "key-1", path: "shop.a.x", epoch });
    expect(await world.settle(shop.command("a.x", "see"))).toMatchObject({ meta: null });
  });
});

describe("how commands run", () => {
  test("side by side", async () => {
    const world = new World();
    const ends = gate();
    let running = 0;
    const { shop, child } = await pair(world, {
      work: async (n: number) => {
        running++;
        await ends.opened;
        return n;
      },
    });
    const answers = Array.from({ length: 20 }, (_, n) => shop.command("a", "work", n));
    await world.run(10);
    expect([running, child.status.running]).toEqual([20, 20]);
    ends.open();
    expect(await world.settle(Promise.all(answers))).toEqual(Array.from({ length: 20 }, (_, n) => n));
  });

  test("no more at once than concurrency, the others in the order of arrival", async () => {
    const world = new World();
    const order: number[] = [];
    const gates = Array.from({ length: 6 }, () => gate());
    const { shop, child } = await pair(
      world,
      { work: (n: number) => (order.push(n), gates[n]?.opened) },
      { concurrency: 2 },
    );
    const answers = gates.map((_, n) => shop.command("a", "work", n));
    await world.run(10);
    expect(order).toEqual([0, 1]);
    expect(child.status).toMatchObject({ running: 2, queued: 4 });
    gates[1]?.open();
    await world.run(10);
    expect(order).toEqual([0, 1, 2]);
    for (const { open } of gates) open();
    await world.settle(Promise.all(answers));
    expect(order).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test("a long queue of handlers that answer at once is emptied by a loop, not by recursion", async () => {
    const world = new World();
    const ends = gate();
    const commands: Commands = { wait: () => ends.opened, echo: (n: number) => n };
    const { shop, child } = await pair(world, commands, { concurrency: 1, queueMax: 8_000 });
    const first = shop.command("a", "wait");
    const answers = Array.from({ length: 8_000 }, (_, n) => shop.command("a", "echo", n));
    await world.until(() => child.status.queued === 8_000);
    ends.open();
    expect(await world.settle(Promise.all([first, ...answers]))).toHaveLength(8_001);
  });

  test("what a handler takes out of its context works by itself", async () => {
    const world = new World();
    const seen: unknown[] = [];
    const { shop } = await pair(world, {
      work: (_input: unknown, { progress, remainingMs, signal, ...rest }) => {
        progress(1);
        return [remainingMs() > 0, signal.aborted, rest.name];
      },
    });
    const answer = shop.command("a", "work", {}, { onProgress: (value) => seen.push(value) });
    expect(await world.settle(answer)).toEqual([true, false, "work"]);
    expect(seen).toEqual([1]);
  });

  test("the parent sees the child's load", async () => {
    const world = new World();
    const { shop } = await pair(world, { hang: () => new Promise(() => {}) }, { concurrency: 1 });
    for (let i = 0; i < 3; i++) void shop.tryCommand("a", "hang", {}, { timeoutMs: 30_000 });
    await world.run(3_000);
    expect(shop.child("a")).toMatchObject({ pending: 3, status: { running: 1, queued: 2 } });
  });

  test("progress arrives in order, before the result, and not after an abort", async () => {
    const world = new World();
    const first = gate();
    const { shop } = await pair(world, {
      count: async (_: unknown, { progress }) => {
        progress(1);
        progress({ half: true });
        await first.opened;
        progress(3);
        return "done";
      },
    });
    const seen: unknown[] = [];
    const controller = new AbortController();
    const onProgress = (value: unknown): void => void seen.push(value);
    const answer = shop.tryCommand("a", "count", {}, { onProgress, signal: controller.signal });
    await world.run(10);
    expect(seen).toEqual([1, { half: true }]);
    controller.abort();
    first.open();
    expect((await world.settle(answer)).status).toBe("cancelled");
    await world.run(100);
    expect(seen).toHaveLength(2);
  });

  test("progress passes through a relay", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const a = world.node({ path: "shop.a", children: [{ id: "x" }] });
    const x = world.node({ path: "shop.a.x", commands: { count: (_: unknown, { progress }) => progress("half way") } });
    await world.up(shop, a, x);
    const seen: unknown[] = [];
    await world.settle(shop.command("a.x", "count", {}, { onProgress: (value) => seen.push(value) }));
    expect(seen).toEqual(["half way"]);
  });

  test("progress that cannot travel throws in the handler, not in the node", async () => {
    const world = new World();
    const { shop } = await pair(world, { bad: (_: unknown, { progress }) => progress(new Map()) });
    const outcome = await world.settle(shop.tryCommand("a", "bad"));
    expect(outcome).toMatchObject({ status: "failed", error: { handlerCode: "UNSUPPORTED_PAYLOAD" } });
  });

  test("outcomes as data tell duration and attempts", async () => {
    const world = new World();
    const { shop } = await pair(world, {
      wait: (ms: number) => new Promise((resolve) => world.clock.setTimeout(() => resolve(ms), ms)),
    });
    const outcome = await world.settle(shop.tryCommand<number>("a", "wait", 250));
    expect(outcome).toMatchObject({ status: "completed", target: "a", value: 250, attempts: 1 });
    expect(outcome.durationMs).toBe(250);
  });
});

describe("deadlines", () => {
  test("answer a handler that never ends, abort its signal and free its place", async () => {
    const world = new World();
    let signal: AbortSignal | undefined;
    const { shop, child } = await pair(
      world,
      { hang: (_: unknown, context) => ((signal = context.signal), new Promise(() => {})), quick: () => "quick" },
      { concurrency: 1 },
    );
    const answer = shop.tryCommand("a", "hang", {}, { timeoutMs: 1_000 });
    const outcome = await world.settle(answer);
    expect(outcome).toMatchObject({ status: "timedOut", durationMs: 1_000, error: { code: "DEADLINE_EXCEEDED" } });
    await world.run(10);
    expect([signal?.aborted, child.status.running]).toEqual([true, 0]);
    expect(await world.settle(shop.command("a", "quick"))).toBe("quick");
  });

  test("count what is left, over hops", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const a = world.node({ path: "shop.a" });
    const x = world.node({
      path: "shop.a.x",
      children: [{ id: "y" }],
      commands: { look: (_: unknown, { remainingMs }) => remainingMs() },
    });
    await world.up(shop, a);
    await x.start();
    await world.until(() => a.child("x")?.link === "opening");
    const answer = shop.command("a.x", "look", {}, { timeoutMs: 5_000 });
    await world.run(900);
    await world.node({ path: "shop.a.x.y" }).start();
    expect(await world.settle(answer)).toBe(4_100);
  });

  test("expire what waits in the child's queue", async () => {
    const world = new World();
    const ran: string[] = [];
    const { shop, child } = await pair(
      world,
      { hang: (name: string) => (ran.push(name), new Promise(() => {})) },
      { concurrency: 1 },
    );
    const first = shop.tryCommand("a", "hang", "first", { timeoutMs: 5_000 });
    const second = shop.tryCommand("a", "hang", "second", { timeoutMs: 1_000 });
    expect(await world.settle(second)).toMatchObject({ status: "timedOut", durationMs: 1_000 });
    await world.run(100);
    expect([ran, child.status.queued]).toEqual([["first"], 0]);
    await world.settle(first);
  });

  test("the node's commandTimeoutMs is the default", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }], commandTimeoutMs: 700 });
    await world.up(shop, world.node({ path: "shop.a", commands: { hang: () => new Promise(() => {}) } }));
    expect(await world.settle(shop.tryCommand("a", "hang"))).toMatchObject({ status: "timedOut", durationMs: 700 });
  });
});
