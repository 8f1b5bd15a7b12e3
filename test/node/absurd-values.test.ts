/** Well-formed frames with values that make no sense: they harm their sender at most. */
import { describe, expect, test } from "vitest";
import { record, states, World } from "./kit.js";
import { pack, RawChild, rawFrame, RawParent } from "./raw-peers.js";

const MAX = Number.MAX_SAFE_INTEGER;
describe("numbers", () => {
  test("sequence numbers far ahead are dropped and counted, near ones wait for what is missing", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "raw" }] });
    const raw = new RawChild(world, "shop.raw");
    await world.up(shop);
    const reports = record(shop, "child.reported");
    for (const seq of [10_000, MAX, -MAX, 100_000]) raw.send([7, 6, seq, pack(seq)]);
    await world.run(10);
    expect(shop.status.dropped["outside the window"]).toBe(4);
    for (const seq of [3, 2, 1, 2, 3]) raw.send([7, 6, seq, pack(seq)]);
    await world.run(10);
    expect(reports.map(({ data }) => data)).toEqual([1, 2, 3]);
    expect(shop.state).toBe("SYNCHRONIZED");
  });

  test("a parent's numbers far ahead are dropped and counted too", async () => {
    const world = new World();
    const raw = new RawParent(world, "shop");
    const a = world.node({ path: "shop.a" });
    await world.up(a);
    raw.send("a", [3, 0, 50_000, 1, pack("unicast")]);
    raw.broadcast([3, 0, -50_000, 1, pack("broadcast")]);
    await world.run(100);
    expect([a.status.dropped["outside the window"], a.synced]).toEqual([2, null]);
  });

  test("a leaf that reports absurd numbers spoils no frame of its ancestors", async () => {
    const world = new World();
    const root = world.node({ path: "shop", children: [{ id: "a" }] });
    const mid = world.node({ path: "shop.a", children: [{ id: "raw" }] });
    const raw = new RawChild(world, "shop.a.raw");
    await world.up(root, mid);
    const entered = states(root);
    for (let n = 0; n < 20; n++) {
      raw.send([7, 0, 0, MAX, MAX, 2, MAX, MAX, MAX, MAX, MAX, MAX]);
      await world.run(500);
    }
    expect(entered).toEqual([]);
    expect(root.status.dropped).toEqual({});
    expect(mid.child("raw")?.status?.localHealth).toBeLessThanOrEqual(7);
  });

  test("absurd acknowledgements and credits of a child harm only its own session", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "raw" }, { id: "a" }, { id: "b" }] });
    const raw = new RawChild(world, "shop.raw");
    const commands = { hello: () => "hello" };
    const children = ["a", "b"].map((id) => world.node({ path: `shop.${id}`, commands }));
    await world.up(shop, ...children);
    const frame = { session: raw.session, ack: MAX, broadcastAck: MAX, credit: MAX, messages: [] };
    for (let n = 0; n < 10; n++) {
      world.broker.publish("ft.local.up.shop.raw", rawFrame(frame));
      shop.synchronize(n);
      await world.run(100);
    }
    expect(children.map(({ synced }) => synced?.version)).toEqual([10, 10]);
    for (const id of ["a", "b"]) expect(await world.settle(shop.command(id, "hello"), 1_000)).toBe("hello");
  });

  test("a child that promises to be silent for ever and says that it is ill is declared dead all the same", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "raw" }, { id: "a" }] });
    const raw = new RawChild(world, "shop.raw");
    await world.up(shop, world.node({ path: "shop.a" }));
    raw.send([7, 0, 0, MAX, MAX, 2, 0, 0, 0, 1, 1, 0]);
    raw.session = "";
    await world.until(() => shop.child("raw")?.link === "dead", "the silent child is dead", 60_000);
    expect(shop.state).toBe("DEGRADED");
  });

  // A root that believed it took an epoch which is no safe integer: no frame of it was well-formed any more.
  test("an epoch that cannot be outranked is not believed", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    await shop.start();
    const announce = (parentEpoch: readonly number[]) =>
      rawFrame({ messages: [[9, 0, 0, "local", "boot", 1, [], parentEpoch, 1, 1]] });
    for (const epoch of [[MAX], [MAX - 1], [MAX, MAX]]) {
      world.broker.publish("ft.local.up.shop.liar", announce(epoch));
      await world.run(20_000);
    }
    expect(Number(shop.epoch)).toBeLessThan(2 ** 52);
    await world.up(world.node({ path: "shop.a" }), shop);
    expect(shop.status.dropped).toHaveProperty("impossible epoch");
  });

  test("deadlines, budgets and remaining times of any size", async () => {
    const world = new World();
    const raw = new RawParent(world, "shop");
    const a = world.node({ path: "shop.a", commands: { hello: () => "hello" } });
    await world.up(a);
    for (const [n, deadlineMs] of [0, 1, 2 ** 31, MAX].entries()) {
      raw.send("a", [2, 0, raw.nextSeq("a"), `id${n}`, "", "hello", pack(null), deadlineMs, false, 0, null]);
    }
    await world.run(100);
    const answers = raw.received.filter(({ key }) => key === "10.0" || key === "8.0").map(({ key }) => key);
    expect(answers).toEqual(["8.0", "10.0", "10.0", "10.0"]);
    raw.send("a", [5, 0, 0, MAX, "stop"]);
    expect(await world.settle(a.ended, 1_000)).toBe("shutdown");
    expect(world.clock.pending).toBeLessThan(5);
  });
});

