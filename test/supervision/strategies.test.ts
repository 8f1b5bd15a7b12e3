/** Strategies beyond one failure: more failures meanwhile, temporary and remote siblings, users and ends that cut in. */
import { describe, expect, test } from "vitest";
import { World } from "../node/kit.js";
import { declared, decisionsOf, family, type FamilyOptions, only, story } from "./kit.js";

const SLOW_END = { host: { exitMs: 500 } };
const ONE_FOR_ALL = { supervision: { strategy: "one_for_all" } } as const;
const REST_FOR_ONE = { supervision: { strategy: "rest_for_one" } } as const;

async function running(ids: readonly string[], options: FamilyOptions) {
  const world = new World();
  const parts = family(world, ids, options);
  await world.up(parts.shop);
  parts.decisions.length = 0;
  const counts = (): Record<string, number> => Object.fromEntries(ids.map((id) => [id, parts.of(id).nodes.length]));
  return { world, counts, ...parts };
}

describe("the others end in reverse order and start in order, each when the one before it is ready", () => {
  test.each([
    ["one_for_all", ["d", "b", "a"], ["a", "b", "c", "d"]],
    ["rest_for_one", ["d"], ["c", "d"]],
  ] as const)("%s", async (strategy, ends, starts) => {
    const { world, shop, of, decisions } = await running(["a", "b", "c", "d"], {
      supervision: { strategy },
      child: SLOW_END,
    });
    of("c").process.kill();
    await world.until(() => only(decisions, "ready").length === starts.length);
    const restarts = only(decisions, "restarting").map(({ id, reason }) => `${id}: ${reason}`);
    expect(restarts).toEqual(["c: SIGKILL", ...ends.map((id) => `${id}: a sibling failed`)]);
    const rise = story(decisions).filter((line) => /started|ready/.test(line));
    expect(rise).toEqual(starts.flatMap((id) => [`${id} started 2`, `${id} ready 2`]));
    // Each ends when the one after it is gone.
    const endTimes = only(decisions, "restarting").map(({ atMs }) => atMs);
    for (const [index, atMs] of endTimes.entries()) expect(atMs - (endTimes[0] ?? 0)).toBeCloseTo(index * 500, -2);
    // One failure is one restart, whoever else is started again.
    const left = shop.whichChildren().map(({ id, restartsLeft }) => [id, restartsLeft]);
    expect(left).toEqual(["a", "b", "c", "d"].map((id) => [id, id === "c" ? 2 : 3]));
    await world.end(shop);
  });
});

