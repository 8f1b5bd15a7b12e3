/** Bad options: each is refused by name, with its value and the rule, before anything happens. */
import { describe, expect, test } from "vitest";
import {
  createNode,
  InvalidOptionError,
  InvalidPathError,
  memoryTransport,
  type Node,
  type NodeOptions,
} from "../../src/index.js";
import { World } from "./kit.js";

const transport = memoryTransport();
const DELAYS = [0, -1, 0.5, Number.NaN, Infinity, 2 ** 31, "5", null, {}];
const COUNTS = [0, -1, 1.5, Number.NaN, Infinity, 2 ** 60, "5"];

/** What createNode says to one option that is wrong. */
function refusal(options: Record<string, unknown>): unknown {
  try {
    createNode({ path: "shop", transport, ...options });
  } catch (error) {
    return error;
  }
  return expect.fail(`accepted ${JSON.stringify(options)}`);
}

/** Builds `{ a: { b: value } }` of "a.b". */
function nested(option: string, value: unknown): Record<string, unknown> {
  const [first = "", ...rest] = option.split(".");
  return { [first]: rest.length === 0 ? value : nested(rest.join("."), value) };
}

describe("delays", () => {
  const delays = [
    "initTimeoutMs",
    "cleanupTimeoutMs",
    "commandTimeoutMs",
    "shutdownTimeoutMs",
    "backoff.baseMs",
    "backoff.maxMs",
    "heartbeat.minMs",
    "heartbeat.maxMs",
    "failureDetector.pauseMs",
    "failureDetector.deadMs",
  ];
  test.each(delays)("%s", (option) => {
    for (const value of DELAYS) {
      // null stands for the default, as undefined does.
      if (value === null) continue;
      const error = refusal(nested(option, value));
      expect(error).toBeInstanceOf(InvalidOptionError);
      expect(error).toMatchObject({ code: "INVALID_OPTION", option, value });
      expect((error as Error).message).toMatch(/^\S+ must be a number of milliseconds from 1 to 2147483647, got /);
    }
  });

  test("recoveryTimeoutMs, for which null is no limit", () => {
    expect(createNode({ path: "shop", transport, recoveryTimeoutMs: null }).state).toBe("DISCONNECTED");
    expect(refusal({ recoveryTimeoutMs: 0 })).toMatchObject({ option: "recoveryTimeoutMs", value: 0 });
  });

  test("fractions of a millisecond are fine, and never reach the wire", async () => {
    const world = new World();
    const fractions = {
      initTimeoutMs: 10_000.5,
      heartbeat: { minMs: 500.5, maxMs: 2_000.25 },
      shutdownTimeoutMs: 1_000.75,
      commandTimeoutMs: 30_000.1,
    };
    const shop = world.node({ path: "shop", children: [{ id: "a" }], ...fractions });
    const a = world.node({ path: "shop.a", commands: { hello: () => "hello" }, ...fractions });
    await world.up(shop, a);
    await world.run(30_000);
    expect(await world.settle(shop.command("a", "hello", {}, { timeoutMs: 100.5 }))).toBe("hello");
    await world.settle(shop.shutdownTree({ timeoutMs: 500.5 }), 1_000);
    expect(world.wire.filter(({ kinds }) => kinds.includes("malformed"))).toEqual([]);
    expect(await world.settle(a.ended, 100)).toBe("shutdown");
  });
});

describe("counts", () => {
  const counts = ["childrenMax", "concurrency", "queueMax", "linkQueueMax", "outcomesMax", "outcomesMaxBytes"];
  const thresholds = ["thresholds.degraded.count", "thresholds.failed.count"];
  test.each([...counts, ...thresholds])("%s", (option) => {
    for (const value of COUNTS) {
      const error = refusal(nested(option, value));
      expect(error).toBeInstanceOf(InvalidOptionError);
      expect(error).toMatchObject({ option, value, rule: "an integer >= 1" });
    }
  });
});

