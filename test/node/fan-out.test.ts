/** One command to many nodes. */
import { describe, expect, test } from "vitest";
import {
  type CommandOutcome,
  type Commands,
  type FanOutOptions,
  InvalidOptionError,
  InvalidPathError,
  type Node,
} from "../../src/index.js";
import { type Process, World } from "./kit.js";

const IDS = ["a", "b", "c", "d"];

/** A parent with four children; `wait` ends after as many milliseconds as the child's place says, `fail` throws at "a". */
async function family(world: World): Promise<{ readonly shop: Node; readonly children: readonly Node[] }> {
  const shop = world.node({ path: "shop", children: IDS.map((id) => ({ id })), commandTimeoutMs: 60_000 });
  const children = IDS.map((id, place) => {
    const commands: Commands = {
      wait: (stepMs: number) =>
        new Promise((resolve) => world.clock.setTimeout(() => resolve(id), (IDS.length - place) * stepMs)),
      hang: () => new Promise(() => {}),
      some: (fails: readonly string[]) => {
        if (fails.includes(id)) throw new Error(`no from ${id}`);
        return id;
      },
    };
    return world.node({ path: `shop.${id}`, commands });
  });
  await world.up(shop, ...children);
  await world.run(5_000);
  return { shop, children };
}

/** The same after the process of "a" stood still for so long that it is taken for dead. */
async function familyWithSleeper(world: World): Promise<{ readonly shop: Node; readonly sleeper: Process }> {
  const { shop, children } = await family(world);
  const sleeper = world.processOf(children[0] as Node);
  sleeper.stop();
  await world.until(() => shop.child("a")?.link === "dead", "a is dead");
  return { shop, sleeper };
}

/** Where commands go that a command to all gives rise to. */
async function subjectsOf(world: World, parent: Node, options: FanOutOptions = {}): Promise<readonly string[]> {
  await world.run(1);
  const sinceMs = world.nowMs;
  await world.settle(parent.fanOut("*", "some", [], options).outcomes);
  return world.sent("command.run", { sinceMs }).map(({ subject }) => subject);
}

const brief = (outcome: CommandOutcome): string => `${outcome.target} ${outcome.status}`;

describe("until all", () => {
  test("settles with all outcomes in order of arrival, failures included", async () => {
    const world = new World();
    const { shop } = await family(world);
    const all = await world.settle(shop.fanOut("*", "wait", 10).outcomes);
    expect(all.map(brief)).toEqual(["d completed", "c completed", "b completed", "a completed"]);
    const some = await world.settle(shop.fanOut(IDS, "some", ["b", "d"]).outcomes);
    expect(some.map(brief).toSorted()).toEqual(["a completed", "b failed", "c completed", "d failed"]);
  });

  test("streams outcomes as they come, to any number of readers", async () => {
    const world = new World();
    const { shop } = await family(world);
    const fanOut = shop.fanOut("*", "wait", 10);
    const seen: string[] = [];
    const read = async (): Promise<void> => {
      for await (const outcome of fanOut) seen.push(`${world.nowMs} ${outcome.target}`);
    };
    const startedAtMs = world.nowMs;
    const reading = Promise.all([read(), read()]);
    await world.run(25);
    expect(seen).toEqual(["d", "d", "c", "c"].map((id, n) => `${startedAtMs + (n < 2 ? 10 : 20)} ${id}`));
    await world.settle(reading);
    expect(seen).toHaveLength(8);
  });

  test("streams from the beginning to who comes late", async () => {
    const world = new World();
    const { shop } = await family(world);
    const fanOut = shop.fanOut("*", "wait", 10);
    await world.settle(fanOut.outcomes);
    const seen: string[] = [];
    for await (const { target } of fanOut) seen.push(target);
    expect(seen).toEqual(["d", "c", "b", "a"]);
  });

  test("a reader may stop early", async () => {
    const world = new World();
    const { shop } = await family(world);
    const fanOut = shop.fanOut("*", "wait", 10);
    const first = async (): Promise<string> => {
      for await (const { target } of fanOut) return target;
      return "none";
    };
    expect(await world.settle(first())).toBe("d");
    expect(await world.settle(fanOut.outcomes)).toHaveLength(4);
  });

  test("a dead child among the targets does not keep the others", async () => {
    const world = new World();
    const { shop, children } = await family(world);
    if (children[0] !== undefined) world.kill(children[0]);
    const fanOut = shop.fanOut(IDS, "some", []);
    expect((await world.settle(fanOut.outcomes, 20_000)).map(brief)).toEqual([
      "b completed",
      "c completed",
      "d completed",
      "a unknown",
    ]);
    const again = await world.settle(shop.fanOut(IDS, "some", []).outcomes, 1_000);
    expect(again.map(brief)).toContain("a notStarted");
    // "*" means those who are ready.
    expect(await world.settle(shop.fanOut("*", "some", []).outcomes, 1_000)).toHaveLength(3);
  });

  test("nobody to ask", async () => {
    const world = new World();
    const shop = world.node({ path: "shop" });
    await world.up(shop);
    expect(await world.settle(shop.fanOut("*", "x").outcomes)).toEqual([]);
    expect(await world.settle(shop.fanOut([], "x").outcomes)).toEqual([]);
  });
});

