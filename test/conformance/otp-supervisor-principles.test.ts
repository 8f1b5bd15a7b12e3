/**
 * OTP, `supervisor` (STDLIB), "Supervision Principles" and `start_link/3`; Design Principles, "Supervision Principles",
 * "Starting a Supervisor" and "Stopping". One test for each sentence; what differs on purpose is in docs/otp.md.
 *
 * Not applicable: callback modules and `init/1` (a node takes its options at `createNode`), registration and `SupName`
 * (a node is its path), pids (a path and an epoch), `ignore` (a start is a child or a failure), code upgrades.
 */
import { describe, expect, test } from "vitest";
import { createNode } from "../../src/index.js";
import { Cast, ENDS, family, idsOf, running } from "./kit.js";

describe("Supervision Principles", () => {
  test("The basic idea of a supervisor is that it must keep its child processes alive by restarting them when necessary", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a"]);
    for (const generation of [1, 2, 3]) {
      ENDS.failed(cast.latest("a"));
      await cast.back(shop, "a", generation);
    }
    expect(cast.latest("a").state).toBe("SYNCHRONIZED");
    expect(shop.child("a")?.link).toBe("alive");
  });

  test("A child process can either be another supervisor or a worker process", async () => {
    const cast = new Cast();
    const inner = { children: [cast.child("worker")] };
    const { shop } = await running(cast, [cast.child("supervisor", { node: inner }), "other"]);
    expect(cast.latest("worker").path).toBe("shop.supervisor.worker");
    ENDS.failed(cast.latest("worker"));
    await cast.back(shop, "worker");
    expect(cast.starts("supervisor")).toBe(1);
  });

  test("Supervisors are used to build a hierarchical process structure called a supervision tree", async () => {
    const cast = new Cast();
    const leaf = cast.child("leaf");
    const middle = cast.child("middle", { node: { children: [leaf] } });
    const { shop } = await running(cast, [cast.child("top", { node: { children: [middle] } })]);
    expect(cast.latest("leaf").path).toBe("shop.top.middle.leaf");
    expect(shop.status.nodes).toBe(4);
  });

  test("When the supervisor is started, the child processes are started in order from left to right according to this list", async () => {
    for (const strategy of ["one_for_one", "rest_for_one", "one_for_all"] as const) {
      const cast = new Cast();
      await running(cast, ["b", "c", "a"], { strategy });
      expect(idsOf(cast.journal, "starts")).toEqual(["b", "c", "a"]);
    }
  });

  test("When the supervisor is going to terminate, it first terminates its child processes in reversed start order, from right to left", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["b", "c", "a"], { part: { exitsInMs: 50 } });
    const since = cast.since();
    await cast.world.settle(shop.stop());
    expect(since()).toEqual([
      "a is told to stop",
      "a is gone",
      "c is told to stop",
      "c is gone",
      "b is told to stop",
      "b is gone",
    ]);
  });
});

describe("Starting a Supervisor", () => {
  test("The supervisor then starts all its child processes according to the child specifications in the start specification", async () => {
    const cast = new Cast();
    await running(cast, [cast.child("a", { args: 1 }), cast.child("b", { args: { two: 2 } })]);
    const given = ["a", "b"].map((id) => cast.contexts.get(id)?.map(({ id: name, args }) => ({ name, args })));
    expect(given).toEqual([[{ name: "a", args: 1 }], [{ name: "b", args: { two: 2 } }]]);
  });

  test("If Module:init/1 fails or returns an incorrect value, this function returns {error,Term} - createNode refuses it", () => {
    const { transport } = new Cast().world.process();
    const children = [{ id: "a", restart: "always" }] as never;
    expect(() => createNode({ path: "shop", transport, children })).toThrow(/children\[0\].start must be given/);
  });

  test("the supervisor is linked to the calling process (its supervisor): when that dies without a word, it ends too", async () => {
    const cast = new Cast();
    const inner = { children: [cast.child("leaf")] };
    const { shop } = await running(cast, [cast.child("middle", { node: inner, exitsInMs: 10 })]);
    await cast.world.settle(shop.stop({ timeoutMs: 1 }));
    await cast.world.until(() => idsOf(cast.journal, "is gone").length === 2);
    expect(await cast.latest("leaf").ended).not.toBe("stopped");
  });

  test('differs: "supervisor:start_link is synchronous. It does not return until all child processes have been started" - start() does not wait for them; until("SYNCHRONIZED") does', async () => {
    const cast = new Cast();
    const { shop } = family(cast, ["a", "b"], { part: { startsInMs: 500 } });
    await shop.start();
    expect(cast.world.nowMs).toBe(0);
    await cast.world.settle(shop.until("SYNCHRONIZED"));
    expect(cast.world.nowMs).toBeGreaterThanOrEqual(500);
    expect(["a", "b"].map((id) => cast.latest(id).state)).toEqual(["SYNCHRONIZED", "SYNCHRONIZED"]);
  });

  test.each([
    ["one_for_one", ["slow started", "quick started", "quick ready", "slow ready"]],
    ["rest_for_one", ["slow started", "slow ready", "quick started", "quick ready"]],
  ] as const)(
    'differs: "the child processes are started in order" - %s: each start of one_for_one is called without waiting for the one before',
    async (strategy, expected) => {
      const cast = new Cast();
      const { shop, decisions } = family(cast, [cast.child("slow", { startsInMs: 5_000 }), "quick"], { strategy });
      await cast.world.up(shop);
      expect(decisions.map(({ id, decision }) => `${id} ${decision}`)).toEqual(expected);
    },
  );

  test('differs: "If any child process start function fails ..., the supervisor first terminates all already started child processes with reason shutdown and then terminate itself" - it is tried again inside the budget', async () => {
    const cast = new Cast();
    cast.faults.set("b", new Error("no database"));
    const { shop, decisions } = family(cast, ["a", "b"]);
    await shop.start();
    await cast.world.until(() => cast.starts("b") === 3);
    cast.faults.delete("b");
    await cast.world.settle(shop.until("SYNCHRONIZED"));
    const failed = decisions.filter(({ id, decision }) => id === "b" && decision === "restarting");
    expect(failed.map(({ reason, attempt }) => `${attempt} ${reason}`)).toEqual([
      "1 start failed: no database",
      "2 start failed: no database",
      "3 start failed: no database",
    ]);
    expect(cast.starts("a")).toBe(1);
  });

  test("... and beyond the budget all already started child processes are terminated and the supervisor fails", async () => {
    const cast = new Cast();
    cast.faults.set("b", new Error("no database"));
    const { shop, decisions } = family(cast, ["a", "b"], { childIntensity: 1, node: { onFailed: "end" } });
    await shop.start();
    expect(await cast.world.settle(shop.ended)).toBe("failed");
    expect(decisions.find(({ decision }) => decision === "escalated")?.reason).toMatch(/no database/);
    expect(await cast.latest("a").ended).toBe("shutdown");
    expect(idsOf(cast.journal, "is gone")).toEqual(["a"]);
  });
});