describe("single options", () => {
  const cases: readonly [option: string, options: Record<string, unknown>, rule: RegExp, value?: unknown][] = [
    ["transport", { transport: null }, /a Transport/, null],
    ["transport", { transport: {} }, /a Transport/],
    ["transport", { transport: { publish: () => {} } }, /a Transport/],
    ["transport.maxPayloadBytes", { transport: memoryTransport({ maxPayloadBytes: 8_191 }) }, />= 8192/, 8_191],
    ["children", { children: { a: {} } }, /an array/],
    ["children[0]", { children: ["a"] }, /an object/, "a"],
    ["children[1].critical", { children: [{ id: "a" }, { id: "b", critical: "yes" }] }, /true or false/, "yes"],
    ["children[1].id", { children: [{ id: "a" }, { id: "a" }] }, /unique/, "a"],
    ["acceptJoining", { acceptJoining: 1 }, /true or false/, 1],
    ["treeId", { treeId: "" }, /1 to 64 characters/, ""],
    ["treeId", { treeId: "x".repeat(65) }, /1 to 64 characters/, "x".repeat(65)],
    ["treeId", { treeId: 7 }, /1 to 64 characters/, 7],
    ["thresholds.degraded", { thresholds: { degraded: 1 } }, /an object/, 1],
    ["thresholds.degraded.fraction", { thresholds: { degraded: {} } }, /above 0 and at most 1/, undefined],
    ["thresholds.failed.fraction", { thresholds: { failed: { fraction: 0 } } }, /above 0 and at most 1/, 0],
    ["thresholds.failed.fraction", { thresholds: { failed: { fraction: 1.1 } } }, /above 0 and at most 1/, 1.1],
    ["onOrphaned", { onOrphaned: "die" }, /one of continue, pause, stop/, "die"],
    ["commands", { commands: [] }, /an object/],
    ["commands.x", { commands: { x: 5 } }, /a function or \{ input: schema, run: function \}/, 5],
    ["commands.x", { commands: { x: null } }, /a function or/, null],
    ["commands.x.input", { commands: { x: { run: () => {} } } }, /a Standard Schema/, undefined],
    ["commands name", { commands: { "": () => {} } }, /1 to 64 characters/, ""],
    ["commands name", { commands: { ["n".repeat(65)]: () => {} } }, /1 to 64 characters/],
    ["requests", { requests: "x" }, /an object/, "x"],
    ["requests.x", { requests: { x: "y" } }, /a function or/, "y"],
    ["epochStore", { epochStore: {} }, /an object with the methods next/],
    ["logger", { logger: { info: () => {} } }, /an object with the methods debug, info, warn, error/],
    ["clock", { clock: { now: () => 0 } }, /an object with the methods now, wallNow/],
    ["random", { random: 0.5 }, /a function/, 0.5],
  ];
  test.each(cases)("%s: %o", (option, options, rule, ...value) => {
    const error = refusal(options);
    expect(error).toBeInstanceOf(InvalidOptionError);
    expect(error).toMatchObject({ name: "InvalidOptionError", code: "INVALID_OPTION", option });
    expect((error as InvalidOptionError).rule).toMatch(rule);
    if (value.length > 0) expect((error as InvalidOptionError).value).toEqual(value[0]);
  });
});

test("no options at all", () => {
  expect(() => createNode(null as unknown as NodeOptions)).toThrow("options must be an object, got null");
});

