/** What nobody should send: nothing of it throws, blocks, displaces or fills the memory; it is counted and told once. */
import { describe, expect, test } from "vitest";
import type { Node, NodeOptions } from "../../src/index.js";
import { record, states, World } from "./kit.js";
import { rawFrame } from "./raw-peers.js";

const MAX = Number.MAX_SAFE_INTEGER;
const SUBJECTS = ["up.shop.a", "down.shop.a", "all.shop"].map((subject) => `ft.local.${subject}`);

/** A parent with two children, one of which works. */
async function family(world: World, options: Partial<NodeOptions> = {}) {
  const shop = world.node({ path: "shop", children: [{ id: "a" }, { id: "b" }], ...options });
  let runs = 0;
  const a = world.node({ path: "shop.a", commands: { count: () => ++runs } });
  const b = world.node({ path: "shop.b" });
  await world.up(shop, a, b);
  await world.run(1_000);
  return { shop, a, b, all: [shop, a, b], runs: () => runs };
}

/** "completed" when the tree works as if nothing had happened. */
async function health(world: World, { shop, all }: { readonly shop: Node; readonly all: readonly Node[] }) {
  await world.until(() => all.every(({ state }) => state === "SYNCHRONIZED"), "all SYNCHRONIZED", 30_000);
  return (await world.settle(shop.tryCommand("a", "count"), 5_000)).status;
}

