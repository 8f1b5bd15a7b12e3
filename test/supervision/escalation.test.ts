/** Restarts that are used up: each level gives up to the next, up to the root. */
import { describe, expect, test } from "vitest";
import { createNode, type Node, type NodeOptions, type StartContext } from "../../src/index.js";
import { record, states, World } from "../node/kit.js";
import { Incarnations } from "./kit.js";

const SUPERVISION = { childIntensity: 1, backoff: { baseMs: 100, maxMs: 1_000 } };

/** shop → shop.a → shop.a.b → shop.a.b.c, each owned by the one above; the lowest can be made to fail. */
function lineage(world: World, options: Partial<NodeOptions> = {}) {
  const levels = { a: new Incarnations(), b: new Incarnations(), c: new Incarnations() };
  const supervisor = (id: keyof typeof levels, child: keyof typeof levels | null) => ({
    id,
    start: (context: StartContext): Node => {
      levels[id].attempt(context);
      const { path, transport, clock, random } = context;
      const children = child === null ? [] : [declarations[child]()];
      const node = createNode({ path, transport, clock, random, children, supervision: SUPERVISION });
      levels[id].nodes.push(node);
      return node;
    },
  });
  const declarations = {
    a: () => supervisor("a", "b"),
    b: () => supervisor("b", "c"),
    c: () => supervisor("c", null),
  };
  const shop = world.node({ path: "shop", children: [declarations.a()], supervision: SUPERVISION, ...options });
  return { shop, levels };
}

describe("a grandchild that cannot be started", () => {
  test("makes its parent fail, which its own parent starts again, and so on up to the root, which tries again", async () => {
    const world = new World();
    const { shop, levels } = lineage(world);
    await world.up(shop);
    const entered = states(shop);
    const changes = record(shop, "state.changed");
    levels.c.fault = new Error("no disk");
    levels.c.latest.fail("no disk");
    await world.until(() => shop.state === "FAILED");
    // Each level starts its child twice: at first, and once more. The lowest was ready once, in its first incarnation.
    expect(levels.a.attempts).toBe(2);
    expect(levels.b.attempts).toBe(4);
    expect(levels.c.attempts).toBe(8);
    const failure = changes.find(({ state }) => state === "FAILED")?.failure ?? "";
    expect(failure).toMatch(
      /^restart intensity exceeded: more than 1 restarts .* lastly of a: restart intensity .* lastly of b/,
    );
    expect(failure).toMatch(/lastly of c: start failed: no disk$/);
    levels.c.fault = null;
    await world.until(() => shop.state === "SYNCHRONIZED");
    expect(entered.filter((state) => state === "FAILED")).toHaveLength(1);
    const ended = [...levels.a.nodes.slice(0, -1), ...levels.b.nodes.slice(0, -1), ...levels.c.nodes.slice(0, -1)];
    for (const node of ended) expect(["failed", "shutdown"]).toContain(await world.settle(node.ended, 1));
    await world.settle(shop.shutdownTree());
    expect(world.clock.pending).toBe(0);
  });

  test('ends a root with onFailed "end"', async () => {
    const world = new World();
    const { shop, levels } = lineage(world, { onFailed: "end" });
    await world.up(shop);
    levels.c.fault = new Error("no disk");
    levels.c.latest.fail("no disk");
    expect(await world.settle(shop.ended)).toBe("failed");
    for (const level of Object.values(levels)) {
      for (const node of level.nodes) expect(["failed", "shutdown"]).toContain(await world.settle(node.ended, 1));
    }
    await world.run(60_000);
    expect(levels.c.attempts).toBe(8);
    expect(world.clock.pending).toBe(0);
  });
});

test("a missing dependency in the depth is told upwards, and counted by nobody", async () => {
  const world = new World();
  const { shop, levels } = lineage(world);
  await world.up(shop);
  const entered = states(shop);
  for (let round = 0; round < 8; round++) {
    const { latest } = levels.a;
    latest.fail("no database", { dependencyDown: true });
    expect(await world.settle(latest.ended)).toBe("dependencyDown");
    await world.until(() => levels.a.latest !== latest && shop.state === "SYNCHRONIZED");
  }
  expect(entered).not.toContain("FAILED");
  expect(shop.whichChildren()).toMatchObject([{ restartsLeft: 1, generation: 9 }]);
  // With each incarnation the whole subtree is a new one.
  expect(levels.c.nodes).toHaveLength(9);
  for (const node of levels.c.nodes.slice(0, -1)) expect(await world.settle(node.ended, 1)).toBe("shutdown");
});

test("a root that fails ends its children in reverse order before it tries again", async () => {
  const world = new World();
  const ends: string[] = [];
  const child = (id: string) => ({
    id,
    start: ({ path, transport, clock, random }: StartContext): Node => {
      const node = createNode({ path, transport, clock, random });
      void node.ended.then((reason) => ends.push(`${id} ${reason}`));
      return node;
    },
  });
  const shop = world.node({ path: "shop", children: ["a", "b", "c"].map(child) });
  const remote = world.node({ path: "shop.r" });
  await world.up(shop, remote);
  const order: string[] = [];
  shop.on("state.changed", ({ state }) => order.push(`${state} after ${ends.length}`));
  shop.fail("a bad day");
  await world.until(() => shop.state === "SYNCHRONIZED");
  expect(ends).toEqual(["c shutdown", "b shutdown", "a shutdown"]);
  expect(order).toEqual(["FAILED after 0", "DISCONNECTED after 3", "CONNECTING after 3", "SYNCHRONIZED after 3"]);
  await world.until(() => remote.state === "SYNCHRONIZED");
});
