/**
 * OTP, `supervisor` (STDLIB), "simple_one_for_one" and what its functions say of it; Design Principles, "Simplified
 * one_for_one Supervisors". Its place is taken by `supervision.template`. One test for each sentence; what differs on
 * purpose is in docs/otp.md.
 */
import { describe, expect, test } from "vitest";
import { Cast, ENDS, type FamilyOptions, idsOf, type Part, running } from "./kit.js";

/** A supervisor that makes its children from a template. */
async function pool(part: Part = {}, options: FamilyOptions = {}) {
  const cast = new Cast();
  const { startsInMs, exitsInMs, isDeaf, node, ...spec } = part;
  const start = cast.starter({ startsInMs, exitsInMs, isDeaf, node } as Part);
  const { shop, decisions } = await running(cast, [], { template: { start, ...spec }, ...options });
  return { cast, shop, decisions };
}

const LATER_MS = 30_000;

describe("starting", () => {
  test("all child processes are dynamically added instances of the same process type, that is, running the same code", async () => {
    const { cast, shop } = await pool();
    for (const id of ["x", "y"]) await cast.world.settle(shop.startChild({ id }));
    expect([shop.getChildSpec("x").start, cast.latest("x").path]).toEqual([shop.getChildSpec("y").start, "shop.x"]);
  });

  test("No child process is then started during the initialization phase, but all children are assumed to be started dynamically using start_child/2", async () => {
    const { cast, shop } = await pool();
    expect(cast.journal).toEqual([]);
    expect(shop.state).toBe("SYNCHRONIZED");
  });

  test("The child process is then started by appending ExtraArgs to the existing start function arguments", async () => {
    const { cast, shop } = await pool();
    await cast.world.settle(shop.startChild({ id: "x", args: ["id1"] }));
    expect(cast.contexts.get("x")).toMatchObject([{ args: ["id1"] }]);
  });

  test("its args are given to each of its incarnations", async () => {
    const { cast, shop } = await pool();
    await cast.world.settle(shop.startChild({ id: "x", args: "id1" }));
    ENDS.failed(cast.latest("x"));
    await cast.back(shop, "x");
    expect(cast.contexts.get("x")?.map(({ args }) => args)).toEqual(["id1", "id1"]);
  });

  test('differs: "(The child specification identifier is ignored.)" - each child has an id of its own, a number unless it was given one', async () => {
    const { cast, shop } = await pool();
    const first = await cast.world.settle(shop.startChild({}));
    await cast.world.settle(shop.startChild({ id: "2" }));
    const third = await cast.world.settle(shop.startChild({ args: "x" }));
    expect([first.id, third.id]).toEqual(["1", "3"]);
    expect(await cast.world.failure(shop.startChild({ id: "2" }))).toMatchObject({ code: "CHILD_EXISTS" });
  });

  test("If the child process start function ... fails, ... no child is added to the supervisor", async () => {
    const { cast, shop } = await pool();
    cast.faults.set("x", new Error("no database"));
    expect(await cast.world.failure(shop.startChild({ id: "x" }))).toMatchObject({ code: "CHILD_NOT_STARTED" });
    await cast.world.run(LATER_MS);
    expect(shop.whichChildren()).toEqual([]);
    expect(cast.starts("x")).toBe(1);
  });

  test('differs: "the list of child specifications must be a list with one child specification only" - named children may stand beside the dynamic ones', async () => {
    const cast = new Cast();
    const { shop } = await running(cast, ["named"], { template: { start: cast.starter() } });
    await cast.world.settle(shop.startChild({ id: "x" }));
    await cast.world.settle(shop.startChild(cast.child("other")));
    expect(shop.whichChildren().map(({ id }) => id)).toEqual(["named", "x", "other"]);
  });
});

