/**
 * OTP, `supervisor` (STDLIB), `delete_child/2` and `terminate_child/2`; Design Principles, "Stopping a Child Process". One test for each
 * sentence; what differs on purpose is in docs/otp.md.
 *
 * `{error, Reason}` is a rejection here: not_found is CHILD_NOT_FOUND, already_present and already_started CHILD_EXISTS,
 * running and restarting CHILD_RUNNING. Not applicable: `SupRef` and its names, `ignore`.
 */
import { describe, expect, test } from "vitest";
import type { Node } from "../../src/index.js";
import { Cast, ENDS, running } from "./kit.js";

const LATER_MS = 30_000;

/** The error that a call throws. */
function thrown(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return expect.fail("it did not throw");
}

/** The children and their states, `a running`. */
const states = (node: Node): readonly string[] => node.whichChildren().map(({ id, state }) => `${id} ${state}`);

describe("delete_child", () => {
  test("Tells supervisor SupRef to delete the child specification identified by Id ... If successful, the function returns ok", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a", "b"]);
    await cast.world.settle(shop.terminateChild("a"));
    shop.deleteChild("a");
    expect(states(shop)).toEqual(["b running"]);
    expect(shop.child("a")).toBeUndefined();
    await cast.world.settle(shop.startChild(cast.child("a")));
  });

  test("The corresponding child process must not be running ... the function returns {error,running}", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a"]);
    expect(thrown(() => shop.deleteChild("a"))).toMatchObject({ code: "CHILD_RUNNING", path: "shop.a" });
    expect(states(shop)).toEqual(["a running"]);
  });

  test("or is about to be restarted, the function returns ... {error,restarting}", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a"], { backoff: { baseMs: 5_000, maxMs: 5_000 } });
    ENDS.failed(cast.latest("a"));
    await cast.world.until(() => shop.whichChildren()[0]?.state === "restarting");
    expect((thrown(() => shop.deleteChild("a")) as Error).message).toMatch(/restarting/);
    await cast.back(shop, "a");
  });

  test("Use terminate_child/2 to terminate it - also one that is about to be restarted, which then is not", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a"], { backoff: { baseMs: 5_000, maxMs: 5_000 } });
    ENDS.failed(cast.latest("a"));
    await cast.world.until(() => shop.whichChildren()[0]?.state === "restarting");
    await cast.world.settle(shop.terminateChild("a"));
    shop.deleteChild("a");
    await cast.world.run(LATER_MS);
    expect(cast.starts("a")).toBe(1);
    expect(shop.whichChildren()).toEqual([]);
  });

  test("If the child specification identified by Id does not exist, the function returns {error,not_found}", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, []);
    expect(thrown(() => shop.deleteChild("a"))).toMatchObject({ code: "CHILD_NOT_FOUND", path: "shop.a" });
  });

  test("the effects of deleting a static child process are lost if the supervisor itself restarts", async () => {
    const cast = new Cast();
    const inner = { children: [cast.child("leaf"), cast.child("other")] };
    const { shop } = await running(cast, [cast.child("middle", { node: inner })]);
    const middle = cast.latest("middle");
    await cast.world.settle(middle.terminateChild("leaf"));
    middle.deleteChild("leaf");
    ENDS.failed(middle);
    await cast.back(shop, "leaf");
    expect(states(cast.latest("middle"))).toEqual(["leaf running", "other running"]);
  });
});

describe("terminate_child", () => {
  test("The process, if any, is terminated and, unless it is a temporary child, the child specification is kept by the supervisor", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a", "b"]);
    await cast.world.settle(shop.terminateChild("a"));
    await cast.world.run(LATER_MS);
    expect(states(shop)).toEqual(["a stopped", "b running"]);
    expect(await cast.latest("a").ended).toBe("shutdown");
    expect(cast.starts("a")).toBe(1);
  });

  test("a child that a user has terminated is not missed", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a", "b"]);
    await cast.world.settle(shop.terminateChild("a"));
    await cast.world.until(() => shop.state === "SYNCHRONIZED");
    await cast.world.run(LATER_MS);
    expect(shop.state).toBe("SYNCHRONIZED");
  });

  test('differs: "The child process can later be restarted by the supervisor" - only a user restarts it', async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a", "b"], { strategy: "one_for_all" });
    await cast.world.settle(shop.terminateChild("a"));
    ENDS.failed(cast.latest("b"));
    await cast.back(shop, "b");
    await cast.world.run(LATER_MS);
    expect(states(shop)).toEqual(["a stopped", "b running"]);
  });

  test("The child process can also be restarted explicitly by calling restart_child/2", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a"]);
    for (const generation of [2, 3]) {
      await cast.world.settle(shop.terminateChild("a"));
      expect(await cast.world.settle(shop.restartChild("a"))).toMatchObject({ state: "running", generation });
    }
  });

  test("Any child process, static or dynamic, can be stopped in accordance with the shutdown specification", async () => {
    const cast = new Cast();
    const part = { isDeaf: true, shutdown: 300 };
    const { shop } = await running(cast, [cast.child("a", part)]);
    await cast.world.settle(shop.startChild(cast.child("b", part)));
    for (const id of ["a", "b"]) {
      const startedAtMs = cast.world.nowMs;
      await cast.world.settle(shop.terminateChild(id));
      expect(cast.world.nowMs - startedAtMs).toBe(300);
    }
  });

  test("If the child is temporary, the child specification is deleted as soon as the process terminates", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, [cast.child("a", { restart: "temporary" }), "b"]);
    await cast.world.settle(shop.terminateChild("a"));
    expect(states(shop)).toEqual(["b running"]);
  });

  test("This means that delete_child/2 has no meaning and restart_child/2 cannot be used for these children", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, [cast.child("a", { restart: "temporary" }), "b"]);
    await cast.world.settle(shop.terminateChild("a"));
    expect(thrown(() => shop.deleteChild("a"))).toMatchObject({ code: "CHILD_NOT_FOUND" });
    expect(await cast.world.failure(shop.restartChild("a"))).toMatchObject({ code: "CHILD_NOT_FOUND" });
  });

  test("If successful, the function returns ok - also for a child that does not run", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a"]);
    expect(await cast.world.settle(shop.terminateChild("a"))).toBeUndefined();
    expect(await cast.world.settle(shop.terminateChild("a"))).toBeUndefined();
  });

  test("If there is no child specification with the specified Id, the function returns {error,not_found}", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a"]);
    expect(await cast.world.failure(shop.terminateChild("b"))).toMatchObject({
      code: "CHILD_NOT_FOUND",
      path: "shop.b",
    });
  });

  test("supervisor.erl, do_terminate: the child is always terminated in some way (maybe killed) - also one whose start is under way", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a"]);
    const added = cast.world.failure(shop.startChild(cast.child("slow", { startsInMs: 2_000 })));
    await cast.world.run(100);
    await cast.world.settle(shop.terminateChild("slow"));
    expect(await added).toMatchObject({ code: "CHILD_NOT_STARTED" });
    await cast.world.run(LATER_MS);
    expect(cast.nodes("slow").filter(({ state }) => state !== "DISCONNECTED")).toEqual([]);
    expect(shop.whichChildren().find(({ id }) => id === "slow")?.state ?? "stopped").toBe("stopped");
  });
});
