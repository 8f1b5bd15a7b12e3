/** How a tree comes up: in whatever order its nodes start, and when some do not come. */
import { describe, expect, test } from "vitest";
import { states, World } from "./kit.js";

const CHILDREN = [{ id: "a" }, { id: "b" }];

describe("order of starting", () => {
  test("a root without children is SYNCHRONIZED once it has started", async () => {
    const world = new World();
    const root = world.node({ path: "shop" });
    const entered = states(root);
    await root.start();
    expect(entered).toEqual(["CONNECTING", "SYNCHRONIZED"]);
    expect(root.epoch).toBe(String(world.clock.wallNow()));
  });

  test("parent first", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: CHILDREN });
    const a = world.node({ path: "shop.a" });
    const b = world.node({ path: "shop.b" });
    await shop.start();
    await world.run(3_000);
    expect(shop.state).toBe("CONNECTING");
    await world.up(a, b, shop);
    expect(shop.children().map(({ link }) => link)).toEqual(["alive", "alive"]);
  });

  test("children first: they wait without failing until the parent calls", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: CHILDREN });
    const a = world.node({ path: "shop.a" });
    const b = world.node({ path: "shop.b" });
    const entered = states(a);
    await a.start();
    await b.start();
    await world.run(60_000);
    expect([a.state, a.epoch, entered]).toEqual(["DISCONNECTED", "", []]);
    const startedAtMs = world.nowMs;
    await world.up(shop);
    // The parent's call cuts short the children's wait of up to 5 s.
    expect(world.nowMs - startedAtMs).toBeLessThan(150);
    expect(entered).toEqual(["CONNECTING", "SYNCHRONIZED"]);
  });

  test("grandchildren first: each level waits for the one above", async () => {
    const world = new World();
    const leaf = world.node({ path: "shop.a.x" });
    const mid = world.node({ path: "shop.a", children: [{ id: "x" }] });
    const root = world.node({ path: "shop", children: [{ id: "a" }] });
    await leaf.start();
    await world.run(1_000);
    await mid.start();
    await world.run(1_000);
    expect([leaf.state, mid.state]).toEqual(["DISCONNECTED", "DISCONNECTED"]);
    await world.up(root, mid, leaf);
    expect([root, mid, leaf].map(({ epoch }) => epoch.split(".").length)).toEqual([1, 2, 3]);
  });
});

describe("readiness is of the subtree", () => {
  test("a root is ready only once its grandchildren are", async () => {
    const world = new World();
    const root = world.node({ path: "shop", children: [{ id: "a" }] });
    const mid = world.node({ path: "shop.a", children: [{ id: "x" }, { id: "y" }] });
    const x = world.node({ path: "shop.a.x" });
    const y = world.node({ path: "shop.a.y" });
    for (const node of [root, mid, x]) await node.start();
    await world.run(5_000);
    expect([root.state, mid.state, x.state]).toEqual(["CONNECTING", "CONNECTING", "SYNCHRONIZED"]);
    expect(root.child("a")?.link).toBe("opening");
    await world.up(y, mid, root);
    await world.run(1_000);
    expect(root.status).toMatchObject({ nodes: 4, available: 4 });
  });

  test("a level that settles for less does so early enough for the levels above", async () => {
    const world = new World();
    const root = world.node({ path: "shop", children: [{ id: "a" }] });
    const mid = world.node({ path: "shop.a", children: [{ id: "x" }, { id: "y" }] });
    const x = world.node({ path: "shop.a.x" });
    await root.start();
    await mid.start();
    await x.start();
    await world.run(10_000);
    expect([mid.state, mid.status.reasons, root.state]).toEqual(["DEGRADED", ["children"], "SYNCHRONIZED"]);
    expect(root.status).toMatchObject({ nodes: 3, available: 3 });
  });

  test("a child that came late gets what is left of its parent's time", async () => {
    const world = new World();
    const root = world.node({ path: "shop", children: [{ id: "a" }] });
    const mid = world.node({ path: "shop.a", children: [{ id: "x" }, { id: "y" }] });
    const x = world.node({ path: "shop.a.x" });
    const entered = states(root);
    await root.start();
    await world.run(6_000);
    await mid.start();
    await x.start();
    await world.run(5_000);
    expect(entered).toEqual(["CONNECTING", "SYNCHRONIZED"]);
    expect(mid.state).toBe("DEGRADED");
  });
});