describe("until the first, until a quorum", () => {
  test("first: the fastest counts, the others are cancelled", async () => {
    const world = new World();
    const { shop, children } = await family(world);
    const outcomes = await world.settle(shop.fanOut("*", "wait", 1_000, { until: "first" }).outcomes, 1_000);
    expect(outcomes.map(brief)).toEqual(["d completed", "a cancelled", "b cancelled", "c cancelled"]);
    await world.run(10);
    expect(children.map(({ status }) => status.running)).toEqual([0, 0, 0, 0]);
  });

  test("first: a failure does not count", async () => {
    const world = new World();
    const { shop } = await family(world);
    const outcomes = await world.settle(shop.fanOut(IDS, "some", ["a", "b", "c"], { until: "first" }).outcomes);
    expect(outcomes.map(brief)).toContain("d completed");
  });

  test("quorum", async () => {
    const world = new World();
    const { shop } = await family(world);
    const outcomes = await world.settle(shop.fanOut("*", "wait", 1_000, { until: { quorum: 3 } }).outcomes, 3_000);
    expect(outcomes.map(brief)).toEqual(["d completed", "c completed", "b completed", "a cancelled"]);
  });

  test("quorum: as soon as it is impossible it rejects, and the others are cancelled", async () => {
    const world = new World();
    const { shop, children } = await family(world);
    // Two fail at once; the other two would never end.
    const mixed: Commands = {
      mixed: () => {
        throw new Error("no");
      },
    };
    const rest = world.node({ path: "shop.e", commands: mixed });
    const more = world.node({ path: "shop.f", commands: mixed });
    await world.up(rest, more);
    await world.run(100);
    const hangs = shop.fanOut(["a", "b", "c", "d", "e", "f"], "mixed", {}, { until: { quorum: 1 } });
    const error = await world.failure(hangs.outcomes, 1_000);
    expect(error).toMatchObject({ code: "QUORUM_IMPOSSIBLE", status: "failed" });
    const half = shop.fanOut(["a", "b", "x"], "hang", {}, { until: { quorum: 3 } });
    const stopped = await world.failure(half.outcomes, 1_000);
    expect(stopped).toMatchObject({ code: "QUORUM_IMPOSSIBLE" });
    await world.run(10);
    expect(children.map(({ status }) => status.running)).toEqual([0, 0, 0, 0]);
  });

  test('of "*" that are too few: nobody is asked', async () => {
    const world = new World();
    const { shop } = await family(world);
    const before = world.sent("command.run").length;
    const fanOut = shop.fanOut("*", "hang", {}, { until: { quorum: 5 } });
    expect(await world.failure(fanOut.outcomes, 0)).toMatchObject({ code: "QUORUM_IMPOSSIBLE" });
    const seen: unknown[] = [];
    const reading = (async (): Promise<void> => {
      for await (const outcome of fanOut) seen.push(outcome);
    })();
    await world.settle(reading, 0);
    expect(seen).toEqual([]);
    const lonely = world.node({ path: "lonely" });
    await world.up(lonely);
    const first = lonely.fanOut("*", "x", {}, { until: "first" });
    expect(await world.failure(first.outcomes, 0)).toMatchObject({ code: "QUORUM_IMPOSSIBLE" });
    expect(world.sent("command.run")).toHaveLength(before);
  });

  test.each([0, 5, 1.5, Number.NaN])("a quorum of %d of four is refused at the call", async (quorum) => {
    const world = new World();
    const { shop } = await family(world);
    expect(() => shop.fanOut(IDS, "some", [], { until: { quorum } })).toThrow(InvalidOptionError);
  });
});

