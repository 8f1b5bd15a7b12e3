/** Who is judged for silence, when, and who is not. */
import { describe, expect, test } from "vitest";
import type { LinkState, Node, NodeOptions } from "../../src/index.js";
import { states, World } from "./kit.js";

/** Options by which the times below are computed. */
const HEARTBEAT = { minMs: 500, maxMs: 2_000 };
const DETECTOR = { pauseMs: 1_000, deadMs: 10_000 };

async function family(world: World, size: number, options: Partial<NodeOptions> = {}) {
  const ids = Array.from({ length: size }, (_, n) => `c${n}`);
  const common = { heartbeat: HEARTBEAT, failureDetector: DETECTOR };
  const shop = world.node({ path: "shop", children: ids.map((id) => ({ id })), ...common, ...options });
  const children = ids.map((id) => world.node({ path: `shop.${id}`, ...common }));
  await world.up(shop, ...children);
  await world.run(60_000);
  return { shop, children };
}

/** When a child's link changed, by state. */
function changes(shop: Node): { readonly id: string; readonly state: LinkState; readonly atMs: number }[] {
  const seen: { id: string; state: LinkState; atMs: number }[] = [];
  shop.on("child.changed", ({ id, state, atMs }) => seen.push({ id, state, atMs }));
  return seen;
}

/** When a process last published. */
function lastSentMs(world: World, path: string): number {
  return world.wire.findLast(({ subject }) => subject === `ft.local.up.${path}`)?.atMs ?? 0;
}

describe("a silent child", () => {
  test("becomes suspect after its promise and a pause, dead after deadMs, and no earlier", async () => {
    const world = new World();
    const { shop, children } = await family(world, 3);
    world.kill(children[0] as Node);
    const heardMs = lastSentMs(world, "shop.c0");
    const seen = changes(shop);
    await world.run(20_000);
    expect(seen.map(({ id, state }) => `${id} ${state}`)).toEqual(["c0 suspect", "c0 dead"]);
    const [suspect = 0, dead = 0] = seen.map(({ atMs }) => atMs - heardMs);
    const suspectMs = HEARTBEAT.maxMs + DETECTOR.pauseMs;
    expect(suspect).toBeGreaterThanOrEqual(suspectMs);
    expect(suspect).toBeLessThanOrEqual(suspectMs + HEARTBEAT.minMs);
    expect(dead).toBeGreaterThanOrEqual(DETECTOR.deadMs);
    expect(dead).toBeLessThanOrEqual(DETECTOR.deadMs + HEARTBEAT.minMs);
  });

  test("a suspect keeps its session and its commands, and is alive again when heard", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }, { id: "b" }] });
    const a = world.node({ path: "shop.a", commands: { hello: () => "hello" } });
    await world.up(shop, a, world.node({ path: "shop.b" }));
    await world.run(60_000);
    world.processOf(a).stop();
    const answer = shop.command("a", "hello", {}, { timeoutMs: 60_000 });
    const seen = changes(shop);
    await world.run(6_000);
    expect(shop.child("a")).toMatchObject({ link: "suspect", pending: 1 });
    expect(shop.status.reasons).toEqual(["children"]);
    world.processOf(a).continue();
    expect(await world.settle(answer, 1_000)).toBe("hello");
    await world.run(1_000);
    expect(seen.map(({ state }) => state)).toEqual(["suspect", "alive"]);
    expect(shop.state).toBe("SYNCHRONIZED");
  });

  test("a child declared dead that speaks again gets a new session under its old epoch", async () => {
    const world = new World();
    const { shop, children } = await family(world, 2);
    const [child] = children;
    if (child === undefined) throw new Error("no children");
    const { epoch } = child;
    world.processOf(child).stop();
    await world.until(() => shop.child("c0")?.link === "dead");
    world.processOf(child).continue();
    await world.until(() => shop.state === "SYNCHRONIZED" && child.state === "SYNCHRONIZED");
    expect([child.epoch, shop.child("c0")?.link]).toEqual([epoch, "alive"]);
  });

  test("a child that admits own troubles is given more time", async () => {
    const world = new World();
    const { shop, children } = await family(world, 3);
    const [child] = children;
    if (child === undefined) throw new Error("no children");
    // Three stalls of a second each: its local health says so.
    for (let n = 0; n < 3; n++) {
      world.processOf(child).stop();
      await world.run(3_000);
      world.processOf(child).continue();
      await world.run(10);
    }
    const health = shop.child("c0")?.status?.localHealth ?? 0;
    expect(health).toBeGreaterThan(0);
    const heardMs = lastSentMs(world, "shop.c0");
    world.kill(child);
    const seen = changes(shop);
    await world.run(30_000);
    expect((seen[0]?.atMs ?? 0) - heardMs).toBeGreaterThanOrEqual(DETECTOR.pauseMs * (1 + health));
  });
});

