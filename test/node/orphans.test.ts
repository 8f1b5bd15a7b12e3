/** Nodes without their parent: what goes on, and what a process that stood still may do. */
import { describe, expect, test } from "vitest";
import { gate, record, states, World, type WorldNodeOptions } from "./kit.js";

/** A parent and one child that runs one command at a time and has two: one under way, one waiting. */
async function pair(world: World, options: Partial<WorldNodeOptions> = {}) {
  const ran: string[] = [];
  const ends = gate();
  const shop = world.node({ path: "shop", children: [{ id: "a" }], commandTimeoutMs: 600_000 });
  const commands = { work: (name: string) => (ran.push(name), ends.opened) };
  const child = world.node({ path: "shop.a", concurrency: 1, commands, ...options });
  await world.up(shop, child);
  for (const name of ["first", "second"]) void shop.tryCommand("a", "work", name);
  await world.run(100);
  return { shop, child, ran, ends };
}

describe("policies", () => {
  test('"continue": what was accepted goes on, and the node finds its parent again', async () => {
    const world = new World();
    const { shop, child, ran, ends } = await pair(world);
    const entered = states(child);
    world.kill(shop);
    await world.until(() => child.state === "DEGRADED");
    expect(child.status.reasons).toEqual(["uplink"]);
    ends.open();
    await world.run(60_000);
    expect(ran).toEqual(["first", "second"]);
    await world.up(world.node({ path: "shop", children: [{ id: "a" }] }), child);
    expect(entered).toEqual(["DEGRADED", "SYNCHRONIZED"]);
  });

  test('"pause": no handler starts until a parent answers', async () => {
    const world = new World();
    const { shop, child, ran, ends } = await pair(world, { onOrphaned: "pause" });
    world.kill(shop);
    await world.until(() => child.state === "DEGRADED");
    ends.open();
    await world.run(60_000);
    expect(ran).toEqual(["first"]);
    await world.up(world.node({ path: "shop", children: [{ id: "a" }] }), child);
    await world.run(10);
    expect(ran).toEqual(["first", "second"]);
  });

  test('"pause": a parent that was only silent lets it go on', async () => {
    const world = new World();
    const { shop, child, ran, ends } = await pair(world, { onOrphaned: "pause" });
    world.processOf(shop).stop();
    await world.until(() => child.state === "DEGRADED");
    ends.open();
    await world.run(1_000);
    expect(ran).toEqual(["first"]);
    world.processOf(shop).continue();
    await world.run(1_000);
    expect([ran, child.state]).toEqual([["first", "second"], "SYNCHRONIZED"]);
  });

  test('"stop": the node and everything below it end once the parent is declared dead', async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const a = world.node({ path: "shop.a", children: [{ id: "x" }], onOrphaned: "stop" });
    const x = world.node({ path: "shop.a.x" });
    await world.up(shop, a, x);
    await world.run(60_000);
    const reasons = [a, x].map((node) => record(node, "node.ended"));
    world.kill(shop);
    // Its last beat may be two seconds old.
    await world.run(7_900);
    expect(reasons).toEqual([[], []]);
    await world.run(5_100);
    expect(reasons).toEqual([[{ reason: "orphaned" }], [{ reason: "shutdown" }]]);
    expect(await a.ended).toBe("orphaned");
  });

  test('"stop": a parent that is only silent for a while is waited for', async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }, { id: "b" }] });
    const a = world.node({ path: "shop.a", onOrphaned: "stop" });
    await world.up(shop, a, world.node({ path: "shop.b" }));
    await world.run(60_000);
    world.processOf(shop).stop();
    await world.run(7_000);
    expect(a.state).toBe("DEGRADED");
    world.processOf(shop).continue();
    await world.run(5_000);
    expect(a.state).toBe("SYNCHRONIZED");
  });

  test.each([
    ["continue", "DEGRADED"],
    ["pause", "DEGRADED"],
    ["stop", "DISCONNECTED"],
  ] as const)('"%s" when the parent takes leave: at once', async (onOrphaned, state) => {
    const world = new World();
    const shop = world.node({ path: "shop" });
    const a = world.node({ path: "shop.a", onOrphaned });
    await world.up(shop, a);
    await world.settle(shop.stop());
    await world.run(200);
    expect(a.state).toBe(state);
  });
});

