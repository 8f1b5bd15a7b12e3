/**
 * OTP, `supervisor` (STDLIB), "Child specification", and Design Principles, "Child Specification". One test for each
 * sentence; what differs on purpose is in docs/otp.md.
 *
 * Not applicable: the tuple format, `{M,F,A}` and `apply` (a start is a function or a starter), `ignore` and `Info`,
 * `modules` and release handling (a new version is a new process), links and exit signals (a starter confirms the end).
 */
import { describe, expect, test } from "vitest";
import type { Node, OwnedChildSpec } from "../../src/index.js";
import { Cast, ENDS, family, idsOf, running } from "./kit.js";

/** Time enough for any restart. */
const LATER_MS = 30_000;

describe("id", () => {
  test("The id key is mandatory", () => {
    const cast = new Cast();
    const { start } = cast.child("a");
    expect(() => family(cast, [{ start } as OwnedChildSpec])).toThrow(/children\[0\].id must be/);
  });

  test("id is used to identify the child specification internally by the supervisor", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a", "b"]);
    expect(shop.getChildSpec("b").id).toBe("b");
    expect(cast.latest("b").path).toBe("shop.b");
  });

  test("supervisor.erl, check_startspec: duplicate_child_name", () => {
    const cast = new Cast();
    expect(() => family(cast, ["a", "b", "a"])).toThrow(/children\[2\].id must be unique among the children/);
  });

  test('differs: "child_id() = term()" - it is the last token of a path', () => {
    const cast = new Cast();
    for (const id of ["a.b", "", "*", "a b", 1]) expect(() => family(cast, [cast.child(id as string)])).toThrow(/id/);
  });
});

describe("start", () => {
  test("start defines the function call used to start the child process", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, [cast.child("a", { args: ["x"] })]);
    ENDS.failed(cast.latest("a"));
    await cast.back(shop, "a");
    const contexts = cast.contexts.get("a") ?? [];
    expect(contexts.map(({ path, id, generation, args }) => ({ path, id, generation, args }))).toEqual([
      { path: "shop.a", id: "a", generation: 1, args: ["x"] },
      { path: "shop.a", id: "a", generation: 2, args: ["x"] },
    ]);
  });

  test("If something goes wrong, the function can also return an error tuple {error,Error} - it throws", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, []);
    cast.faults.set("a", new Error("no database"));
    const error = await cast.world.failure(shop.startChild(cast.child("a")));
    expect(error).toMatchObject({ code: "CHILD_NOT_STARTED", path: "shop.a" });
    expect((error as Error).message).toMatch(/no database/);
  });

  test("The start function must create and link to the child process - one that returns anything else has failed", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, []);
    const wrong = cast.world.node({ path: "shop.other" });
    for (const [start, message] of [
      [() => 42 as unknown as Node, /a function that returns a node/],
      [() => wrong, /a node with the path shop.a/],
    ] as const) {
      const error = await cast.world.failure(shop.startChild({ id: "a", start }));
      expect(error).toMatchObject({ code: "CHILD_NOT_STARTED" });
      expect((error as Error).message).toMatch(message);
    }
  });

  test('differs: "The start key is mandatory" - without one the child is remote: somebody else starts it', async () => {
    const cast = new Cast();
    const shop = cast.world.node({ path: "shop", children: [{ id: "a" }] });
    const a = cast.world.node({ path: "shop.a" });
    await cast.world.up(shop, a);
    expect(shop.whichChildren()).toMatchObject([{ id: "a", remote: true, restart: null, state: "running" }]);
    expect(() => cast.world.node({ path: "x", children: [{ id: "a", restart: "transient" } as never] })).toThrow(
      /children\[0\].start must be given where restart is/,
    );
  });

  test('differs: "Child processes are responsible for keeping their start and shutdown phases as short as possible" - a start takes startTimeoutMs at most, until the subtree is ready', async () => {
    const cast = new Cast();
    const { shop, decisions } = family(cast, [cast.child("a", { startsInMs: 3_000, startTimeoutMs: 1_000 })]);
    await shop.start();
    await cast.world.until(() => decisions.some(({ decision }) => decision === "restarting"));
    expect(cast.world.nowMs).toBe(3_000);
    expect(cast.contexts.get("a")?.[0]?.signal.aborted).toBe(true);
    expect(decisions.find(({ decision }) => decision === "restarting")?.reason).toBe("not ready within 1000 ms");
    expect(cast.nodes("a").filter(({ state }) => state !== "DISCONNECTED")).toEqual([]);
  });
});

