/** No owned child outlives a parent that stopped, failed, was superseded, or lost its transport or its process. */
import { describe, expect, test } from "vitest";
import type { Node } from "../../src/index.js";
import { record, World } from "../node/kit.js";
import { type ChildParts, declared, family, hosted, only } from "./kit.js";

const PLACES: readonly [string, ChildParts][] = [
  ["in the parent's process", {}],
  ["in processes of their own", { host: { exitMs: 50 } }],
];

/** Ways in which a node ends. */
const ENDS: readonly [string, (world: World, shop: Node) => Promise<unknown>, string][] = [
  ["stops", (_, shop) => shop.stop(), "stopped"],
  ["stops with the shortest deadline", (_, shop) => shop.stop({ timeoutMs: 1 }), "stopped"],
  ["shuts down", (_, shop) => shop.shutdownTree(), "shutdown"],
  ["fails for good", (_, shop) => Promise.resolve(shop.fail("a bad day")), "failed"],
  [
    "is superseded",
    async (world) => {
      const rival = world.node({ path: "shop", children: [{ id: "r" }], epochStore: { next: () => 2 ** 50 } });
      await rival.start();
    },
    "fenced",
  ],
];

describe.each(PLACES)("children %s", (_, child) => {
  test.each(ENDS)("end before a parent that %s has ended", async (_name, end, reason) => {
    const world = new World();
    const { shop, of } = family(world, ["a", "b"], { child, onFailed: "end" });
    const remote = world.node({ path: "shop.r" });
    await world.up(shop, remote);
    const ends: string[] = [];
    for (const id of ["a", "b"]) void of(id).latest.ended.then(() => ends.push(id));
    void shop.ended.then(() => ends.push("shop"));
    await world.settle(end(world, shop));
    expect(await world.settle(shop.ended)).toBe(reason);
    await world.run(1);
    const isKilled = (id: string): boolean => of(id).processes.some((process) => process.isKilled);
    // Who was killed has no last word.
    for (const id of ["a", "b"]) expect(ends.includes(id) || isKilled(id)).toBe(true);
    expect(ends.at(-1)).toBe("shop");
    await world.run(60_000);
    for (const id of ["a", "b"]) expect(of(id).attempts).toBe(1);
    for (const id of ["a", "b"]) for (const process of of(id).processes) expect(process.isKilled).toBe(true);
    if (reason !== "fenced") expect(remote.state).toBe(reason === "shutdown" ? "DISCONNECTED" : "DEGRADED");
  });
});

test("when the parent's transport is closed, its children end with it", async () => {
  const world = new World();
  const { shop, of } = family(world, ["a", "b"], { child: { commands: { greet: () => "hello" } } });
  await world.up(shop);
  await world.settle(world.broker.close());
  // It is noticed by whoever sends something.
  await world.settle(shop.tryCommand("a", "greet", {}, { timeoutMs: 500 }));
  expect(await world.settle(shop.ended)).toBe("transportClosed");
  for (const id of ["a", "b"])
    expect(await world.settle(of(id).latest.ended, 1)).toMatch(/^(shutdown|transportClosed)$/);
  await world.run(60_000);
  expect(of("a").attempts).toBe(1);
  expect(world.clock.pending).toBe(0);
});

test("a child that loses its connection for good is dead: killed and started again", async () => {
  const world = new World();
  const { shop, of, decisions } = family(world, ["a", "b"], { child: { host: {} } });
  await world.up(shop);
  of("a").process.disconnect();
  await world.until(() => only(decisions, "killed").length === 1);
  await world.until(() => of("a").nodes.length === 2 && shop.state === "SYNCHRONIZED");
  expect(of("a").processes[0]?.isKilled).toBe(true);
});

test("when the parent's process is killed, children that cannot outlive it are gone with it", async () => {
  const world = new World();
  const { shop, of } = family(world, ["a", "b"], { each: { b: { host: {} } } });
  await world.up(shop);
  world.kill(shop);
  expect(of("b").process.isKilled).toBe(true);
  const since = world.nowMs;
  await world.run(60_000);
  expect(world.wire.filter(({ atMs }) => atMs > since)).toEqual([]);
});

describe("grandchildren", () => {
  /** shop → shop.a → shop.a.x, each in a process of its own. */
  async function threeLevels(world: World) {
    const inner = hosted(world, "x");
    const outer = hosted(world, "a", { node: { children: [inner.spec] } });
    const shop = world.node({ path: "shop", children: [outer.spec] });
    await world.up(shop);
    return { shop, a: outer.incarnations, x: inner.incarnations };
  }

  test("end with the child between that is killed, before its replacement starts its own", async () => {
    const world = new World();
    const { shop, a, x } = await threeLevels(world);
    const changes = record(shop, "supervision.decided");
    a.process.kill();
    expect(x.processes[0]?.isKilled).toBe(true);
    await world.until(() => x.nodes.length === 2 && shop.state === "SYNCHRONIZED");
    expect(only(changes, "restarting")).toHaveLength(1);
    expect(a.nodes).toHaveLength(2);
    expect(x.contexts.map(({ generation }) => generation)).toEqual([1, 1]);
  });

  test("and all in between end within the deadline of the one at the top", async () => {
    const world = new World();
    const { shop, a, x } = await threeLevels(world);
    x.process.stop();
    const atMs = world.nowMs;
    await world.settle(shop.shutdownTree({ timeoutMs: 3_000 }));
    expect(world.nowMs - atMs).toBeLessThanOrEqual(3_050);
    expect(await world.settle(a.latest.ended, 100)).toBe("shutdown");
    expect([a.process.isKilled, x.process.isKilled]).toEqual([true, true]);
    await world.run(60_000);
    expect(world.clock.pending).toBe(0);
  });
});

test("a child declared twice by accident, in two parents' trees of one name, is one child", async () => {
  const world = new World();
  const first = declared("a");
  const shop = world.node({ path: "shop", children: [first.spec] });
  await world.up(shop);
  const second = declared("a");
  const rival = world.node({ path: "shop", children: [second.spec], epochStore: { next: () => 2 ** 50 } });
  await rival.start();
  await world.until(() => rival.state === "SYNCHRONIZED");
  expect(await world.settle(shop.ended)).toBe("fenced");
  await world.settle(first.incarnations.latest.ended);
  await world.run(60_000);
  expect(rival.state).toBe("SYNCHRONIZED");
  expect(rival.child("a")?.epoch).toBe(second.incarnations.latest.epoch);
});
