/** What users do with children at run time, in OTP's words: each outcome and each error. */
import { describe, expect, test } from "vitest";
import { type ChildSpec, createNode, type Node, type StartContext } from "../../src/index.js";
import { World } from "../node/kit.js";
import { type ChildParts, declared, family, type FamilyOptions, hosted, only, story } from "./kit.js";

async function running(ids: readonly string[] = ["a", "b"], options: FamilyOptions = {}) {
  const world = new World();
  const parts = family(world, ids, options);
  await world.up(parts.shop);
  parts.decisions.length = 0;
  return { world, ...parts };
}

describe("startChild", () => {
  test("starts a further child, which is the parent's like the others from then on", async () => {
    const { world, shop, decisions } = await running();
    const { incarnations, spec } = declared("c", { restart: "transient", shutdown: 1_000 });
    const info = await world.settle(shop.startChild(spec));
    expect(info).toEqual({
      id: "c",
      path: "shop.c",
      state: "running",
      remote: false,
      restart: "transient",
      generation: 1,
      restartsLeft: 3,
    });
    expect(story(decisions)).toEqual(["c started 1", "c ready 1"]);
    expect(shop.getChildSpec("c")).toBe(shop.getChildSpec("c"));
    expect(shop.getChildSpec("c")).toMatchObject({ id: "c", restart: "transient", shutdown: 1_000, start: spec.start });
    incarnations.latest.fail("out of luck");
    await world.until(() => incarnations.nodes.length === 2 && shop.state === "SYNCHRONIZED");
    await world.settle(shop.stop());
    expect(await world.settle(incarnations.latest.ended, 1)).toBe("shutdown");
  });

  test("of a remote child resolves at once: it is expected", async () => {
    const { world, shop } = await running();
    expect(await world.settle(shop.startChild({ id: "r", critical: true }), 1)).toMatchObject({
      state: "stopped",
      remote: true,
    });
    await world.until(() => shop.state === "DEGRADED");
    const remote = world.node({ path: "shop.r" });
    await world.up(remote);
    await world.until(() => shop.state === "SYNCHRONIZED");
    expect(shop.whichChildren()[2]).toMatchObject({ id: "r", state: "running", restart: null, restartsLeft: null });
    expect(shop.getChildSpec("r")).toEqual({ id: "r", critical: true, remote: true });
  });

  const failures: readonly [string, ChildParts, RegExp][] = [
    ["cannot start", {}, /^the child at shop\.c did not start: start failed: no disk$/],
    [
      "is never ready",
      { node: { children: [{ id: "never" }], initTimeoutMs: 60_000 }, startTimeoutMs: 2_000 },
      /not ready within 2000 ms/,
    ],
  ];
  test.each(failures)("of a child that %s is rejected, and the child is not declared", async (name, parts, message) => {
    const { world, shop, decisions } = await running();
    const { incarnations, spec } = declared("c", parts);
    if (name === "cannot start") incarnations.fault = new Error("no disk");
    const error = await world.failure(shop.startChild(spec));
    expect(error).toMatchObject({ name: "ChildNotStartedError", code: "CHILD_NOT_STARTED", path: "shop.c" });
    expect((error as Error).message).toMatch(message);
    expect(shop.whichChildren().map(({ id }) => id)).toEqual(["a", "b"]);
    expect(shop.child("c")).toBeUndefined();
    expect(only(decisions, "restarting")).toEqual([]);
    await world.run(60_000);
    expect(incarnations.attempts).toBe(1);
    expect(shop.state).toBe("SYNCHRONIZED");
    // Its id is free again.
    const again = declared("c");
    expect(await world.settle(shop.startChild(again.spec))).toMatchObject({ state: "running" });
  });

  test("refuses what is not possible, by code, and leaves everything as it was", async () => {
    const { world, shop } = await running(["a"], { childrenMax: 2 });
    const joined = world.node({ path: "shop.j" });
    await world.up(joined);
    const { start } = declared("any").spec;
    const cases: readonly [ChildSpec, string][] = [
      [{ id: "a", start }, "CHILD_EXISTS"],
      [{ id: "j", start }, "CHILD_EXISTS"],
      [{ id: "c", start }, "INVALID_OPTION"],
      [{ id: "c.d", start }, "INVALID_PATH"],
      [{ id: "", start }, "INVALID_PATH"],
      [{ id: "c", start, restart: "always" } as never, "INVALID_OPTION"],
      [{ id: "c", start, restarts: 3 } as never, "INVALID_OPTION"],
      [{ id: "c", start: 5 } as never, "INVALID_OPTION"],
      [{ id: "c", start, requireProgress: { withinMs: 3_999 } }, "INVALID_OPTION"],
      [null as never, "INVALID_OPTION"],
      [{ args: 5 } as never, "INVALID_PATH"],
    ];
    for (const [spec, code] of cases) {
      expect(await world.failure(shop.startChild(spec)), JSON.stringify(spec)).toMatchObject({ code });
    }
    expect(await world.failure(shop.startChild({ id: "c", start }))).toMatchObject({ option: "childrenMax", value: 2 });
    expect(shop.whichChildren().map(({ id }) => id)).toEqual(["a"]);
    expect(shop.countChildren()).toEqual({ specs: 1, active: 1, supervisors: 0, workers: 1 });
  });

  test("on a node that does not run is refused", async () => {
    const world = new World();
    const { shop } = family(world, []);
    const { spec } = declared("a");
    const refusal = { code: "WRONG_STATE", message: "node shop cannot start a: it is not running" };
    expect(await world.failure(shop.startChild(spec))).toMatchObject(refusal);
    await world.up(shop);
    const stopped = shop.stop();
    expect(await world.failure(shop.startChild(spec))).toMatchObject(refusal);
    await world.settle(stopped);
    expect(await world.failure(shop.startChild(spec))).toMatchObject(refusal);
  });
});