describe("restart", () => {
  test.each(["normal", "shutdown", "failed"] as const)(
    "A permanent child process is always restarted (%s)",
    async (end) => {
      const cast = new Cast();
      const { shop } = await running(cast, [cast.child("a", { restart: "permanent" })]);
      ENDS[end](cast.latest("a"));
      await cast.back(shop, "a");
      expect(cast.latest("a").state).toBe("SYNCHRONIZED");
    },
  );

  test.each(["normal", "shutdown", "failed"] as const)(
    "A temporary child process is never restarted (%s)",
    async (end) => {
      const cast = new Cast();
      const { shop } = await running(cast, [cast.child("a", { restart: "temporary" }), "b"]);
      ENDS[end](cast.latest("a"));
      await cast.world.run(LATER_MS);
      expect(cast.starts("a")).toBe(1);
      expect(shop.state).toBe("SYNCHRONIZED");
      expect(shop.whichChildren().map(({ id }) => id)).toEqual(["b"]);
    },
  );

  test.each(["rest_for_one", "one_for_all"] as const)(
    "(even when the supervisor's restart strategy is %s and a sibling's death causes the temporary process to be terminated)",
    async (strategy) => {
      const cast = new Cast();
      const { shop } = await running(cast, ["a", cast.child("b", { restart: "temporary" }), "c"], { strategy });
      ENDS.failed(cast.latest("a"));
      await cast.back(shop, "c");
      await cast.world.run(LATER_MS);
      expect(["a", "b", "c"].map((id) => cast.starts(id))).toEqual([2, 1, 2]);
      expect(await cast.latest("b").ended).toBe("shutdown");
    },
  );

  test("A transient child process is restarted only if it terminates abnormally", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, [cast.child("a", { restart: "transient" })]);
    ENDS.failed(cast.latest("a"));
    await cast.back(shop, "a");
    expect(cast.latest("a").state).toBe("SYNCHRONIZED");
  });

  test.each(["normal", "shutdown"] as const)(
    "that is, with another exit reason than normal, shutdown (%s)",
    async (end) => {
      const cast = new Cast();
      const { shop } = await running(cast, [cast.child("a", { restart: "transient" }), "b"]);
      ENDS[end](cast.latest("a"));
      await cast.world.run(LATER_MS);
      expect(cast.starts("a")).toBe(1);
      expect(shop.whichChildren()[0]).toMatchObject({ id: "a", state: "stopped" });
      expect(shop.state).toBe("SYNCHRONIZED");
    },
  );

  test("beyond OTP: want of a dependency is an abnormal end, too", async () => {
    const cast = new Cast();
    const { shop, decisions } = await running(cast, [cast.child("a", { restart: "transient" })]);
    cast.latest("a").fail("no database", { dependencyDown: true });
    await cast.back(shop, "a");
    expect(decisions.find(({ decision }) => decision === "restarting")?.exit).toBe("dependencyDown");
  });

  test("The restart key is optional. If it is not specified, it defaults to permanent", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a"]);
    expect(shop.whichChildren()[0]?.restart).toBe("permanent");
    ENDS.normal(cast.latest("a"));
    await cast.back(shop, "a");
  });

  test("supervisor.erl, validRestartType", () => {
    const cast = new Cast();
    expect(() => family(cast, [cast.child("a", { restart: "intrinsic" as "permanent" })])).toThrow(
      /children\[0\].restart must be/,
    );
  });
});

describe("significant", () => {
  test("Setting this option to true when the restart type is permanent is invalid", () => {
    const cast = new Cast();
    const children = [cast.child("a", { significant: true })];
    expect(() => family(cast, children, { autoShutdown: "any_significant" })).toThrow(/false for a permanent child/);
  });

  test("it is considered invalid to start children with this option set to true in a supervisor when the auto_shutdown supervisor flag is set to never", () => {
    const cast = new Cast();
    const children = [cast.child("a", { significant: true, restart: "transient" })];
    expect(() => family(cast, children)).toThrow(/children\[0\].significant must be false/);
  });

  test("The significant key is optional. If it is not specified, it defaults to false", async () => {
    const cast = new Cast();
    const children = [cast.child("a", { restart: "transient" }), "b"];
    const { shop } = await running(cast, children, { autoShutdown: "any_significant" });
    ENDS.normal(cast.latest("a"));
    await cast.world.run(LATER_MS);
    expect(shop.state).toBe("SYNCHRONIZED");
  });
});