describe("lost beats", () => {
  test("a child whose beats are all lost answers when it is asked, and is never suspect", async () => {
    const world = new World();
    const { shop, children } = await family(world, 2);
    world.processOf(children[0] as Node).passes = ({ kinds }) => !kinds.includes("status.report");
    const seen = changes(shop);
    await world.run(60_000);
    expect(seen).toEqual([]);
  });

  test("a parent whose beats are all lost answers when it is asked, and is never missed", async () => {
    const world = new World();
    const { shop, children } = await family(world, 2);
    world.processOf(shop).passes = ({ kinds }) => !kinds.includes("heartbeat.beat");
    const entered = children.map(states);
    await world.run(60_000);
    expect(entered).toEqual([[], []]);
  });

  test("who is silent is asked five times a second, who speaks is not asked", async () => {
    const world = new World();
    const { shop, children } = await family(world, 2);
    const killedAtMs = world.nowMs;
    world.kill(children[0] as Node);
    await world.until(() => shop.child("c0")?.link === "dead");
    const asked = world.sent("heartbeat.ack", { sinceMs: killedAtMs, subject: "down.shop.c0" });
    expect(asked.length).toBeGreaterThanOrEqual(30);
    expect(asked.length).toBeLessThanOrEqual(60);
    expect(world.sent("heartbeat.ack", { sinceMs: killedAtMs, subject: "down.shop.c1" })).toEqual([]);
  });

  test("when a thousand fall silent together, their parent asks no more than 500 at a time, and all in turn", async () => {
    const world = new World();
    const ids = Array.from({ length: 1_000 }, (_, n) => `c${n}`);
    const shop = world.node({ path: "shop", children: ids.map((id) => ({ id })) });
    const children = ids.map((id) => world.node({ path: `shop.${id}`, children: [] }));
    await world.up(shop, ...children);
    await world.run(5_000);
    for (const child of children) world.kill(child);
    const killedAtMs = world.nowMs;
    await world.run(5_000);
    const asked = world.wire.filter(
      ({ atMs, frame }) =>
        atMs > killedAtMs && frame?.messages.some(({ kind, seq }) => kind === "heartbeat.ack" && seq > 0),
    );
    expect(new Set(asked.map(({ subject }) => subject)).size).toBe(1_000);
    const first = asked.filter(({ atMs }) => atMs === asked[0]?.atMs).length;
    // Not all of them need be overdue at the first look.
    expect(first).toBeGreaterThan(400);
    expect(first).toBeLessThanOrEqual(500);
    // Five looks a second, and for each child its question again after 200, 600, 1,400 and 3,000 ms.
    expect(asked.length).toBeLessThanOrEqual(500 * 26 + 4 * 1_000);
  });
});