describe("init timeout", () => {
  test.each([
    ["none of two is there", {}, 0, "FAILED"],
    ["one of two is there", {}, 1, "DEGRADED"],
    ["one of two, and one may be missing", { thresholds: { degraded: { count: 2 } } }, 1, "SYNCHRONIZED"],
    ["one of two, and none may be missing", { thresholds: { failed: { count: 1 } } }, 1, "FAILED"],
    ["one of two, and half may be missing", { thresholds: { degraded: { fraction: 0.6 } } }, 1, "SYNCHRONIZED"],
    ["one of two, and less than half may be missing", { thresholds: { failed: { fraction: 0.5 } } }, 1, "FAILED"],
  ])("%s", async (_, options, present, expected) => {
    const world = new World();
    const shop = world.node({ path: "shop", children: CHILDREN, ...options });
    const entered = states(shop);
    await shop.start();
    for (const { id } of CHILDREN.slice(0, present)) await world.node({ path: `shop.${id}` }).start();
    await world.run(9_999);
    expect(entered.filter((state) => state === "FAILED" || state === "DEGRADED")).toEqual([]);
    await world.run(1);
    expect(entered).toEqual(["CONNECTING", expected, ...(expected === "FAILED" ? ["DISCONNECTED"] : [])]);
  });

  test("a critical child cannot be missing, however many others are there", async () => {
    const world = new World();
    const children = [{ id: "a", critical: true }, { id: "b" }, { id: "c" }];
    const shop = world.node({ path: "shop", children, initTimeoutMs: 3_000 });
    const entered = states(shop);
    await shop.start();
    await world.node({ path: "shop.b" }).start();
    await world.node({ path: "shop.c" }).start();
    await world.run(3_000);
    expect(entered.slice(0, 2)).toEqual(["CONNECTING", "FAILED"]);
  });

  test("the failure says why", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: CHILDREN });
    const failures: (string | null)[] = [];
    shop.on("state.changed", ({ state, failure }) => state === "FAILED" && failures.push(failure));
    await shop.start();
    await world.run(10_000);
    expect(failures).toEqual(["initialization timed out"]);
  });

  test("the child that is not there is found when it comes later", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: CHILDREN });
    const a = world.node({ path: "shop.a" });
    const b = world.node({ path: "shop.b" });
    await shop.start();
    await a.start();
    await world.run(60_000);
    expect(shop.state).toBe("DEGRADED");
    await world.up(b, shop);
  });
});

describe("attempts after a failure", () => {
  test("follow each other with growing, jittered and bounded delays", async () => {
    const world = new World();
    const backoff = { baseMs: 100, maxMs: 2_000 };
    const shop = world.node({ path: "shop", children: CHILDREN, initTimeoutMs: 1_000, backoff });
    const pauses: number[] = [];
    let failedAtMs = 0;
    shop.on("state.changed", ({ state, atMs }) => {
      if (state === "FAILED") failedAtMs = atMs;
      if (state === "CONNECTING" && failedAtMs > 0) pauses.push(atMs - failedAtMs);
    });
    await shop.start();
    await world.run(60_000);
    expect(pauses.length).toBeGreaterThan(15);
    for (const pause of pauses) expect(pause).toBeGreaterThanOrEqual(backoff.baseMs);
    expect(pauses[0]).toBeLessThanOrEqual(3 * backoff.baseMs);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(backoff.maxMs);
    expect(Math.max(...pauses)).toBeGreaterThan(backoff.maxMs / 2);
    expect(new Set(pauses).size).toBeGreaterThan(5);
  });

  test("begin with short delays again after a long time of health", async () => {
    const world = new World();
    const backoff = { baseMs: 100, maxMs: 30_000 };
    const shop = world.node({ path: "shop", backoff });
    const times: number[] = [];
    shop.on("state.changed", ({ state, atMs }) => state === "SYNCHRONIZED" && times.push(atMs));
    await world.up(shop);
    const pauses: number[] = [];
    for (let i = 0; i < 16; i++) {
      await world.run(i === 15 ? 60_000 : 1);
      const failedAtMs = world.nowMs;
      shop.fail("test");
      await world.until(() => shop.state === "SYNCHRONIZED");
      pauses.push(world.nowMs - failedAtMs);
    }
    expect(Math.max(...pauses.slice(0, 15))).toBeGreaterThan(1_000);
    expect(pauses[15]).toBeLessThanOrEqual(300);
  });
});

