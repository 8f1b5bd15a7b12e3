/** A restarted parent and its living children: it adopts them instead of starting doubles. Orphans do as configured. */
import { describe, expect, test } from "vitest";
import type { NodeOptions } from "../../src/index.js";
import { gate, states, World } from "../node/kit.js";
import { decisionsOf, type FamilyOptions, hosted, only, story } from "./kit.js";

const OUTLIVES = { host: { outlivesParent: true } };
const IDS = ["a", "b", "c"] as const;

/** A parent that was killed, whose children live on, and what starts its successor. */
async function bereaved(options: FamilyOptions = {}) {
  const world = new World();
  const { child, each = {}, ...node } = options;
  const children = IDS.map((id) => hosted(world, id, { ...OUTLIVES, ...child, ...each[id] }));
  const parent = () => world.node({ path: "shop", children: children.map(({ spec }) => spec), ...node });
  const former = parent();
  await world.up(former);
  const of = (id: string) => (children[IDS.indexOf(id as "a")] as (typeof children)[number]).incarnations;
  world.kill(former);
  const succeed = async () => {
    await world.run(3_000);
    const shop = parent();
    const decisions = decisionsOf(shop);
    await shop.start();
    return { shop, decisions };
  };
  return { world, of, succeed };
}

describe("a parent that comes back", () => {
  test("adopts the living, who keep their epochs and their work", async () => {
    const done = gate<string>();
    const { world, of, succeed } = await bereaved({ child: { commands: { wait: () => done.opened } } });
    const epochs = IDS.map((id) => of(id).latest.epoch);
    const { shop, decisions } = await succeed();
    await world.until(() => shop.state === "SYNCHRONIZED");
    expect(IDS.map((id) => of(id).latest.epoch)).toEqual(epochs);
    expect(IDS.map((id) => shop.child(id)?.epoch)).toEqual(epochs);
    expect(story(decisions).toSorted()).toEqual(["a adopted 1", "b adopted 1", "c adopted 1"]);
    await world.run(30_000);
    expect(IDS.map((id) => of(id).attempts)).toEqual([1, 1, 1]);
    expect(shop.whichChildren().map(({ state, remote }) => `${state} ${remote}`)).toEqual(
      IDS.map(() => "running false"),
    );
    const outcome = shop.command("b", "wait");
    done.open("done");
    expect(await world.settle(outcome)).toBe("done");
  });

  test("starts those that are gone after adoptionMs", async () => {
    const { world, of, succeed } = await bereaved({ supervision: { adoptionMs: 2_000 } });
    of("b").process.kill();
    const atMs = world.nowMs + 3_000;
    const { shop, decisions } = await succeed();
    await world.until(() => shop.state === "SYNCHRONIZED");
    expect(IDS.map((id) => of(id).attempts)).toEqual([1, 2, 1]);
    const [started] = only(decisions, "started");
    expect(started).toMatchObject({ id: "b", generation: 1 });
    expect((started?.atMs ?? 0) - atMs).toBe(2_000);
  });

  test("lets them go on when it stops, for the next one to adopt", async () => {
    const { world, of, succeed } = await bereaved();
    const { shop, decisions } = await succeed();
    await world.until(() => shop.state === "SYNCHRONIZED");
    const epochs = IDS.map((id) => of(id).latest.epoch);
    decisions.length = 0;
    await world.settle(shop.stop(), 1_000);
    expect(await shop.ended).toBe("stopped");
    expect(story(decisions)).toEqual(["a released 1", "b released 1", "c released 1"]);
    const next = await succeed();
    await world.until(() => next.shop.state === "SYNCHRONIZED");
    expect(IDS.map((id) => next.shop.child(id)?.epoch)).toEqual(epochs);
    expect(IDS.map((id) => of(id).attempts)).toEqual([1, 1, 1]);
  });

  test("ends them when it shuts down, in reverse order", async () => {
    const { world, of, succeed } = await bereaved();
    const { shop, decisions } = await succeed();
    await world.until(() => shop.state === "SYNCHRONIZED");
    decisions.length = 0;
    await world.settle(shop.shutdownTree());
    expect(story(decisions)).toEqual(["c terminated 1", "b terminated 1", "a terminated 1"]);
    for (const id of IDS) expect(await world.settle(of(id).latest.ended, 100)).toBe("shutdown");
    await world.run(60_000);
    expect(world.clock.pending).toBe(0);
  });

  test("ends whoever it adopted when it fails, and starts them anew", async () => {
    const { world, of, succeed } = await bereaved();
    const { shop } = await succeed();
    await world.until(() => shop.state === "SYNCHRONIZED");
    const former = IDS.map((id) => of(id).latest);
    shop.fail("a bad day");
    await world.until(() => shop.state !== "SYNCHRONIZED");
    await world.until(() => shop.state === "SYNCHRONIZED");
    for (const node of former) expect(await world.settle(node.ended, 1)).toBe("shutdown");
    expect(IDS.map((id) => of(id).attempts)).toEqual([2, 2, 2]);
  });
});

