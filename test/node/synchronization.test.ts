/** COORD_SYNC: one versioned document from a parent to its children. */
import { describe, expect, test } from "vitest";
import { type Node, PayloadTooLargeError, UnsupportedPayloadError } from "../../src/index.js";
import { record, World } from "./kit.js";

async function family(world: World, ids = ["a", "b", "c"]) {
  const shop = world.node({ path: "shop", children: ids.map((id) => ({ id })) });
  const children = ids.map((id) => world.node({ path: `shop.${id}` }));
  await world.up(shop, ...children);
  await world.run(1_000);
  return { shop, children };
}

const versions = (children: readonly Node[]): (number | undefined)[] => children.map(({ synced }) => synced?.version);

describe("synchronize", () => {
  test("versions count up, the latest arrives everywhere", async () => {
    const world = new World();
    const { shop, children } = await family(world);
    expect(shop.synchronize({ prices: [1] })).toBe(1);
    await world.run(10);
    expect(shop.synchronize({ prices: [2] })).toBe(2);
    await world.run(10);
    expect(children.map(({ synced }) => synced?.document)).toEqual(children.map(() => ({ prices: [2] })));
    expect(shop.synced).toBeNull();
    await world.run(1_000);
    expect(shop.children().map(({ status }) => status?.syncVersion)).toEqual([2, 2, 2]);
  });

  test("the document is a copy for each reader", async () => {
    const world = new World();
    const { shop, children } = await family(world, ["a"]);
    const document = { list: [1] };
    shop.synchronize(document);
    document.list.push(2);
    await world.run(10);
    const read = () => children[0]?.synced?.document as { list: number[] };
    expect(read()).toEqual({ list: [1] });
    read().list.push(3);
    expect(read()).toEqual({ list: [1] });
  });

  test("changes of one turn travel once, in one publish for all children", async () => {
    const world = new World();
    const { shop, children } = await family(world);
    const received = children.map((child) => record(child, "sync.received"));
    const sinceMs = world.nowMs;
    for (let n = 1; n <= 50; n++) shop.synchronize({ n });
    await world.run(1_000);
    expect(world.sent("sync.full", { sinceMs }).map(({ subject }) => subject)).toEqual(["ft.local.all.shop"]);
    expect(received).toMatchObject(children.map(() => [{ version: 50, document: { n: 50 } }]));
  });

  test("a child that comes late gets the latest, the others nothing more", async () => {
    const world = new World();
    const { shop } = await family(world);
    shop.synchronize("first");
    await world.run(10);
    shop.synchronize("second");
    await world.run(1_000);
    const sinceMs = world.nowMs;
    const late = world.node({ path: "shop.late" });
    await world.up(late);
    await world.run(1_000);
    expect(late.synced).toMatchObject({ version: 2, document: "second" });
    expect(world.sent("sync.full", { sinceMs }).map(({ subject }) => subject)).toEqual(["ft.local.down.shop.late"]);
  });

  test("a document given before the children came", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }, { id: "b" }] });
    shop.synchronize({ early: true });
    const children = ["a", "b"].map((id) => world.node({ path: `shop.${id}` }));
    await world.up(shop, ...children);
    await world.run(1_000);
    expect(versions(children)).toEqual([1, 1]);
  });

  test("a child that missed one gets the latest when it is back, and only it", async () => {
    const world = new World();
    const { shop, children } = await family(world);
    const [deaf] = children;
    if (deaf === undefined) throw new Error("no children");
    world.processOf(deaf).disconnect();
    shop.synchronize(1);
    await world.run(3_000);
    shop.synchronize(2);
    await world.run(1_000);
    world.processOf(deaf).reconnect();
    const sinceMs = world.nowMs;
    await world.run(3_000);
    expect(versions(children)).toEqual([2, 2, 2]);
    expect(world.sent("sync.full", { sinceMs }).every(({ subject }) => subject.endsWith(".shop.a"))).toBe(true);
  });

  test("lost frames are filled in", async () => {
    const world = new World();
    const { shop, children } = await family(world);
    world.processOf(shop).passes = () => world.random() > 0.5;
    for (let n = 1; n <= 30; n++) {
      shop.synchronize(n);
      await world.run(20);
    }
    await world.run(60_000);
    expect(versions(children)).toEqual([30, 30, 30]);
  });

  test("ageMs tells the time since it arrived", async () => {
    const world = new World();
    const { shop, children } = await family(world, ["a"]);
    shop.synchronize("x");
    await world.run(0);
    await world.run(2_500);
    expect(children[0]?.synced?.ageMs).toBe(2_500);
  });

  test("goes one level down; a child passes on what it wants", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const a = world.node({ path: "shop.a", children: [{ id: "x" }] });
    const x = world.node({ path: "shop.a.x" });
    await world.up(shop, a, x);
    a.on("sync.received", ({ document }) => a.synchronize({ passed: document }));
    shop.synchronize(7);
    await world.run(100);
    expect([a.synced?.document, x.synced?.document]).toEqual([7, { passed: 7 }]);
  });

  test("undefined and null are documents", async () => {
    const world = new World();
    const { shop, children } = await family(world, ["a"]);
    shop.synchronize(undefined);
    await world.run(10);
    expect(children[0]?.synced).toMatchObject({ version: 1, document: undefined });
    shop.synchronize(null);
    await world.run(10);
    expect(children[0]?.synced).toMatchObject({ version: 2, document: null });
  });

  test("what cannot travel is refused at the call and changes nothing", async () => {
    const world = new World();
    const { shop, children } = await family(world, ["a"]);
    expect(() => shop.synchronize(new Set())).toThrow(UnsupportedPayloadError);
    expect(() => shop.synchronize("x".repeat(2_000_000))).toThrow(PayloadTooLargeError);
    expect(shop.synchronize("fine")).toBe(1);
    await world.run(10);
    expect(children[0]?.synced?.document).toBe("fine");
  });
});

describe("restarts", () => {
  test("a restarted parent counts anew, and its children follow it", async () => {
    const world = new World();
    const { shop, children } = await family(world);
    for (let n = 0; n < 5; n++) {
      shop.synchronize({ old: n });
      await world.run(10);
    }
    expect(versions(children)).toEqual([5, 5, 5]);
    world.kill(shop);
    const again = world.node({ path: "shop", children: [{ id: "a" }, { id: "b" }, { id: "c" }] });
    await world.up(again);
    await world.run(1_000);
    expect(versions(children)).toEqual([undefined, undefined, undefined]);
    expect(again.synchronize({ new: true })).toBe(1);
    await world.run(100);
    expect(children.map(({ synced }) => synced?.document)).toEqual(children.map(() => ({ new: true })));
  });

  test("a parent that failed and recovered goes on counting, and its children keep what they have", async () => {
    const world = new World();
    const { shop, children } = await family(world);
    shop.synchronize("one");
    await world.run(100);
    const received = record(children[0] as Node, "sync.received");
    shop.fail("a moment");
    await world.run(5_000);
    expect(shop.state).toBe("SYNCHRONIZED");
    expect(versions(children)).toEqual([1, 1, 1]);
    expect(received).toEqual([]);
    expect(shop.synchronize("two")).toBe(2);
    await world.run(100);
    expect(versions(children)).toEqual([2, 2, 2]);
  });

  test("a restarted child gets the latest", async () => {
    const world = new World();
    const { shop, children } = await family(world);
    shop.synchronize("one");
    await world.run(100);
    world.kill(children[0] as Node);
    const again = world.node({ path: "shop.a" });
    await world.up(again);
    await world.run(100);
    expect(again.synced).toMatchObject({ version: 1, document: "one" });
  });
});
