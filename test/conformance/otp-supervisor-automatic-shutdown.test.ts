/**
 * OTP, `supervisor` (STDLIB), "Automatic Shutdown", and Design Principles, "Automatic Shutdown" with "Manual stopping
 * versus Automatic Shutdown". One test for each sentence; what differs on purpose is in docs/otp.md.
 *
 * Not applicable: the warnings about OTP before 24 and about top supervisors of applications.
 */
import { describe, expect, test } from "vitest";
import { Cast, ENDS, type FamilyOptions, family, idsOf, running } from "./kit.js";

const TRANSIENT = { restart: "transient", significant: true } as const;
const TEMPORARY = { restart: "temporary", significant: true } as const;

/** A supervisor with two significant children and one that is not. */
async function workUnit(options: FamilyOptions & { readonly significant?: typeof TRANSIENT | typeof TEMPORARY }) {
  const { significant = TRANSIENT, ...rest } = options;
  const cast = new Cast();
  const children = [cast.child("a", significant), cast.child("b", significant), "helper"];
  const { shop, decisions } = await running(cast, children, rest);
  return { cast, shop, decisions };
}

/** Time enough for whatever would follow. */
const LATER_MS = 5_000;

describe("never", () => {
  test("never - ... This is the default setting", () => {
    const cast = new Cast();
    expect(() => family(cast, [cast.child("a", TRANSIENT)])).toThrow(/while supervision.autoShutdown is never/);
  });

  test("With auto_shutdown set to never, child specs with the significant flag set to true are considered invalid and will be rejected", () => {
    for (const significant of [TRANSIENT, TEMPORARY]) {
      const cast = new Cast();
      const children = [cast.child("a", significant)];
      expect(() => family(cast, children, { autoShutdown: "never" })).toThrow(
        /children\[0\].significant must be false/,
      );
    }
  });

  test("If the child specs returned from init contains significant children, the supervisor will refuse to start", () => {
    const cast = new Cast();
    const children = ["a", cast.child("b", TRANSIENT)];
    expect(() => family(cast, children, { autoShutdown: "never" })).toThrow(/children\[1\].significant must be false/);
    expect(cast.journal).toEqual([]);
  });

  test("Attempts to start significant children dynamically will be rejected", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a"]);
    const error = await cast.world.failure(shop.startChild(cast.child("b", TRANSIENT)));
    expect(error).toMatchObject({ code: "INVALID_OPTION", option: "child.significant" });
    expect(shop.whichChildren().map(({ id }) => id)).toEqual(["a"]);
  });
});

describe("any_significant", () => {
  test.each([
    ["a transient significant child terminates normally", TRANSIENT, "normal"],
    ["a transient significant child terminates with shutdown", TRANSIENT, "shutdown"],
    ["a temporary significant child terminates normally", TEMPORARY, "normal"],
    ["a temporary significant child terminates abnormally", TEMPORARY, "failed"],
  ] as const)(
    "any_significant - The supervisor will shut itself down when _any_ significant child terminates, that is, when %s",
    async (_, significant, end) => {
      const { cast, shop } = await workUnit({ significant, autoShutdown: "any_significant" });
      ENDS[end](cast.latest("a"));
      expect(await cast.world.settle(shop.ended)).toBe("shutdown");
      expect(cast.starts("a")).toBe(1);
    },
  );

  test("a transient significant child that terminates abnormally is restarted instead", async () => {
    const { cast, shop } = await workUnit({ autoShutdown: "any_significant" });
    ENDS.failed(cast.latest("a"));
    await cast.back(shop, "a");
    await cast.world.run(LATER_MS);
    expect(shop.state).toBe("SYNCHRONIZED");
  });

  test("children that are not significant may end as they like", async () => {
    const cast = new Cast();
    const children = [cast.child("a", TRANSIENT), cast.child("helper", { restart: "temporary" })];
    const { shop } = await running(cast, children, { autoShutdown: "any_significant" });
    ENDS.normal(cast.latest("helper"));
    await cast.world.run(LATER_MS);
    expect(shop.state).toBe("SYNCHRONIZED");
  });
});