describe("an adopted child", () => {
  async function adopted(options: FamilyOptions = {}) {
    const parts = await bereaved(options);
    const { shop, decisions } = await parts.succeed();
    await parts.world.until(() => shop.state === "SYNCHRONIZED");
    decisions.length = 0;
    return { ...parts, shop, decisions };
  }

  test("that dies is replaced once it has fallen silent", async () => {
    const { world, of, shop, decisions } = await adopted();
    of("b").process.kill();
    await world.until(() => of("b").attempts === 2 && shop.state === "SYNCHRONIZED");
    expect(story(decisions)).toEqual(["b restarting 1", "b started 2", "b ready 2"]);
    expect(only(decisions, "restarting")[0]).toMatchObject({ exit: "failed", reason: "it fell silent" });
  });

  test("is left to the successor of a parent that was superseded", async () => {
    const { world, of, succeed, shop } = await adopted();
    const epochs = IDS.map((id) => of(id).latest.epoch);
    world.processOf(shop).stop();
    const next = await succeed();
    await world.until(() => next.shop.state === "SYNCHRONIZED");
    next.decisions.length = 0;
    world.processOf(shop).continue();
    expect(await world.settle(shop.ended)).toBe("fenced");
    await world.run(30_000);
    expect(next.decisions).toEqual([]);
    expect(IDS.map((id) => of(id).latest.epoch)).toEqual(epochs);
    expect(IDS.map((id) => next.shop.child(id)?.epoch)).toEqual(epochs);
  });

  test("that fails is replaced at once", async () => {
    const { world, of, shop, decisions } = await adopted();
    const atMs = world.nowMs;
    of("b").latest.fail("out of luck");
    await world.until(() => of("b").attempts === 2 && shop.state === "SYNCHRONIZED");
    expect(world.nowMs - atMs).toBeLessThan(1_000);
    expect(only(decisions, "restarting")[0]).toMatchObject({ exit: "failed", reason: "out of luck" });
  });

  test("that leaves in order is replaced as its restart type says", async () => {
    const { world, of, shop, decisions } = await adopted({ each: { b: { restart: "transient" } } });
    await world.end(of("a").latest);
    await world.end(of("b").latest);
    await world.until(() => of("a").attempts === 2 && shop.state === "SYNCHRONIZED");
    await world.run(30_000);
    expect(of("b").attempts).toBe(1);
    expect(only(decisions, "finished").map(({ id }) => id)).toEqual(["b"]);
  });

  test("can be terminated, and started again here", async () => {
    const { world, of, shop } = await adopted();
    await world.settle(shop.terminateChild("b"));
    expect(await world.settle(of("b").latest.ended, 100)).toBe("shutdown");
    expect(shop.whichChildren()[1]).toMatchObject({ id: "b", state: "stopped" });
    await world.run(30_000);
    expect(of("b").attempts).toBe(1);
    expect(await world.settle(shop.restartChild("b"))).toMatchObject({ state: "running", generation: 2 });
  });

  test("that hangs when it is terminated is given up after its shutdown time, and fenced by its successor", async () => {
    const { world, of, shop } = await adopted({ child: { shutdown: 2_000 } });
    const [former] = of("b").processes;
    former?.stop();
    const atMs = world.nowMs;
    await world.settle(shop.terminateChild("b"));
    // Nothing but its session can be acted upon: it is told again for a while, as it may only have lost the message.
    expect(world.nowMs - atMs).toBeGreaterThanOrEqual(2_000);
    expect(world.nowMs - atMs).toBeLessThanOrEqual(3_500);
    await world.settle(shop.restartChild("b"));
    former?.continue();
    expect(await world.settle(of("b").nodes[0]?.ended as Promise<unknown>)).toMatch(/fenced|shutdown/);
    await world.run(10_000);
    expect(shop.state).toBe("SYNCHRONIZED");
    expect(shop.child("b")?.epoch).toBe(of("b").latest.epoch);
  });

  test("falls with its group", async () => {
    const { world, of, shop, decisions } = await adopted({ supervision: { strategy: "one_for_all" } });
    of("b").latest.fail("out of luck");
    await world.until(() => of("c").attempts === 2 && shop.state === "SYNCHRONIZED");
    expect(IDS.map((id) => of(id).attempts)).toEqual([2, 2, 2]);
    expect(only(decisions, "restarting").map(({ id }) => id)).toEqual(["b", "c", "a"]);
  });
});