describe("restarting", () => {
  test("A simplified one_for_one supervisor: only the child that terminated is restarted", async () => {
    const { cast, shop } = await pool();
    for (const id of ["x", "y"]) await cast.world.settle(shop.startChild({ id }));
    ENDS.failed(cast.latest("x"));
    await cast.back(shop, "x");
    expect([cast.starts("x"), cast.starts("y")]).toEqual([2, 1]);
  });

  test.each(["transient", "temporary"] as const)(
    "supervisor.erl, del_child: a %s child that ends for good is forgotten",
    async (restart) => {
      const { cast, shop } = await pool({ restart });
      await cast.world.settle(shop.startChild({ id: "x" }));
      ENDS.normal(cast.latest("x"));
      await cast.world.until(() => shop.whichChildren().length === 0);
      expect(await cast.world.settle(shop.startChild({ id: "x" }))).toMatchObject({ state: "running" });
    },
  );

  test("supervisor.erl, do_auto_shutdown: with all_significant the end of the last child is the end of the supervisor", async () => {
    const part = { restart: "transient", significant: true } as const;
    const { cast, shop } = await pool(part, { autoShutdown: "all_significant" });
    for (const id of ["x", "y"]) await cast.world.settle(shop.startChild({ id }));
    ENDS.normal(cast.latest("x"));
    await cast.world.run(LATER_MS);
    expect(shop.state).toBe("SYNCHRONIZED");
    ENDS.normal(cast.latest("y"));
    expect(await cast.world.settle(shop.ended)).toBe("shutdown");
  });

  test("all dynamically added children are lost when their supervisor is recreated", async () => {
    const cast = new Cast();
    const inner = { supervision: { template: { start: cast.starter() } } };
    const { shop } = await running(cast, [cast.child("pool", { node: inner })]);
    await cast.world.settle(cast.latest("pool").startChild({ id: "x" }));
    ENDS.failed(cast.latest("pool"));
    await cast.back(shop, "pool");
    expect(await cast.latest("x").ended).toBe("shutdown");
    expect(cast.latest("pool").whichChildren()).toEqual([]);
  });
});

describe("terminating", () => {
  test("A child under a simple_one_for_one supervisor can be terminated", async () => {
    const { cast, shop } = await pool();
    await cast.world.settle(shop.startChild({ id: "x" }));
    await cast.world.settle(shop.terminateChild("x"));
    expect(await cast.latest("x").ended).toBe("shutdown");
    expect(shop.whichChildren()).toEqual([]);
  });

  test('differs: "terminate_child/2 can be used ... by specifying the child\'s pid() as the second argument" - by its id', async () => {
    const { cast, shop } = await pool();
    const { id } = await cast.world.settle(shop.startChild({}));
    await cast.world.settle(shop.terminateChild(id));
    expect(await cast.world.failure(shop.terminateChild(id))).toMatchObject({ code: "CHILD_NOT_FOUND" });
  });

  test("Functions delete_child/2 and restart_child/2 are invalid for simple_one_for_one supervisors - there is no child that they could be for", async () => {
    const { cast, shop } = await pool();
    await cast.world.settle(shop.startChild({ id: "x" }));
    expect(() => shop.deleteChild("x")).toThrow(/terminate it first/);
    expect(await cast.world.failure(shop.restartChild("x"))).toMatchObject({ code: "CHILD_RUNNING" });
    await cast.world.settle(shop.terminateChild("x"));
    expect(() => shop.deleteChild("x")).toThrow(/no child is declared/);
    expect(await cast.world.failure(shop.restartChild("x"))).toMatchObject({ code: "CHILD_NOT_FOUND" });
  });

  test.each(["one_for_one", "one_for_all"] as const)(
    "As a simple_one_for_one supervisor can have many children, it shuts them all down asynchronously. This means that the children do their cleanup in parallel (%s)",
    async (strategy) => {
      const { cast, shop } = await pool({ exitsInMs: 1_000 }, { strategy });
      const ids = Array.from({ length: 20 }, (_, index) => `x${index}`);
      for (const id of ids) await cast.world.settle(shop.startChild({ id }));
      const startedAtMs = cast.world.nowMs;
      await cast.world.settle(shop.stop());
      expect(cast.world.nowMs - startedAtMs).toBeLessThan(2_000);
      expect(idsOf(cast.journal, "is gone").toSorted()).toEqual(ids.toSorted());
    },
  );
});

describe("listing", () => {
  test("count_children: specs and active count the children that there are", async () => {
    const { cast, shop } = await pool();
    expect(shop.countChildren()).toEqual({ specs: 0, active: 0, supervisors: 0, workers: 0 });
    for (const id of ["x", "y"]) await cast.world.settle(shop.startChild({ id }));
    expect(shop.countChildren()).toEqual({ specs: 2, active: 2, supervisors: 0, workers: 2 });
  });

  test('differs: "Id - ... undefined for a simple_one_for_one supervisor" - each has one', async () => {
    const { cast, shop } = await pool({ restart: "transient" });
    await cast.world.settle(shop.startChild({}));
    expect(shop.whichChildren()).toMatchObject([{ id: "1", path: "shop.1", restart: "transient", state: "running" }]);
  });
});
