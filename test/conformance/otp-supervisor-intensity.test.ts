/**
 * OTP, `supervisor` (STDLIB), "Restart intensity and period", and Design Principles, "Maximum Restart Intensity" with
 * "Tuning the intensity and period". Sentences on counting are tested on the pure machine, all others on nodes.
 */
import { describe, expect, test } from "vitest";
import type { ChildPlan } from "../../machines/child-spec.js";
import { Supervisor } from "../../machines/supervisor.js";
import { resolveSupervision } from "../../src/node/child-options.js";
import { Cast, ENDS, family, idsOf, running } from "./kit.js";

const PLAN: Omit<ChildPlan, "id"> = {
  restart: "permanent",
  shutdown: 5_000,
  significant: false,
  startTimeoutMs: 15_000,
  isDynamic: false,
};
const FAILED = { kind: "failed", reason: "out of luck" } as const;

/** A supervisor of one child, for which only the intensity that is looked at is small. */
class Counted {
  readonly supervisor: Supervisor;

  constructor({ intensity, periodMs }: { readonly intensity: number; readonly periodMs: number }) {
    const options = { intensity, periodMs, childIntensity: 1_000, backoff: { baseMs: 1, maxMs: 1 } };
    this.supervisor = new Supervisor(resolveSupervision(options));
    this.supervisor.start(0);
    this.supervisor.declare({ ...PLAN, id: "a" }, 0);
  }

  /** The child fails then, and is started again at once; false when the supervisor gives up. */
  bears(nowMs: number): boolean {
    const generation = this.supervisor.get("a")?.generation ?? 0;
    this.supervisor.ready("a", nowMs);
    const actions = this.supervisor.exited("a", generation, FAILED, { nowMs, random: 0 });
    this.supervisor.tick(nowMs + 1);
    return !actions.some(({ type }) => type === "supervisor.failed");
  }

  /** Of failures at these times, milliseconds, how many are borne. */
  borne(times: readonly number[]): number {
    const refused = times.findIndex((nowMs) => !this.bears(nowMs));
    return refused === -1 ? times.length : refused;
  }
}

/** So many times, `everyMs` apart. */
const times = (count: number, everyMs: number): number[] =>
  Array.from({ length: count }, (_, index) => index * everyMs);