test("children that a parent started itself and that outlive it go on when it is superseded", async () => {
  const world = new World();
  const children = IDS.map((id) => hosted(world, id, OUTLIVES));
  const parent = () => world.node({ path: "shop", children: children.map(({ spec }) => spec) });
  const [former, successor] = [parent(), parent()];
  await world.up(former);
  world.processOf(former).stop();
  await world.run(5_000);
  await world.up(successor);
  world.processOf(former).continue();
  expect(await world.settle(former.ended)).toBe("fenced");
  await world.run(30_000);
  for (const { incarnations } of children)
    expect(incarnations.processes.map(({ isKilled }) => isKilled)).toEqual([false]);
  expect(successor.state).toBe("SYNCHRONIZED");
});

describe("orphans of a killed parent", () => {
  async function orphaned(onOrphaned: NonNullable<NodeOptions["onOrphaned"]>) {
    const ran: number[] = [];
    const work = gate();
    const parts = await bereaved({
      child: { node: { onOrphaned }, commands: { note: (n: number) => void ran.push(n), wait: () => work.opened } },
    });
    return { ...parts, ran, work };
  }

  test.each(["continue", "pause"] as const)("%s until they are adopted", async (policy) => {
    const { world, of, succeed } = await orphaned(policy);
    await world.until(() => IDS.every((id) => of(id).latest.state === "DEGRADED"));
    await world.run(60_000);
    const { shop } = await succeed();
    await world.until(() => shop.state === "SYNCHRONIZED");
    expect(IDS.map((id) => of(id).attempts)).toEqual([1, 1, 1]);
  });

  test("stop once the parent is dead, and are started by its successor", async () => {
    const { world, of, succeed } = await orphaned("stop");
    const entered = states(of("a").latest);
    for (const id of IDS) expect(await world.settle(of(id).latest.ended)).toBe("orphaned");
    expect(entered).toEqual(["DEGRADED", "DISCONNECTED"]);
    const { shop, decisions } = await succeed();
    await world.until(() => shop.state === "SYNCHRONIZED");
    expect(IDS.map((id) => of(id).attempts)).toEqual([2, 2, 2]);
    expect(only(decisions, "adopted")).toEqual([]);
  });
});