describe("one_for_all", () => {
  test("another failure while the group ends belongs to the same restart", async () => {
    const { world, shop, of, counts, decisions } = await running(["a", "b", "c"], { ...ONE_FOR_ALL, child: SLOW_END });
    of("c").process.kill();
    of("a").process.kill();
    await world.until(() => only(decisions, "ready").length === 3);
    await world.run(20_000);
    expect(counts()).toEqual({ a: 2, b: 2, c: 2 });
    expect(shop.state).toBe("SYNCHRONIZED");
  });

  // Its open link, closed by its exit, was taken for the end of the incarnation that was about to start: it was started twice.
  test("a sibling that stands still and is killed with the group is started once", async () => {
    const { world, shop, of, counts, decisions } = await running(["a", "b"], { ...ONE_FOR_ALL, child: { host: {} } });
    of("a").process.stop();
    of("b").process.kill();
    await world.until(() => only(decisions, "killed").length === 1);
    expect(shop.child("a")?.link).toBe("suspect");
    await world.run(20_000);
    expect(counts()).toEqual({ a: 2, b: 2 });
    expect(only(decisions, "restarting").map(({ id, attempt }) => `${id} ${attempt}`)).toEqual(["b 1", "a 0"]);
    expect(shop.state).toBe("SYNCHRONIZED");
  });

  test("a failing start while the group starts ends those that were started already, and all begin again", async () => {
    const { world, shop, of, decisions } = await running(["a", "b", "c"], ONE_FOR_ALL);
    of("b").fault = new Error("no disk");
    of("c").latest.fail("out of luck");
    await world.until(() => of("b").attempts === 3, "two failed starts of b");
    of("b").fault = null;
    await world.until(() => shop.state === "SYNCHRONIZED");
    expect(of("a").nodes).toHaveLength(4);
    expect(of("c").nodes).toHaveLength(2);
    for (const node of of("a").nodes.slice(1, -1)) expect(await world.settle(node.ended, 1)).toBe("shutdown");
    const counted = only(decisions, "restarting").filter(({ reason }) => reason !== "a sibling failed");
    expect(counted.map(({ id, budgetLeft }) => `${id} ${budgetLeft.child}`)).toEqual(["c 2", "b 2", "b 1"]);
    await world.end(shop);
  });

  test("a temporary sibling ends with the group, is not started again, and is forgotten", async () => {
    const { world, shop, of, counts } = await running(["a", "t", "b"], {
      ...ONE_FOR_ALL,
      each: { t: { restart: "temporary" } },
    });
    of("b").latest.fail("out of luck");
    await world.until(() => of("a").nodes.length === 2 && shop.state === "SYNCHRONIZED");
    expect(counts()).toEqual({ a: 2, t: 1, b: 2 });
    expect(await world.settle(of("t").latest.ended, 1)).toBe("shutdown");
    expect(shop.whichChildren().map(({ id }) => id)).toEqual(["a", "b"]);
  });

  test("a transient sibling is started again although it only shut down", async () => {
    const { world, shop, of, counts } = await running(["a", "t"], {
      ...ONE_FOR_ALL,
      each: { t: { restart: "transient" } },
    });
    of("a").latest.fail("out of luck");
    await world.until(() => of("t").nodes.length === 2 && shop.state === "SYNCHRONIZED");
    expect(counts()).toEqual({ a: 2, t: 2 });
  });

  test("who had finished before stays so", async () => {
    const { world, shop, of, counts, decisions } = await running(["a", "t"], {
      ...ONE_FOR_ALL,
      each: { t: { restart: "transient" } },
    });
    await world.end(of("t").latest);
    await world.until(() => only(decisions, "finished").length === 1);
    of("a").latest.fail("out of luck");
    await world.until(() => of("a").nodes.length === 2 && shop.state === "SYNCHRONIZED");
    expect(counts()).toEqual({ a: 2, t: 1 });
    expect(shop.whichChildren()[1]).toMatchObject({ id: "t", state: "stopped" });
  });

  test("a child that a user terminates meanwhile is not started with the others", async () => {
    const { world, shop, of, counts, decisions } = await running(["a", "b", "c"], { ...ONE_FOR_ALL, child: SLOW_END });
    of("a").process.kill();
    await world.until(() => only(decisions, "restarting").length > 0);
    await world.settle(shop.terminateChild("b"));
    await world.until(() => shop.state === "SYNCHRONIZED");
    await world.run(10_000);
    expect(counts()).toEqual({ a: 2, b: 1, c: 2 });
    expect(await world.settle(shop.restartChild("b"))).toMatchObject({ state: "running" });
    expect(counts()).toEqual({ a: 2, b: 2, c: 2 });
  });

  test("the failed one itself can be terminated while the others end", async () => {
    const { world, shop, of, counts, decisions } = await running(["a", "b", "c"], { ...ONE_FOR_ALL, child: SLOW_END });
    of("a").process.kill();
    await world.until(() => only(decisions, "restarting").length > 0);
    await world.settle(shop.terminateChild("a"));
    await world.until(() => shop.state === "SYNCHRONIZED");
    await world.run(10_000);
    expect(counts()).toEqual({ a: 1, b: 2, c: 2 });
  });

  test.each([0, 100, 700, 1_200, 1_600, 2_000])(
    "a node that ends %i ms after a failure starts nothing any more",
    async (afterMs) => {
      const { world, shop, of, decisions } = await running(["a", "b", "c"], { ...ONE_FOR_ALL, child: SLOW_END });
      of("b").process.kill();
      await world.run(afterMs);
      await world.settle(shop.shutdownTree());
      const attempts = ["a", "b", "c"].map((id) => of(id).attempts);
      decisions.length = 0;
      await world.settle(shop.ended);
      await world.run(60_000);
      expect(["a", "b", "c"].map((id) => of(id).attempts)).toEqual(attempts);
      for (const id of ["a", "b", "c"]) for (const process of of(id).processes) expect(process.isKilled).toBe(true);
      expect(only(decisions, "started")).toEqual([]);
      expect(world.clock.pending).toBe(0);
    },
  );

  test("a remote sibling takes no part", async () => {
    const world = new World();
    const [a, c] = [declared("a"), declared("c")];
    const shop = world.node({ path: "shop", children: [a.spec, { id: "b" }, c.spec], ...ONE_FOR_ALL });
    const remote = world.node({ path: "shop.b" });
    await shop.start();
    await world.up(remote);
    await world.until(() => shop.state === "SYNCHRONIZED");
    const { epoch } = remote;
    const decisions = decisionsOf(shop);
    a.incarnations.latest.fail("out of luck");
    await world.until(() => only(decisions, "ready").length === 2 && shop.state === "SYNCHRONIZED");
    expect(remote).toMatchObject({ state: "SYNCHRONIZED", epoch });
    expect(decisions.map(({ id }) => id)).not.toContain("b");
    world.kill(remote);
    await world.until(() => shop.child("b")?.link === "dead");
    await world.run(5_000);
    expect([a.incarnations.nodes.length, c.incarnations.nodes.length]).toEqual([2, 2]);
  });
});

describe("rest_for_one", () => {
  test("a failure further to the front while the rest ends takes its own rest along", async () => {
    const { world, shop, of, counts, decisions } = await running(["a", "b", "c", "d"], {
      ...REST_FOR_ONE,
      child: SLOW_END,
    });
    of("c").process.kill();
    await world.until(() => only(decisions, "restarting").length > 0);
    of("a").process.kill();
    await world.until(() => of("d").nodes.length === 2 && shop.state === "SYNCHRONIZED");
    expect(counts()).toEqual({ a: 2, b: 2, c: 2, d: 2 });
    const rise = only(decisions, "started").map(({ id }) => id);
    expect(rise).toEqual(["a", "b", "c", "d"]);
  });

  test("the last one falls alone", async () => {
    const { world, of, shop, counts } = await running(["a", "b"], REST_FOR_ONE);
    of("b").latest.fail("out of luck");
    await world.until(() => of("b").nodes.length === 2 && shop.state === "SYNCHRONIZED");
    expect(counts()).toEqual({ a: 1, b: 2 });
  });
});
