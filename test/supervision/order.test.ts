/** In which order children start and end, how long they may take, and who is left alone. */
import { describe, expect, test } from "vitest";
import type { Shutdown } from "../../machines/child-spec.js";
import { forever, gate, World } from "../node/kit.js";
import { declared, family, type Incarnations, only, story } from "./kit.js";

/** Notes the ends of incarnations as they come. */
function watchEnds(world: World, children: Readonly<Record<string, Incarnations>>): string[] {
  const ends: string[] = [];
  for (const [id, { latest }] of Object.entries(children)) {
    void latest.ended.then((reason) => ends.push(`${id} ${reason} ${world.nowMs}`));
  }
  return ends;
}

describe("children end in reverse order of their declaration", () => {
  test.each(["stop", "shutdownTree"] as const)("at %s, each when the one after it is gone", async (end) => {
    const world = new World();
    const { shop, of, decisions } = family(world, ["a", "b", "c"], { child: { host: { exitMs: 100 } } });
    await world.up(shop);
    decisions.length = 0;
    const atMs = world.nowMs;
    await world.settle(shop[end]());
    expect(story(decisions)).toEqual(["c terminated 1", "b terminated 1", "a terminated 1"]);
    expect(decisions.map((decision) => decision.atMs - atMs)).toEqual(
      [100, 200, 300].map((ms) => expect.closeTo(ms, -2)),
    );
    expect(decisions.map(({ exit }) => exit)).toEqual(["shutdown", "shutdown", "shutdown"]);
    for (const id of ["a", "b", "c"]) expect(await of(id).latest.ended).toBe("shutdown");
    expect(await shop.ended).toBe(end === "stop" ? "stopped" : "shutdown");
    expect(world.clock.pending).toBe(0);
  });

  test("dynamic ones first and together", async () => {
    const world = new World();
    const { start } = declared("any").spec;
    const { shop, decisions } = family(world, ["a", "b"], { supervision: { template: { start } } });
    await world.up(shop);
    for (let index = 0; index < 3; index++) await world.settle(shop.startChild({}));
    decisions.length = 0;
    await world.settle(shop.stop());
    expect(story(decisions).slice(0, 3).toSorted()).toEqual(["1 terminated 1", "2 terminated 1", "3 terminated 1"]);
    expect(story(decisions).slice(3)).toEqual(["b terminated 1", "a terminated 1"]);
    expect(world.clock.pending).toBe(0);
  });

  test("remote ones among them go on at stop, and take part in shutdownTree", async () => {
    for (const end of ["stop", "shutdownTree"] as const) {
      const world = new World();
      const a = declared("a");
      const c = declared("c");
      const shop = world.node({ path: "shop", children: [a.spec, { id: "b" }, c.spec] });
      const remote = world.node({ path: "shop.b" });
      await shop.start();
      await world.up(remote);
      await world.until(() => shop.state === "SYNCHRONIZED");
      const ends = watchEnds(world, { a: a.incarnations, c: c.incarnations });
      void remote.ended.then((reason) => ends.push(`b ${reason} ${world.nowMs}`));
      await world.settle(shop[end]());
      await world.run(1_000);
      const order = ends.map((line) => line.split(" ").slice(0, 2).join(" "));
      expect(order).toEqual(end === "stop" ? ["c shutdown", "a shutdown"] : ["c shutdown", "b shutdown", "a shutdown"]);
      if (end === "stop") expect(remote.state).toBe("DEGRADED");
    }
  });
});