describe("texts", () => {
  const long = "€".repeat(4_000);

  // What is passed on used to be passed on whole, also where it did not fit: that threw, uncaught.
  test("a long error passes a hop that carries little", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }], requests: {} });
    const process = world.process({ maxPayloadBytes: 8_192 });
    const a = world.node({ path: "shop.a", children: [{ id: "raw" }], process });
    const raw = new RawChild(world, "shop.a.raw");
    await world.up(shop, a);
    raw.answers = { x: null };
    const answer = shop.tryCommand("a.raw", "x", {}, { commandId: "key", timeoutMs: 1_000 });
    await world.run(10);
    raw.send([8, 0, raw.nextSeq(), "key", 1, "HANDLER_FAILED", long, long]);
    expect(await world.settle(answer, 100)).toMatchObject({ status: "failed", error: { code: "HANDLER_FAILED" } });
  });

  test("so do a long reply to a request and a long reason to shut down", async () => {
    const world = new World();
    const raw = new RawParent(world, "shop");
    const process = world.process({ maxPayloadBytes: 8_192 });
    const a = world.node({ path: "shop.a", process });
    const x = world.node({ path: "shop.a.x" });
    await world.up(a, x);
    const answer = world.failure(x.request("ask", {}, { timeoutMs: 1_000 }), 1_000);
    await world.run(10);
    const id = raw.received.find(({ key }) => key === "7.4")?.fields[0];
    raw.send("a", [2, 2, raw.nextSeq("a"), id, 1, "HANDLER_FAILED", long, long, new Uint8Array(0)]);
    expect(await answer).toMatchObject({ code: "HANDLER_FAILED" });
    raw.send("a", [5, 0, 0, 1_000, long]);
    expect(await world.settle(Promise.all([a.ended, x.ended]), 1_100)).toEqual(["shutdown", "shutdown"]);
  });
});

describe("payloads", () => {
  test("what came too early is kept up to a bound of bytes", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "raw" }] });
    const raw = new RawChild(world, "shop.raw");
    await world.up(shop);
    const reports = record(shop, "child.reported");
    const large = pack("x".repeat(500_000));
    for (let seq = 2; seq <= 101; seq++) raw.send([7, 6, seq, large]);
    await world.run(10);
    expect(shop.status.dropped["outside the window"]).toBeGreaterThanOrEqual(60);
    // What was dropped is sent again by an honest sender.
    for (let seq = 1; seq <= 101; seq++) raw.send([7, 6, seq, large]);
    await world.run(10);
    expect(reports).toHaveLength(101);
  });

  test("garbled ones fail their command, their report or their document, nothing else", async () => {
    const world = new World();
    const raw = new RawParent(world, "shop");
    const a = world.node({ path: "shop.a", children: [{ id: "raw" }], commands: { hello: () => "hello" } });
    const child = new RawChild(world, "shop.a.raw");
    await world.up(a);
    const entered = states(a);
    const garbled = new Uint8Array([0xdf, 0xff, 0xff, 0xff, 0xff]);
    raw.send("a", [2, 0, raw.nextSeq("a"), "id", "", "hello", garbled, 1_000, false, 0, null]);
    raw.send("a", [3, 0, raw.nextSeq("a"), 1, garbled]);
    child.send([7, 6, child.nextSeq(), garbled]);
    await world.run(100);
    const refusal = raw.received.find(({ key }) => key === "8.0");
    expect(refusal?.fields.slice(0, 3)).toEqual(["id", 4, "INVALID_INPUT"]);
    expect(a.status.dropped).toMatchObject({ "garbled document": 1, "garbled data": 1 });
    expect(entered).toEqual([]);
    expect(() => a.synced).not.toThrow();
  });

  test("garbled results and progress fail their command only", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "raw" }] });
    const raw = new RawChild(world, "shop.raw");
    await world.up(shop);
    const garbled = new Uint8Array([0xdf, 0xff, 0xff, 0xff, 0xff]);
    const seen: unknown[] = [];
    const options = { commandId: "key", onProgress: (value: unknown) => seen.push(value), timeoutMs: 5_000 };
    raw.answers = { bad: null };
    const answer = shop.tryCommand("raw", "bad", {}, options);
    await world.run(10);
    raw.send([7, 1, 0, "key", garbled], [10, 0, raw.nextSeq(), "key", garbled]);
    const outcome = await world.settle(answer, 100);
    expect(outcome).toMatchObject({ status: "failed", error: { code: "RESULT_NOT_SENDABLE" } });
    expect([seen, shop.status.dropped["garbled progress"]]).toEqual([[], 1]);
    expect(shop.state).toBe("SYNCHRONIZED");
  });

  test("answers with absurd statuses and codes", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "raw" }] });
    const raw = new RawChild(world, "shop.raw");
    await world.up(shop);
    raw.answers = { x: null };
    const answer = shop.tryCommand("raw", "x", {}, { commandId: "key", timeoutMs: 1_000 });
    await world.run(10);
    const odd = [0, 6, 255].map((status) => [8, 0, raw.nextSeq(), "key", status, "", "", ""] as const);
    raw.send(...odd, [8, 0, raw.nextSeq(), "nobody", 1, "X", "", ""]);
    await world.run(10);
    raw.send([8, 0, raw.nextSeq(), "key", 1, "NO_SUCH_CODE", "text", ""]);
    expect(await world.settle(answer, 1_000)).toMatchObject({
      status: "failed",
      error: { message: "x at shop.raw: text" },
    });
    expect(shop.status.dropped["bad status"]).toBe(3);
  });
});
