/** How much a quiet tree says, and that it says no more. */
import { describe, expect, test } from "vitest";
import type { Node, NodeOptions } from "../../src/index.js";
import { states, World } from "./kit.js";

const MINUTE_MS = 60_000;

async function family(world: World, size: number, options: Partial<NodeOptions> = {}) {
  const ids = Array.from({ length: size }, (_, n) => `c${n}`);
  const shop = world.node({ path: "shop", children: ids.map((id) => ({ id })), ...options });
  const children = ids.map((id) => world.node({ path: `shop.${id}`, ...options }));
  await world.up(shop, ...children);
  return { shop, children };
}

/** Publishes of a node during a minute. */
async function perMinute(world: World, nodes: readonly Node[]): Promise<number[]> {
  const before = nodes.map((node) => world.processOf(node).publishes);
  await world.run(MINUTE_MS);
  return nodes.map((node, n) => world.processOf(node).publishes - (before[n] ?? 0));
}

describe("a quiet tree", () => {
  test("beats at the longest interval, about 30 to 34 times a minute in each direction", async () => {
    const world = new World();
    const { shop, children } = await family(world, 3);
    await world.run(MINUTE_MS);
    for (const publishes of await perMinute(world, [shop, ...children])) {
      expect(publishes).toBeGreaterThanOrEqual(29);
      expect(publishes).toBeLessThanOrEqual(35);
    }
  });

  test("one publish for all children, whatever their number", async () => {
    const world = new World();
    const { shop } = await family(world, 50);
    await world.run(MINUTE_MS);
    const sinceMs = world.nowMs;
    const [publishes = 0] = await perMinute(world, [shop]);
    expect(publishes).toBeLessThanOrEqual(35);
    expect(world.sent("heartbeat.beat", { sinceMs }).every(({ subject }) => subject === "ft.local.all.shop")).toBe(
      true,
    );
  });

  test("intervals grow by a quarter from the shortest to the longest, and keep their promise", async () => {
    const world = new World();
    const { children } = await family(world, 1, { heartbeat: { minMs: 400, maxMs: 4_000 } });
    await world.run(MINUTE_MS);
    const beats = world.sent("status.report", { subject: ".up.shop.c0" });
    const promises = beats.map(({ frame, atMs }) => {
      const report = frame?.messages.find(({ kind }) => kind === "status.report");
      return { atMs, nextInMs: report?.kind === "status.report" ? report.nextInMs : 0 };
    });
    expect(promises[0]?.nextInMs).toBe(400);
    expect(promises.at(-1)?.nextInMs).toBe(4_000);
    for (const [n, { atMs, nextInMs }] of promises.entries()) {
      const next = promises[n + 1];
      if (next === undefined) continue;
      expect(next.atMs - atMs).toBeLessThanOrEqual(nextInMs);
      expect(next.nextInMs).toBeLessThanOrEqual(Math.ceil(nextInMs * 1.25));
    }
    expect(children[0]?.status.localHealth).toBe(0);
  });

  test("fall back to the shortest on a change of state", async () => {
    const world = new World();
    const { shop, children } = await family(world, 2);
    await world.run(MINUTE_MS);
    world.kill(children[0] as Node);
    await world.until(() => shop.state === "DEGRADED");
    const [beat] = await nextBeats(world, 1);
    expect(beat).toBeLessThanOrEqual(700);
  });

  test("siblings that started together spread out", async () => {
    const world = new World();
    await family(world, 20);
    await world.run(10 * MINUTE_MS);
    const sinceMs = world.nowMs;
    await world.run(2_000);
    const times = new Set(world.sent("status.report", { sinceMs }).map(({ atMs }) => Math.floor(atMs)));
    expect(times.size).toBeGreaterThan(10);
  });

  test("localHealth and dropped stay empty", async () => {
    const world = new World();
    const { shop, children } = await family(world, 3);
    await world.run(10 * MINUTE_MS);
    for (const { status } of [shop, ...children]) expect(status).toMatchObject({ localHealth: 0, dropped: {} });
  });
});

/** The next promises of the parent to its children. */
async function nextBeats(world: World, count: number): Promise<number[]> {
  // The beat in which the change was noticed went out before it.
  const sinceMs = world.nowMs + 1;
  await world.until(() => world.sent("heartbeat.beat", { sinceMs }).length >= count);
  return world.sent("heartbeat.beat", { sinceMs }).map(({ frame }) => {
    const [message] = frame?.messages ?? [];
    return message?.kind === "heartbeat.beat" ? message.nextInMs : 0;
  });
}

describe("traffic", () => {
  test("replaces beats, down and up", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const a = world.node({ path: "shop.a", commands: { same: (n: number) => n } });
    await world.up(shop, a);
    await world.run(MINUTE_MS);
    const sinceMs = world.nowMs;
    for (let n = 0; n < 100; n++) {
      await world.settle(shop.command("a", "same", n));
      await world.run(300);
    }
    expect(world.sent("heartbeat.beat", { sinceMs })).toEqual([]);
    expect(world.sent("status.report", { sinceMs })).toEqual([]);
    expect([shop.state, a.state]).toEqual(["SYNCHRONIZED", "SYNCHRONIZED"]);
  });

  test("to one child does not keep the beat from the others", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }, { id: "b" }] });
    const a = world.node({ path: "shop.a", commands: { same: (n: number) => n } });
    const b = world.node({ path: "shop.b" });
    await world.up(shop, a, b);
    const entered = states(b);
    const sinceMs = world.nowMs;
    for (let n = 0; n < 100; n++) {
      await world.settle(shop.command("a", "same", n));
      await world.run(300);
    }
    expect(world.sent("heartbeat.beat", { sinceMs }).length).toBeGreaterThan(10);
    expect(entered).toEqual([]);
  });
});

describe("promises", () => {
  // A parent without children slept for up to its longest interval, its first child took that for silence.
  test("a child that joins an idle parent never suspects it", async () => {
    for (let delayMs = 0; delayMs < 4_000; delayMs += 370) {
      const world = new World({ seed: delayMs + 1 });
      const shop = world.node({ path: "shop", initTimeoutMs: 60_000 });
      await world.up(shop);
      await world.run(10_000 + delayMs);
      const a = world.node({ path: "shop.a" });
      const entered = states(a);
      await world.up(a);
      await world.run(20_000);
      expect(entered).toEqual(["CONNECTING", "SYNCHRONIZED"]);
    }
  });

  // A promise is believed up to the own deadMs.
  test("a parent and a child with different intervals believe each other's promise", async () => {
    const world = new World();
    const slow = { heartbeat: { minMs: 5_000, maxMs: 20_000 }, failureDetector: { pauseMs: 500, deadMs: 30_000 } };
    const fast = { heartbeat: { minMs: 100, maxMs: 300 }, failureDetector: { pauseMs: 200, deadMs: 21_000 } };
    const root = world.node({ path: "shop", children: [{ id: "a" }], ...fast });
    const mid = world.node({ path: "shop.a", children: [{ id: "x" }], ...slow });
    const leaf = world.node({ path: "shop.a.x", ...fast });
    await world.up(root, mid, leaf);
    const entered = [root, mid, leaf].map(states);
    await world.run(10 * MINUTE_MS);
    expect(entered).toEqual([[], [], []]);
  });
});
