/** Everything is bounded: queues, credit, sizes. What exceeds a bound is refused at once and by name. */
import { describe, expect, test } from "vitest";
import { type CommandOutcome, PayloadTooLargeError, UnsupportedPayloadError } from "../../src/index.js";
import { forever, gate, World } from "./kit.js";

function codes(outcomes: readonly CommandOutcome[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const outcome of outcomes) {
    const code = outcome.status === "completed" ? "completed" : outcome.error.code;
    counts[code] = (counts[code] ?? 0) + 1;
  }
  return counts;
}

describe("credit", () => {
  test("is never exceeded: a flood waits at the parent, is refused by nobody and completes", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const a = world.node({
      path: "shop.a",
      concurrency: 3,
      queueMax: 8,
      commands: { work: (n: number) => new Promise((resolve) => world.clock.setTimeout(() => resolve(n), 5)) },
    });
    await world.up(shop, a);
    const answers = Array.from({ length: 1_000 }, (_, n) => shop.command("a", "work", n));
    let most = 0;
    const all = Promise.all(answers);
    await world.until(() => {
      most = Math.max(most, a.status.queued);
      return shop.child("a")?.pending === 0;
    });
    expect(await world.settle(all)).toEqual(Array.from({ length: 1_000 }, (_, n) => n));
    expect(most).toBeLessThanOrEqual(8);
    expect(a.status.dropped).toEqual({});
  });

  test("holds over a relay", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const a = world.node({ path: "shop.a", children: [{ id: "x" }], queueMax: 4 });
    const x = world.node({
      path: "shop.a.x",
      concurrency: 1,
      queueMax: 2,
      commands: { work: (n: number) => new Promise((resolve) => world.clock.setTimeout(() => resolve(n), 5)) },
    });
    await world.up(shop, a, x);
    const answers = Array.from({ length: 200 }, (_, n) => shop.tryCommand("a.x", "work", n));
    expect(codes(await world.settle(Promise.all(answers)))).toEqual({ completed: 200 });
  });

  test("is counted anew in each session, so that a flood survives a lost one", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }], commandTimeoutMs: 120_000 });
    const ran: number[] = [];
    const a = world.node({
      path: "shop.a",
      concurrency: 2,
      queueMax: 4,
      commands: {
        work: (n: number) => {
          ran.push(n);
          return new Promise((resolve) => world.clock.setTimeout(() => resolve(n), 200));
        },
      },
    });
    await world.up(shop, a);
    const answers = Array.from({ length: 100 }, (_, n) => shop.tryCommand("a", "work", n, { idempotent: true }));
    await world.run(1_000);
    world.processOf(a).disconnect();
    await world.run(20_000);
    world.processOf(a).reconnect();
    expect(codes(await world.settle(Promise.all(answers)))).toEqual({ completed: 100 });
    expect(ran.length).toBe(new Set(ran).size);
  });
});