describe("shutdown", () => {
  test("brutal_kill means that the child process is unconditionally terminated", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, [cast.child("a", { shutdown: "brutal_kill", isDeaf: true })]);
    const since = cast.since();
    await cast.world.settle(shop.terminateChild("a"));
    expect(since()).toEqual(["a is killed", "a is gone"]);
    expect(cast.world.nowMs).toBeLessThan(100);
  });

  test("An integer time-out value means that the supervisor tells the child process to terminate ... and then wait for an exit signal with reason shutdown back from the child process", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, [cast.child("a", { shutdown: 1_000, exitsInMs: 900 })]);
    const since = cast.since();
    await cast.world.settle(shop.terminateChild("a"));
    expect(since()).toEqual(["a is told to stop", "a is gone"]);
    expect(await cast.latest("a").ended).toBe("shutdown");
    expect(cast.world.nowMs).toBeGreaterThanOrEqual(900);
  });

  test("If no exit signal is received within the specified number of milliseconds, the child process is unconditionally terminated", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, [cast.child("a", { shutdown: 1_000, isDeaf: true })]);
    const [since, startedAtMs] = [cast.since(), cast.world.nowMs];
    await cast.world.settle(shop.terminateChild("a"));
    expect(since()).toEqual(["a is told to stop", "a is killed", "a is gone"]);
    expect(cast.world.nowMs - startedAtMs).toBe(1_000);
  });

  test("It is also allowed to set it to infinity, if the child process is a worker", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, [cast.child("a", { shutdown: "infinity", exitsInMs: 90_000 })]);
    const terminated = shop.terminateChild("a");
    await cast.world.settle(terminated);
    expect(idsOf(cast.journal, "is killed")).toEqual([]);
    expect(cast.world.nowMs).toBeGreaterThanOrEqual(90_000);
  });

  test("The shutdown key is optional. If it is not specified, it defaults to 5000 if the child is of type worker", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, [cast.child("a", { isDeaf: true })]);
    const startedAtMs = cast.world.nowMs;
    await cast.world.settle(shop.terminateChild("a"));
    expect(cast.world.nowMs - startedAtMs).toBe(5_000);
  });

  test('differs: "and it defaults to infinity if the child is of type supervisor" - 5000 as well', async () => {
    const cast = new Cast();
    const inner = { children: [cast.child("leaf", { isDeaf: true, shutdown: "infinity" })] };
    const { shop } = await running(cast, [cast.child("middle", { node: inner })]);
    const startedAtMs = cast.world.nowMs;
    await cast.world.settle(shop.terminateChild("middle"));
    expect(cast.world.nowMs - startedAtMs).toBeLessThanOrEqual(5_000);
  });

  test('differs: "unlinks its own children, but fails to terminate them before it is killed" - the time given passes down the tree, so each level kills in time', async () => {
    const cast = new Cast();
    const leaf = cast.child("leaf", { isDeaf: true, shutdown: "infinity" });
    const inner = cast.child("inner", { node: { children: [leaf] } });
    const { shop } = await running(cast, [cast.child("middle", { node: { children: [inner] }, shutdown: 1_000 })]);
    const since = cast.since();
    await cast.world.settle(shop.terminateChild("middle"));
    expect(since().filter((line) => /killed|gone/.test(line))).toEqual([
      "leaf is killed",
      "leaf is gone",
      "inner is gone",
      "middle is gone",
    ]);
  });

  test('differs: "is_integer(Shutdown), Shutdown >= 0" - at least 1 ms; for none there is brutal_kill', () => {
    const cast = new Cast();
    expect(() => family(cast, [cast.child("a", { shutdown: 0 })])).toThrow(/children\[0\].shutdown must be/);
  });

  test("supervisor.erl, validShutdown", () => {
    const cast = new Cast();
    for (const shutdown of [-1, Infinity, "forever"]) {
      const children = [cast.child("a", { shutdown: shutdown as number })];
      expect(() => family(cast, children)).toThrow(/children\[0\].shutdown must be/);
    }
  });
});

describe("type", () => {
  test('differs: "type specifies if the child process is a supervisor or a worker" - it is seen, not declared', async () => {
    const cast = new Cast();
    const inner = { children: [cast.child("leaf")] };
    const { shop } = await running(cast, [cast.child("middle", { node: inner }), "worker"]);
    await cast.world.until(() => shop.countChildren().supervisors === 1);
    expect(shop.countChildren()).toEqual({ specs: 2, active: 2, supervisors: 1, workers: 1 });
    expect(() => family(cast, [{ ...cast.child("a"), type: "worker" } as never])).toThrow(/type/);
  });
});

test("Internally, the supervisor also keeps track of the pid Child of the child process, or undefined if no pid exists - of its epoch and incarnation", async () => {
  const cast = new Cast();
  const { shop } = await running(cast, ["a"]);
  expect(shop.child("a")?.epoch).toBe(cast.latest("a").epoch);
  const [before] = shop.whichChildren();
  ENDS.failed(cast.latest("a"));
  await cast.back(shop, "a");
  expect(shop.child("a")?.epoch).toBe(cast.latest("a").epoch);
  expect([before?.generation, shop.whichChildren()[0]?.generation]).toEqual([1, 2]);
});
