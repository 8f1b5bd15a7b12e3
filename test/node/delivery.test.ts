/** One key runs once, whoever asks how often. */
import { describe, expect, test } from "vitest";
import { counter, gate, pair, World } from "./kit.js";

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

  test("keys of any length are told apart, also those that begin alike and look like ids of calls", async () => {
    const world = new World();
    const ran: string[] = [];
    const { shop } = await pair(world, { run: (what: string) => (ran.push(what), what) });
    const keys = ["import", "import-users0001", "import-items0001", "zzzz", "export-users0001", "import-users0001"];
    for (const key of keys) expect(await world.settle(shop.command("a", "run", key, { commandId: key }))).toBe(key);
    expect(ran).toEqual(keys.slice(0, -1));
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