describe("queues", () => {
  test("a link's queue refuses what is beyond linkQueueMax, at once", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }], linkQueueMax: 5 });
    const a = world.node({ path: "shop.a", concurrency: 1, queueMax: 2, commands: { hang: forever } });
    await world.up(shop, a);
    const answers = Array.from({ length: 20 }, () => shop.tryCommand("a", "hang", {}, { timeoutMs: 1_000 }));
    await world.run(0);
    const outcomes = await world.settle(Promise.all(answers));
    const refused = outcomes.filter(({ status }) => status === "notStarted");
    expect(codes(outcomes)).toMatchObject({ OVERLOADED: 20 - 5 - 2 });
    expect(refused.every(({ attempts, durationMs }) => attempts === 0 && durationMs === 0)).toBe(true);
  });

  // Refusals at the own link count as no attempt; past its deadline such a command used to be retried without end.
  test("an idempotent command that finds no place until its deadline times out", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }], linkQueueMax: 1 });
    const a = world.node({ path: "shop.a", concurrency: 1, queueMax: 1, commands: { hang: forever } });
    await world.up(shop, a);
    const others = Array.from({ length: 5 }, () => shop.tryCommand("a", "hang", {}, { timeoutMs: 10_000 }));
    await world.run(10);
    const outcome = await world.settle(shop.tryCommand("a", "hang", {}, { idempotent: true, timeoutMs: 1_500 }), 2_000);
    expect(outcome).toMatchObject({ status: "timedOut", attempts: 0, durationMs: 1_500 });
    await world.settle(Promise.all(others));
  });

  // Each that was refused waited for its next attempt, up to the deadline: a flood grew without bound at its caller.
  test("no more idempotent commands than linkQueueMax wait to be sent again", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }], linkQueueMax: 5 });
    const a = world.node({ path: "shop.a", concurrency: 1, queueMax: 2, commands: { hang: forever } });
    await world.up(shop, a);
    const command = { idempotent: true, timeoutMs: 10_000 };
    const answers = Array.from({ length: 40 }, () => shop.tryCommand("a", "hang", {}, command));
    const outcomes = await world.settle(Promise.all(answers));
    const refused = outcomes.filter(({ status }) => status === "notStarted");
    // Two were sent at once; five waited for credit, and five to try again.
    expect(codes(outcomes)).toEqual({ OVERLOADED: 40 - 2 - 5 - 5, DEADLINE_EXCEEDED: 2 + 5 + 5 });
    expect(refused.every(({ durationMs }) => durationMs === 0)).toBe(true);
    // The places are free again.
    const late = await world.settle(shop.tryCommand("a", "hang", {}, { idempotent: true, timeoutMs: 100 }));
    expect(late).toMatchObject({ status: "timedOut" });
  });

  test("an executor that many children ask at once refuses what is beyond queueMax", async () => {
    const world = new World();
    const ends = gate();
    const shop = world.node({ path: "shop", concurrency: 1, queueMax: 2, requests: { ask: () => ends.opened } });
    const children = Array.from({ length: 6 }, (_, n) => world.node({ path: `shop.c${n}` }));
    await world.up(shop, ...children);
    const answers = children.map((child) =>
      child.request("ask").then(
        () => "completed",
        (error: { code: string; status: string }) => `${error.code} ${error.status}`,
      ),
    );
    await world.run(1_000);
    ends.open();
    const all = await world.settle(Promise.all(answers));
    expect(all.filter((one) => one === "completed")).toHaveLength(3);
    expect(all.filter((one) => one === "OVERLOADED notStarted")).toHaveLength(3);
  });
});

describe("batching", () => {
  test("the commands of one turn leave in few publishes, and so do their answers", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const a = world.node({ path: "shop.a", commands: { same: (n: number) => n } });
    await world.up(shop, a);
    await world.run(1_000);
    const [down, up] = [world.processOf(shop), world.processOf(a)];
    const before = [down.publishes, up.publishes];
    await world.settle(Promise.all(Array.from({ length: 500 }, (_, n) => shop.command("a", "same", n))));
    expect(down.publishes - (before[0] ?? 0)).toBeLessThanOrEqual(10);
    expect(up.publishes - (before[1] ?? 0)).toBeLessThanOrEqual(25);
  });

  test("a batch is split below the transport's maximum", async () => {
    const world = new World();
    const process = world.process({ maxPayloadBytes: 16_384 });
    const shop = world.node({ path: "shop", children: [{ id: "a" }], process });
    await world.up(shop, world.node({ path: "shop.a", commands: { size: (bytes: Uint8Array) => bytes.length } }));
    const input = new Uint8Array(5_000);
    const answers = Array.from({ length: 20 }, () => shop.command("a", "size", input));
    expect(new Set(await world.settle(Promise.all(answers)))).toEqual(new Set([5_000]));
    expect(Math.max(...world.wire.map(({ payload }) => payload.length))).toBeLessThanOrEqual(16_384);
  });
});