describe("terminateChild", () => {
  test("ends a child, which stays declared and is not missed", async () => {
    const { world, shop, of, decisions } = await running();
    await world.settle(shop.terminateChild("a"));
    expect(await world.settle(of("a").latest.ended, 1)).toBe("shutdown");
    expect(story(decisions)).toEqual(["a terminated 1"]);
    await world.run(60_000);
    expect(of("a").attempts).toBe(1);
    expect(shop.state).toBe("SYNCHRONIZED");
    expect(shop.countChildren()).toEqual({ specs: 2, active: 1, supervisors: 0, workers: 2 });
    await world.settle(shop.terminateChild("a"), 1);
    expect(only(decisions, "terminated")).toHaveLength(1);
  });

  test("of a temporary child forgets it, too", async () => {
    const { world, shop } = await running(["a", "b"], { each: { a: { restart: "temporary" } } });
    await world.settle(shop.terminateChild("a"));
    expect(shop.whichChildren().map(({ id }) => id)).toEqual(["b"]);
    await expect(shop.terminateChild("a")).rejects.toMatchObject({ code: "CHILD_NOT_FOUND", path: "shop.a" });
  });

  test("of a remote child asks it to shut down", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "r" }] });
    const remote = world.node({ path: "shop.r" });
    await shop.start();
    await world.up(remote);
    await world.settle(shop.terminateChild("r"));
    expect(await world.settle(remote.ended, 1_000)).toBe("shutdown");
    expect(shop.whichChildren()).toMatchObject([{ id: "r", state: "stopped" }]);
    await expect(shop.restartChild("r")).rejects.toMatchObject({ code: "WRONG_STATE" });
    shop.deleteChild("r");
    expect(shop.whichChildren()).toEqual([]);
  });

  test("of one that waits for its restart withdraws that", async () => {
    const { world, shop, of, decisions } = await running(["a", "b"], {
      supervision: { backoff: { baseMs: 5_000, maxMs: 5_000 } },
    });
    of("a").latest.fail("out of luck");
    await world.until(() => only(decisions, "restarting").length === 1);
    await world.settle(shop.terminateChild("a"), 1);
    await world.run(60_000);
    expect(of("a").attempts).toBe(1);
  });

  test("of one that starts aborts that", async () => {
    const { world, shop, of } = await running(["a"], { child: { host: { startMs: 1_000 } } });
    const late = hosted(world, "late", { host: { startMs: 10_000 } });
    const started = shop.startChild(late.spec);
    await world.run(1_000);
    await world.settle(shop.terminateChild("late"), 10);
    expect(await world.failure(started, 10)).toMatchObject({ code: "CHILD_NOT_STARTED" });
    expect(late.incarnations.contexts).toEqual([]);
    expect(of("a").attempts).toBe(1);
  });
});

