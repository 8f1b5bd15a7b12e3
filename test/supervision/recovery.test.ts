/** A node that failed and begins anew, while its children are still ending; and nodes cut off from everybody. */
import { describe, expect, test } from "vitest";
import { World } from "../node/kit.js";
import { declared, family, only, story } from "./kit.js";

describe("a node that begins anew before its former children are gone", () => {
  test.each(["one_for_one", "one_for_all"] as const)(
    "starts each once its former self is gone (%s)",
    async (strategy) => {
      const world = new World();
      const { shop, of, decisions } = family(world, ["a", "b"], {
        child: { host: { exitMs: 12_000 } },
        supervision: { strategy },
        cleanupTimeoutMs: 1_000,
        initTimeoutMs: 120_000,
      });
      await world.up(shop);
      decisions.length = 0;
      shop.fail("a bad day");
      // It waits no longer than its clean-up may take.
      await world.until(() => shop.state === "CONNECTING");
      expect(world.nowMs).toBeLessThan(12_000);
      await world.until(() => shop.state === "SYNCHRONIZED");
      await world.run(60_000);
      expect(["a", "b"].map((id) => of(id).attempts)).toEqual([strategy === "one_for_one" ? 1 : of("a").attempts, 2]);
      for (const id of ["a", "b"]) {
        const alive = of(id).processes.filter(({ isKilled }) => !isKilled);
        expect(alive).toHaveLength(1);
        expect(shop.child(id)?.epoch).toBe(of(id).latest.epoch);
      }
      expect(shop.whichChildren().map(({ state }) => state)).toEqual(["running", "running"]);
      expect(only(decisions, "escalated")).toEqual([]);
    },
  );

  test("at its user's wish, keeps those that it had not told to end yet", async () => {
    const world = new World();
    const { shop, of, decisions } = family(world, ["a", "b", "c"], {
      child: { host: { exitMs: 3_000 } },
      cleanupTimeoutMs: 1_000,
      backoff: { baseMs: 60_000, maxMs: 60_000 },
    });
    await world.up(shop);
    decisions.length = 0;
    shop.fail("a bad day");
    await world.until(() => shop.state === "DISCONNECTED");
    shop.recover();
    await world.until(() => shop.state === "SYNCHRONIZED");
    await world.run(30_000);
    expect(["a", "b", "c"].map((id) => of(id).attempts)).toEqual([1, 1, 2]);
    expect(story(decisions).filter((line) => line.startsWith("c"))).toEqual([
      "c restarting 1",
      "c started 2",
      "c ready 2",
    ]);
    for (const id of ["a", "b", "c"]) expect(of(id).latest.state).toBe("SYNCHRONIZED");
  });
});

describe("failing again and again", () => {
  test("never doubles a child, and ends in order when it is stopped", async () => {
    const world = new World();
    const { shop, of } = family(world, ["a", "b"], { child: { host: { exitMs: 700, startMs: 300 } } });
    await world.up(shop);
    for (let round = 0; round < 12; round++) {
      shop.fail(`bad day ${round}`);
      await world.run(150 * round);
      shop.fail("again");
      if (round % 3 === 0) shop.recover();
      await world.run(2_000);
      for (const id of ["a", "b"]) {
        expect(of(id).processes.filter(({ isKilled }) => !isKilled).length).toBeLessThanOrEqual(1);
      }
    }
    await world.until(() => shop.state === "SYNCHRONIZED");
    await world.settle(shop.shutdownTree());
    for (const id of ["a", "b"]) for (const { isKilled } of of(id).processes) expect(isKilled).toBe(true);
    await world.run(60_000);
    expect(world.clock.pending).toBe(0);
  });
});

describe("a parent without a connection", () => {
  test("still ends its children, by their handles", async () => {
    const world = new World();
    const { shop, of } = family(world, ["a", "b"], { child: { host: {} } });
    await world.up(shop);
    world.processOf(shop).disconnect();
    await world.run(2_000);
    await world.settle(shop.stop());
    for (const id of ["a", "b"]) expect(await world.settle(of(id).latest.ended, 1)).toBe("shutdown");
  });

  test("still starts again who dies, and has it back once it is connected", async () => {
    const world = new World();
    const { shop, of, decisions } = family(world, ["a", "b"], { child: { host: {} } });
    await world.up(shop);
    world.processOf(shop).disconnect();
    await world.run(1_000);
    of("a").process.kill();
    await world.until(() => of("a").nodes.length === 2);
    expect(shop.whichChildren()[0]).toMatchObject({ state: "starting" });
    world.processOf(shop).reconnect();
    await world.until(() => shop.state === "SYNCHRONIZED");
    expect(of("a").attempts).toBe(2);
    expect(only(decisions, "restarting")).toHaveLength(1);
  });

  test.each([1_500, 5_000])(
    "does not hold it against those that start meanwhile (%i ms to start)",
    async (startTimeoutMs) => {
      const world = new World();
      const { shop, of, decisions } = family(world, ["a", "b"], { child: { host: {}, startTimeoutMs } });
      await world.up(shop);
      of("a").process.kill();
      world.processOf(shop).disconnect();
      await world.run(60_000);
      expect(shop.whichChildren()[0]).toMatchObject({ state: "starting", generation: 2 });
      world.processOf(shop).reconnect();
      await world.until(() => shop.state === "SYNCHRONIZED");
      expect(only(decisions, "killed")).toEqual([]);
      expect(of("a").attempts).toBe(2);
      // From then on it counts again.
      of("a").process.kill();
      await world.until(() => of("a").nodes.length === 3);
      of("a").process.stop();
      await world.until(() => only(decisions, "killed").length === 1);
    },
  );
});

test.each([false, true])(
  "a parent that stands still while a child starts does not blame it (messages first: %s)",
  async (messagesFirst) => {
    const world = new World();
    const { shop, of, decisions } = family(world, ["a", "b"], { child: { host: {}, startTimeoutMs: 5_000 } });
    await world.up(shop);
    of("a").process.kill();
    await world.until(() => of("a").nodes.length === 2);
    world.processOf(shop).stop();
    await world.run(8_000);
    world.processOf(shop).continue({ messagesFirst });
    await world.until(() => shop.state === "SYNCHRONIZED");
    expect(only(decisions, "killed")).toEqual([]);
    expect(of("a").attempts).toBe(2);
  },
);

test("a child declared critical that fails in its parent's initialization is tried again within it", async () => {
  const world = new World();
  const { spec, incarnations } = declared("a", { critical: true });
  incarnations.fault = new Error("no disk");
  const shop = world.node({ path: "shop", children: [spec] });
  await shop.start();
  await world.until(() => incarnations.attempts === 2);
  incarnations.fault = null;
  await world.until(() => shop.state === "SYNCHRONIZED");
  expect(incarnations.attempts).toBe(3);
});