describe("Stopping", () => {
  test("Since the supervisor is part of a supervision tree, it is automatically terminated by its supervisor", async () => {
    const cast = new Cast();
    const inner = { children: [cast.child("leaf")] };
    const { shop } = await running(cast, [cast.child("middle", { node: inner })]);
    await cast.world.settle(shop.stop());
    expect(await cast.latest("middle").ended).toBe("shutdown");
    expect(await cast.latest("leaf").ended).toBe("shutdown");
  });

  test("When asked to shut down, it terminates all child processes in reversed start order according to the respective shutdown specifications, and then terminates itself", async () => {
    const cast = new Cast();
    const children = [
      cast.child("patient", { exitsInMs: 400, shutdown: 1_000 }),
      cast.child("late", { isDeaf: true, shutdown: 200 }),
      cast.child("brutal", { shutdown: "brutal_kill" }),
    ];
    const { shop } = await running(cast, children);
    const since = cast.since();
    void shop.ended.then(() => cast.journal.push("shop is gone"));
    const startedAtMs = cast.world.nowMs;
    await cast.world.settle(shop.shutdownTree());
    expect(since()).toEqual([
      "brutal is killed",
      "brutal is gone",
      "late is told to stop",
      "late is killed",
      "late is gone",
      "patient is told to stop",
      "patient is gone",
      "shop is gone",
    ]);
    expect(cast.world.nowMs - startedAtMs).toBeGreaterThanOrEqual(600);
  });

  test("supervisor:terminate_child/2 is a blocking call that will only return after the parent supervisor has finished the shutdown of the supervisor that should be stopped", async () => {
    const cast = new Cast();
    const inner = { children: [cast.child("leaf", { exitsInMs: 300 })] };
    const { shop } = await running(cast, [cast.child("middle", { node: inner, exitsInMs: 100 })]);
    await cast.world.settle(shop.terminateChild("middle"));
    expect(idsOf(cast.journal, "is gone")).toEqual(["leaf", "middle"]);
  });

  test('differs: "it will wait for the shutdown to complete before accepting other calls, that is, the supervisor will be unresponsive until then" - it goes on', async () => {
    const cast = new Cast();
    const { shop } = await running(cast, [cast.child("slow", { exitsInMs: 4_000 }), "b"]);
    const terminated = shop.terminateChild("slow");
    const added = await cast.world.settle(shop.startChild(cast.child("c")));
    expect(added.state).toBe("running");
    expect(shop.whichChildren().map(({ id, state }) => `${id} ${state}`)).toEqual([
      "slow stopping",
      "b running",
      "c running",
    ]);
    await cast.world.settle(terminated);
    expect(cast.world.nowMs).toBeGreaterThanOrEqual(4_000);
  });

  test('differs: "according to the respective shutdown specifications" - and within the supervisor\'s own time: who takes all of it is killed', async () => {
    const cast = new Cast();
    const children = [cast.child("hangs", { isDeaf: true, shutdown: "infinity" }), "b"];
    const { shop } = await running(cast, children, { node: { shutdownTimeoutMs: 2_000 } });
    const startedAtMs = cast.world.nowMs;
    await cast.world.settle(shop.stop());
    expect(cast.world.nowMs - startedAtMs).toBeLessThanOrEqual(2_100);
    expect(idsOf(cast.journal, "is killed")).toEqual(["hangs"]);
  });

  test('differs: "in reversed start order" - of the supervisor\'s time who takes more than its share is not waited for before the next is told', async () => {
    const cast = new Cast();
    const children = ["a", cast.child("hangs", { isDeaf: true, shutdown: "infinity" })];
    const { shop } = await running(cast, children, { node: { shutdownTimeoutMs: 2_000 } });
    const since = cast.since();
    await cast.world.settle(shop.stop());
    expect(since()).toEqual([
      "hangs is told to stop",
      "a is told to stop",
      "a is gone",
      "hangs is killed",
      "hangs is gone",
    ]);
  });

  test("nothing is restarted while the supervisor is stopping, whatever was about to be", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a", cast.child("b", { exitsInMs: 500 })]);
    ENDS.failed(cast.latest("a"));
    await cast.world.until(() => shop.whichChildren()[0]?.state === "restarting");
    await cast.world.settle(shop.stop());
    await cast.world.run(60_000);
    expect(cast.starts("a")).toBe(1);
  });
});