describe("bytes", () => {
  test("garbage on every subject is counted and told once for each sender and reason", async () => {
    const world = new World();
    const tree = await family(world);
    const told = tree.all.map((node) => record(node, "message.dropped"));
    const entered = tree.all.map(states);
    for (let n = 0; n < 300; n++) {
      const bytes = Uint8Array.from({ length: Math.floor(world.random() * 60) }, () => world.random() * 256);
      for (const subject of SUBJECTS) world.broker.publish(subject, bytes);
      await world.run(1);
    }
    const counted = tree.all.map(({ status }) => Object.values(status.dropped).reduce((sum, count) => sum + count, 0));
    // The broadcast subject has two listeners, the child's own subject one.
    expect(counted).toEqual([300, 600, 300]);
    for (const events of told) {
      expect(events.length).toBeGreaterThan(0);
      expect(events.length).toBeLessThan(10);
      expect(new Set(events.map(({ sender, reason }) => `${sender} ${reason}`)).size).toBe(events.length);
    }
    expect(entered).toEqual([[], [], []]);
    expect(await health(world, tree)).toBe("completed");
  });

  // A turned bit can make another message of the same session, whose place the right one then finds taken.
  test("broken frames: each bit turned, each end cut off, harm no more than their session", async () => {
    const world = new World();
    const tree = await family(world);
    const frames = world.wire.slice(0, 40);
    for (const { subject, payload } of frames) {
      for (let length = 0; length < payload.length; length += 3)
        world.broker.publish(subject, payload.slice(0, length));
      for (let bit = 0; bit < payload.length * 8; bit += 5) {
        const turned = Uint8Array.from(payload);
        turned[bit >> 3] = (turned[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        world.broker.publish(subject, turned);
      }
      await world.run(1);
    }
    for (const node of tree.all) node.fail("start again");
    await world.run(1_000);
    expect(await health(world, tree)).toBe("completed");
  });

  test("values of every other type in every place", async () => {
    const world = new World();
    const tree = await family(world);
    const odd = [null, true, -1, 1.5, MAX, 2 ** 60, "", "x".repeat(5_000), [], {}, [[]], new Uint8Array(3), [MAX]];
    const kinds: readonly (readonly [string, number, number, number])[] = [
      ["up.shop.a", 6, 10, 8],
      ["down.shop.a", 1, 5, 14],
    ];
    for (const [subject, from, to, fields] of kinds) {
      for (let type = from; type <= to; type++) {
        for (let kind = 0; kind < 8; kind++) {
          for (const value of odd) {
            const message = [type, kind, 0, ...Array.from({ length: fields }, () => value)] as const;
            for (const session of ["", "stale"]) {
              world.broker.publish(`ft.local.${subject}`, rawFrame({ session, messages: [message] }));
            }
          }
        }
      }
      await world.run(100);
    }
    expect(await health(world, tree)).toBe("completed");
  });

  test("frames with too many messages, and messages of the wrong direction", async () => {
    const world = new World();
    const tree = await family(world);
    const many = Array.from({ length: 1_025 }, () => [7, 2, 0, "bye"] as const);
    world.broker.publish("ft.local.up.shop.a", rawFrame({ messages: many }));
    world.broker.publish("ft.local.up.shop.a", rawFrame({ messages: [[5, 0, 0, 1_000, "stop"]] }));
    world.broker.publish("ft.local.down.shop.a", rawFrame({ messages: [[7, 2, 0, "bye"]] }));
    await world.run(100);
    expect(tree.shop.status.dropped).toEqual({ "bad messages": 1, "bad message": 1 });
    expect(tree.a.status.dropped).toEqual({ "bad message": 1 });
    expect(await health(world, tree)).toBe("completed");
  });
});

describe("replays", () => {
  test("everything ever sent, sent again, runs nothing twice and displaces nobody", async () => {
    const world = new World();
    const tree = await family(world);
    for (let n = 0; n < 20; n++) await world.settle(tree.shop.command("a", "count"));
    tree.shop.synchronize({ version: "new" });
    await world.run(2_000);
    const entered = tree.all.map(states);
    const epochs = tree.all.map(({ epoch }) => epoch);
    for (const { subject, payload } of [...world.wire, ...world.wire.toReversed()]) {
      world.broker.publish(subject, payload);
    }
    await world.run(20_000);
    expect(tree.runs()).toBe(20);
    expect(entered).toEqual([[], [], []]);
    expect(tree.all.map(({ epoch }) => epoch)).toEqual(epochs);
    expect(tree.a.synced).toMatchObject({ version: 1 });
    expect(await health(world, tree)).toBe("completed");
  });

  test("of an earlier life, after restarts of both", async () => {
    const world = new World();
    const first = await family(world);
    for (let n = 0; n < 5; n++) await world.settle(first.shop.command("a", "count"));
    await world.settle(first.shop.shutdownTree());
    const old = [...world.wire];
    const second = await family(world);
    const entered = second.all.map(states);
    for (const { subject, payload } of old) {
      world.broker.publish(subject, payload);
      await world.run(1);
    }
    await world.run(10_000);
    expect([second.runs(), entered]).toEqual([0, [[], [], []]]);
    expect(second.shop.status.dropped).toHaveProperty("stale session");
    expect(await health(world, second)).toBe("completed");
  });
});

describe("sessions and boots that are not theirs", () => {
  test("frames of a session that nobody has are dropped; the sender is asked to announce itself, rarely", async () => {
    const world = new World();
    const tree = await family(world);
    const sinceMs = world.nowMs;
    for (let n = 0; n < 500; n++) {
      world.broker.publish("ft.local.up.shop.ghost", rawFrame({ session: "ghost", messages: [[7, 2, 1, "bye"]] }));
      world.broker.publish("ft.local.down.shop.a", rawFrame({ session: "ghost", messages: [[5, 0, 0, 10, "stop"]] }));
      await world.run(10);
    }
    expect(tree.shop.status.dropped).toEqual({ "stale session": 500 });
    expect(tree.a.status.dropped).toEqual({ "stale session": 500 });
    expect(world.sent("init.probe", { sinceMs }).length).toBeLessThanOrEqual(11);
    expect(tree.shop.child("ghost")).toBeUndefined();
    expect(await health(world, tree)).toBe("completed");
  });

  test("announcements under other boot ids displace nobody as long as they use no session", async () => {
    const world = new World();
    const tree = await family(world);
    const entered = tree.all.map(states);
    for (let n = 0; n < 200; n++) {
      const announce = [9, 0, 0, "local", `boot${n}`, 1, [], [], 1, 1] as const;
      world.broker.publish("ft.local.up.shop.a", rawFrame({ messages: [announce] }));
      await world.run(20);
    }
    expect(entered).toEqual([[], [], []]);
    expect(await health(world, tree)).toBe("completed");
  });

  test("fencings, refusals and offers for other boot ids concern nobody", async () => {
    const world = new World();
    const tree = await family(world);
    const entered = tree.all.map(states);
    const down = [
      [5, 2, 0, "somebody", [MAX]],
      [5, 3, 0, "somebody"],
      [1, 1, 0, "local", "p", [MAX], "somebody", 1, "s", [MAX, 1], 1, "cast", 0, 10_000, 500, 0, false],
    ] as const;
    const up = [
      [8, 1, 0, "somebody", [MAX]],
      [8, 4, 0, "somebody"],
    ] as const;
    for (const message of down) world.broker.publish("ft.local.down.shop.a", rawFrame({ messages: [message] }));
    for (const message of up) world.broker.publish("ft.local.up.shop.a", rawFrame({ messages: [message] }));
    await world.run(10_000);
    expect(entered).toEqual([[], [], []]);
    expect(tree.a.status.dropped).toMatchObject({ "addressed to another process": expect.any(Number) as number });
    expect(tree.shop.status.dropped).toMatchObject({ "addressed to another process": expect.any(Number) as number });
    expect(await health(world, tree)).toBe("completed");
  });

  test("foreign trees are ignored, whoever speaks", async () => {
    const world = new World();
    const tree = await family(world);
    const announce = [9, 0, 0, "another tree", "boot", 1, [], [MAX], 1, 1] as const;
    const probe = [1, 0, 0, "another tree", "p", [MAX], 1, 1] as const;
    world.broker.publish("ft.local.up.shop.new", rawFrame({ messages: [announce] }));
    world.broker.publish("ft.local.down.shop.a", rawFrame({ messages: [probe] }));
    await world.run(1_000);
    expect([tree.shop.status.dropped, tree.a.status.dropped]).toEqual([{ "foreign tree": 1 }, { "foreign tree": 1 }]);
    expect(tree.shop.child("new")).toBeUndefined();
    expect(await health(world, tree)).toBe("completed");
  });
});

describe("floods", () => {
  test("of announcements from ids that nobody knows are bounded by childrenMax", async () => {
    const world = new World();
    const tree = await family(world, { childrenMax: 50 });
    for (let n = 0; n < 5_000; n++) {
      const announce = [9, 0, 0, "local", `boot${n}`, 1, [], [], 1, 1] as const;
      world.broker.publish(`ft.local.up.shop.flood${n}`, rawFrame({ messages: [announce] }));
      if (n % 100 === 0) await world.run(1);
    }
    await world.run(100);
    expect(tree.shop.children().length).toBeLessThanOrEqual(50);
    expect(tree.shop.status.dropped["childrenMax reached"]).toBeGreaterThan(4_000);
    expect(await health(world, tree)).toBe("completed");
  });

  // Ids that announced themselves and never came used to keep their places for ever.
  test("leave room for a child that does come", async () => {
    const world = new World();
    const tree = await family(world, { childrenMax: 50 });
    for (let n = 0; n < 5_000; n++) {
      const announce = [9, 0, 0, "local", `boot${n}`, 1, [], [], 1, 1] as const;
      world.broker.publish(`ft.local.up.shop.flood${n}`, rawFrame({ messages: [announce] }));
    }
    await world.run(1_000);
    const late = world.node({ path: "shop.late" });
    await late.start();
    await world.until(() => late.state === "SYNCHRONIZED", "the late child is in", 30_000);
    expect(await health(world, tree)).toBe("completed");
  });

  // An offer that nobody took used to turn broadcasts off.
  test("do not keep the parent from broadcasting for long", async () => {
    const world = new World();
    const tree = await family(world);
    const announce = [9, 0, 0, "local", "boot", 1, [], [], 1, 1] as const;
    world.broker.publish("ft.local.up.shop.ghost", rawFrame({ messages: [announce] }));
    await world.run(30_000);
    const sinceMs = world.nowMs;
    await world.settle(tree.shop.fanOut("*", "count", undefined, { idempotent: true }).outcomes, 1_000);
    expect(world.sent("command.run", { sinceMs }).map(({ subject }) => subject)).toEqual(["ft.local.all.shop"]);
  });

  test("of events: each sender and reason is told once, up to a bound", async () => {
    const world = new World();
    const tree = await family(world);
    const told = record(tree.shop, "message.dropped");
    for (let n = 0; n < 3_000; n++) world.broker.publish(`ft.local.up.shop.x${n}`, new Uint8Array([0xc1]));
    await world.run(100);
    expect(tree.shop.status.dropped).toEqual({ "not MessagePack": 3_000 });
    expect(told.length).toBe(1_000);
  });
});
