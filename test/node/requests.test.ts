/** What nodes ask and tell upward. */
import { describe, expect, test } from "vitest";
import { type Commands, PayloadTooLargeError, UnsupportedPayloadError } from "../../src/index.js";
import { gate, record, World } from "./kit.js";

/** A chain of three whose upper two serve these requests. */
async function chain(world: World, root: Commands, mid: Commands = {}) {
  const shop = world.node({ path: "shop", children: [{ id: "a" }], requests: root });
  const a = world.node({ path: "shop.a", children: [{ id: "x" }], requests: mid });
  const x = world.node({ path: "shop.a.x" });
  await world.up(shop, a, x);
  return { shop, a, x };
}

const serve =
  (by: string) =>
  (input: unknown, { path, name, meta }: { path: string; name: string; meta: unknown }) => ({
    by,
    path,
    name,
    meta,
    input,
  });

describe("request", () => {
  test("the parent serves", async () => {
    const world = new World();
    const { x } = await chain(world, {}, { price: serve("mid") });
    const answer = x.request("price", { sku: 1 }, { meta: { trace: "t" } });
    expect(await world.settle(answer)).toEqual({
      by: "mid",
      path: "shop.a",
      name: "price",
      meta: { trace: "t" },
      input: { sku: 1 },
    });
  });

  test("the grandparent serves what the parent does not", async () => {
    const world = new World();
    const { x, a } = await chain(world, { price: serve("root") }, { other: serve("mid") });
    expect(await world.settle(x.request("price", 1))).toMatchObject({ by: "root", path: "shop" });
    expect(await world.settle(a.request("price", 2))).toMatchObject({ by: "root", input: 2 });
  });

  test("the nearest wins; a node does not ask itself", async () => {
    const world = new World();
    const { x, a } = await chain(world, { price: serve("root") }, { price: serve("mid") });
    expect(await world.settle(x.request("price"))).toMatchObject({ by: "mid" });
    expect(await world.settle(a.request("price"))).toMatchObject({ by: "root" });
  });

  test("nobody serves", async () => {
    const world = new World();
    const { shop, a, x } = await chain(world, {});
    for (const node of [shop, a, x]) {
      const error = await world.failure(node.request("nothing"), 1_000);
      expect(error).toMatchObject({ code: "UNKNOWN_COMMAND", status: "notStarted", commandName: "nothing" });
    }
  });

  test("names of Object's own are not served", async () => {
    const world = new World();
    const { x } = await chain(world, {});
    for (const name of ["constructor", "toString", "__proto__"]) {
      expect(await world.failure(x.request(name), 1_000)).toMatchObject({ code: "UNKNOWN_COMMAND" });
    }
  });

  test("many at once, over a parent that says nothing else", async () => {
    const world = new World();
    const { x } = await chain(world, { double: (n: number) => 2 * n });
    const answers = Array.from({ length: 300 }, (_, n) => x.request("double", n));
    expect(await world.settle(Promise.all(answers), 5_000)).toEqual(Array.from({ length: 300 }, (_, n) => 2 * n));
  });

  test("an abort reaches the handler", async () => {
    const world = new World();
    const signals: AbortSignal[] = [];
    const { x } = await chain(world, {
      hang: (_: unknown, { signal }) => (signals.push(signal), new Promise(() => {})),
    });
    const controller = new AbortController();
    const reason = new Error("enough");
    const answer = x.request("hang", {}, { signal: controller.signal });
    await world.run(100);
    controller.abort(reason);
    expect(await world.failure(answer, 1)).toBe(reason);
    await world.run(10);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
  });

  test("the deadline answers, and aborts the handler", async () => {
    const world = new World();
    const signals: AbortSignal[] = [];
    const { x } = await chain(world, {
      hang: (_: unknown, { signal }) => (signals.push(signal), new Promise(() => {})),
    });
    const error = await world.failure(x.request("hang", {}, { timeoutMs: 500 }), 500);
    expect(error).toMatchObject({ code: "DEADLINE_EXCEEDED", status: "timedOut" });
    await world.run(10);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
  });

  test("a handler that throws", async () => {
    const world = new World();
    const { x } = await chain(world, {
      fail: () => {
        throw Object.assign(new Error("no"), { code: "E_NO" });
      },
    });
    const error = await world.failure(x.request("fail"));
    expect(error).toMatchObject({ code: "HANDLER_FAILED", status: "failed", handlerCode: "E_NO" });
  });

  test("it waits for a parent that is not there yet", async () => {
    const world = new World();
    const a = world.node({ path: "shop.a" });
    await a.start();
    const answer = a.request("hello", {}, { timeoutMs: 60_000 });
    await world.run(10_000);
    await world.up(world.node({ path: "shop", requests: { hello: () => "hello" } }));
    expect(await world.settle(answer, 10_000)).toBe("hello");
  });

  test("a parent that is replaced meanwhile: not idempotent is unknown, idempotent is asked again", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", requests: { ask: () => new Promise(() => {}) } });
    const a = world.node({ path: "shop.a" });
    await world.up(shop, a);
    const once = a.request("ask", {}, { timeoutMs: 60_000 });
    const again = a.request("ask", {}, { timeoutMs: 60_000, idempotent: true });
    const refusal = world.failure(once, 5_000);
    await world.run(100);
    world.kill(shop);
    await world.up(world.node({ path: "shop", requests: { ask: () => "done" } }));
    expect(await refusal).toMatchObject({ code: "EXECUTOR_LOST", status: "unknown" });
    expect(await world.settle(again, 5_000)).toBe("done");
  });

  test("an outage in between: the handler runs once, the answer is not lost", async () => {
    const world = new World();
    let runs = 0;
    const ends = gate<string>();
    const { a, x } = await chain(world, { ask: () => (runs++, ends.opened) });
    const answer = x.request("ask", {}, { timeoutMs: 60_000 });
    await world.run(100);
    world.processOf(a).disconnect();
    ends.open("done");
    await world.run(3_000);
    world.processOf(a).reconnect();
    expect(await world.settle(answer, 30_000)).toBe("done");
    expect(runs).toBe(1);
  });

  test("a relay that carries less refuses what it cannot pass on, in both directions", async () => {
    const world = new World();
    const shop = world.node({
      path: "shop",
      children: [{ id: "a" }],
      requests: { size: (text: string) => text.length, make: (length: number) => "x".repeat(length) },
    });
    const process = world.process({ maxPayloadBytes: 16_384 });
    const a = world.node({ path: "shop.a", children: [{ id: "x" }], process });
    const x = world.node({ path: "shop.a.x" });
    await world.up(shop, a, x);
    const up = await world.failure(x.request("size", "x".repeat(20_000)));
    expect(up).toMatchObject({ code: "TOO_LARGE_FOR_HOP", status: "notStarted" });
    const down = await world.failure(x.request("make", 20_000));
    expect(down).toMatchObject({ code: "RESULT_NOT_SENDABLE", status: "failed" });
    expect(await world.settle(x.request("size", "small"))).toBe(5);
  });

  test("a child that ends leaves its request unanswered without harm", async () => {
    const world = new World();
    const ends = gate<string>();
    const { shop, a, x } = await chain(world, { ask: () => ends.opened });
    const failure = world.failure(x.request("ask"), 1_000);
    await world.run(100);
    await world.settle(x.stop());
    expect(await failure).toMatchObject({ status: "unknown" });
    ends.open("late");
    await world.run(5_000);
    expect([shop.state, a.state]).toEqual(["SYNCHRONIZED", "DEGRADED"]);
  });
});

