/** Children that come by themselves, leave, and are not let in. */
import { describe, expect, test } from "vitest";
import { record, states, World } from "./kit.js";

describe("joining", () => {
  test("a child that is not listed joins without degrading its parent for a moment", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const a = world.node({ path: "shop.a" });
    await world.up(shop, a);
    const entered = states(shop);
    // It has a child of its own to wait for, so that it stays "opening" for a while.
    const joined = world.node({ path: "shop.joined", children: [{ id: "x" }] });
    await joined.start();
    await world.run(5_000);
    expect(shop.child("joined")).toMatchObject({ link: "opening", listed: false, critical: false });
    await world.up(world.node({ path: "shop.joined.x" }), joined);
    await world.run(1_000);
    expect(shop.child("joined")?.link).toBe("alive");
    expect(entered).toEqual([]);
    expect(shop.status.nodes).toBe(4);
  });

  test("a child that joined and was ready is missed when it dies", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const joined = world.node({ path: "shop.joined" });
    await world.up(shop, world.node({ path: "shop.a" }), joined);
    world.kill(joined);
    await world.until(() => shop.state === "DEGRADED");
    expect(shop.status.reasons).toEqual(["children"]);
    await world.up(world.node({ path: "shop.joined" }), shop);
  });

  test("a child that joined and left in order is not missed and is forgotten", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const joined = world.node({ path: "shop.joined" });
    await world.up(shop, world.node({ path: "shop.a" }), joined);
    const entered = states(shop);
    await world.settle(joined.stop());
    await world.run(5_000);
    expect(entered).toEqual([]);
    expect(shop.child("joined")).toBeUndefined();
    expect(shop.children()).toHaveLength(1);
  });

  test("a child that joined and never became ready is not missed when it dies", async () => {
    const world = new World();
    const shop = world.node({ path: "shop" });
    const joined = world.node({ path: "shop.joined", children: [{ id: "x" }], initTimeoutMs: 60_000 });
    await world.up(shop);
    await joined.start();
    await world.until(() => shop.child("joined")?.link === "opening");
    const entered = states(shop);
    world.kill(joined);
    await world.until(() => shop.child("joined")?.link === "dead");
    await world.run(1_000);
    expect(entered).toEqual([]);
  });

  test("idempotent commands to a child that joined and left reach it when it is back", async () => {
    const world = new World();
    const shop = world.node({ path: "shop" });
    const first = world.node({ path: "shop.a", commands: { hang: () => new Promise(() => {}) } });
    await world.up(shop, first);
    const answer = shop.command("a", "hang", {}, { idempotent: true, timeoutMs: 60_000 });
    await world.run(10);
    await world.settle(first.stop({ timeoutMs: 100 }));
    await world.run(1_000);
    await world.up(world.node({ path: "shop.a", commands: { hang: () => "done" } }));
    expect(await world.settle(answer, 30_000)).toBe("done");
  });

  test("a listed child that left is missing but no failure, and comes back", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const a = world.node({ path: "shop.a" });
    await world.up(shop, a);
    const entered = states(shop);
    await world.settle(a.stop());
    await world.run(60_000);
    expect(entered).toEqual(["DEGRADED"]);
    expect(shop.child("a")?.link).toBe("left");
    await world.up(world.node({ path: "shop.a" }), shop);
  });
});

describe("refusing", () => {
  test("acceptJoining: false keeps others out, listed children come in", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }], acceptJoining: false });
    const stranger = world.node({ path: "shop.stranger" });
    await stranger.start();
    await world.up(shop, world.node({ path: "shop.a" }));
    await world.run(20_000);
    expect(stranger.state).toBe("DISCONNECTED");
    expect(shop.children().map(({ id }) => id)).toEqual(["a"]);
    expect(shop.status.dropped).toMatchObject({ "not a listed child": expect.any(Number) as number });
  });

  test("childrenMax bounds listed and joined children together", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }], childrenMax: 2 });
    const nodes = ["a", "b", "c"].map((id) => world.node({ path: `shop.${id}` }));
    for (const node of nodes) await node.start();
    await world.up(shop);
    await world.run(20_000);
    expect(nodes.filter(({ state }) => state === "SYNCHRONIZED")).toHaveLength(2);
    expect(nodes[0]?.state).toBe("SYNCHRONIZED");
    expect(shop.children()).toHaveLength(2);
    expect(shop.status.dropped).toHaveProperty("childrenMax reached");
  });

  test("a place that a joined child left is free for another", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", childrenMax: 1 });
    const b = world.node({ path: "shop.b" });
    const c = world.node({ path: "shop.c" });
    await world.up(shop, b);
    await c.start();
    await world.run(10_000);
    expect(c.state).toBe("DISCONNECTED");
    await world.settle(b.stop());
    await world.until(() => c.state === "SYNCHRONIZED");
  });

  test("nodes of another tree id are ignored in both directions", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", treeId: "blue", children: [{ id: "a" }] });
    const stranger = world.node({ path: "shop.a", treeId: "green" });
    const dropped = record(shop, "message.dropped");
    await stranger.start();
    await shop.start();
    await world.run(5_000);
    expect([shop.state, stranger.state]).toEqual(["CONNECTING", "DISCONNECTED"]);
    expect(shop.child("a")?.link).toBe("absent");
    expect(dropped).toEqual([{ sender: "a", reason: "foreign tree" }]);
    expect(stranger.status.dropped).toHaveProperty("foreign tree");
    await world.up(world.node({ path: "shop.a", treeId: "blue" }), shop);
  });

  test("a stranger's tree is not taken over by a parent with a newer epoch", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const a = world.node({ path: "shop.a" });
    await world.up(shop, a);
    await world.run(1_000);
    const rival = world.node({ path: "shop", children: [{ id: "a" }], treeId: "other" });
    await rival.start();
    await world.run(5_000);
    expect([shop.state, a.state, rival.state]).toEqual(["SYNCHRONIZED", "SYNCHRONIZED", "CONNECTING"]);
  });

  test("transports of another tree name never meet", async () => {
    const world = new World({ tree: "acme" });
    await world.up(world.node({ path: "shop" }));
    expect(world.wire.every(({ subject }) => subject.startsWith("ft.acme."))).toBe(true);
  });
});
