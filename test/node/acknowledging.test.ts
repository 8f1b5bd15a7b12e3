/** What children sent is acknowledged to many of them at once, and to few, or to who does not understand that, alone. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Node } from "../../src/index.js";
import { ackIn } from "../../src/node/acknowledger.js";
import type { HeartbeatAcks } from "../../src/protocol/messages.js";
import { gate, type Publication, World, type WorldNodeOptions } from "./kit.js";
import { rawFrame, RawChild } from "./raw-peers.js";

interface Wide {
  readonly shop: Node;
  readonly children: readonly Node[];
}

async function wide(world: World, count: number, options: Partial<WorldNodeOptions> = {}): Promise<Wide> {
  const names = Array.from({ length: count }, (_, n) => `c${n}`);
  const shop = world.node({ path: "shop", children: names.map((id) => ({ id })), ...options });
  const commands = { count: (n: number) => n + 1 };
  const children = names.map((id) => world.node({ path: `shop.${id}`, commands }));
  await shop.start();
  await Promise.all(children.map((child) => child.start()));
  await world.until(() => shop.state === "SYNCHRONIZED");
  // What the beginning brought about is acknowledged.
  await world.run(1_000);
  return { shop, children };
}

async function askAll(world: World, shop: Node): Promise<number> {
  const outcomes = await world.settle(shop.fanOut("*", "count", 1, { idempotent: true }).outcomes);
  return outcomes.filter(({ status }) => status === "completed").length;
}

function acksIn({ frame }: Publication): readonly HeartbeatAcks[] {
  return (frame?.messages ?? []).filter((message): message is HeartbeatAcks => message.kind === "heartbeat.acks");
}

describe("many children that have answered", () => {
  test("are told by one broadcast, and repeat nothing", async () => {
    const world = new World();
    const { shop } = await wide(world, 100);
    const sinceMs = world.nowMs;
    expect(await askAll(world, shop)).toBe(100);
    await world.run(2_000);
    const told = world.sent("heartbeat.acks", { sinceMs });
    expect(told.map(({ subject }) => subject)).toEqual(["ft.local.all.shop"]);
    expect(told.flatMap(acksIn).map(({ acks }) => acks.length)).toEqual([200]);
    expect(world.sent("heartbeat.ack", { sinceMs })).toEqual([]);
    expect(world.sent("complete.command", { sinceMs })).toHaveLength(100);
  });

  test("are told with the next command to all, if that comes soon", async () => {
    const world = new World();
    const { shop } = await wide(world, 100);
    await askAll(world, shop);
    const sinceMs = world.nowMs;
    await world.run(30);
    await askAll(world, shop);
    expect(world.sent("heartbeat.acks", { sinceMs }).map(({ kinds }) => kinds)).toEqual([
      ["heartbeat.acks", "command.run"],
    ]);
  });

  test("repeat what they said when that is lost, once, and are told again", async () => {
    const world = new World();
    const { shop } = await wide(world, 100);
    const sinceMs = world.nowMs;
    world.processOf(shop).passes = ({ kinds }) => !kinds.includes("heartbeat.acks") || world.nowMs > sinceMs + 150;
    expect(await askAll(world, shop)).toBe(100);
    await world.run(2_000);
    expect(world.sent("heartbeat.acks", { sinceMs })).toHaveLength(2);
    expect(world.sent("complete.command", { sinceMs })).toHaveLength(200);
  });

  test("are told in several messages where one does not hold them", async () => {
    const world = new World();
    const { shop } = await wide(world, 300, { process: world.process({ maxPayloadBytes: 8_192 }) });
    const sinceMs = world.nowMs;
    expect(await askAll(world, shop)).toBe(300);
    await world.run(2_000);
    const told = world.sent("heartbeat.acks", { sinceMs });
    expect(told.flatMap(acksIn).map(({ acks }) => acks.length)).toEqual([396, 204]);
    expect(world.sent("complete.command", { sinceMs })).toHaveLength(300);
  });
});

describe("each by a frame of its own are told", () => {
  test("few children", async () => {
    const world = new World();
    const { shop } = await wide(world, 10);
    const sinceMs = world.nowMs;
    await askAll(world, shop);
    await world.run(2_000);
    expect(world.sent("heartbeat.ack", { sinceMs })).toHaveLength(10);
    expect(world.sent("heartbeat.acks", { sinceMs })).toEqual([]);
  });

  test("fewer than half of many", async () => {
    const world = new World();
    const { children } = await wide(world, 200);
    const sinceMs = world.nowMs;
    for (const child of children.slice(0, 90)) child.report("news");
    await world.run(2_000);
    expect(world.sent("heartbeat.ack", { sinceMs })).toHaveLength(90);
    expect(world.sent("heartbeat.acks", { sinceMs })).toEqual([]);
  });

  test("who may ask more than it was told", async () => {
    const world = new World();
    const ends = gate();
    const { children } = await wide(world, 100, { requests: { wait: () => ends.opened } });
    const sinceMs = world.nowMs;
    const asked = children.slice(0, 5).map((child) => child.request("wait"));
    for (const child of children) child.report("news");
    await world.run(2_000);
    const [told] = world.sent("heartbeat.acks", { sinceMs });
    expect(told && acksIn(told).map(({ acks }) => acks.length)).toEqual([190]);
    ends.open();
    await world.settle(Promise.all(asked));
  });

  test("who does not understand the other", async () => {
    const world = new World();
    const { shop } = await wide(world, 99, { acceptJoining: true });
    const raw = new RawChild(world, "shop.old");
    raw.answers = { count: (n) => (n as number) + 1 };
    raw.announce();
    await world.until(() => shop.child("old")?.link === "alive");
    const unsupported = { session: raw.session, messages: [[8, 2, 0, 4, 3]] } as const;
    world.broker.publish("ft.local.up.shop.old", rawFrame(unsupported));
    await world.run(1_000);
    const sinceMs = world.nowMs;
    expect(await askAll(world, shop)).toBe(100);
    await world.run(2_000);
    expect(world.sent("heartbeat.ack", { sinceMs, subject: "down.shop.old" })).toHaveLength(1);
    const [told] = world.sent("heartbeat.acks", { sinceMs });
    expect(told && acksIn(told).map(({ acks }) => acks.length)).toEqual([198]);
  });
});

test("whatever the order in which the nodes of a process ask, each finds what it was told", () => {
  const sessions = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 3 }), { maxLength: 50 });
  fc.assert(
    fc.property(
      sessions,
      fc.array(fc.string({ minLength: 1, maxLength: 3 })),
      fc.func(fc.nat()),
      (told, others, rank) => {
        const acks = told.flatMap((session, place) => [session, place + 1]);
        const asking = [...told, ...others].toSorted((a, b) => rank(a) - rank(b));
        for (const order of [told, asking]) {
          for (const session of order) expect(ackIn(acks, session)).toBe(told.indexOf(session) + 1);
        }
      },
    ),
    { numRuns: 200 },
  );
});
