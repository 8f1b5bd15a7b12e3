/**
 * OTP, `supervisor` (STDLIB), `start_child/2` and `restart_child/2`; Design Principles, "Adding a Child Process". One test for each
 * sentence; what differs on purpose is in docs/otp.md.
 *
 * `{error, Reason}` is a rejection here: not_found is CHILD_NOT_FOUND, already_present and already_started CHILD_EXISTS,
 * running and restarting CHILD_RUNNING. Not applicable: `SupRef` and its names, `ignore`.
 */
import { describe, expect, test } from "vitest";
import type { Node } from "../../src/index.js";
import { Cast, ENDS, running } from "./kit.js";

const LATER_MS = 30_000;

/** The children and their states, `a running`. */
const states = (node: Node): readonly string[] => node.whichChildren().map(({ id, state }) => `${id} ${state}`);

describe("start_child", () => {
  test("Dynamically adds a child specification to supervisor SupRef, which starts the corresponding child process", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a"]);
    const info = await cast.world.settle(shop.startChild(cast.child("b", { restart: "transient" })));
    expect(info).toMatchObject({ id: "b", path: "shop.b", state: "running", restart: "transient", generation: 1 });
    expect(cast.latest("b").state).toBe("SYNCHRONIZED");
    expect(states(shop)).toEqual(["a running", "b running"]);
  });

  test("the second argument must be a valid child specification ChildSpec", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, []);
    for (const spec of [null, "a", {}, cast.child("a.b"), cast.child("a", { restart: "never" as "temporary" })]) {
      const error = await cast.world.failure(shop.startChild(spec as never));
      expect((error as { code: string }).code).toMatch(/INVALID_OPTION|INVALID_PATH/);
    }
    expect(shop.whichChildren()).toEqual([]);
  });

  test("The child process is started by using the start function as defined in the child specification", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, []);
    await cast.world.settle(shop.startChild(cast.child("a", { args: { size: 3 } })));
    expect(cast.contexts.get("a")).toMatchObject([{ id: "a", path: "shop.a", args: { size: 3 } }]);
  });

  test("If there already exists a child specification with the specified identifier, ChildSpec is discarded, and the function returns ... {error,{already_started,Child}}", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a"]);
    const error = await cast.world.failure(shop.startChild(cast.child("a", { restart: "temporary" })));
    expect(error).toMatchObject({ code: "CHILD_EXISTS", path: "shop.a" });
    expect(shop.whichChildren()).toMatchObject([{ id: "a", restart: "permanent" }]);
    expect(cast.starts("a")).toBe(1);
  });

  test("... {error,already_present} ... depending on if the corresponding child process is running or not", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a"]);
    await cast.world.settle(shop.terminateChild("a"));
    expect(await cast.world.failure(shop.startChild(cast.child("a")))).toMatchObject({ code: "CHILD_EXISTS" });
    expect(states(shop)).toEqual(["a stopped"]);
  });

  test("If the child process start function returns {ok,Child} ..., the child specification and pid are added to the supervisor", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, []);
    await cast.world.settle(shop.startChild(cast.child("a")));
    expect(shop.child("a")).toMatchObject({ link: "alive", listed: true, epoch: cast.latest("a").epoch });
  });

  test("If the child process start function returns an error tuple or an erroneous value, or if it fails, the child specification is discarded, and the function returns {error,Error}", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, []);
    cast.faults.set("a", new Error("no database"));
    const error = await cast.world.failure(shop.startChild(cast.child("a")));
    expect(error).toMatchObject({ code: "CHILD_NOT_STARTED", path: "shop.a" });
    await cast.world.run(LATER_MS);
    expect(cast.starts("a")).toBe(1);
    expect(shop.whichChildren()).toEqual([]);
    expect(shop.state).toBe("SYNCHRONIZED");
  });

  test("where Error is a term containing information about the error and child specification", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, []);
    cast.faults.set("a", new Error("no database"));
    const error = await cast.world.failure(shop.startChild(cast.child("a")));
    expect((error as Error).message).toBe("the child at shop.a did not start: start failed: no database");
  });

  test("Child processes added using start_child/2 behave in the same way as the other child processes", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a"], { strategy: "one_for_all" });
    await cast.world.settle(shop.startChild(cast.child("b")));
    ENDS.failed(cast.latest("a"));
    await cast.back(shop, "b");
    ENDS.failed(cast.latest("b"));
    await cast.back(shop, "b", 2);
    expect(cast.starts("a")).toBe(3);
  });

  test("if a supervisor dies and is recreated, then all child processes that were dynamically added to the supervisor are lost", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, [cast.child("middle", { node: { children: [cast.child("leaf")] } })]);
    await cast.world.settle(cast.latest("middle").startChild(cast.child("added")));
    ENDS.failed(cast.latest("middle"));
    await cast.back(shop, "middle");
    expect(await cast.latest("added").ended).toBe("shutdown");
    expect(states(cast.latest("middle"))).toEqual(["leaf running"]);
    expect(cast.starts("added")).toBe(1);
  });

  test('differs: "if a supervisor dies and is recreated" - a root that FAILED and recovers by itself is the same node and keeps them', async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a"]);
    await cast.world.settle(shop.startChild(cast.child("added")));
    shop.fail("out of luck");
    await cast.back(shop, "added");
    expect(states(shop)).toEqual(["a running", "added running"]);
  });
});

