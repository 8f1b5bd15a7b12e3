/** One incarnation after the other: a replacement comes only when the former is certainly gone, however it went. */
import { describe, expect, test } from "vitest";
import { counter, forever, gate, record, states, World } from "../node/kit.js";
import { type ChildParts, family, only, story } from "./kit.js";

async function running(child: ChildParts, ids: readonly string[] = ["a", "b"]) {
  const world = new World();
  const parts = family(world, ids, { child });
  await world.up(parts.shop);
  parts.decisions.length = 0;
  return { world, ...parts };
}

describe("a replacement is started only after the former's exit is confirmed", () => {
  test("which may come late", async () => {
    const { world, shop, of } = await running({ host: { exitMs: 20_000 } });
    of("a").latest.fail("out of luck");
    await world.run(19_900);
    expect(of("a").attempts).toBe(1);
    expect(shop.whichChildren()[0]).toMatchObject({ state: "stopping", generation: 1 });
    await world.until(() => of("a").attempts === 2);
    expect(world.nowMs).toBeGreaterThan(20_000);
    await world.until(() => shop.state === "SYNCHRONIZED");
  });

  test("also when the kill takes ten seconds", async () => {
    const { world, shop, of, decisions } = await running({ host: { killMs: 10_000 }, shutdown: "brutal_kill" });
    const [former] = of("a").processes;
    former?.stop();
    const terminated = shop.terminateChild("a");
    await world.run(9_999);
    expect(former?.isKilled).toBe(false);
    expect(shop.whichChildren()[0]).toMatchObject({ state: "stopping" });
    await expect(shop.restartChild("a")).rejects.toMatchObject({ code: "CHILD_RUNNING" });
    await world.settle(terminated);
    expect(former?.isKilled).toBe(true);
    await world.settle(shop.restartChild("a"));
    expect(story(decisions)).toEqual(["a killed 1", "a terminated 1", "a started 2", "a ready 2"]);
  });

  test("and a child that says it failed but does not go is killed after its shutdown time", async () => {
    const { world, shop, of, decisions } = await running({ host: {}, shutdown: 3_000 });
    const { latest, process } = of("a");
    latest.fail("out of luck");
    // Its last words are out, but the process does not end.
    await world.until(() => shop.whichChildren()[0]?.state === "stopping");
    process.stop();
    await world.until(() => of("a").nodes.length === 2);
    expect(only(decisions, "restarting")).toMatchObject([{ exit: "failed" }]);
    expect(process.isKilled).toBe(true);
  });
});

describe("a child that hangs", () => {
  test("is suspect, then dead: killed, confirmed, started again", async () => {
    const { world, shop, of, decisions } = await running({ host: { killMs: 2_000 } });
    const changes = record(shop, "child.changed");
    const entered = states(shop);
    of("a").process.stop();
    await world.until(() => only(decisions, "ready").length === 1);
    await world.until(() => shop.state === "SYNCHRONIZED");
    expect(changes.filter(({ id }) => id === "a").map(({ state }) => state)).toEqual([
      "suspect",
      "dead",
      "absent",
      "opening",
      "alive",
    ]);
    expect(story(decisions)).toEqual(["a killed 1", "a restarting 1", "a started 2", "a ready 2"]);
    expect(only(decisions, "killed")[0]?.reason).toBe("it fell silent");
    expect(only(decisions, "restarting")[0]).toMatchObject({ exit: "failed", reason: "it fell silent" });
    const [killed, restarting] = decisions;
    expect((restarting?.atMs ?? 0) - (killed?.atMs ?? 0)).toBe(2_000);
    expect(of("a").processes[0]?.isKilled).toBe(true);
    expect(entered).toEqual(["DEGRADED", "SYNCHRONIZED"]);
  });

  test("and goes on before it is dead is left alone, with its epoch", async () => {
    const { world, shop, of, decisions } = await running({ host: {} });
    const { epoch } = of("a").latest;
    of("a").process.stop();
    await world.until(() => shop.child("a")?.link === "suspect");
    await world.run(3_000);
    of("a").process.continue();
    await world.until(() => shop.state === "SYNCHRONIZED");
    await world.run(30_000);
    expect(decisions).toEqual([]);
    expect(of("a").latest).toMatchObject({ state: "SYNCHRONIZED", epoch });
  });

  test("and goes on while it is being killed changes nothing", async () => {
    const { world, shop, of, decisions } = await running({ host: { killMs: 5_000 } });
    const [former] = of("a").nodes;
    of("a").process.stop();
    await world.until(() => only(decisions, "killed").length === 1);
    of("a").process.continue();
    await world.until(() => of("a").nodes.length === 2 && shop.state === "SYNCHRONIZED");
    expect(of("a").processes[0]?.isKilled).toBe(true);
    expect(shop.child("a")?.epoch).toBe(of("a").latest.epoch);
    expect(former?.epoch).not.toBe(of("a").latest.epoch);
    await world.run(30_000);
    expect(of("a").nodes).toHaveLength(2);
  });
});