describe("a child that does not end", () => {
  const cases: readonly [Shutdown, number][] = [
    [2_000, 2_000],
    ["brutal_kill", 0],
    ["infinity", 8_000],
  ];
  test.each(cases)("with shutdown %s is killed after %i ms", async (shutdown, afterMs) => {
    const world = new World();
    const { shop, of, decisions } = family(world, ["a", "b"], {
      shutdownTimeoutMs: 8_000,
      each: { b: { host: {}, shutdown } },
    });
    await world.up(shop);
    of("b").process.stop();
    const atMs = world.nowMs;
    await world.settle(shop.stop());
    const [killed] = only(decisions, "killed");
    expect(killed?.id).toBe("b");
    // The last part of the node's own time is kept for its farewell.
    if (shutdown === "infinity") expect((killed?.atMs ?? 0) - atMs).toBeGreaterThan(afterMs - 1_000);
    else expect((killed?.atMs ?? 0) - atMs).toBe(afterMs);
    expect(world.nowMs - atMs).toBeLessThanOrEqual(8_050);
    expect(of("b").process.isKilled).toBe(true);
    expect(await of("a").latest.ended).toBe("shutdown");
    await world.run(30_000);
    expect(world.clock.pending).toBe(0);
  });

  test("of this process is given up on with what it was doing", async () => {
    const world = new World();
    const begun = gate();
    const hang = (): Promise<never> => (begun.open(), forever());
    const { shop, of, decisions } = family(world, ["a"], { child: { commands: { hang }, shutdown: 2_000 } });
    await world.up(shop);
    const outcome = shop.tryCommand("a", "hang", {}, { timeoutMs: 600_000 });
    await world.settle(begun.opened);
    const atMs = world.nowMs;
    await world.settle(shop.stop());
    expect(world.nowMs - atMs).toBeLessThan(2_200);
    expect(only(decisions, "terminated")).toHaveLength(1);
    expect(await world.settle(outcome, 1)).toMatchObject({ status: "unknown" });
    expect(await world.settle(of("a").latest.ended, 100)).toBe("shutdown");
  });

  test("does not keep its siblings from ending, nor the node beyond its deadline", async () => {
    const world = new World();
    const { shop, of } = family(world, ["a", "b", "c", "d"], {
      child: { host: {}, shutdown: "infinity" },
      shutdownTimeoutMs: 4_000,
    });
    await world.up(shop);
    for (const id of ["b", "d"]) of(id).process.stop();
    const atMs = world.nowMs;
    const ends = watchEnds(world, { a: of("a"), c: of("c") });
    await world.settle(shop.stop());
    expect(world.nowMs - atMs).toBeLessThanOrEqual(4_050);
    expect(ends.map((line) => line.split(" ").slice(0, 2).join(" "))).toEqual(["c shutdown", "a shutdown"]);
    for (const id of ["a", "b", "c", "d"]) expect(of(id).process.isKilled).toBe(true);
    await world.run(30_000);
    expect(world.clock.pending).toBe(0);
  });

  test("has the shorter deadline that a second stop sets", async () => {
    const world = new World();
    const { shop, of } = family(world, ["a"], { child: { host: {}, shutdown: "infinity" } });
    await world.up(shop);
    of("a").process.stop();
    const atMs = world.nowMs;
    const first = shop.stop({ timeoutMs: 60_000 });
    await world.run(1_000);
    const second = shop.stop({ timeoutMs: 2_000 });
    await world.settle(Promise.all([first, second]));
    expect(world.nowMs - atMs).toBeLessThanOrEqual(3_050);
    expect(await world.settle(shop.ended, 1)).toBe("stopped");
    expect(of("a").process.isKilled).toBe(true);
  });
});

describe("a node's end", () => {
  test("comes after its children's confirmed exits, even after its deadline", async () => {
    const world = new World();
    const { shop, of } = family(world, ["a", "b"], { child: { host: { exitMs: 30_000 } }, shutdownTimeoutMs: 1_000 });
    await world.up(shop);
    const atMs = world.nowMs;
    const stopped = shop.stop();
    let hasEnded = false;
    void shop.ended.then(() => (hasEnded = true));
    await world.settle(stopped);
    // Those that were killed have a second to be confirmed.
    expect(world.nowMs - atMs).toBeLessThanOrEqual(2_050);
    expect(hasEnded).toBe(false);
    await world.settle(shop.ended);
    for (const id of ["a", "b"]) expect(of(id).process.isKilled).toBe(true);
    expect(world.nowMs - atMs).toBeGreaterThanOrEqual(30_000);
    expect(world.clock.pending).toBe(0);
  });
});