describe("reasons", () => {
  test("children, uplink, both, and back", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const a = world.node({ path: "shop.a", children: [{ id: "x" }, { id: "y" }] });
    const [x, y] = ["x", "y"].map((id) => world.node({ path: `shop.a.${id}` }));
    if (x === undefined || y === undefined) throw new Error("no nodes");
    await world.up(shop, a, x, y);
    await world.settle(x.stop());
    await world.run(1_000);
    expect([a.state, a.status.reasons]).toEqual(["DEGRADED", ["children"]]);
    expect(shop.child("a")?.status).toMatchObject({ state: "DEGRADED", reasons: ["children"] });
    expect(shop.state).toBe("SYNCHRONIZED");
    world.kill(shop);
    await world.run(15_000);
    expect([a.state, a.status.reasons]).toEqual(["DEGRADED", ["children", "uplink"]]);
    await world.up(world.node({ path: "shop.a.x" }));
    await world.run(1_000);
    expect([a.state, a.status.reasons]).toEqual(["DEGRADED", ["uplink"]]);
    await world.up(world.node({ path: "shop", children: [{ id: "a" }] }), a);
    expect(a.status.reasons).toEqual([]);
  });

  test("a lost parent degrades its children only, not the levels below", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const a = world.node({ path: "shop.a", children: [{ id: "x" }] });
    const x = world.node({ path: "shop.a.x" });
    await world.up(shop, a, x);
    const entered = states(x);
    world.kill(shop);
    await world.run(60_000);
    expect([a.state, x.state, entered]).toEqual(["DEGRADED", "SYNCHRONIZED", []]);
  });
});