describe("abort", () => {
  test("cancels all and rejects with the signal's reason; the stream ends with what came", async () => {
    const world = new World();
    const { shop, children } = await family(world);
    const controller = new AbortController();
    const reason = new Error("enough");
    const fanOut = shop.fanOut("*", "wait", 100, { signal: controller.signal });
    const seen: string[] = [];
    const reading = (async (): Promise<void> => {
      for await (const outcome of fanOut) seen.push(brief(outcome));
    })();
    await world.run(250);
    controller.abort(reason);
    expect(await world.failure(fanOut.outcomes, 1)).toBe(reason);
    await world.settle(reading, 1);
    expect(seen).toEqual(["d completed", "c completed", "a cancelled", "b cancelled"]);
    await world.run(10);
    expect(children.map(({ status }) => status.running)).toEqual([0, 0, 0, 0]);
  });

  test("before the call: nobody is asked", async () => {
    const world = new World();
    const { shop } = await family(world);
    const before = world.sent("command.run").length;
    const fanOut = shop.fanOut("*", "hang", {}, { signal: AbortSignal.abort(new Error("no")) });
    expect(await world.failure(fanOut.outcomes, 1)).toMatchObject({ message: "no" });
    await world.run(100);
    expect(world.sent("command.run")).toHaveLength(before);
  });

  test("an unread rejection disturbs nobody", async () => {
    const world = new World();
    const { shop } = await family(world);
    shop.fanOut("*", "hang", {}, { signal: AbortSignal.abort() });
    shop.fanOut(IDS, "nothing", {}, { until: "first" });
    await world.run(1_000);
    expect(shop.children().map(({ pending }) => pending)).toEqual([0, 0, 0, 0]);
  });
});