describe("all_significant", () => {
  test("all_significant - The supervisor will shut itself down when _all_ significant children have terminated, that is, when the _last active_ significant child terminates", async () => {
    const { cast, shop } = await workUnit({ autoShutdown: "all_significant" });
    ENDS.normal(cast.latest("a"));
    await cast.world.run(LATER_MS);
    expect(shop.state).toBe("SYNCHRONIZED");
    ENDS.normal(cast.latest("b"));
    expect(await cast.world.settle(shop.ended)).toBe("shutdown");
  });

  test("The same rules as for any_significant apply", async () => {
    const { cast, shop } = await workUnit({ significant: TEMPORARY, autoShutdown: "all_significant" });
    ENDS.failed(cast.latest("a"));
    await cast.world.run(LATER_MS);
    expect(shop.state).toBe("SYNCHRONIZED");
    ENDS.normal(cast.latest("b"));
    expect(await cast.world.settle(shop.ended)).toBe("shutdown");
  });

  test("supervisor.erl, do_auto_shutdown: a significant child that is about to be restarted is active", async () => {
    const { cast, shop } = await workUnit({
      autoShutdown: "all_significant",
      backoff: { baseMs: 2_000, maxMs: 4_000 },
    });
    ENDS.failed(cast.latest("a"));
    await cast.world.until(() => shop.whichChildren()[0]?.state === "restarting");
    ENDS.normal(cast.latest("b"));
    await cast.world.run(LATER_MS);
    expect(cast.starts("a")).toBe(2);
    expect(shop.state).toBe("SYNCHRONIZED");
  });
});