describe("restart_child", () => {
  test("Tells supervisor SupRef to restart a child process corresponding to the child specification identified by Id", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a", "b"]);
    await cast.world.settle(shop.terminateChild("a"));
    const info = await cast.world.settle(shop.restartChild("a"));
    expect(info).toMatchObject({ id: "a", state: "running", generation: 2 });
    expect([cast.starts("a"), cast.starts("b")]).toEqual([2, 1]);
  });

  test("a transient child that has finished can be restarted as well", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, [cast.child("a", { restart: "transient" })]);
    ENDS.normal(cast.latest("a"));
    await cast.world.until(() => shop.whichChildren()[0]?.state === "stopped");
    await cast.world.settle(shop.restartChild("a"));
    ENDS.failed(cast.latest("a"));
    await cast.back(shop, "a", 2);
    expect(shop.whichChildren()).toMatchObject([{ id: "a", state: "running", generation: 3 }]);
  });

  test("The child specification must exist ... If the child specification identified by Id does not exist, the function returns {error,not_found}", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a"]);
    expect(await cast.world.failure(shop.restartChild("b"))).toMatchObject({ code: "CHILD_NOT_FOUND", path: "shop.b" });
  });

  test("If the child specification exists but the corresponding process is already running, the function returns {error,running}", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a"]);
    const error = await cast.world.failure(shop.restartChild("a"));
    expect(error).toMatchObject({ code: "CHILD_RUNNING", path: "shop.a" });
    expect(cast.starts("a")).toBe(1);
  });

  test("supervisor.erl, handle_call: one that is about to be restarted returns {error,restarting}", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a"], { backoff: { baseMs: 5_000, maxMs: 5_000 } });
    ENDS.failed(cast.latest("a"));
    await cast.world.until(() => shop.whichChildren()[0]?.state === "restarting");
    const error = await cast.world.failure(shop.restartChild("a"));
    expect(error).toMatchObject({ code: "CHILD_RUNNING" });
    expect((error as Error).message).toMatch(/restarting/);
  });

  test("Notice that for temporary children, the child specification is automatically deleted when the child terminates; thus, it is not possible to restart such children", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, [cast.child("a", { restart: "temporary" }), "b"]);
    ENDS.normal(cast.latest("a"));
    await cast.world.until(() => shop.whichChildren().length === 1);
    expect(await cast.world.failure(shop.restartChild("a"))).toMatchObject({ code: "CHILD_NOT_FOUND" });
  });

  test("If the child process start function returns an error tuple or an erroneous value, or if it fails, the function returns {error,Error} - and the specification is kept, stopped", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a"]);
    await cast.world.settle(shop.terminateChild("a"));
    cast.faults.set("a", new Error("no database"));
    const error = await cast.world.failure(shop.restartChild("a"));
    expect(error).toMatchObject({ code: "CHILD_NOT_STARTED", path: "shop.a" });
    await cast.world.run(LATER_MS);
    expect(states(shop)).toEqual(["a stopped"]);
    expect(cast.starts("a")).toBe(2);
    cast.faults.delete("a");
    expect(await cast.world.settle(shop.restartChild("a"))).toMatchObject({ state: "running" });
  });
});