describe("restarts", () => {
  test("a child that crashed is taken back under a higher epoch", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: CHILDREN });
    const a = world.node({ path: "shop.a" });
    const b = world.node({ path: "shop.b" });
    await world.up(shop, a, b);
    world.kill(a);
    const again = world.node({ path: "shop.a" });
    await world.up(again, shop);
    expect(Number(again.epoch.split(".")[1])).toBeGreaterThan(Number(a.epoch.split(".")[1]));
    expect(b.state).toBe("SYNCHRONIZED");
  });

  test("a parent that crashed is replaced quickly, and the children keep their epochs", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: CHILDREN });
    const a = world.node({ path: "shop.a" });
    const b = world.node({ path: "shop.b" });
    await world.up(shop, a, b);
    const epochs = [a.epoch, b.epoch];
    world.kill(shop);
    await world.run(50);
    const again = world.node({ path: "shop", children: CHILDREN });
    const startedAtMs = world.nowMs;
    await world.up(again);
    expect(world.nowMs - startedAtMs).toBeLessThan(500);
    expect([a.epoch, b.epoch]).toEqual(epochs);
    expect([a.state, b.state]).toEqual(["SYNCHRONIZED", "SYNCHRONIZED"]);
  });

  test("a child whose parent was replaced while it was CONNECTING becomes SYNCHRONIZED all the same", async () => {
    const world = new World();
    const mid = world.node({ path: "shop.a", children: [{ id: "x" }], initTimeoutMs: 60_000 });
    const root = world.node({ path: "shop", children: [{ id: "a" }], initTimeoutMs: 60_000 });
    await root.start();
    await mid.start();
    await world.until(() => mid.state === "CONNECTING");
    world.kill(root);
    await world.run(30_000);
    expect(mid.state).toBe("CONNECTING");
    const again = world.node({ path: "shop", children: [{ id: "a" }], initTimeoutMs: 60_000 });
    await again.start();
    await world.run(1_000);
    const startedAtMs = world.nowMs;
    await world.up(world.node({ path: "shop.a.x" }), mid, again);
    expect(world.nowMs - startedAtMs).toBeLessThan(500);
  });

  test("a whole tree that crashed comes up again in any order", async () => {
    const world = new World();
    const make = () => [
      world.node({ path: "shop", children: [{ id: "a" }] }),
      world.node({ path: "shop.a", children: [{ id: "x" }] }),
      world.node({ path: "shop.a.x" }),
    ];
    const first = make();
    await world.up(...first);
    for (const node of first) world.kill(node);
    await world.run(1);
    const second = make();
    await world.up(...second.toReversed());
    for (const [i, node] of second.entries()) expect(node.epoch > (first[i]?.epoch ?? "")).toBe(true);
  });
});

test("who was late itself reads what its parent answered before it announces itself again", async () => {
  const world = new World();
  const shop = world.node({ path: "shop", children: CHILDREN });
  await shop.start();
  await world.run(1_000);
  const a = world.node({ path: "shop.a" });
  await a.start();
  world.processOf(a).stop();
  await world.run(900);
  world.processOf(a).continue({ messagesFirst: false });
  await world.run(90);
  expect(a.state).toBe("SYNCHRONIZED");
  const announced = world.wire.filter(({ frame }) => frame?.messages.some(({ kind }) => kind === "ready.announce"));
  expect(announced).toHaveLength(1);
});
