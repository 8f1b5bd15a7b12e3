/** Progress, not only liveness: a live child that gets nowhere is ended and started again by the same rules. */
import { describe, expect, test } from "vitest";
import type { ProgressRequirement } from "../../src/index.js";
import { forever, states, World } from "../node/kit.js";
import { type ChildParts, family, only } from "./kit.js";

const WITHIN_MS = 10_000;

async function running(requireProgress: ProgressRequirement, child: ChildParts = {}) {
  const world = new World();
  const parts = family(world, ["a", "b"], { each: { a: { ...child, requireProgress } } });
  await world.up(parts.shop);
  parts.decisions.length = 0;
  return { world, ...parts };
}

describe("required while calls run or wait", () => {
  test("a child whose call gets nowhere is killed, counted and started again", async () => {
    const { world, shop, of, decisions } = await running({ withinMs: WITHIN_MS }, { commands: { hang: forever } });
    const entered = states(shop);
    const outcome = shop.tryCommand("a", "hang", {}, { timeoutMs: 600_000 });
    const atMs = world.nowMs;
    await world.until(() => only(decisions, "killed").length === 1);
    // It is told with the heartbeat, and looked at with it.
    expect(world.nowMs - atMs).toBeGreaterThanOrEqual(WITHIN_MS);
    expect(world.nowMs - atMs).toBeLessThan(WITHIN_MS + 5_000);
    expect(await world.settle(outcome, 1_000)).toMatchObject({ status: "unknown" });
    await world.until(() => of("a").nodes.length === 2 && shop.state === "SYNCHRONIZED");
    expect(only(decisions, "killed")[0]?.reason).toMatch(/^no progress for \d+ ms$/);
    expect(only(decisions, "restarting")).toMatchObject([
      { exit: "failed", reason: expect.stringMatching(/^no progress for/), budgetLeft: { child: 2 } },
    ]);
    expect(entered).not.toContain("FAILED");
    await world.run(60_000);
    expect(of("a").nodes).toHaveLength(2);
  });

  test("an idle child makes none and need not", async () => {
    const { world, of, decisions } = await running({ withinMs: WITHIN_MS });
    await world.run(300_000);
    expect(decisions).toEqual([]);
    expect(of("a").attempts).toBe(1);
  });

  test("calls that end count, whatever comes of them", async () => {
    let count = 0;
    const flaky = (): number => {
      if (count++ % 2 === 0) throw new Error("no");
      return count;
    };
    const { world, shop, decisions } = await running({ withinMs: WITHIN_MS }, { commands: { hang: forever, flaky } });
    const hanging = shop.tryCommand("a", "hang", {}, { timeoutMs: 3_600_000 });
    for (let round = 0; round < 20; round++) {
      await world.run(5_000);
      await world.settle(shop.tryCommand("a", "flaky"));
    }
    expect(decisions).toEqual([]);
    await world.until(() => only(decisions, "killed").length === 1);
    expect(await world.settle(hanging, 1_000)).toMatchObject({ status: "unknown" });
  });

  test("node.progress() counts", async () => {
    const { world, shop, of, decisions } = await running({ withinMs: WITHIN_MS }, { commands: { hang: forever } });
    void shop.tryCommand("a", "hang", {}, { timeoutMs: 3_600_000 });
    for (let round = 0; round < 20; round++) {
      await world.run(5_000);
      of("a").latest.progress();
    }
    expect(decisions).toEqual([]);
    await world.until(() => only(decisions, "killed").length === 1);
  });
});

describe("required while idle, too", () => {
  test("a child that does not say so is started again, one that does is not", async () => {
    const { world, shop, of, decisions } = await running({ withinMs: WITHIN_MS, whileIdle: true });
    for (let round = 0; round < 10; round++) {
      await world.run(5_000);
      of("a").latest.progress();
    }
    expect(decisions).toEqual([]);
    await world.until(() => only(decisions, "killed").length === 1);
    expect(only(decisions, "killed")[0]?.id).toBe("a");
    await world.until(() => of("a").nodes.length === 2 && shop.state === "SYNCHRONIZED");
    expect(of("b").attempts).toBe(1);
  });
});

describe("nobody is condemned for", () => {
  test.each([false, true])("their parent's stall, while they went on (messages first: %s)", async (messagesFirst) => {
    const { world, shop, of, decisions } = await running({ withinMs: WITHIN_MS, whileIdle: true }, { host: {} });
    const work = async (ms: number): Promise<void> => {
      for (let passedMs = 0; passedMs < ms; passedMs += 2_000) {
        of("a").latest.progress();
        await world.run(2_000);
      }
    };
    for (const stallMs of [4_000, 12_000, 30_000]) {
      await work(6_000);
      world.processOf(shop).stop();
      await work(stallMs);
      world.processOf(shop).continue({ messagesFirst });
      await work(10_000);
    }
    expect(decisions).toEqual([]);
    expect(shop.state).toBe("SYNCHRONIZED");
    await world.until(() => only(decisions, "killed").length === 1);
  });

  test("time without a connection", async () => {
    const { world, shop, decisions } = await running({ withinMs: WITHIN_MS, whileIdle: true });
    world.processOf(shop).disconnect();
    await world.run(60_000);
    expect(decisions).toEqual([]);
    world.processOf(shop).reconnect();
    await world.run(WITHIN_MS - 1_000);
    expect(decisions).toEqual([]);
    await world.until(() => only(decisions, "killed").length === 1);
  });

  test("a pause of the child that is no death", async () => {
    const { world, shop, of, decisions } = await running({ withinMs: WITHIN_MS, whileIdle: true }, { host: {} });
    of("a").latest.progress();
    await world.run(3_000);
    of("a").process.stop();
    await world.run(6_000);
    expect(shop.child("a")?.link).toBe("suspect");
    of("a").process.continue();
    of("a").latest.progress();
    await world.run(5_000);
    expect(decisions).toEqual([]);
  });
});