describe("Restart intensity and period", () => {
  test("if more than MaxR restarts occur within MaxT seconds, the supervisor terminates all child processes and then itself", async () => {
    const cast = new Cast();
    const options = { intensity: 2, periodMs: 5_000, backoff: { baseMs: 10, maxMs: 20 }, part: { exitsInMs: 50 } };
    const { shop } = await running(cast, ["a", "b", "c"], { ...options, node: { onFailed: "end" } });
    void shop.ended.then(() => cast.journal.push("shop is gone"));
    for (const id of ["a", "b"]) {
      ENDS.failed(cast.latest(id));
      await cast.back(shop, id);
    }
    const since = cast.since();
    ENDS.failed(cast.latest("c"));
    expect(await cast.world.settle(shop.ended)).toBe("failed");
    expect(since().filter((line) => line.endsWith("gone"))).toEqual([
      "c is gone",
      "b is gone",
      "a is gone",
      "shop is gone",
    ]);
    expect(idsOf(since(), "starts")).toEqual([]);
  });

  test("... child processes in reversed start order, each when the one after it is gone", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a", "b", "c", "d"], {
      childIntensity: 0,
      part: { exitsInMs: 50 },
      node: { onFailed: "end" },
    });
    const since = cast.since();
    ENDS.failed(cast.latest("a"));
    await cast.world.settle(shop.ended);
    expect(since().slice(2)).toEqual([
      "d is told to stop",
      "d is gone",
      "c is told to stop",
      "c is gone",
      "b is told to stop",
      "b is gone",
    ]);
  });

  test("if more than MaxR restarts occur: exactly MaxR are borne", () => {
    expect(new Counted({ intensity: 3, periodMs: 5_000 }).borne([0, 100, 200])).toBe(3);
    expect(new Counted({ intensity: 3, periodMs: 5_000 }).borne([0, 100, 200, 300])).toBe(3);
  });

  test("within MaxT seconds: one that is older than the period is forgotten", () => {
    expect(new Counted({ intensity: 1, periodMs: 5_000 }).borne([0, 5_001, 10_002])).toBe(3);
  });

  test("supervisor.erl, add_restart: one that is as old as the period still counts", () => {
    expect(new Counted({ intensity: 1, periodMs: 5_000 }).borne([0, 5_000])).toBe(1);
  });

  test("supervisor.erl, validIntensity: Max >= 0 - and with 0 no restart is borne", () => {
    expect(new Counted({ intensity: 0, periodMs: 5_000 }).borne([0])).toBe(0);
    for (const intensity of [-1, 1.5, "3"]) {
      expect(() => family(new Cast(), [], { intensity: intensity as number })).toThrow(/supervision.intensity must be/);
    }
  });

  test("supervisor.erl, validPeriod: Period > 0", () => {
    for (const periodMs of [0, -1, Infinity]) {
      expect(() => family(new Cast(), [], { periodMs })).toThrow(/supervision.periodMs must be/);
    }
  });

  test("supervisor.erl, try_again_restart: a start that fails counts as a restart", async () => {
    const cast = new Cast();
    const { shop, decisions } = await running(cast, ["a"], {
      intensity: 3,
      childIntensity: 9,
      node: { onFailed: "end" },
    });
    cast.faults.set("a", new Error("no database"));
    ENDS.failed(cast.latest("a"));
    expect(await cast.world.settle(shop.ended)).toBe("failed");
    expect(decisions.at(-1)?.reason).toMatch(/more than 3 restarts in 30000 ms \(supervisor\).*no database/);
    expect(cast.starts("a")).toBe(4);
  });

  test('differs: "The termination reason for the supervisor itself in that case will be shutdown" - it is failed, so that a transient supervisor is restarted', async () => {
    const cast = new Cast();
    const inner = { children: [cast.child("leaf")], supervision: { childIntensity: 0 } };
    const { shop, decisions } = await running(cast, [cast.child("middle", { node: inner, restart: "transient" })]);
    ENDS.failed(cast.latest("leaf"));
    await cast.back(shop, "middle");
    expect(await cast.nodes("middle")[0]?.ended).toBe("failed");
    const end = decisions.find(({ decision }) => decision === "restarting");
    expect([end?.exit, end?.reason]).toEqual(["failed", expect.stringMatching(/restart intensity exceeded/)]);
  });

  test('differs: "intensity defaults to 1 and period defaults to 5" - 10 or the number of children, in 30 s', () => {
    const { intensity, periodMs } = resolveSupervision({});
    expect({ intensity, periodMs }).toEqual({ intensity: null, periodMs: 30_000 });
    const defaultOf = (children: number): number => {
      const supervisor = new Supervisor(resolveSupervision({}));
      supervisor.start(0);
      for (let index = 0; index < children; index++) supervisor.declare({ ...PLAN, id: `c${index}` }, 0);
      const actions = supervisor.exited("c0", 1, FAILED, { nowMs: 0, random: 0 });
      const decided = actions.find(({ type }) => type === "supervision.decided");
      return decided?.type === "supervision.decided" ? decided.decision.budgetLeft.supervisor + 1 : NaN;
    };
    expect(defaultOf(1)).toBe(10);
    expect(defaultOf(25)).toBe(25);
  });

  test('differs: "to limit the number of restarts which can occur in a given time interval" - each child has one of its own as well: 3 in 30 s', async () => {
    const cast = new Cast();
    const { shop, decisions } = await running(cast, ["a", "b"], { node: { onFailed: "end" } });
    for (const generation of [1, 2, 3]) {
      ENDS.failed(cast.latest("a"));
      await cast.back(shop, "a", generation);
    }
    ENDS.failed(cast.latest("a"));
    expect(await cast.world.settle(shop.ended)).toBe("failed");
    const escalated = decisions.find(({ decision }) => decision === "escalated");
    expect(escalated?.reason).toMatch(/more than 3 restarts in 30000 ms \(child\)/);
  });

  test('differs: "they would be restarted immediately" - a restart waits for its delay, which grows with each and is short again once the child is stable', async () => {
    const cast = new Cast();
    const backoff = { baseMs: 100, maxMs: 30_000 };
    const { shop, decisions } = await running(cast, ["a"], { backoff, stableMs: 10_000 });
    for (const generation of [1, 2, 3]) {
      ENDS.failed(cast.latest("a"));
      await cast.back(shop, "a", generation);
    }
    await cast.world.run(40_000);
    ENDS.failed(cast.latest("a"));
    await cast.back(shop, "a", 4);
    const restarts = decisions.filter(({ decision }) => decision === "restarting");
    expect(restarts.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 1]);
    expect(restarts.every(({ delayMs }) => delayMs !== null && delayMs >= 100)).toBe(true);
    expect(restarts.at(-1)?.delayMs).toBeLessThanOrEqual(300);
  });

  test("beyond OTP: with cooldownMs the child that was restarted too often rests, and its supervisor goes on", async () => {
    const cast = new Cast();
    const { shop, decisions } = await running(cast, ["a", "b"], { childIntensity: 0, cooldownMs: 20_000 });
    ENDS.failed(cast.latest("a"));
    await cast.world.until(() => shop.state === "DEGRADED");
    expect(decisions.at(-1)).toMatchObject({ id: "a", decision: "cooling", delayMs: 20_000 });
    await cast.back(shop, "a");
    expect(cast.world.nowMs).toBeGreaterThanOrEqual(20_000);
    expect(cast.starts("b")).toBe(1);
  });

  test("beyond OTP: a restart for want of a dependency is not counted", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a"], { childIntensity: 0 });
    for (const generation of [1, 2, 3]) {
      cast.latest("a").fail("no database", { dependencyDown: true });
      await cast.back(shop, "a", generation);
    }
    expect(shop.whichChildren()[0]?.restartsLeft).toBe(0);
    expect(cast.starts("a")).toBe(4);
  });
});