describe("relations", () => {
  const cases: readonly [option: string, options: Partial<NodeOptions>, message: string][] = [
    ["heartbeat.maxMs", { heartbeat: { minMs: 3_000 } }, "heartbeat.maxMs must be >= heartbeat.minMs (3000), got 2000"],
    [
      "backoff.maxMs",
      { backoff: { baseMs: 500, maxMs: 100 } },
      "backoff.maxMs must be >= backoff.baseMs (500), got 100",
    ],
    [
      "failureDetector.deadMs",
      { failureDetector: { deadMs: 3_000 } },
      "failureDetector.deadMs must be > heartbeat.maxMs + failureDetector.pauseMs (3000), got 3000",
    ],
    [
      "childrenMax",
      { children: [{ id: "a" }, { id: "b" }], childrenMax: 1 },
      "childrenMax must be >= the number of listed children (2), got 1",
    ],
  ];
  test.each(cases)("%s", (option, options, message) => {
    expect(refusal(options as Record<string, unknown>)).toMatchObject({ option, message });
  });

  test("the smallest values that are allowed", () => {
    const node = createNode({
      path: "s",
      transport,
      children: [{ id: "a" }],
      childrenMax: 1,
      heartbeat: { minMs: 1, maxMs: 1 },
      failureDetector: { pauseMs: 1, deadMs: 3 },
      backoff: { baseMs: 1, maxMs: 1 },
      thresholds: { degraded: { fraction: 1 }, failed: { count: 1 } },
      concurrency: 1,
      queueMax: 1,
    });
    expect(node.path).toBe("s");
  });
});

describe("paths and ids", () => {
  const bad = ["", ".", "a.", ".a", "a..b", "a b", "a.*", "a.>", "ä", "a/b", "x".repeat(65), "a\n"];
  test.each(bad)("path %j", (path) => {
    const error = refusal({ path });
    expect(error).toBeInstanceOf(InvalidPathError);
    expect(error).toMatchObject({ name: "InvalidPathError", code: "INVALID_PATH", field: "path", value: path });
  });

  test("a path of another type or too deep", () => {
    for (const path of [undefined, null, 7, ["a"], Array.from({ length: 33 }, () => "a").join(".")]) {
      expect(refusal({ path })).toMatchObject({ field: "path", value: path });
    }
    expect(createNode({ path: Array.from({ length: 32 }, () => "a").join("."), transport }).state).toBe("DISCONNECTED");
  });

  test("a child's id", () => {
    for (const id of ["", "a.b", "a b", "*", undefined, 5]) {
      const error = refusal({ children: [{ id: "ok" }, { id }] });
      expect(error).toBeInstanceOf(InvalidPathError);
      expect(error).toMatchObject({ field: "children[1].id", value: id });
    }
  });
});

