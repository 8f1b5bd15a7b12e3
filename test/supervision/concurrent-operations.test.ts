/** What users do with children, at once, and while these fail and the node ends: every promise is settled. */
import { expect, test } from "vitest";
import { DependencyDownError } from "../../src/index.js";
import { seededRandom } from "../../src/testing/prng.js";
import { World } from "../node/kit.js";
import { declared, decisionsOf, family, hosted, only } from "./kit.js";

test("two starts of one id: the second is refused", async () => {
  const world = new World();
  const { shop } = family(world, ["a"]);
  await world.up(shop);
  const { spec } = declared("x");
  const results = await world.settle(Promise.allSettled([shop.startChild(spec), shop.startChild(spec)]));
  expect(results).toMatchObject([{ status: "fulfilled" }, { status: "rejected", reason: { code: "CHILD_EXISTS" } }]);
});

test("two restarts of one child: the second is refused", async () => {
  const world = new World();
  const { shop, of } = family(world, ["a"]);
  await world.up(shop);
  await world.settle(shop.terminateChild("a"));
  const results = await world.settle(Promise.allSettled([shop.restartChild("a"), shop.restartChild("a")]));
  expect(results).toMatchObject([{ status: "fulfilled" }, { status: "rejected", reason: { code: "CHILD_RUNNING" } }]);
  expect(of("a").attempts).toBe(2);
});

test("two terminations end together", async () => {
  const world = new World();
  const { shop, decisions } = family(world, ["a"], { child: { host: { exitMs: 1_000 } } });
  await world.up(shop);
  await world.settle(Promise.all([shop.terminateChild("a"), shop.terminateChild("a")]), 1_500);
  expect(only(decisions, "terminated")).toHaveLength(1);
});

test("a start that fails the whole node is rejected", async () => {
  const world = new World();
  const { shop, of } = family(world, ["a"], { supervision: { childIntensity: 0 } });
  await world.up(shop);
  const late = hosted(world, "late", { host: { startMs: 5_000 } });
  const started = shop.startChild(late.spec);
  await world.run(1_000);
  of("a").latest.fail("out of luck");
  expect(await world.failure(started, 10_000)).toMatchObject({ code: "CHILD_NOT_STARTED" });
  await world.until(() => shop.state === "SYNCHRONIZED");
  expect(shop.whichChildren().map(({ id }) => id)).toEqual(["a"]);
  expect(late.incarnations.contexts).toEqual([]);
});

test("a start for want of a dependency is told, not repeated", async () => {
  const world = new World();
  const { shop } = family(world, ["a"]);
  await world.up(shop);
  const { spec, incarnations } = declared("b");
  incarnations.fault = new DependencyDownError("no database");
  const error = await world.failure(shop.startChild(spec));
  expect(error).toMatchObject({ code: "CHILD_NOT_STARTED", reason: "start failed: no database" });
  await world.run(60_000);
  expect(incarnations.attempts).toBe(1);
});

test.each([1, 2, 3, 4, 5, 6])("at random, with failures and an end, settle all (seed %i)", async (seed) => {
  const world = new World({ seed });
  const random = seededRandom(seed);
  const pick = <T>(choices: readonly T[]): T => choices[Math.floor(random() * choices.length)] as T;
  const ids = ["a", "b", "c", "d", "e"];
  const children = ids.map((id) =>
    hosted(world, id, { host: { startMs: 200, exitMs: 100, killMs: 300 }, shutdown: 500 }),
  );
  const strategy = pick(["one_for_one", "one_for_all", "rest_for_one"] as const);
  const supervision = { strategy, childIntensity: 20, intensity: 50 };
  const shop = world.node({ path: "shop", children: children.slice(0, 3).map(({ spec }) => spec), supervision });
  const decisions = decisionsOf(shop);
  await world.up(shop);
  const promises: Promise<unknown>[] = [];
  const operations: readonly ((index: number) => unknown)[] = [
    (index) => promises.push(shop.startChild((children[index] as (typeof children)[0]).spec)),
    (index) => promises.push(shop.terminateChild(ids[index] as string)),
    (index) => promises.push(shop.restartChild(ids[index] as string)),
    (index) => promises.push((async () => shop.deleteChild(ids[index] as string))()),
    (index) => children[index]?.incarnations.processes.at(-1)?.kill(),
    (index) => children[index]?.incarnations.processes.at(-1)?.stop(),
  ];
  for (let step = 0; step < 150; step++) {
    pick(operations)(Math.floor(random() * ids.length));
    for (const promise of promises) promise.catch(() => {});
    await world.run(Math.floor(random() * 400));
  }
  const stopped = shop.shutdownTree();
  const results = await world.settle(Promise.allSettled(promises), 30_000);
  await world.settle(stopped);
  await world.settle(shop.ended);
  const codes = new Set(
    results.map((result) => (result.status === "rejected" ? (result.reason as { code: string }).code : "")),
  );
  for (const code of codes) {
    expect(["", "CHILD_EXISTS", "CHILD_NOT_FOUND", "CHILD_RUNNING", "CHILD_NOT_STARTED", "WRONG_STATE"]).toContain(
      code,
    );
  }
  expect(codes.size).toBeGreaterThan(3);
  expect(only(decisions, "started").length).toBeGreaterThan(5);
  for (const { incarnations } of children)
    for (const { isKilled } of incarnations.processes) expect(isKilled).toBe(true);
  await world.run(120_000);
  expect(world.clock.pending).toBe(0);
});

test("users may act from within a listener of decisions", async () => {
  const world = new World();
  const { shop, of, decisions } = family(world, ["a", "b", "c"], { supervision: { strategy: "one_for_all" } });
  await world.up(shop);
  decisions.length = 0;
  const promises: Promise<unknown>[] = [];
  shop.on("supervision.decided", ({ id, decision }) => {
    if (decision === "restarting" && id === "a") promises.push(shop.terminateChild("b"));
    if (decision === "started" && id === "c") promises.push(shop.terminateChild("c"), shop.restartChild("b"));
    if (decision === "terminated" && id === "c") shop.deleteChild("c");
  });
  of("a").latest.fail("out of luck");
  await world.run(20_000);
  await world.settle(Promise.all(promises));
  expect(promises).toHaveLength(3);
  expect(shop.whichChildren().map(({ id, state }) => `${id} ${state}`)).toEqual(["a running", "b running"]);
  expect(shop.state).toBe("SYNCHRONIZED");
  await world.settle(shop.stop());
  expect(world.clock.pending).toBe(0);
});

test("a listener may stop the node in the middle of a start", async () => {
  const world = new World();
  const { shop, of } = family(world, ["a", "b"], { child: { host: {} } });
  await world.up(shop);
  shop.on("supervision.decided", ({ decision }) => {
    if (decision === "started") void shop.stop();
  });
  of("a").process.kill();
  await world.settle(shop.ended);
  await world.run(60_000);
  expect(of("a").attempts).toBe(2);
  for (const id of ["a", "b"]) for (const { isKilled } of of(id).processes) expect(isKilled).toBe(true);
  expect(world.clock.pending).toBe(0);
});
