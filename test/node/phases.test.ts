/** Before the start, after the end, and what is left then: nothing. */
import { describe, expect, test } from "vitest";
import { type Node, NodeEndedError, WrongStateError } from "../../src/index.js";
import { World } from "./kit.js";

describe("phases", () => {
  const calls = (node: Node): readonly (() => Promise<unknown>)[] => [
    () => node.command("a", "x"),
    () => node.tryCommand("a", "x"),
    () => node.request("x"),
  ];

  test("starting twice is starting once", async () => {
    const world = new World();
    const shop = world.node({ path: "shop" });
    await world.settle(Promise.all([shop.start(), shop.start()]), 0);
    await world.settle(shop.start(), 0);
    expect(shop.state).toBe("SYNCHRONIZED");
    expect(world.processOf(shop).subscriptions).toBe(2);
  });

  test("before the start", async () => {
    const world = new World();
    const shop = world.node({ path: "shop" });
    for (const call of calls(shop)) expect(await world.failure(call(), 0)).toBeInstanceOf(WrongStateError);
    expect(() => shop.fanOut(["a"], "x")).toThrow(WrongStateError);
    expect(() => shop.fanOut("*", "x")).toThrow(WrongStateError);
    expect([shop.state, shop.epoch, shop.synced, shop.children()]).toEqual(["DISCONNECTED", "", null, []]);
    await world.settle(shop.drain(), 0);
  });

  test("after the end", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }, { id: "b" }] });
    await world.up(shop, world.node({ path: "shop.a" }), world.node({ path: "shop.b" }));
    await world.settle(shop.stop());
    for (const call of calls(shop)) expect(await world.failure(call(), 0)).toBeInstanceOf(NodeEndedError);
    expect(() => shop.fanOut(["a"], "x")).toThrow(NodeEndedError);
    expect(() => shop.fanOut("*", "x")).toThrow(NodeEndedError);
    expect(() => shop.synchronize({})).toThrow(NodeEndedError);
    expect(await world.failure(shop.start(), 0)).toBeInstanceOf(WrongStateError);
    shop.report("lost");
    shop.recover();
    expect(shop.status).toMatchObject({ state: "DISCONNECTED", running: 0, queued: 0 });
  });

  test("what is synchronized in the turn in which the node ends leaves no timer", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }, { id: "b" }] });
    const rival = world.node({ path: "shop", children: [{ id: "a" }, { id: "b" }] });
    await world.up(shop, world.node({ path: "shop.a" }), world.node({ path: "shop.b" }));
    await world.run(1_000);
    shop.on("node.fenced", () => shop.synchronize({ late: true }));
    await rival.start();
    await world.settle(shop.ended);
    const before = world.processOf(shop).publishes;
    await world.run(10_000);
    expect(world.processOf(shop).publishes - before).toBe(0);
  });
});

describe("after the end", () => {
  /** A tree in the midst of everything: commands, requests, retries, waits, fan-outs, streams. */
  async function busy(world: World): Promise<{ nodes: readonly Node[]; promises: Promise<unknown>[] }> {
    const hang = { hang: () => new Promise<never>(() => {}) };
    const shop = world.node({ path: "shop", children: [{ id: "a" }, { id: "b" }], requests: hang });
    const a = world.node({ path: "shop.a", children: [{ id: "x" }], commands: hang, concurrency: 2, queueMax: 2 });
    const x = world.node({ path: "shop.a.x", commands: hang });
    const b = world.node({ path: "shop.b", commands: hang });
    await world.up(shop, a, x, b);
    await world.run(1_000);
    const long = { timeoutMs: 600_000 };
    const promises = [
      ...Array.from({ length: 10 }, () => shop.tryCommand("a", "hang", {}, { ...long, idempotent: true })),
      shop.tryCommand("a.x", "hang", {}, long),
      shop.tryCommand("a", "hang", {}, { ...long, minSyncVersion: 5 }),
      shop.tryCommand("nobody", "hang", {}, long),
      shop.fanOut("*", "hang", {}, long).outcomes,
      shop.fanOut(["a.x", "b"], "hang", {}, { ...long, until: "first" }).outcomes,
      x.request("hang", {}, long),
      b.request("hang", {}, { ...long, idempotent: true }),
      shop.until("FAILED"),
      b.until("CONNECTING", { timeoutMs: 600_000 }),
      a.drain(),
    ];
    promises.push(shop.tryCommand("a", "hang", {}, { ...long, idempotent: true }));
    for (const node of [shop, a, x, b]) {
      const read = async (): Promise<void> => {
        for await (const event of node.events("state.changed")) expect(event.path).toBe(node.path);
      };
      promises.push(read());
      node.synchronize({ from: node.path });
    }
    const caught = promises.map((promise) => promise.catch(() => {}));
    await world.run(300);
    return { nodes: [shop, a, x, b], promises: caught };
  }

  test.each(["stop", "shutdownTree"] as const)("%s: no timer, no subscription, no open promise", async (how) => {
    const world = new World();
    const { nodes, promises } = await busy(world);
    await world.settle(Promise.all(nodes.map((node) => node[how]({ timeoutMs: 1_000 }))), 2_000);
    await world.settle(Promise.all(promises), 0);
    await world.run(0);
    expect(nodes.map((node) => world.processOf(node).subscriptions)).toEqual([0, 0, 0, 0]);
    expect(world.clock.pending).toBe(0);
    const published = world.wire.length;
    await world.run(600_000);
    expect(world.wire).toHaveLength(published);
  });

  test("ended one after the other, from either end of the tree", async () => {
    for (const order of [(nodes: readonly Node[]) => nodes, (nodes: readonly Node[]) => nodes.toReversed()]) {
      const world = new World();
      const { nodes, promises } = await busy(world);
      for (const node of order(nodes)) await world.settle(node.stop({ timeoutMs: 500 }), 1_000);
      await world.settle(Promise.all(promises), 0);
      await world.run(0);
      expect(world.clock.pending).toBe(0);
      expect(nodes.map((node) => world.processOf(node).subscriptions)).toEqual([0, 0, 0, 0]);
    }
  });

  test("of a fenced node too", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const old = world.node({ path: "shop.a", commands: { hang: () => new Promise(() => {}) } });
    await world.up(shop, old);
    void shop.tryCommand("a", "hang", {}, { timeoutMs: 600_000 });
    const request = old.request("x", {}, { timeoutMs: 600_000 }).catch(() => {});
    await world.run(10);
    const successor = world.node({ path: "shop.a" });
    await world.up(successor);
    await world.settle(Promise.all([old.ended, request]), 5_000);
    expect(world.processOf(old).subscriptions).toBe(0);
    await world.settle(Promise.all([shop.stop(), successor.stop()]), 1_000);
    await world.run(0);
    expect(world.clock.pending).toBe(0);
  });
});
