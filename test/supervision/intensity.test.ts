/** How often children are started again, and after which delays. */
import { describe, expect, test } from "vitest";
import type { SupervisionEvent } from "../../src/index.js";
import { states, World } from "../node/kit.js";
import { family, type Incarnations, only } from "./kit.js";

/** Fails the latest incarnation and waits until the next one is ready. */
async function failAgain(world: World, child: Incarnations, decisions: readonly SupervisionEvent[]): Promise<void> {
  const ready = only(decisions, "ready").length;
  child.latest.fail("out of luck");
  await world.until(() => only(decisions, "ready").length === ready + 1, "the next incarnation's readiness");
}

/** When the restarts were counted. */
function restartTimes(decisions: readonly SupervisionEvent[]): readonly number[] {
  return only(decisions, "restarting").map(({ atMs }) => atMs);
}

describe("intensity", () => {
  test("five siblings that fail once each do not stop the node", async () => {
    const world = new World();
    const ids = ["a", "b", "c", "d", "e"];
    const { shop, of, decisions } = family(world, ids);
    await world.up(shop);
    const entered = states(shop);
    for (const id of ids) of(id).latest.fail("out of luck");
    await world.until(() => ids.every((id) => of(id).nodes.length === 2) && shop.state === "SYNCHRONIZED");
    expect(entered).not.toContain("FAILED");
    expect(only(decisions, "restarting").map(({ budgetLeft }) => budgetLeft)).toEqual(
      [9, 8, 7, 6, 5].map((supervisor) => ({ child: 2, supervisor })),
    );
  });

  test("a dozen at once neither: the default grows with their number", async () => {
    const world = new World();
    const ids = Array.from({ length: 12 }, (_, index) => `c${index}`);
    const { shop, of } = family(world, ids);
    await world.up(shop);
    const entered = states(shop);
    for (const id of ids) of(id).latest.fail("out of luck");
    await world.until(() => ids.every((id) => of(id).nodes.length === 2) && shop.state === "SYNCHRONIZED");
    expect(entered).not.toContain("FAILED");
  });

  test("three restarts of one child are borne within the period, the fourth failure is one too many", async () => {
    const world = new World();
    const { shop, of, decisions } = family(world, ["a", "b"]);
    await world.up(shop);
    for (let restart = 0; restart < 3; restart++) await failAgain(world, of("a"), decisions);
    expect(only(decisions, "restarting").map(({ budgetLeft }) => budgetLeft.child)).toEqual([2, 1, 0]);
    of("a").latest.fail("once too often");
    await world.until(() => shop.state === "FAILED");
    expect(shop.status.failure).toBe(
      "restart intensity exceeded: more than 3 restarts in 30000 ms (child), lastly of a: once too often",
    );
    expect(only(decisions, "restarting")).toHaveLength(3);
    expect(only(decisions, "escalated")).toMatchObject([{ id: "a", exit: "failed", delayMs: null }]);
  });

  test("the supervisor's own counts all children's", async () => {
    const world = new World();
    const { shop, of, decisions } = family(world, ["a", "b", "c"], { supervision: { intensity: 2 } });
    await world.up(shop);
    await failAgain(world, of("a"), decisions);
    await failAgain(world, of("b"), decisions);
    of("c").latest.fail("one of many");
    await world.until(() => shop.state === "FAILED");
    expect(shop.status.failure).toMatch(
      /^restart intensity exceeded: more than 2 restarts .* \(supervisor\), lastly of c/,
    );
  });

  test("0 bears none", async () => {
    const world = new World();
    const { shop, of } = family(world, ["a", "b"], { supervision: { childIntensity: 0 } });
    await world.up(shop);
    of("a").latest.fail("out of luck");
    await world.until(() => shop.state === "FAILED");
    expect(of("a").nodes).toHaveLength(1);
  });

  test.each([
    [10_000, true],
    [10_001, false],
  ])("a restart %i ms after the one before counts with it in a period of 10000 ms: %s", async (afterMs, isTooMany) => {
    const world = new World();
    const supervision = { childIntensity: 1, periodMs: 10_000 };
    const { shop, of, decisions } = family(world, ["a", "b"], { supervision });
    await world.up(shop);
    const entered = states(shop);
    await failAgain(world, of("a"), decisions);
    const [firstMs = 0] = restartTimes(decisions);
    await world.run(firstMs + afterMs - world.nowMs);
    of("a").latest.fail("again");
    await world.run(5_000);
    const [verdict] = only(decisions, isTooMany ? "escalated" : "restarting").slice(isTooMany ? 0 : 1);
    expect(verdict?.atMs).toBe(firstMs + afterMs);
    expect(entered.includes("FAILED")).toBe(isTooMany);
  });
});

