/** Shutting a tree down in order, and its deadlines. */
import { describe, expect, test } from "vitest";
import type { Commands, Node } from "../../src/index.js";
import { gate, record, states, World } from "./kit.js";

/** Why nodes ended, once all have. */
function endings(world: World, nodes: readonly Node[], withinMs = 1_000): Promise<string[]> {
  return world.settle(Promise.all(nodes.map(({ ended }) => ended)), withinMs);
}

/** Nodes in the order in which they reported that they are shut down. */
function completions(world: World): string[] {
  const subjects = world.sent("complete.shutdown").map(({ subject }) => subject.replace("ft.local.up.", ""));
  return [...new Set(subjects)];
}

async function family(world: World, commands: Commands = {}) {
  const shop = world.node({ path: "shop", children: [{ id: "a" }, { id: "b" }, { id: "c" }] });
  const nodes = ["a", "b", "c", "j1", "j2"].map((id) => world.node({ path: `shop.${id}`, commands }));
  const leaf = world.node({ path: "shop.b.x", commands });
  await world.up(shop, ...nodes, leaf);
  await world.run(100);
  const [a, b, c, j1, j2] = nodes as [Node, Node, Node, Node, Node];
  return { shop, a, b, c, j1, j2, leaf, all: [shop, ...nodes, leaf] };
}

describe("shutdownTree", () => {
  test("joined children first and together, then listed ones in reverse order, leaves before parents", async () => {
    const world = new World();
    const { shop, all } = await family(world);
    await world.settle(shop.shutdownTree(), 2_000);
    const order = completions(world);
    expect(order.slice(0, 2).toSorted()).toEqual(["shop.j1", "shop.j2"]);
    expect(order.slice(2)).toEqual(["shop.c", "shop.b.x", "shop.b", "shop.a"]);
    expect(new Set(await endings(world, all))).toEqual(new Set(["shutdown"]));
  });

  test("accepted commands finish, new ones are refused", async () => {
    const world = new World();
    const ends = gate<string>();
    const { shop, leaf } = await family(world, { work: () => ends.opened });
    const accepted = shop.tryCommand("b.x", "work");
    await world.run(10);
    const shutdown = shop.shutdownTree({ timeoutMs: 5_000 });
    await world.run(100);
    const refused = await world.settle(shop.tryCommand("b.x", "work"), 1_000);
    expect(refused).toMatchObject({ status: "notStarted" });
    expect(leaf.status.running).toBe(1);
    ends.open("done");
    expect(await world.settle(accepted, 1_000)).toMatchObject({ status: "completed", value: "done" });
    await world.settle(shutdown, 2_000);
  });

  test("a hanging handler: its signal aborts at the deadline, which holds", async () => {
    const world = new World();
    const signals: AbortSignal[] = [];
    const { shop, all } = await family(world, {
      hang: (_: unknown, { signal }) => (signals.push(signal), new Promise(() => {})),
    });
    const answer = shop.tryCommand("b.x", "hang", {}, { timeoutMs: 60_000 });
    await world.run(10);
    const startedAtMs = world.nowMs;
    await world.settle(shop.shutdownTree({ timeoutMs: 2_000 }), 2_100);
    expect(world.nowMs - startedAtMs).toBeLessThanOrEqual(2_050);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
    expect(await world.settle(answer, 1)).toMatchObject({ status: "unknown" });
    expect(new Set(await endings(world, all))).toEqual(new Set(["shutdown"]));
  });

  test("a silent child: the others are shut down all the same, the deadline holds", async () => {
    const world = new World();
    const { shop, a, b, c } = await family(world);
    world.kill(c);
    const startedAtMs = world.nowMs;
    await world.settle(shop.shutdownTree({ timeoutMs: 3_000 }), 3_100);
    expect(world.nowMs - startedAtMs).toBeLessThanOrEqual(3_050);
    expect(await endings(world, [a, b])).toEqual(["shutdown", "shutdown"]);
  });

  test("of a part of the tree", async () => {
    const world = new World();
    const { shop, b, leaf } = await family(world);
    const entered = states(shop);
    await world.settle(b.shutdownTree(), 2_000);
    expect(await endings(world, [leaf])).toEqual(["shutdown"]);
    await world.run(1_000);
    expect(shop.child("b")?.link).toBe("left");
    expect(entered).toEqual(["DEGRADED"]);
  });

  test("a child that was just offered a session is shut down too", async () => {
    const world = new World();
    const shop = world.node({ path: "shop" });
    const a = world.node({ path: "shop.a" });
    await world.up(shop);
    await a.start();
    await world.until(() => world.sent("init.open").length > 0);
    expect(shop.child("a")?.link).toBe("absent");
    await world.settle(shop.shutdownTree(), 1_000);
    expect(await endings(world, [a], 100)).toEqual(["shutdown"]);
  });

  test("a child that was offered a session and died is not waited for long", async () => {
    const world = new World();
    const shop = world.node({ path: "shop" });
    const a = world.node({ path: "shop.a" });
    await world.up(shop);
    await a.start();
    await world.until(() => world.sent("init.open").length > 0);
    world.kill(a);
    await world.settle(shop.shutdownTree(), 600);
    expect(await shop.ended).toBe("shutdown");
  });

  test("lost frames: it is repeated until it is answered", async () => {
    const world = new World();
    const { shop, all } = await family(world);
    for (const node of all) world.processOf(node).passes = () => world.random() > 0.4;
    await world.settle(shop.shutdownTree({ timeoutMs: 60_000 }), 60_100);
    expect(new Set(await endings(world, all, 60_000))).toEqual(new Set(["shutdown"]));
  });

  test("a large tree ends quickly", async () => {
    const world = new World();
    const shop = world.node({ path: "shop" });
    const children = Array.from({ length: 100 }, (_, n) => world.node({ path: `shop.c${n}` }));
    await world.up(shop, ...children);
    await world.run(100);
    await world.settle(shop.shutdownTree(), 500);
    expect(await endings(world, children, 100)).toHaveLength(100);
  });
});