describe("Automatic Shutdown", () => {
  test("A supervisor can be configured to automatically shut itself down with exit reason shutdown when significant children terminate", async () => {
    const cast = new Cast();
    const inner = {
      children: [cast.child("work", TRANSIENT)],
      supervision: { autoShutdown: "any_significant" },
    } as const;
    const children = [cast.child("unit", { node: inner, restart: "transient" })];
    const { shop, decisions } = await running(cast, children);
    ENDS.normal(cast.latest("work"));
    await cast.world.until(() => decisions.at(-1)?.decision === "finished");
    expect(decisions.at(-1)).toMatchObject({ id: "unit", exit: "shutdown" });
    await cast.world.until(() => shop.state === "SYNCHRONIZED");
  });

  test("the supervisor should then shut down by terminating all remaining child processes in reverse start order according to the respective shutdown specifications, and then itself", async () => {
    const cast = new Cast();
    const children = [
      cast.child("work", TRANSIENT),
      cast.child("slow", { exitsInMs: 300 }),
      cast.child("late", { isDeaf: true, shutdown: 200 }),
      cast.child("brutal", { shutdown: "brutal_kill" }),
    ];
    const { shop } = await running(cast, children, { autoShutdown: "any_significant" });
    void shop.ended.then(() => cast.journal.push("shop is gone"));
    const since = cast.since();
    ENDS.normal(cast.latest("work"));
    await cast.world.settle(shop.ended);
    expect(since().slice(since().indexOf("work is gone"))).toEqual([
      "work is gone",
      "brutal is killed",
      "brutal is gone",
      "late is told to stop",
      "late is killed",
      "late is gone",
      "slow is told to stop",
      "slow is gone",
      "shop is gone",
    ]);
  });

  test("The automatic shutdown facility only applies when significant children terminate by themselves, that is, when their termination was not caused by means of the supervisor", async () => {
    const { cast, shop } = await workUnit({ autoShutdown: "any_significant" });
    await cast.world.settle(shop.terminateChild("a"));
    await cast.world.settle(shop.restartChild("a"));
    await cast.world.run(LATER_MS);
    expect(shop.state).toBe("SYNCHRONIZED");
  });

  test.each(["one_for_all", "rest_for_one"] as const)(
    "neither the termination of a child as a consequence of a sibling's death in the %s strategies ... will trigger an automatic shutdown",
    async (strategy) => {
      for (const significant of [TRANSIENT, TEMPORARY]) {
        const cast = new Cast();
        const children = ["first", cast.child("a", significant), "last"];
        const { shop } = await running(cast, children, { strategy, autoShutdown: "any_significant" });
        ENDS.failed(cast.latest("first"));
        await cast.back(shop, "last");
        await cast.world.run(LATER_MS);
        expect(shop.state).toBe("SYNCHRONIZED");
        expect(cast.starts("a")).toBe(significant === TRANSIENT ? 2 : 1);
      }
    },
  );

  test("nor the manual termination of a child by means of supervisor:terminate_child/2 will trigger an automatic shutdown", async () => {
    for (const autoShutdown of ["any_significant", "all_significant"] as const) {
      for (const significant of [TRANSIENT, TEMPORARY]) {
        const { cast, shop } = await workUnit({ significant, autoShutdown });
        await cast.world.settle(shop.terminateChild("a"));
        await cast.world.settle(shop.terminateChild("b"));
        await cast.world.run(LATER_MS);
        expect(shop.state).toBe("SYNCHRONIZED");
      }
    }
  });

  test("Stopping a significant child of a supervisor configured for automatic shutdown will not trigger an automatic shutdown - nor does one that ends by itself while it is being stopped", async () => {
    const { cast, shop } = await workUnit({ autoShutdown: "any_significant" });
    const terminated = shop.terminateChild("a");
    ENDS.normal(cast.latest("a"));
    await cast.world.settle(terminated);
    await cast.world.run(LATER_MS);
    expect(shop.state).toBe("SYNCHRONIZED");
  });

  test("Supervisors configured for automatic shutdown should not be made permanent children ..., as they would be restarted immediately after having automatically shut down", async () => {
    const cast = new Cast();
    const inner = {
      children: [cast.child("work", TRANSIENT)],
      supervision: { autoShutdown: "any_significant" },
    } as const;
    const { shop } = await running(cast, [cast.child("unit", { node: inner, restart: "permanent" })]);
    ENDS.normal(cast.latest("work"));
    await cast.back(shop, "work");
    expect(cast.starts("unit")).toBe(2);
  });
});

describe("Manual stopping versus Automatic Shutdown", () => {
  test("A child process does not need to do anything special to shut down the work unit it is part of. All it needs to do is terminate normally when it has finished the task it was started for", async () => {
    const { cast, shop } = await workUnit({ autoShutdown: "any_significant" });
    await cast.world.settle(cast.latest("b").stop());
    expect(await cast.world.settle(shop.ended)).toBe("shutdown");
    expect(await cast.latest("helper").ended).toBe("shutdown");
  });

  test("The parent supervisor will only notice that its child supervisor has terminated in the end ... it will not be blocked", async () => {
    const cast = new Cast();
    const inner = {
      children: [cast.child("work", TRANSIENT), cast.child("slow", { exitsInMs: 2_000 })],
      supervision: { autoShutdown: "any_significant" },
    } as const;
    const { shop, decisions } = await running(cast, [cast.child("unit", { node: inner, restart: "transient" })]);
    ENDS.normal(cast.latest("work"));
    await cast.world.until(() => idsOf(cast.journal, "is told to stop").includes("slow"));
    await cast.world.settle(shop.startChild(cast.child("other")));
    expect(decisions.some(({ decision }) => decision === "finished")).toBe(false);
    await cast.world.until(() => decisions.at(-1)?.decision === "finished");
    expect(idsOf(cast.journal, "is gone")).toEqual(["work", "slow", "unit"]);
  });
});