describe("own trouble", () => {
  test("a parent that stood still while its child did takes the two stalls not for one death", async () => {
    const world = new World();
    const { shop, children } = await family(world, 3);
    const [child] = children as [Node];
    const seen = changes(shop);
    world.processOf(child).stop();
    await world.run(4_000);
    world.processOf(shop).stop();
    await world.run(2_000);
    // What it says at first is lost: the parent finds nothing of it when it wakes.
    world.processOf(child).passes = () => false;
    world.processOf(child).continue();
    await world.run(5_000);
    world.processOf(child).passes = () => true;
    world.processOf(shop).continue();
    await world.run(5_000);
    expect(seen.map(({ id, state }) => `${id} ${state}`)).toEqual(["c0 suspect", "c0 alive"]);
  });

  test("a parent that stood still judges nobody before it has read what arrived", async () => {
    const world = new World();
    const { shop, children } = await family(world, 3);
    const seen = changes(shop);
    const entered = [shop, ...children].map(states);
    world.processOf(shop).stop();
    await world.run(30_000);
    world.processOf(shop).continue();
    await world.run(30_000);
    expect(seen.filter(({ state }) => state === "suspect" || state === "dead")).toEqual([]);
    expect(entered[0]).toEqual([]);
    // The children lost their parent meanwhile and have it back.
    expect(children.map(({ state }) => state)).toEqual(["SYNCHRONIZED", "SYNCHRONIZED", "SYNCHRONIZED"]);
  });

  test("a child that stood still does not blame its parent", async () => {
    const world = new World();
    const { children } = await family(world, 1);
    const [child] = children;
    if (child === undefined) throw new Error("no children");
    const entered = states(child);
    world.processOf(child).stop();
    await world.run(6_000);
    world.processOf(child).continue();
    await world.run(10_000);
    expect(entered).toEqual([]);
  });

  test("a stall shows in localHealth, which heals", async () => {
    const world = new World();
    const { shop } = await family(world, 1);
    world.processOf(shop).stop();
    await world.run(5_000);
    world.processOf(shop).continue();
    expect(shop.status.localHealth).toBeGreaterThan(0);
    await world.run(30_000);
    expect(shop.status.localHealth).toBe(0);
  });

  test("when most children fall silent at once, the parent suspects itself first", async () => {
    const world = new World();
    const { shop, children } = await family(world, 5);
    const seen = changes(shop);
    let worst = 0;
    for (const child of children) child.report("all at one time");
    await world.run(1);
    for (const child of children) world.processOf(child).passes = () => false;
    const silentMs = Math.min(...children.map(({ path }) => lastSentMs(world, path)));
    await world.until(() => {
      worst = Math.max(worst, shop.status.localHealth);
      return seen.some(({ state }) => state === "suspect");
    });
    const suspectMs = HEARTBEAT.maxMs + DETECTOR.pauseMs;
    expect(world.nowMs - silentMs).toBeGreaterThanOrEqual(suspectMs + DETECTOR.pauseMs);
    expect(worst).toBeGreaterThan(0);
  });

  test("two of five silent children are judged as usual", async () => {
    const world = new World();
    const { shop, children } = await family(world, 5);
    const seen = changes(shop);
    for (const child of children.slice(0, 2)) world.kill(child);
    await world.run(30_000);
    expect(seen.filter(({ state }) => state === "dead")).toHaveLength(2);
  });
});

describe("own outage", () => {
  test("nobody is judged while the transport is disconnected, nor right after it came back", async () => {
    const world = new World();
    const { shop, children } = await family(world, 3);
    const seen = changes(shop);
    const entered = states(shop);
    world.processOf(shop).disconnect();
    await world.run(60_000);
    expect(seen).toEqual([]);
    expect(shop.status.reasons).toEqual([]);
    world.processOf(shop).reconnect();
    await world.run(10_000);
    expect(seen.filter(({ state }) => state === "suspect" || state === "dead")).toEqual([]);
    expect(entered).toEqual([]);
    expect(children.map(({ state }) => state)).toEqual(["SYNCHRONIZED", "SYNCHRONIZED", "SYNCHRONIZED"]);
  });

  test("a child does not blame its parent for its own outage", async () => {
    const world = new World();
    const { children } = await family(world, 3);
    const [child] = children;
    if (child === undefined) throw new Error("no children");
    const entered = states(child);
    world.processOf(child).disconnect();
    await world.run(60_000);
    expect(entered).toEqual([]);
    world.processOf(child).reconnect();
    await world.run(10_000);
    expect(child.state).toBe("SYNCHRONIZED");
    expect(entered).toEqual([]);
  });

  test("nothing is published while the transport is disconnected", async () => {
    const world = new World();
    const { shop } = await family(world, 3);
    world.processOf(shop).disconnect();
    await world.run(1_000);
    const before = world.processOf(shop).publishes;
    await world.run(60_000);
    expect(world.processOf(shop).publishes - before).toBe(0);
  });

  test("who is silent after it came back is judged all the same", async () => {
    const world = new World();
    const { shop, children } = await family(world, 3);
    world.processOf(shop).disconnect();
    world.kill(children[0] as Node);
    await world.run(30_000);
    world.processOf(shop).reconnect();
    const seen = changes(shop);
    await world.run(30_000);
    expect(seen.filter(({ id }) => id === "c0").map(({ state }) => state)).toEqual(["suspect", "dead"]);
  });
});