describe("report", () => {
  test('arrives as "child.reported", in order and once', async () => {
    const world = new World();
    const { shop, a, x } = await chain(world, {});
    const [toRoot, toMid] = [record(shop, "child.reported"), record(a, "child.reported")];
    world.processOf(a).passes = () => world.random() > 0.3;
    for (let n = 0; n < 20; n++) a.report({ n });
    x.report("for the parent only");
    await world.run(20_000);
    expect(toRoot).toEqual(Array.from({ length: 20 }, (_, n) => ({ id: "a", data: { n } })));
    expect(toMid).toEqual([{ id: "x", data: "for the parent only" }]);
  });

  test("is lost without a parent, and no error", async () => {
    const world = new World();
    const a = world.node({ path: "shop.a" });
    a.report(1);
    await a.start();
    a.report(2);
    const root = world.node({ path: "shop" });
    root.report("a root has no parent");
    const reports = record(root, "child.reported");
    await world.up(root, a);
    a.report(3);
    await world.run(100);
    expect(reports).toEqual([{ id: "a", data: 3 }]);
  });

  test("what cannot travel is refused at the call", async () => {
    const world = new World();
    const { a } = await chain(world, {});
    expect(() => a.report({ m: new Map() })).toThrow(UnsupportedPayloadError);
    expect(() => a.report("x".repeat(2_000_000))).toThrow(PayloadTooLargeError);
  });
});
