/**
 * OTP, `supervisor` (STDLIB), "Restart Strategies", and Design Principles, "Restart Strategy". `simple_one_for_one` has
 * its own file. One test for each sentence; what differs on purpose is in docs/otp.md.
 */
import { describe, expect, test } from "vitest";
import { Cast, ENDS, family, idsOf, running } from "./kit.js";

describe("one_for_one", () => {
  test("one_for_one - If one child process terminates and is to be restarted, only that child process is affected", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a", "b", "c"], { strategy: "one_for_one" });
    const since = cast.since();
    ENDS.failed(cast.latest("b"));
    await cast.back(shop, "b");
    expect(since()).toEqual(["b is gone", "b starts"]);
    expect(cast.nodes("a")).toHaveLength(1);
    expect(cast.nodes("c")).toHaveLength(1);
  });

  test("This is the default restart strategy", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a", "b", "c"]);
    ENDS.failed(cast.latest("b"));
    await cast.back(shop, "b");
    expect(["a", "b", "c"].map((id) => cast.starts(id))).toEqual([1, 2, 1]);
  });
});

describe("one_for_all", () => {
  test("one_for_all - ... all other child processes are terminated and then all child processes are restarted", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a", "b", "c"], { strategy: "one_for_all", part: { exitsInMs: 50 } });
    const since = cast.since();
    ENDS.failed(cast.latest("b"));
    await cast.back(shop, "c");
    expect(since()).toEqual([
      "b is told to stop",
      "b is gone",
      "c is told to stop",
      "c is gone",
      "a is told to stop",
      "a is gone",
      "a starts",
      "b starts",
      "c starts",
    ]);
  });

  test("If a child process terminates, all other child processes are terminated, and then all child processes, including the terminated one, are restarted", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a", "b", "c"], { strategy: "one_for_all" });
    ENDS.normal(cast.latest("a"));
    await cast.back(shop, "c");
    expect(["a", "b", "c"].map((id) => cast.starts(id))).toEqual([2, 2, 2]);
    expect(await cast.nodes("b")[0]?.ended).toBe("shutdown");
  });

  test("supervisor.erl, start_children: those restarted together start in order, each when the one before it has started", async () => {
    const cast = new Cast();
    const { shop, decisions } = await running(cast, ["a", "b"], { strategy: "one_for_all", part: { startsInMs: 200 } });
    decisions.length = 0;
    ENDS.failed(cast.latest("b"));
    await cast.back(shop, "b");
    const starts = decisions.filter(({ decision }) => decision === "started" || decision === "ready");
    expect(starts.map(({ id, decision }) => `${id} ${decision}`)).toEqual([
      "a started",
      "a ready",
      "b started",
      "b ready",
    ]);
  });

  test("supervisor.erl, restart_multiple_children: siblings that die together are one restart", async () => {
    const cast = new Cast();
    const ids = ["a", "b", "c", "d"];
    const { shop, decisions } = await running(cast, ids, {
      strategy: "one_for_all",
      intensity: 1,
      part: { exitsInMs: 20 },
    });
    for (const id of ids) ENDS.failed(cast.latest(id));
    await cast.back(shop, "d");
    expect(decisions.filter(({ decision }) => decision === "escalated")).toEqual([]);
    expect(ids.map((id) => cast.starts(id))).toEqual([2, 2, 2, 2]);
  });

  test('differs: "all child processes are restarted" - but not those that a user has terminated, nor those that have finished', async () => {
    const cast = new Cast();
    const children = ["a", "b", cast.child("finished", { restart: "transient" }), "terminated"];
    const { shop } = await running(cast, children, { strategy: "one_for_all" });
    ENDS.normal(cast.latest("finished"));
    await cast.world.settle(shop.terminateChild("terminated"));
    ENDS.failed(cast.latest("a"));
    await cast.back(shop, "b");
    await cast.world.run(60_000);
    expect(["a", "b", "finished", "terminated"].map((id) => cast.starts(id))).toEqual([2, 2, 1, 1]);
  });
});

describe("rest_for_one", () => {
  test("rest_for_one - ... the 'rest' of the child processes (that is, the child processes after the terminated child process in the start order) are terminated", async () => {
    const cast = new Cast();
    const ids = ["a", "b", "c", "d"];
    const { shop } = await running(cast, ids, { strategy: "rest_for_one", part: { exitsInMs: 50 } });
    const since = cast.since();
    ENDS.failed(cast.latest("b"));
    await cast.back(shop, "d");
    expect(idsOf(since(), "is gone")).toEqual(["b", "d", "c"]);
    expect(cast.nodes("a")).toHaveLength(1);
  });

  test("Then the terminated child process and all child processes after it are restarted", async () => {
    const cast = new Cast();
    const ids = ["a", "b", "c", "d"];
    const { shop } = await running(cast, ids, { strategy: "rest_for_one", part: { exitsInMs: 50 } });
    const since = cast.since();
    ENDS.failed(cast.latest("b"));
    await cast.back(shop, "d");
    expect(since().slice(-3)).toEqual(["b starts", "c starts", "d starts"]);
    expect(ids.map((id) => cast.starts(id))).toEqual([1, 2, 2, 2]);
  });

  test("the last child of rest_for_one has no rest", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a", "b"], { strategy: "rest_for_one" });
    ENDS.failed(cast.latest("b"));
    await cast.back(shop, "b");
    expect(cast.starts("a")).toBe(1);
  });
});

test("supervisor.erl, validStrategy: another word for a strategy is refused, as is simple_one_for_one, whose place the template takes", () => {
  for (const strategy of ["all_for_one", "simple_one_for_one"]) {
    expect(() => family(new Cast(), [], { strategy: strategy as "one_for_one" })).toThrow(
      /supervision.strategy must be/,
    );
  }
});
