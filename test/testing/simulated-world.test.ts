import { expect, it } from "vitest";
import { createNode, type EndReason } from "../../src/index.js";
import { SimulatedWorld } from "../../src/testing/index.js";

function pair(seed: number) {
  const world = new SimulatedWorld({ seed });
  world.process("shop", (here) => createNode({ path: "shop", ...here, children: [{ id: "orders" }] }));
  world.process("orders", (here) => createNode({ path: "shop.orders", ...here }));
  const isWhole = (): boolean => world.node("shop").state === "SYNCHRONIZED";
  return { world, isWhole };
}

it("kills a process and restarts it under its name", async () => {
  const { world, isWhole } = pair(1);
  expect(await world.until(isWhole, { withinMs: 5_000 })).toBe(true);
  const epoch = world.node("orders").epoch;
  world.kill("orders");
  expect(await world.until(() => !isWhole(), { withinMs: 20_000 })).toBe(true);
  world.restart("orders");
  expect(await world.until(isWhole, { withinMs: 5_000 })).toBe(true);
  expect(world.node("orders").epoch).not.toBe(epoch);
});

it("does the same faults for the same seed, and others for another", async () => {
  const logs: string[][] = [];
  for (const seed of [1, 1, 2]) {
    const { world } = pair(seed);
    await world.shake({ forMs: 10_000 });
    logs.push(world.log);
  }
  expect(logs[0]).toHaveLength(20);
  expect(logs[1]).toEqual(logs[0]);
  expect(logs[2]).not.toEqual(logs[0]);
});

it("undoes every fault at the end", async () => {
  for (let seed = 1; seed <= 10; seed++) {
    const { world, isWhole } = pair(seed);
    await world.shake({ forMs: 5_000, longestMs: 60_000 });
    expect(await world.until(isWhole, { withinMs: 60_000 }), `seed ${seed}: ${world.log.join("; ")}`).toBe(true);
  }
});

it("ends the run with what the check throws", async () => {
  const { world, isWhole } = pair(3);
  await world.until(isWhole, { withinMs: 5_000 });
  const check = (): void => {
    if (!isWhole()) throw new Error("not whole");
  };
  await expect(world.shake({ forMs: 60_000, faults: ["kill"], check })).rejects.toThrow("not whole");
});

it("starts children in processes of their own, which end with their parent's", async () => {
  const world = new SimulatedWorld({ seed: 4 });
  const ends: EndReason[] = [];
  const children: ReturnType<typeof createNode>[] = [];
  const orders = world.starter((here, { path }) => {
    const node = createNode({ path, ...here });
    node.on("node.ended", ({ reason }) => ends.push(reason));
    children.push(node);
    return node;
  });
  world.process("shop", (here) => createNode({ path: "shop", ...here, children: [{ id: "orders", start: orders }] }));
  const isWhole = (): boolean => world.node("shop").state === "SYNCHRONIZED";
  expect(await world.until(isWhole, { withinMs: 5_000 })).toBe(true);
  children[0]?.fail("no luck");
  expect(await world.until(() => children.length === 2 && isWhole(), { withinMs: 5_000 })).toBe(true);
  expect(ends).toEqual(["failed"]);
  world.kill("shop");
  await world.run(1_000);
  expect(world.network.stats.sent).toBe(await sentAfter(world, 10_000));
});

/** Messages sent in all once more time has passed: nobody lives who could send any. */
async function sentAfter(world: SimulatedWorld, ms: number): Promise<number> {
  await world.run(ms);
  return world.network.stats.sent;
}

it("refuses a seed that is none, and names that it does not know", () => {
  expect(() => new SimulatedWorld({ seed: -1 })).toThrow("seed must be an integer >= 0");
  expect(() => new SimulatedWorld({ seed: 1 }).node("shop")).toThrow("name must be that of a process of this world");
});