describe("on the wire", () => {
  test('an idempotent command for "*" is one publish if all children are ready', async () => {
    const world = new World();
    const { shop } = await family(world);
    const process = world.processOf(shop);
    const [sinceMs, before] = [world.nowMs, process.publishes];
    await world.settle(shop.fanOut("*", "some", [], { idempotent: true }).outcomes);
    expect(process.publishes - before).toBe(1);
    expect(world.sent("command.run", { sinceMs }).map(({ subject }) => subject)).toEqual(["ft.local.all.shop"]);
  });

  test("what one handler does to its input and meta, no other sees", async () => {
    const world = new World();
    const seen: unknown[] = [];
    const commands: Commands = {
      spoil: (input: { n: number }, { meta }) => {
        seen.push({ ...input, ...meta });
        input.n = 0;
        (meta as Record<string, string>)["of"] = "mine";
      },
    };
    const shop = world.node({ path: "shop", children: [{ id: "a" }, { id: "b" }] });
    await world.up(shop, world.node({ path: "shop.a", commands }), world.node({ path: "shop.b", commands }));
    const options = { idempotent: true, meta: { of: "all" } };
    await world.settle(shop.fanOut("*", "spoil", { n: 1 }, options).outcomes);
    expect(seen).toEqual([
      { n: 1, of: "all" },
      { n: 1, of: "all" },
    ]);
  });

  test("so is any other, as long as nobody else can hear it", async () => {
    const world = new World();
    const { shop } = await family(world);
    expect(await subjectsOf(world, shop)).toEqual(["ft.local.all.shop"]);
  });

  test("not with a process about that was replaced, and may not know: it runs only what bears being run twice", async () => {
    const world = new World();
    const { shop } = await familyWithSleeper(world);
    const runs: string[] = [];
    const heir = world.node({ path: "shop.a", commands: { some: () => void runs.push("heir") } });
    await world.up(heir);
    await world.until(() => shop.child("a")?.link === "alive", "a is alive");
    expect(await subjectsOf(world, shop)).toEqual(IDS.map((id) => `ft.local.down.shop.${id}`));
    expect(await subjectsOf(world, shop, { idempotent: true })).toEqual(["ft.local.all.shop"]);
    expect(runs).toEqual(["heir", "heir"]);
  });

  test("nor with one that was taken for dead, until it is back", async () => {
    const world = new World();
    const { shop, sleeper } = await familyWithSleeper(world);
    expect(await subjectsOf(world, shop)).toEqual(["b", "c", "d"].map((id) => `ft.local.down.shop.${id}`));
    sleeper.continue();
    await world.until(() => shop.child("a")?.link === "alive", "a is back");
    expect(await subjectsOf(world, shop)).toEqual(["ft.local.all.shop"]);
  });

  test("nor with one that was taken for dead, and whose place was given up", async () => {
    const world = new World();
    const { shop } = await familyWithSleeper(world);
    shop.deleteChild("a");
    expect(await subjectsOf(world, shop)).toEqual(["b", "c", "d"].map((id) => `ft.local.down.shop.${id}`));
  });

  test("who left in order hears nothing more", async () => {
    const world = new World();
    const { shop, children } = await family(world);
    await world.settle(children[0]?.stop() ?? Promise.reject(new Error("no children")));
    await world.until(() => shop.child("a")?.link === "left", "a has left");
    expect(await subjectsOf(world, shop)).toEqual(["ft.local.all.shop"]);
  });

  test("a broadcast that some children miss is refilled to them alone", async () => {
    const world = new World();
    const { shop, children } = await family(world);
    const [deaf] = children;
    if (deaf === undefined) throw new Error("no children");
    world.processOf(deaf).disconnect();
    const { outcomes } = shop.fanOut("*", "some", [], { idempotent: true });
    await world.run(100);
    world.processOf(deaf).reconnect();
    const sinceMs = world.nowMs;
    expect(await world.settle(outcomes, 2_000)).toHaveLength(4);
    expect(new Set(world.sent("command.run", { sinceMs }).map(({ subject }) => subject))).toEqual(
      new Set(["ft.local.down.shop.a"]),
    );
  });

  test("one that follows another is refilled only when it was sent for long enough itself", async () => {
    const world = new World();
    const { shop } = await family(world);
    const sinceMs = world.nowMs;
    const hang = { idempotent: true, timeoutMs: 1_000 };
    const all = [shop.fanOut("*", "hang", null, hang).outcomes];
    await world.run(150);
    all.push(shop.fanOut("*", "hang", null, hang).outcomes);
    await Promise.all(all.map((outcomes) => world.settle(outcomes, 5_000)));
    expect(world.sent("command.run", { sinceMs }).map(({ subject }) => subject)).toEqual(
      Array(2).fill("ft.local.all.shop"),
    );
  });

  test("each target has a commandId of its own when targets are behind the same child", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const same: Commands = { id: (_: unknown, { commandId }) => commandId };
    const a = world.node({ path: "shop.a", children: [{ id: "x" }, { id: "y" }], commands: same });
    const [x, y] = ["x", "y"].map((id) => world.node({ path: `shop.a.${id}`, commands: same }));
    if (x === undefined || y === undefined) throw new Error("no nodes");
    await world.up(shop, a, x, y);
    const outcomes = await world.settle(shop.fanOut(["a", "a.x", "a.y", "a.x"], "id").outcomes);
    expect(outcomes).toHaveLength(3);
    expect(new Set(outcomes.map((outcome) => outcome.status === "completed" && outcome.value)).size).toBe(3);
  });

  test("bad targets are refused at the call", async () => {
    const world = new World();
    const { shop } = await family(world);
    expect(() => shop.fanOut(["a", "not a path"], "some", [])).toThrow(InvalidPathError);
    expect(() => shop.fanOut([""], "some", [])).toThrow(InvalidPathError);
  });
});
