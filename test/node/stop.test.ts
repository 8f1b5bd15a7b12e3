/** Ending one node: in whatever state, and what becomes of the others. */
import { describe, expect, test } from "vitest";
import type { Commands, Node } from "../../src/index.js";
import { gate, record, states, World } from "./kit.js";

async function family(world: World, commands: Commands = {}) {
  const shop = world.node({ path: "shop", children: [{ id: "a" }, { id: "b" }, { id: "c" }] });
  const nodes = ["a", "b", "c", "j1", "j2"].map((id) => world.node({ path: `shop.${id}`, commands }));
  const leaf = world.node({ path: "shop.b.x", commands });
  await world.up(shop, ...nodes, leaf);
  await world.run(100);
  const [a, b, c, j1, j2] = nodes as [Node, Node, Node, Node, Node];
  return { shop, a, b, c, j1, j2, leaf, all: [shop, ...nodes, leaf] };
}

describe("in other states", () => {
  test("while CONNECTING", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }, { id: "b" }] });
    const a = world.node({ path: "shop.a" });
    await shop.start();
    await a.start();
    await world.run(1_000);
    expect(shop.state).toBe("CONNECTING");
    await world.settle(shop.shutdownTree(), 1_000);
    expect([await shop.ended, await world.settle(a.ended, 100), shop.state]).toEqual([
      "shutdown",
      "shutdown",
      "DISCONNECTED",
    ]);
  });

  test("while DEGRADED", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }, { id: "b" }] });
    const [a, b] = ["a", "b"].map((id) => world.node({ path: `shop.${id}` })) as [Node, Node];
    await world.up(shop, a, b);
    world.kill(b);
    await world.until(() => shop.child("b")?.link === "dead");
    expect(shop.state).toBe("DEGRADED");
    await world.settle(shop.shutdownTree(), 1_000);
    expect(await world.settle(a.ended, 100)).toBe("shutdown");
  });

  test("after FAILED: no further attempt is made", async () => {
    const world = new World();
    const shop = world.node({ path: "shop" });
    await world.up(shop);
    const entered = states(shop);
    shop.fail("x");
    await world.settle(shop.stop(), 1_000);
    await world.run(60_000);
    expect(entered).toEqual(["FAILED", "DISCONNECTED"]);
  });

  test("without a parent: at once", async () => {
    const world = new World();
    const a = world.node({ path: "shop.a" });
    await a.start();
    await world.run(1_000);
    await world.settle(a.stop(), 10);
    expect(await a.ended).toBe("stopped");
  });

  test("with a parent that does not answer: by the deadline", async () => {
    const world = new World();
    const shop = world.node({ path: "shop" });
    const a = world.node({ path: "shop.a" });
    await world.up(shop, a);
    world.kill(shop);
    const startedAtMs = world.nowMs;
    await world.settle(a.stop({ timeoutMs: 1_000 }), 1_100);
    expect(world.nowMs - startedAtMs).toBeLessThanOrEqual(1_060);
  });

  test("before the start", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    await world.settle(shop.stop(), 1);
    expect([await shop.ended, world.clock.pending, world.wire.length]).toEqual(["stopped", 0, 0]);
    expect(await world.failure(shop.start(), 1)).toMatchObject({ code: "WRONG_STATE" });
  });

  test("while the start waits for the epoch store", async () => {
    const world = new World();
    const given = gate<number>();
    const shop = world.node({ path: "shop", epochStore: { next: () => given.opened } });
    const starting = shop.start();
    await world.run(10);
    await world.settle(shop.stop(), 1);
    given.open(5);
    await world.settle(
      starting.catch(() => {}),
      1,
    );
    await world.run(1_000);
    expect([shop.state, world.clock.pending, world.processOf(shop).subscriptions]).toEqual(["DISCONNECTED", 0, 0]);
  });
});

describe("stop", () => {
  test("the children of others go on and find the restarted parent", async () => {
    const world = new World();
    const { shop, all } = await family(world);
    const others = all.filter((node) => node !== shop);
    const ended = others.map((node) => record(node, "node.ended"));
    await world.settle(shop.stop(), 2_000);
    await world.run(5_000);
    expect(others.filter(({ path }) => path.split(".").length === 2).map(({ state }) => state)).toEqual(
      Array.from({ length: 5 }, () => "DEGRADED"),
    );
    const again = world.node({ path: "shop", children: [{ id: "a" }, { id: "b" }, { id: "c" }] });
    await world.up(again, ...others);
    expect(ended.flat()).toEqual([]);
  });

  test('the parent sees "left" at once', async () => {
    const world = new World();
    const { shop, a } = await family(world);
    await world.settle(a.stop({ reason: "redeploy" }), 100);
    expect(shop.child("a")?.link).toBe("left");
    await world.run(60_000);
    expect(shop.child("a")?.link).toBe("left");
  });

  test("accepted commands finish, new ones are refused as DRAINING", async () => {
    const world = new World();
    const ends = gate<string>();
    const { shop, a } = await family(world, { work: () => ends.opened });
    const accepted = shop.tryCommand("a", "work");
    await world.run(10);
    const stopped = a.stop();
    await world.run(10);
    expect(await world.settle(shop.tryCommand("a", "work"), 100)).toMatchObject({
      status: "notStarted",
      error: { code: "DRAINING" },
    });
    ends.open("done");
    expect(await world.settle(accepted, 100)).toMatchObject({ status: "completed", value: "done" });
    await world.settle(stopped, 100);
  });

  test("a handler that waits for the end of its own node is ended by the deadline", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const a: Node = world.node({ path: "shop.a", commands: { bye: () => a.stop({ timeoutMs: 1_000 }) } });
    await world.up(shop, a);
    const answer = shop.tryCommand("a", "bye");
    expect(await world.settle(a.ended, 1_100)).toBe("stopped");
    expect(await world.settle(answer, 100)).toMatchObject({ status: "unknown" });
  });

  test("a handler that has its own node stopped is waited for", async () => {
    const world = new World();
    const ends = gate<string>();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const bye = (): Promise<string> => (void a.stop(), ends.opened);
    const a: Node = world.node({ path: "shop.a", commands: { bye } });
    await world.up(shop, a);
    const answer = shop.command("a", "bye");
    await world.run(1_000);
    expect(a.status.running).toBe(1);
    ends.open("done");
    expect(await world.settle(answer, 100)).toBe("done");
    expect(await world.settle(a.ended, 100)).toBe("stopped");
  });

  test("own commands that are under way end as unknown", async () => {
    const world = new World();
    const { shop } = await family(world, { hang: () => new Promise(() => {}) });
    const once = shop.tryCommand("a", "hang", {}, { timeoutMs: 600_000 });
    const again = shop.tryCommand("a", "hang", {}, { timeoutMs: 600_000, idempotent: true });
    await world.run(10);
    await world.settle(shop.stop(), 1_000);
    expect(await world.settle(once, 1)).toMatchObject({ status: "unknown" });
    expect(await world.settle(again, 1)).toMatchObject({ status: "unknown" });
  });

  test("a drained node's stop takes no time, a stopped one's drain neither", async () => {
    const world = new World();
    const { a } = await family(world);
    await world.settle(a.drain(), 1);
    await world.settle(a.stop(), 100);
    await world.settle(a.drain(), 1);
    expect(await a.ended).toBe("stopped");
  });
});