describe("delays", () => {
  test("grow by decorrelated jitter, and begin anew after a stable time", async () => {
    const world = new World({ seed: 4 });
    const supervision = { childIntensity: 50, intensity: 50, stableMs: 3_000, backoff: { baseMs: 100, maxMs: 2_000 } };
    const { shop, of, decisions } = family(world, ["a", "b"], { supervision });
    await world.up(shop);
    for (let restart = 0; restart < 12; restart++) await failAgain(world, of("a"), decisions);
    let previousMs = 100;
    for (const [index, { delayMs, attempt }] of only(decisions, "restarting").entries()) {
      expect(attempt).toBe(index + 1);
      expect(delayMs).toBeGreaterThanOrEqual(100);
      expect(delayMs).toBeLessThanOrEqual(Math.min(2_000, previousMs * 3));
      previousMs = delayMs ?? 0;
    }
    await world.run(2_999 - (world.nowMs - (only(decisions, "ready").at(-1)?.atMs ?? 0)));
    await failAgain(world, of("a"), decisions);
    expect(only(decisions, "restarting").at(-1)?.attempt).toBe(13);
    await world.run(3_000);
    await failAgain(world, of("a"), decisions);
    const last = only(decisions, "restarting").at(-1);
    expect(last?.attempt).toBe(1);
    expect(last?.delayMs).toBeLessThanOrEqual(300);
  });

  test("are kept: nothing is started before", async () => {
    const world = new World();
    const { shop, of, decisions } = family(world, ["a", "b"], {
      supervision: { backoff: { baseMs: 7_000, maxMs: 7_000 } },
    });
    await world.up(shop);
    await failAgain(world, of("a"), decisions);
    const [decided] = only(decisions, "restarting");
    const restarted = only(decisions, "started").at(-1);
    expect(decided?.delayMs).toBe(7_000);
    expect((restarted?.atMs ?? 0) - (decided?.atMs ?? 0)).toBe(7_000);
  });
});

describe("a cooldown", () => {
  test("lets the child rest instead of failing the node, and its count starts anew", async () => {
    const world = new World();
    const supervision = { childIntensity: 1, periodMs: 300_000, cooldownMs: 20_000 };
    const { shop, of, decisions } = family(world, ["a", "b"], { supervision });
    await world.up(shop);
    const entered = states(shop);
    for (let rest = 1; rest <= 3; rest++) {
      await failAgain(world, of("a"), decisions);
      of("a").latest.fail("again");
      await world.until(() => only(decisions, "cooling").length === rest);
      const cooling = only(decisions, "cooling").at(-1);
      expect(cooling).toMatchObject({
        id: "a",
        exit: "failed",
        reason: "again",
        delayMs: 20_000,
        budgetLeft: { child: 1 },
      });
      expect(shop.whichChildren()[0]).toMatchObject({ state: "cooling" });
      await world.run(19_000);
      expect(shop.whichChildren()[0]).toMatchObject({ state: "cooling" });
      await world.until(() => shop.state === "SYNCHRONIZED");
      expect(world.nowMs - (cooling?.atMs ?? 0)).toBeGreaterThanOrEqual(20_000);
    }
    expect(entered).not.toContain("FAILED");
    expect(of("b").nodes).toHaveLength(1);
  });

  test("can be cut short by a user, who terminates the child and restarts it", async () => {
    const world = new World();
    const { shop, of, decisions } = family(world, ["a", "b"], {
      supervision: { childIntensity: 0, cooldownMs: 60_000 },
    });
    await world.up(shop);
    of("a").latest.fail("out of luck");
    await world.until(() => only(decisions, "cooling").length === 1);
    await world.settle(shop.terminateChild("a"), 100);
    expect(shop.whichChildren()[0]).toMatchObject({ state: "stopped" });
    expect(await world.settle(shop.restartChild("a"), 1_000)).toMatchObject({ state: "running", generation: 2 });
  });
});
