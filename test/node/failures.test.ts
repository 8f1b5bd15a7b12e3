/** FAILED: why, what it ends, and how a node comes back. */
import { describe, expect, test } from "vitest";
import type { Node } from "../../src/index.js";
import { record, states, World } from "./kit.js";

describe("fail()", () => {
  test("cleans up, tells the parent, tries again after a backoff", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }, { id: "b" }] });
    const a = world.node({ path: "shop.a", backoff: { baseMs: 1_000, maxMs: 5_000 } });
    await world.up(shop, a, world.node({ path: "shop.b" }));
    const changes = record(a, "state.changed");
    const links = record(shop, "child.changed");
    a.fail("disk full");
    await world.run(10);
    expect(changes.map(({ state, failure }) => [state, failure])).toEqual([
      ["FAILED", "disk full"],
      ["DISCONNECTED", null],
    ]);
    expect(links.map(({ id, state }) => `${id} ${state}`)).toEqual(["a failed"]);
    expect(shop.status).toMatchObject({ state: "DEGRADED", reasons: ["children"] });
    const failedAtMs = world.nowMs;
    await world.until(() => a.state === "SYNCHRONIZED" && shop.state === "SYNCHRONIZED");
    expect(world.nowMs - failedAtMs).toBeGreaterThanOrEqual(990);
    expect(world.nowMs - failedAtMs).toBeLessThanOrEqual(3_200);
    expect(links.map(({ state }) => state)).toEqual(["failed", "opening", "alive"]);
  });

  test("status tells the failure while it lasts", async () => {
    const world = new World();
    const shop = world.node({ path: "shop" });
    await world.up(shop);
    const seen: (string | null)[] = [];
    shop.on("state.changed", () => seen.push(shop.status.failure));
    shop.fail("disk full");
    expect(shop.status).toMatchObject({ state: "FAILED", failure: "disk full", available: 0 });
    await world.until(() => shop.state === "SYNCHRONIZED");
    expect(seen).toEqual(["disk full", null, null, null]);
  });

  test("the children lose their uplink and get it back; their commands survive", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const a = world.node({
      path: "shop.a",
      commands: { slow: () => new Promise((resolve) => world.clock.setTimeout(() => resolve("done"), 5_000)) },
    });
    await world.up(shop, a);
    const entered = states(a);
    const answer = shop.tryCommand("a", "slow", {}, { idempotent: true, timeoutMs: 60_000 });
    await world.run(100);
    shop.fail("a moment");
    await world.run(50);
    expect([a.state, a.status.reasons]).toEqual(["DEGRADED", ["uplink"]]);
    await world.until(() => a.state === "SYNCHRONIZED");
    expect(entered).toEqual(["DEGRADED", "SYNCHRONIZED"]);
    expect(await world.settle(answer)).toMatchObject({ status: "completed", value: "done" });
  });

  test("commands to it meanwhile are refused, or wait when idempotent", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }, { id: "b" }] });
    const a = world.node({ path: "shop.a", commands: { hello: () => "hello" } });
    await world.up(shop, a, world.node({ path: "shop.b" }));
    a.fail("a moment");
    await world.run(10);
    expect(await world.settle(shop.tryCommand("a", "hello"), 1)).toMatchObject({
      status: "notStarted",
      error: { code: "UNAVAILABLE", message: "hello at shop.a: child a is failed" },
    });
    expect(await world.settle(shop.command("a", "hello", {}, { idempotent: true }))).toBe("hello");
  });

  test("in FAILED, DISCONNECTED, before the start and after the end it changes nothing", async () => {
    const world = new World();
    const shop = world.node({ path: "shop" });
    shop.fail("too early");
    const entered = states(shop);
    await world.up(shop);
    shop.fail("once");
    shop.fail("twice");
    await world.run(10);
    shop.fail("three times");
    await world.until(() => shop.state === "SYNCHRONIZED");
    expect(entered.filter((state) => state === "FAILED")).toHaveLength(1);
    await world.settle(shop.stop());
    shop.fail("too late");
    expect(shop.state).toBe("DISCONNECTED");
  });
});

describe("recover()", () => {
  test("tries again at once after FAILED", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", backoff: { baseMs: 30_000, maxMs: 30_000 } });
    await world.up(shop);
    shop.fail("x");
    await world.run(1_000);
    expect(shop.state).toBe("DISCONNECTED");
    shop.recover();
    expect(shop.state).toBe("SYNCHRONIZED");
    const entered = states(shop);
    await world.run(60_000);
    expect(entered).toEqual([]);
  });

  test("calls missing children while DEGRADED", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }, { id: "b" }] });
    const b = world.node({ path: "shop.b" });
    await world.up(shop, world.node({ path: "shop.a" }), b);
    const before = world.sent("init.probe", { subject: "all.shop" }).length;
    shop.recover();
    await world.run(10);
    expect(world.sent("init.probe", { subject: "all.shop" })).toHaveLength(before);
    world.kill(b);
    await world.until(() => shop.state === "DEGRADED");
    shop.recover();
    await world.run(10);
    expect(world.sent("init.probe", { subject: "all.shop" })).toHaveLength(before + 1);
  });

  test("of a child that waits for its parent: it announces itself at once", async () => {
    const world = new World();
    const a = world.node({ path: "shop.a" });
    await a.start();
    await world.run(60_000);
    const sinceMs = world.nowMs;
    a.recover();
    await world.run(0);
    expect(world.sent("ready.announce", { sinceMs })).toHaveLength(1);
  });

  test("before the start and after the end it changes nothing", async () => {
    const world = new World();
    const shop = world.node({ path: "shop" });
    shop.recover();
    expect([shop.state, world.clock.pending]).toEqual(["DISCONNECTED", 0]);
    await world.up(shop);
    await world.settle(shop.stop());
    shop.recover();
    expect([shop.state, world.clock.pending]).toEqual(["DISCONNECTED", 0]);
  });
});