describe("restartChild", () => {
  test("starts who was terminated or has finished, and its count anew", async () => {
    const { world, shop, of } = await running(["a", "b"], { each: { b: { restart: "transient" } } });
    of("a").latest.fail("once");
    await world.until(() => of("a").nodes.length === 2 && shop.state === "SYNCHRONIZED");
    expect(shop.whichChildren()[0]).toMatchObject({ restartsLeft: 2 });
    await world.settle(shop.terminateChild("a"));
    expect(await world.settle(shop.restartChild("a"))).toMatchObject({
      generation: 3,
      restartsLeft: 3,
      state: "running",
    });
    await world.end(of("b").latest);
    await world.until(() => shop.whichChildren()[1]?.state === "stopped");
    expect(await world.settle(shop.restartChild("b"))).toMatchObject({ generation: 2, state: "running" });
  });

  test("that fails is rejected, and the child stays declared and stopped", async () => {
    const { world, shop, of } = await running();
    await world.settle(shop.terminateChild("a"));
    of("a").fault = new Error("no disk");
    expect(await world.failure(shop.restartChild("a"))).toMatchObject({ code: "CHILD_NOT_STARTED", path: "shop.a" });
    await world.run(30_000);
    expect(of("a").attempts).toBe(2);
    expect(shop.whichChildren()[0]).toMatchObject({ state: "stopped" });
    of("a").fault = null;
    expect(await world.settle(shop.restartChild("a"))).toMatchObject({ state: "running" });
  });

  test("of a running, starting or waiting child is refused, and of an unknown one", async () => {
    const { world, shop, of, decisions } = await running(["a", "b"], {
      supervision: { backoff: { baseMs: 5_000, maxMs: 5_000 } },
    });
    const running1 = { code: "CHILD_RUNNING", message: "the child at shop.a is running; terminate it first" };
    expect(await world.failure(shop.restartChild("a"))).toMatchObject(running1);
    of("a").latest.fail("out of luck");
    await world.until(() => only(decisions, "restarting").length === 1);
    const waiting = { message: "the child at shop.a is restarting; terminate it first" };
    expect(await world.failure(shop.restartChild("a"))).toMatchObject(waiting);
    expect(await world.failure(shop.restartChild("x"))).toMatchObject({ code: "CHILD_NOT_FOUND", path: "shop.x" });
  });
});

describe("deleteChild", () => {
  test("forgets who does not run, and refuses who does", async () => {
    const { world, shop } = await running();
    expect(() => shop.deleteChild("a")).toThrow(expect.objectContaining({ code: "CHILD_RUNNING" }));
    expect(() => shop.deleteChild("x")).toThrow(expect.objectContaining({ code: "CHILD_NOT_FOUND" }));
    await world.settle(shop.terminateChild("a"));
    shop.deleteChild("a");
    expect(() => shop.deleteChild("a")).toThrow(expect.objectContaining({ code: "CHILD_NOT_FOUND" }));
    expect(() => shop.getChildSpec("a")).toThrow(expect.objectContaining({ code: "CHILD_NOT_FOUND" }));
    expect(shop.countChildren()).toEqual({ specs: 1, active: 1, supervisors: 0, workers: 1 });
    expect(shop.child("a")).toBeUndefined();
    const { spec } = declared("a");
    expect(await world.settle(shop.startChild(spec))).toMatchObject({ generation: 1 });
  });

  test("of a remote child with a session is refused", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "r" }] });
    await shop.start();
    await world.up(world.node({ path: "shop.r" }));
    await world.until(() => shop.state === "SYNCHRONIZED");
    expect(() => shop.deleteChild("r")).toThrow(expect.objectContaining({ code: "CHILD_RUNNING" }));
  });
});

test("countChildren tells supervisors from workers, as last reported", async () => {
  const world = new World();
  const nested = ({ path, transport, clock, random }: StartContext): Node =>
    createNode({ path, transport, clock, random, children: [declared("x").spec] });
  const { shop } = family(world, ["w"], {});
  await world.up(shop);
  await world.settle(shop.startChild({ id: "s", start: nested }));
  await world.run(5_000);
  expect(shop.countChildren()).toEqual({ specs: 2, active: 2, supervisors: 1, workers: 1 });
});