describe("Maximum Restart Intensity", () => {
  test("When the supervisor terminates, then the next higher-level supervisor takes some action. It either restarts the terminated supervisor", async () => {
    const cast = new Cast();
    const inner = { children: [cast.child("leaf")], supervision: { childIntensity: 0 } };
    const { shop } = await running(cast, [cast.child("middle", { node: inner })]);
    ENDS.failed(cast.latest("leaf"));
    await cast.back(shop, "middle");
    expect(cast.nodes("leaf")).toHaveLength(2);
  });

  test("... or terminates itself (a node whose onFailed is end, and every owned one)", async () => {
    const cast = new Cast();
    const inner = { children: [cast.child("leaf")], supervision: { childIntensity: 0 } };
    const options = { childIntensity: 0, node: { onFailed: "end" } } as const;
    const { shop } = await running(cast, [cast.child("middle", { node: inner })], options);
    ENDS.failed(cast.latest("leaf"));
    expect(await cast.world.settle(shop.ended)).toBe("failed");
  });

  test('differs: "or terminates itself" - a root does so if onFailed is "end"; otherwise it starts all anew after its own delay', async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a", "b"], { childIntensity: 0 });
    ENDS.failed(cast.latest("a"));
    await cast.world.until(() => shop.state === "FAILED");
    await cast.back(shop, "b");
    expect(["a", "b"].map((id) => cast.starts(id))).toEqual([2, 2]);
  });

  test("The intention of the restart mechanism is to prevent a situation where a process repeatedly dies for the same reason, only to be restarted again", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a"], { node: { onFailed: "end" } });
    const ends: string[] = [];
    void shop.ended.then((reason) => ends.push(reason));
    let deaths = 0;
    for (; ends.length === 0 && deaths < 100; deaths++) {
      const dying = cast.latest("a");
      ENDS.failed(dying);
      const isBack = (): boolean => cast.latest("a") !== dying && cast.latest("a").state === "SYNCHRONIZED";
      await cast.world.until(() => ends.length > 0 || isBack());
    }
    expect(ends).toEqual(["failed"]);
    expect(deaths).toBe(4);
  });
});

describe("Tuning the intensity and period", () => {
  test("you might want to accept a burst of at most 5 or 10 attempts, even within the same second, if it results in a successful restart", () => {
    expect(new Counted({ intensity: 5, periodMs: 1_000 }).borne(times(5, 10))).toBe(5);
    expect(new Counted({ intensity: 10, periodMs: 1_000 }).borne(times(10, 10))).toBe(10);
  });

  test("If you set intensity to 10 and set the period as low as 1, the supervisor will allow child processes to keep restarting up to 10 times per second, forever", () => {
    expect(new Counted({ intensity: 10, periodMs: 1_000 }).borne(times(5_000, 101))).toBe(5_000);
  });

  test("an intensity value of 5, then setting the period to 30 seconds will give you at most one restart per 6 seconds for any longer period of time", () => {
    expect(new Counted({ intensity: 5, periodMs: 30_000 }).borne(times(1_000, 6_001))).toBe(1_000);
    expect(new Counted({ intensity: 5, periodMs: 30_000 }).borne(times(1_000, 5_900))).toBe(5);
  });

  test("If you set intensity to 1 and period to 6, it gives the same sustained error rate ..., but will not allow even 2 restart attempts in quick succession", () => {
    expect(new Counted({ intensity: 1, periodMs: 6_000 }).borne(times(1_000, 6_001))).toBe(1_000);
    expect(new Counted({ intensity: 1, periodMs: 6_000 }).borne([0, 10])).toBe(1);
  });

  test("If you set intensity to 5 and period to 3600 (one hour), the supervisor will allow a short burst of 5 restarts, but then gives up if it sees another single restart almost an hour later", () => {
    const almostAnHourMs = 3_599_000;
    expect(new Counted({ intensity: 5, periodMs: 3_600_000 }).borne([...times(5, 10), almostAnHourMs])).toBe(5);
  });

  test("the total number of restarts ... will be the product of the intensity values of all the supervisors above the failing child process", async () => {
    const cast = new Cast();
    cast.faults.set("leaf", new Error("no database"));
    const inner = { children: [cast.child("leaf")], supervision: { childIntensity: 3 } };
    const options = { childIntensity: 2, node: { onFailed: "end" } } as const;
    const { shop } = family(cast, [cast.child("middle", { node: inner })], options);
    await shop.start();
    expect(await cast.world.settle(shop.ended)).toBe("failed");
    // Each level's first start is no restart: (2 + 1) incarnations of the middle start the leaf (3 + 1) times each.
    expect([cast.starts("middle"), cast.starts("leaf")]).toEqual([3, 12]);
  });
});