describe("children's failures", () => {
  async function family(world: World, critical: string | null, options: object = {}) {
    const ids = ["a", "b", "c"];
    const children = ids.map((id) => ({ id, critical: id === critical }));
    const shop = world.node({ path: "shop", children, ...options });
    const nodes = ids.map((id) => world.node({ path: `shop.${id}` }));
    await world.up(shop, ...nodes);
    return { shop, nodes };
  }

  test("a critical child's failure fails the node; it recovers with the child", async () => {
    const world = new World();
    const { shop, nodes } = await family(world, "b");
    const changes = record(shop, "state.changed");
    (nodes[1] as Node).fail("broken");
    await world.until(() => changes.length > 0);
    expect(changes[0]).toMatchObject({ state: "FAILED", failure: "critical child failed" });
    await world.until(() => [shop, ...nodes].every(({ state }) => state === "SYNCHRONIZED"));
  });

  test("a critical child's death fails the node; it recovers with its successor", async () => {
    const world = new World();
    const { shop, nodes } = await family(world, "b");
    world.kill(nodes[1] as Node);
    await world.until(() => shop.state === "FAILED" || shop.state === "DISCONNECTED");
    await world.run(30_000);
    const entered = states(shop);
    await world.up(world.node({ path: "shop.b" }), shop);
    expect(entered).not.toContain("DEGRADED");
  });

  test("a critical child that leaves degrades only", async () => {
    const world = new World();
    const { shop, nodes } = await family(world, "b");
    const entered = states(shop);
    await world.settle((nodes[1] as Node).stop());
    await world.run(5_000);
    expect(entered).toEqual(["DEGRADED"]);
  });

  test.each([
    [1, { failed: { count: 2 } }, "DEGRADED"],
    [2, { failed: { count: 2 } }, "FAILED"],
    [2, {}, "DEGRADED"],
    [3, {}, "FAILED"],
    [2, { failed: { fraction: 0.66 } }, "FAILED"],
    [1, { degraded: { count: 2 } }, "SYNCHRONIZED"],
  ])("%d of three dead with %o: %s", async (dead, thresholds, expected) => {
    const world = new World();
    const { shop, nodes } = await family(world, null, { thresholds });
    const entered = states(shop);
    for (const node of nodes.slice(0, dead)) world.kill(node);
    await world.run(15_000);
    expect(entered.includes("FAILED")).toBe(expected === "FAILED");
    if (expected !== "FAILED") expect(shop.state).toBe(expected);
  });

  test("one flapping leaf does not flap the root", async () => {
    const world = new World();
    const root = world.node({ path: "shop", children: [{ id: "a" }] });
    const mid = world.node({ path: "shop.a", children: [{ id: "x" }, { id: "y" }] });
    const x = world.node({ path: "shop.a.x", backoff: { baseMs: 100, maxMs: 200 } });
    await world.up(root, mid, x, world.node({ path: "shop.a.y" }));
    const entered = [root, mid].map(states);
    const sinceMs = world.nowMs;
    for (let n = 0; n < 50; n++) {
      x.fail("flap");
      await world.run(500);
    }
    expect(entered[0]).toEqual([]);
    expect(entered[1]?.length).toBeGreaterThan(50);
    // The middle tells what changes, at most every 100 ms and with each change of its own state.
    expect(world.sent("status.report", { sinceMs, subject: "up.shop.a" }).length).toBeLessThan(700);
  });
});

describe("recoveryTimeoutMs", () => {
  test("a node that stays DEGRADED fails then, and no earlier", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }, { id: "b" }], recoveryTimeoutMs: 20_000 });
    const b = world.node({ path: "shop.b" });
    await world.up(shop, world.node({ path: "shop.a" }), b);
    const changes = record(shop, "state.changed");
    world.kill(b);
    await world.run(60_000);
    const [degraded, failed] = changes;
    expect([degraded?.state, failed?.state, failed?.failure]).toEqual(["DEGRADED", "FAILED", "recovery timed out"]);
    expect((failed?.atMs ?? 0) - (degraded?.atMs ?? 0)).toBe(20_000);
  });

  test("null, the default, is no limit", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }, { id: "b" }] });
    const b = world.node({ path: "shop.b" });
    await world.up(shop, world.node({ path: "shop.a" }), b);
    const entered = states(shop);
    world.kill(b);
    await world.run(3_600_000);
    expect(entered).toEqual(["DEGRADED"]);
  });
});