describe("twice", () => {
  test("both calls end together, once", async () => {
    const world = new World();
    const { shop } = await family(world);
    const ended = record(shop, "node.ended");
    await world.settle(Promise.all([shop.shutdownTree(), shop.shutdownTree(), shop.stop()]), 2_000);
    await world.settle(shop.stop());
    await world.settle(shop.shutdownTree());
    expect(ended).toEqual([{ reason: "shutdown" }]);
  });

  test("the shorter deadline of a second call counts", async () => {
    const world = new World();
    const { shop, leaf } = await family(world, { hang: () => new Promise(() => {}) });
    void shop.tryCommand("b.x", "hang", {}, { timeoutMs: 600_000 });
    await world.run(10);
    const first = shop.shutdownTree({ timeoutMs: 100_000 });
    await world.run(1_000);
    expect(leaf.status.running).toBe(1);
    const startedAtMs = world.nowMs;
    const second = shop.shutdownTree({ timeoutMs: 1_000 });
    await world.settle(Promise.all([first, second]), 1_100);
    expect(world.nowMs - startedAtMs).toBeLessThanOrEqual(1_050);
    expect(await endings(world, [shop, leaf])).toEqual(["shutdown", "shutdown"]);
    await world.run(200);
    expect(world.clock.pending).toBe(0);
  });

  test("the shorter deadline of a second stop lets the node take leave", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const a = world.node({ path: "shop.a", commands: { hang: () => new Promise(() => {}) } });
    await world.up(shop, a);
    const answer = shop.tryCommand("a", "hang", {}, { timeoutMs: 600_000 });
    await world.run(10);
    const first = a.stop({ timeoutMs: 100_000 });
    await world.run(100);
    const second = a.stop({ timeoutMs: 1_000 });
    await world.settle(Promise.all([first, second]), 1_060);
    expect(await world.settle(answer, 10)).toMatchObject({ status: "unknown" });
    expect(shop.child("a")?.link).toBe("left");
  });

  test("the longer deadline of a second call does not count", async () => {
    const world = new World();
    const { shop } = await family(world, { hang: () => new Promise(() => {}) });
    void shop.tryCommand("a", "hang", {}, { timeoutMs: 600_000 });
    await world.run(10);
    const first = shop.shutdownTree({ timeoutMs: 1_000 });
    const second = shop.shutdownTree({ timeoutMs: 100_000 });
    await world.settle(Promise.all([first, second]), 1_100);
    expect(await shop.ended).toBe("shutdown");
  });

  test("a parent's shutdown during an own stop shortens it and concerns the children too", async () => {
    const world = new World();
    const { shop, b, leaf } = await family(world, { hang: () => new Promise(() => {}) });
    void shop.tryCommand("b", "hang", {}, { timeoutMs: 600_000 });
    await world.run(10);
    const stopped = b.stop({ timeoutMs: 100_000 });
    await world.run(100);
    await world.settle(Promise.all([stopped, shop.shutdownTree({ timeoutMs: 2_000 })]), 2_100);
    expect(await endings(world, [b, leaf])).toEqual(["stopped", "shutdown"]);
  });
});