describe("calls", () => {
  const options: readonly (readonly [option: string, options: Record<string, unknown>])[] = [
    ...[0, -1, Number.NaN, Infinity, 2 ** 31, "5"].map((timeoutMs) => ["timeoutMs", { timeoutMs }] as const),
    ...["", "x".repeat(65), 5].map((commandId) => ["commandId", { commandId }] as const),
    ...[-1, 1.5, Number.NaN, "1"].map((minSyncVersion) => ["minSyncVersion", { minSyncVersion }] as const),
    ["meta", { meta: { a: 1 } }],
    ["meta", { meta: "x" }],
    ["meta", { meta: Object.fromEntries(Array.from({ length: 33 }, (_, n) => [`k${n}`, "v"])) }],
    ["retry", { retry: { attemptsMax: 2 } }],
    ["retry.attemptsMax", { idempotent: true, retry: { attemptsMax: 0 } }],
    ["retry.baseMs", { idempotent: true, retry: { baseMs: 0 } }],
    ["retry.maxMs", { idempotent: true, retry: { maxMs: Infinity } }],
    ["retry.maxMs", { idempotent: true, retry: { baseMs: 100, maxMs: 10 } }],
    // On the wire it would spoil the whole frame, and with it the session.
    ["idempotent", { idempotent: 1 }],
    ["onProgress", { onProgress: "x" }],
  ];

  async function started(): Promise<{ world: World; shop: Node }> {
    const world = new World();
    const shop = world.node({ path: "shop" });
    await world.up(shop, world.node({ path: "shop.a" }));
    return { world, shop };
  }

  test.each(options)("%s: %o", async (option, given) => {
    const { world, shop } = await started();
    const before = world.wire.length;
    const error = await world.failure(shop.command("a", "x", {}, given), 0);
    expect(error).toBeInstanceOf(InvalidOptionError);
    expect(error).toMatchObject({ option });
    expect(await world.failure(shop.tryCommand("a", "x", {}, given), 0)).toMatchObject({ option });
    expect(() => shop.fanOut(["a"], "x", {}, given)).toThrow(InvalidOptionError);
    expect(world.wire).toHaveLength(before);
  });

  test("names", async () => {
    const { world, shop } = await started();
    for (const name of ["", "n".repeat(65), 5 as unknown as string]) {
      for (const call of [() => shop.command("a", name), () => shop.request(name)]) {
        expect(await world.failure(call(), 0)).toMatchObject({ code: "INVALID_OPTION", option: "name", value: name });
      }
    }
  });

  test("targets", async () => {
    const { world, shop } = await started();
    for (const target of ["a..b", "a b", "*", "a.*", 5 as unknown as string]) {
      expect(await world.failure(shop.command(target, "x"), 0)).toMatchObject({
        code: "INVALID_PATH",
        field: "target",
      });
    }
    expect(await world.failure(shop.command("", "x"), 0)).toMatchObject({ code: "INVALID_OPTION", option: "target" });
  });

  test("waits and ends reject, they do not throw", async () => {
    const { world, shop } = await started();
    for (const timeoutMs of [0, -1, Number.NaN, "5" as unknown as number]) {
      for (const call of [
        () => shop.until("FAILED", { timeoutMs }),
        () => shop.stop({ timeoutMs }),
        () => shop.shutdownTree({ timeoutMs }),
      ]) {
        const error = await world.failure(call(), 0);
        expect(error).toMatchObject({ code: "INVALID_OPTION", option: "timeoutMs", value: timeoutMs });
      }
    }
    expect(await world.failure(shop.stop({ reason: 5 as unknown as string }), 0)).toMatchObject({ option: "reason" });
    const bogus = shop.until("READY" as "FAILED");
    expect(await world.failure(bogus, 0)).toMatchObject({ code: "INVALID_OPTION", option: "state", value: "READY" });
    expect(() => shop.fail(5 as unknown as string)).toThrow(InvalidOptionError);
    expect(shop.state).toBe("SYNCHRONIZED");
  });
});

describe("nodes that are made alike", () => {
  test("have their own options as soon as something in them differs, also when it was changed in place", async () => {
    const world = new World();
    const commands: Record<string, () => string> = { first: () => "a" };
    const children = [{ id: "a" }];
    const limits = { commands, children, heartbeat: { minMs: 100, maxMs: 200 } };
    const shop = world.node({ ...limits, path: "shop" });
    const fair = world.node({ ...limits, path: "fair" });
    commands["second"] = () => "b";
    children.push({ id: "b" });
    limits.heartbeat.minMs = 150;
    const mall = world.node({ ...limits, path: "mall" });
    const childIds = (node: Node) => node.children().map(({ id }) => id);
    expect([childIds(shop), childIds(fair), childIds(mall)]).toEqual([["a"], ["a"], ["a", "b"]]);
    limits.heartbeat.minMs = 300;
    expect(() => world.node({ ...limits, path: "pier" })).toThrow("heartbeat.maxMs");
  });

  test("share no handlers that were added in between", async () => {
    const world = new World();
    const commands: Record<string, () => string> = { first: () => "a" };
    const shop = world.node({ path: "shop", children: [{ id: "a" }, { id: "b" }] });
    const a = world.node({ path: "shop.a", commands });
    commands["second"] = () => "b";
    const b = world.node({ path: "shop.b", commands });
    await world.up(shop, a, b);
    expect(await world.settle(shop.command("b", "second"))).toBe("b");
    expect(await world.settle(shop.tryCommand("a", "second"))).toMatchObject({ error: { code: "UNKNOWN_COMMAND" } });
    expect(() => world.node({ path: "shop.c", commands, unheardOf: 1 } as never)).toThrow("unheardOf");
  });
});