describe("sizes", () => {
  test("an input that is too large is refused at the call", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    await world.up(shop, world.node({ path: "shop.a", commands: { size: (text: string) => text.length } }));
    const error = await world.failure(shop.command("a", "size", "x".repeat(1_048_576)), 0);
    expect(error).toBeInstanceOf(PayloadTooLargeError);
    expect(error).toMatchObject({ code: "PAYLOAD_TOO_LARGE", maxPayloadBytes: expect.any(Number) as number });
    const { maxPayloadBytes } = error as PayloadTooLargeError;
    // What the error names as the maximum does go through.
    const largest = "x".repeat(maxPayloadBytes - 5 - 3 * "a".length);
    expect(await world.settle(shop.command("a", "size", largest))).toBe(largest.length);
    expect(await world.failure(shop.command("a", "size", `${largest}y`), 0)).toBeInstanceOf(PayloadTooLargeError);
  });

  test("meta and target count too", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    await world.up(shop, world.node({ path: "shop.a", commands: { x: () => "x" } }));
    const meta = { large: "ä".repeat(600_000) };
    expect(await world.failure(shop.command("a", "x", {}, { meta }), 0)).toBeInstanceOf(PayloadTooLargeError);
  });

  test("a result that is too large fails its command only", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const a = world.node({ path: "shop.a", commands: { make: (length: number) => "x".repeat(length) } });
    await world.up(shop, a);
    const error = await world.failure(shop.command("a", "make", 1_048_576));
    expect(error).toMatchObject({ code: "RESULT_NOT_SENDABLE", status: "failed" });
    expect(await world.settle(shop.command("a", "make", 1))).toBe("x");
  });

  test("a result that cannot travel names the field", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    await world.up(shop, world.node({ path: "shop.a", commands: { make: () => ({ list: [1, new Map()] }) } }));
    const error = await world.failure(shop.command("a", "make"));
    expect(error).toMatchObject({ code: "RESULT_NOT_SENDABLE" });
    expect((error as Error).message).toContain("result.list[1]");
  });

  test("the largest result travels with the longest id", async () => {
    const world = new World();
    const maxPayloadBytes = 65_536;
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const a = world.node({
      path: "shop.a",
      process: world.process({ maxPayloadBytes }),
      commands: { make: (length: number) => new Uint8Array(length) },
    });
    await world.up(shop, a);
    const statuses = new Set<string>();
    for (let length = maxPayloadBytes - 1_100; length <= maxPayloadBytes; length += 7) {
      const options = { commandId: "€".repeat(60) + String(length).slice(-4), timeoutMs: 1_000 };
      const outcome = await world.settle(shop.tryCommand("a", "make", length, options));
      statuses.add(outcome.status);
    }
    expect(statuses).toEqual(new Set(["completed", "failed"]));
  });

  const unserialisable: readonly [string, unknown, string][] = [
    ["a function", { deep: [{ f: () => {} }] }, "input.deep[0].f"],
    ["a Map", { map: new Map() }, "input.map"],
    ["NaN", [1, Number.NaN], "input[1]"],
    ["a symbol", Symbol("s"), "input"],
    ["too large a bigint", { n: 2n ** 70n }, "input.n"],
  ];
  test.each(unserialisable)("an input with %s is refused at the call, with the field", async (_, input, field) => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    await world.up(shop, world.node({ path: "shop.a" }));
    const error = await world.failure(shop.command("a", "x", input), 0);
    expect(error).toBeInstanceOf(UnsupportedPayloadError);
    expect(error).toMatchObject({ code: "UNSUPPORTED_PAYLOAD", field });
    expect(() => shop.fanOut(["a"], "x", input)).toThrow(UnsupportedPayloadError);
  });

  test("a relay that carries less refuses what it cannot pass on", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const a = world.node({
      path: "shop.a",
      children: [{ id: "x" }],
      process: world.process({ maxPayloadBytes: 16_384 }),
      commands: { size: (text: string) => text.length },
    });
    const x = world.node({
      path: "shop.a.x",
      commands: { size: (text: string) => text.length, make: (length: number) => "x".repeat(length) },
    });
    await world.up(shop, a, x);
    const large = "x".repeat(20_000);
    expect(await world.settle(shop.command("a", "size", large))).toBe(20_000);
    const error = await world.failure(shop.command("a.x", "size", large));
    expect(error).toMatchObject({ code: "TOO_LARGE_FOR_HOP", status: "notStarted" });
    const onTheWayBack = await world.failure(shop.command("a.x", "make", 20_000));
    expect(onTheWayBack).toMatchObject({ code: "RESULT_NOT_SENDABLE", status: "failed" });
    expect(await world.settle(shop.command("a.x", "size", "small"))).toBe(5);
  });

  test("a node whose transport carries next to nothing is refused at its creation", () => {
    const world = new World();
    const process = world.process({ maxPayloadBytes: 1_024 });
    expect(() => world.node({ path: "shop", process })).toThrow(/maxPayloadBytes/);
  });

  test("long texts of the user are shortened, so that they arrive", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const a = world.node({ path: "shop.a" });
    await world.up(shop, a);
    const long = "€".repeat(2_000_000);
    a.fail(long);
    await world.until(() => shop.child("a")?.link === "failed");
    await world.until(() => a.state === "SYNCHRONIZED");
    const stopped = a.stop({ reason: long });
    await world.settle(stopped, 1_000);
    expect(shop.child("a")?.link).toBe("left");
  });
});
