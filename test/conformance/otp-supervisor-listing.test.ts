/**
 * OTP, `supervisor` (STDLIB), `get_childspec/2`, `which_children/1`, `count_children/1` and `check_childspecs/1,2`. One test for each
 * sentence; what differs on purpose is in docs/otp.md.
 *
 * `{error, Reason}` is a rejection here: not_found is CHILD_NOT_FOUND, already_present and already_started CHILD_EXISTS,
 * running and restarting CHILD_RUNNING. Not applicable: `SupRef` and its names, `Modules`.
 */
import { describe, expect, test } from "vitest";
import { createNode, type Node } from "../../src/index.js";
import { Cast, ENDS, family, running } from "./kit.js";

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

describe("get_childspec", () => {
  test("Returns the child specification map for the child identified by Id under supervisor SupRef", async () => {
    const cast = new Cast();
    const spec = cast.child("a", { restart: "transient", shutdown: 300 });
    const { shop } = await running(cast, [spec]);
    expect(shop.getChildSpec("a")).toEqual({ ...spec, args: undefined });
  });

  test("{error, Error}: Error = not_found", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, []);
    expect(thrown(() => shop.getChildSpec("a"))).toMatchObject({ code: "CHILD_NOT_FOUND" });
  });

  test('differs: "The returned map contains all keys, both mandatory and optional" - those that were given, so that it can be given to startChild again', async () => {
    const cast = new Cast();
    const { shop } = await running(cast, [cast.child("a", { shutdown: 300 })]);
    const spec = shop.getChildSpec("a");
    expect(Object.keys(spec).toSorted()).toEqual(["args", "id", "shutdown", "start"]);
    await cast.world.settle(shop.terminateChild("a"));
    shop.deleteChild("a");
    await cast.world.settle(shop.startChild(spec));
    expect(shop.getChildSpec("a")).toEqual(spec);
  });
});

describe("which_children", () => {
  test("Returns a newly created list with information about all child specifications and child processes belonging to supervisor SupRef", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["b", "a"]);
    expect(shop.whichChildren().map(({ id, path }) => `${id} ${path}`)).toEqual(["b shop.b", "a shop.a"]);
    expect(shop.whichChildren()).not.toBe(shop.whichChildren());
  });

  test("Id - As defined in the child specification", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["b", "a"]);
    await cast.world.settle(shop.startChild(cast.child("c")));
    expect(shop.whichChildren().map(({ id }) => id)).toEqual(["b", "a", "c"]);
  });

  test("Child - The pid of the corresponding child process, the atom restarting if the process is about to be restarted, or undefined if there is no such process", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a", "b", "c"], { backoff: { baseMs: 5_000, maxMs: 5_000 } });
    await cast.world.settle(shop.terminateChild("b"));
    ENDS.failed(cast.latest("c"));
    await cast.world.until(() => shop.whichChildren()[2]?.state === "restarting");
    expect(states(shop)).toEqual(["a running", "b stopped", "c restarting"]);
  });
});

describe("count_children", () => {
  test("specs - The total count of children, dead or alive", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a", "b", "c"]);
    await cast.world.settle(shop.terminateChild("b"));
    expect(shop.countChildren().specs).toBe(3);
  });

  test("active - The count of all actively running child processes managed by this supervisor", async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["a", "b", "c"], { backoff: { baseMs: 5_000, maxMs: 5_000 } });
    await cast.world.settle(shop.terminateChild("b"));
    expect(shop.countChildren().active).toBe(2);
    ENDS.failed(cast.latest("c"));
    await cast.world.until(() => shop.whichChildren()[2]?.state === "restarting");
    expect(shop.countChildren().active).toBe(1);
  });

  test("supervisors - The count of all children marked as child_type = supervisor ..., regardless if the child process is still alive; workers likewise", async () => {
    const cast = new Cast();
    const inner = { children: [cast.child("leaf")] };
    const { shop } = await running(cast, [cast.child("middle", { node: inner }), "worker"]);
    await cast.world.until(() => shop.countChildren().supervisors === 1);
    await cast.world.settle(shop.terminateChild("worker"));
    expect(shop.countChildren()).toEqual({ specs: 2, active: 1, supervisors: 1, workers: 1 });
    await cast.world.settle(shop.terminateChild("middle"));
    expect(shop.countChildren()).toEqual({ specs: 2, active: 0, supervisors: 1, workers: 1 });
  });
});

describe("check_childspecs", () => {
  test("Takes a list of child specification as argument and returns ok if all of them are syntactically correct, otherwise {error,Error} - as createNode does, which starts nothing", () => {
    const cast = new Cast();
    family(cast, ["a", "b"]);
    expect(() => family(cast, ["a", cast.child("b", { shutdown: -1 })])).toThrow(/children\[1\].shutdown/);
    expect(cast.journal).toEqual([]);
  });

  test("If the AutoShutdown argument is not undefined, also checks if the child specifications are allowed for the given auto_shutdown option", () => {
    const cast = new Cast();
    const children = [cast.child("a", { significant: true, restart: "transient" })];
    family(cast, children, { autoShutdown: "all_significant" });
    expect(() => family(cast, children, { autoShutdown: "never" })).toThrow(/significant/);
  });

  test("another key than those known is refused, so that a misspelt one is not ignored", () => {
    const { transport } = new Cast().world.process();
    const children = [{ id: "a", start: () => createNode({ path: "x.a", transport }), restrat: "temporary" }];
    expect(() => createNode({ path: "x", transport, children })).toThrow(/restrat/);
  });
});