describe("the self-lease", () => {
  const order: readonly [string, { readonly messagesFirst: boolean }][] = [
    ["timers run first", { messagesFirst: false }],
    ["messages are read first", { messagesFirst: true }],
  ];

  test.each(order)("after a stall handlers wait for the parent's word (%s)", async (_, resume) => {
    const world = new World();
    const ran: number[] = [];
    const shop = world.node({ path: "shop", children: [{ id: "a" }, { id: "b" }], commandTimeoutMs: 60_000 });
    const a = world.node({ path: "shop.a", commands: { work: (n: number) => ran.push(n) } });
    await world.up(shop, a, world.node({ path: "shop.b" }));
    await world.run(60_000);
    world.processOf(a).stop();
    const answer = shop.command("a", "work", 1);
    await world.run(6_000);
    world.processOf(shop).passes = () => false;
    world.processOf(a).continue(resume);
    await world.run(1_000);
    expect(ran).toEqual([]);
    expect(a.status.queued).toBe(1);
    world.processOf(shop).passes = () => true;
    await world.settle(answer, 5_000);
    expect(ran).toEqual([1]);
  });

  // A partition kept a process that had been replaced from its parent; once it took that for dead, it ran what was queued.
  test.each(order)("without that word the parent's death sets nothing going (%s)", async (_, resume) => {
    const world = new World();
    const ran: number[] = [];
    const shop = world.node({ path: "shop", children: [{ id: "a" }, { id: "b" }], commandTimeoutMs: 60_000 });
    const a = world.node({ path: "shop.a", commands: { work: (n: number) => ran.push(n) } });
    await world.up(shop, a, world.node({ path: "shop.b" }));
    await world.run(60_000);
    world.processOf(a).stop();
    void shop.tryCommand("a", "work", 1);
    await world.run(6_000);
    world.processOf(shop).passes = () => false;
    world.processOf(a).continue(resume);
    await world.until(() => a.state === "DEGRADED");
    await world.run(30_000);
    expect([ran, a.status.queued]).toEqual([[], 1]);
    world.processOf(shop).passes = () => true;
    await world.until(() => a.state === "SYNCHRONIZED");
    await world.run(1_000);
    expect(ran).toEqual([1]);
  });

  // The offer of a former parent had waited in the socket while the process stood still, and counted as its parent's word.
  test.each(order)("an offer that is older than the stall is not that word (%s)", async (_, resume) => {
    const world = new World();
    const ran: number[] = [];
    const shop = world.node({ path: "shop", children: [{ id: "a" }, { id: "b" }] });
    const requests = { near: (n: number) => ran.push(n) };
    const a = world.node({ path: "shop.a", children: [{ id: "x" }], requests, onOrphaned: "pause" });
    const x = world.node({ path: "shop.a.x" });
    await world.up(shop, a, x, world.node({ path: "shop.b" }));
    await world.run(60_000);
    world.processOf(shop).stop();
    // Long enough for its death: the child announces itself.
    await world.run(14_000);
    world.processOf(a).stop();
    world.processOf(shop).continue(resume);
    await world.run(100);
    world.processOf(shop).stop();
    void x.request("near", 1).catch(() => {});
    await world.run(6_000);
    world.processOf(a).continue(resume);
    await world.run(500);
    expect(ran).toEqual([]);
  });

  // The parent's word on a first stall arrived during a second one, in which the process was replaced.
  test.each(order)("that word says nothing of another stall since (%s)", async (_, resume) => {
    const world = new World();
    const ran: number[] = [];
    const shop = world.node({ path: "shop", children: [{ id: "a" }, { id: "b" }], commandTimeoutMs: 60_000 });
    const old = world.node({ path: "shop.a", commands: { work: (n: number) => ran.push(n) } });
    await world.up(shop, old, world.node({ path: "shop.b" }));
    await world.run(60_000);
    world.processOf(old).stop();
    await world.run(6_000);
    world.processOf(old).continue(resume);
    await world.run(2);
    world.processOf(old).stop();
    void shop.tryCommand("a", "work", 1);
    await world.run(100);
    const successor = world.node({ path: "shop.a", commands: { work: () => {} } });
    await world.up(successor);
    await world.run(6_000);
    world.processOf(old).continue(resume);
    expect(await world.settle(old.ended, 10_000)).toBe("fenced");
    expect(ran).toEqual([]);
  });

  test.each(order)("a short stall needs no confirmation (%s)", async (_, resume) => {
    const world = new World();
    const ran: number[] = [];
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const a = world.node({ path: "shop.a", commands: { work: (n: number) => ran.push(n) } });
    await world.up(shop, a);
    await world.run(60_000);
    world.processOf(a).stop();
    void shop.tryCommand("a", "work", 1);
    await world.run(800);
    world.processOf(shop).passes = () => false;
    world.processOf(a).continue(resume);
    await world.run(10);
    expect(ran).toEqual([1]);
  });

  test.each(order)("a process that was replaced during its stall runs nothing more (%s)", async (_, resume) => {
    const world = new World();
    const ran: string[] = [];
    const shop = world.node({ path: "shop", children: [{ id: "a" }, { id: "b" }], commandTimeoutMs: 60_000 });
    const old = world.node({ path: "shop.a", commands: { work: () => ran.push("old") } });
    await world.up(shop, old, world.node({ path: "shop.b" }));
    await world.run(60_000);
    world.processOf(old).stop();
    const answer = shop.tryCommand("a", "work", {}, { idempotent: true });
    await world.run(100);
    const successor = world.node({ path: "shop.a", commands: { work: () => ran.push("new") } });
    await world.up(successor);
    expect((await world.settle(answer, 1_000)).status).toBe("completed");
    await world.run(30_000);
    world.processOf(old).continue(resume);
    expect(await world.settle(old.ended, 10_000)).toBe("fenced");
    expect(ran).toEqual(["new"]);
    expect(successor.state).toBe("SYNCHRONIZED");
  });
});