describe("the exit says so at once", () => {
  test("nobody waits for silence: a killed process is back within its delay", async () => {
    const { world, shop, of, decisions } = await running({ host: {} });
    const atMs = world.nowMs;
    of("a").process.kill();
    await world.until(() => shop.state === "DEGRADED");
    expect(world.nowMs - atMs).toBeLessThanOrEqual(1);
    await world.until(() => shop.state === "SYNCHRONIZED");
    expect(world.nowMs - atMs).toBeLessThan(1_000);
    expect(only(decisions, "restarting")[0]?.delayMs).toBeLessThanOrEqual(300);
  });
});

describe("commands to a child that is started again", () => {
  test("that are idempotent complete with the next incarnation", async () => {
    const greetings = counter();
    const { world, shop, of } = await running({ host: {}, commands: { greet: () => greetings.count() } });
    of("a").process.kill();
    const early = shop.tryCommand("a", "greet", {}, { idempotent: true, timeoutMs: 20_000 });
    await world.until(() => shop.state === "DEGRADED");
    const late = shop.tryCommand("a", "greet", {}, { idempotent: true, timeoutMs: 20_000 });
    const outcomes = await world.settle(Promise.all([early, late]));
    expect(outcomes.map(({ status }) => status)).toEqual(["completed", "completed"]);
    expect(greetings.ran()).toBe(2);
    expect(of("a").nodes).toHaveLength(2);
  });

  test.each<[string, ChildParts]>([
    ["killed", { host: {} }],
    ["failed", {}],
  ])("that had begun when it %s end as unknown, and at once", async (_, place) => {
    const begun = gate();
    const hang = async (): Promise<never> => {
      begun.open();
      return forever();
    };
    const { world, shop, of } = await running({ ...place, commands: { hang } });
    const outcome = shop.tryCommand("a", "hang", {}, { timeoutMs: 600_000 });
    await world.settle(begun.opened);
    if (place.host === undefined) of("a").latest.fail("out of luck");
    else of("a").process.kill();
    expect(await world.settle(outcome, 10_000)).toMatchObject({ status: "unknown" });
  });

  test("that come while none lives wait for the next one, or end by their deadline", async () => {
    const world = new World();
    const greetings = counter();
    const supervision = { backoff: { baseMs: 8_000, maxMs: 8_000 } };
    const child = { host: {}, commands: { greet: () => greetings.count() } };
    const { shop, of, decisions } = family(world, ["a", "b"], { child, supervision });
    await world.up(shop);
    of("a").process.kill();
    await world.until(() => only(decisions, "restarting").length === 1);
    const outcomes = await world.settle(
      Promise.all([
        shop.tryCommand("a", "greet", {}, { timeoutMs: 2_000 }),
        shop.tryCommand("a", "greet", {}, { timeoutMs: 2_000, idempotent: true }),
        shop.tryCommand("a", "greet", {}, { timeoutMs: 60_000, idempotent: true }),
      ]),
    );
    expect(outcomes.map(({ status }) => status)).toEqual(["notStarted", "timedOut", "completed"]);
    expect(greetings.ran()).toBe(1);
  });

  test("that finished for good are refused at once", async () => {
    const { world, shop, of, decisions } = await running({ restart: "transient", commands: { greet: () => 1 } });
    await world.end(of("a").latest);
    await world.until(() => only(decisions, "finished").length === 1);
    const outcome = await world.settle(shop.tryCommand("a", "greet", {}, { timeoutMs: 60_000 }), 10);
    expect(outcome).toMatchObject({ status: "notStarted" });
  });
});
