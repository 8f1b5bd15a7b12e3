/** Commands from a parent to the nodes below it: where they go, how they end. */
import { describe, expect, test } from "vitest";
import { type Commands, CommandError, type Node } from "../../src/index.js";
import { gate, World } from "./kit.js";

/** A parent and one child with these commands, both SYNCHRONIZED. */
async function pair(world: World, commands: Commands, options: { readonly concurrency?: number } = {}) {
  const shop = world.node({ path: "shop", children: [{ id: "a" }] });
  const child = world.node({ path: "shop.a", commands, ...options });
  await world.up(shop, child);
  return { shop, child };
}

describe("where commands go", () => {
  const echo: Commands = { echo: (input: unknown, { path }) => ({ path, input }) };

  async function tree(world: World): Promise<Node> {
    const shop = world.node({ path: "shop", children: [{ id: "a" }, { id: "b" }] });
    const a = world.node({ path: "shop.a", children: [{ id: "x" }], commands: echo });
    const x = world.node({ path: "shop.a.x", children: [{ id: "y" }], commands: echo });
    const y = world.node({ path: "shop.a.x.y", commands: echo });
    await world.up(shop, a, x, y, world.node({ path: "shop.b", commands: echo }));
    return shop;
  }

  test.each(["a", "b", "a.x", "a.x.y"])("to %s", async (target) => {
    const world = new World();
    const shop = await tree(world);
    const answer = shop.command(target, "echo", { n: 1 });
    expect(await world.settle(answer)).toEqual({ path: `shop.${target}`, input: { n: 1 } });
  });

  test("to several, at any depth, in one fan-out", async () => {
    const world = new World();
    const shop = await tree(world);
    const { outcomes } = shop.fanOut<{ path: string }>(["b", "a.x.y", "a"], "echo");
    const paths = (await world.settle(outcomes)).map((outcome) => outcome.status === "completed" && outcome.value.path);
    expect(new Set(paths)).toEqual(new Set(["shop.b", "shop.a.x.y", "shop.a"]));
  });

  test('to all children with "*"', async () => {
    const world = new World();
    const shop = await tree(world);
    const outcomes = await world.settle(shop.fanOut("*", "echo").outcomes);
    expect(outcomes.map(({ target, status }) => `${target} ${status}`).toSorted()).toEqual([
      "a completed",
      "b completed",
    ]);
  });

  test("input and output may be undefined, null, or hold dates, bytes and big integers", async () => {
    const world = new World();
    const { shop } = await pair(world, { same: (input: unknown) => input });
    const values = [undefined, null, 0, "", [], { at: new Date(5), bytes: new Uint8Array([1, 2]), big: 2n ** 60n }];
    for (const value of values) expect(await world.settle(shop.command("a", "same", value))).toEqual(value);
  });

  test("meta reaches the handler over hops, and so do id and name", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const a = world.node({ path: "shop.a", children: [{ id: "x" }] });
    const x = world.node({
      path: "shop.a.x",
      commands: {
        see: (_: unknown, { meta, name, commandId, path, epoch }) => ({ meta, name, commandId, path, epoch }),
      },
    });
    await world.up(shop, a, x);
    const meta = { traceparent: "00-1-2-03" };
    const seen = await world.settle(shop.command("a.x", "see", {}, { meta, commandId: "key-1" }));
    const epoch = x.epoch.split(".").map(Number);
    expect(seen).toEqual({ meta, name: "see", commandId: "key-1", path: "shop.a.x", epoch });
    expect(await world.settle(shop.command("a.x", "see"))).toMatchObject({ meta: null });
  });
});

describe("how commands run", () => {
  test("side by side", async () => {
    const world = new World();
    const ends = gate();
    let running = 0;
    const { shop, child } = await pair(world, {
      work: async (n: number) => {
        running++;
        await ends.opened;
        return n;
      },
    });
    const answers = Array.from({ length: 20 }, (_, n) => shop.command("a", "work", n));
    await world.run(10);
    expect([running, child.status.running]).toEqual([20, 20]);
    ends.open();
    expect(await world.settle(Promise.all(answers))).toEqual(Array.from({ length: 20 }, (_, n) => n));
  });

  test("no more at once than concurrency, the others in the order of arrival", async () => {
    const world = new World();
    const order: number[] = [];
    const gates = Array.from({ length: 6 }, () => gate());
    const { shop, child } = await pair(
      world,
      { work: (n: number) => (order.push(n), gates[n]?.opened) },
      { concurrency: 2 },
    );
    const answers = gates.map((_, n) => shop.command("a", "work", n));
    await world.run(10);
    expect(order).toEqual([0, 1]);
    expect(child.status).toMatchObject({ running: 2, queued: 4 });
    gates[1]?.open();
    await world.run(10);
    expect(order).toEqual([0, 1, 2]);
    for (const { open } of gates) open();
    await world.settle(Promise.all(answers));
    expect(order).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test("the parent sees the child's load", async () => {
    const world = new World();
    const { shop } = await pair(world, { hang: () => new Promise(() => {}) }, { concurrency: 1 });
    for (let i = 0; i < 3; i++) void shop.tryCommand("a", "hang", {}, { timeoutMs: 30_000 });
    await world.run(3_000);
    expect(shop.child("a")).toMatchObject({ pending: 3, status: { running: 1, queued: 2 } });
  });

  test("progress arrives in order, before the result, and not after an abort", async () => {
    const world = new World();
    const first = gate();
    const { shop } = await pair(world, {
      count: async (_: unknown, { progress }) => {
        progress(1);
        progress({ half: true });
        await first.opened;
        progress(3);
        return "done";
      },
    });
    const seen: unknown[] = [];
    const controller = new AbortController();
    const onProgress = (value: unknown): void => void seen.push(value);
    const answer = shop.tryCommand("a", "count", {}, { onProgress, signal: controller.signal });
    await world.run(10);
    expect(seen).toEqual([1, { half: true }]);
    controller.abort();
    first.open();
    expect((await world.settle(answer)).status).toBe("cancelled");
    await world.run(100);
    expect(seen).toHaveLength(2);
  });

  test("progress passes through a relay", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const a = world.node({ path: "shop.a", children: [{ id: "x" }] });
    const x = world.node({ path: "shop.a.x", commands: { count: (_: unknown, { progress }) => progress("half way") } });
    await world.up(shop, a, x);
    const seen: unknown[] = [];
    await world.settle(shop.command("a.x", "count", {}, { onProgress: (value) => seen.push(value) }));
    expect(seen).toEqual(["half way"]);
  });

  test("progress that cannot travel throws in the handler, not in the node", async () => {
    const world = new World();
    const { shop } = await pair(world, { bad: (_: unknown, { progress }) => progress(new Map()) });
    const outcome = await world.settle(shop.tryCommand("a", "bad"));
    expect(outcome).toMatchObject({ status: "failed", error: { handlerCode: "UNSUPPORTED_PAYLOAD" } });
  });

  test("outcomes as data tell duration and attempts", async () => {
    const world = new World();
    const { shop } = await pair(world, {
      wait: (ms: number) => new Promise((resolve) => world.clock.setTimeout(() => resolve(ms), ms)),
    });
    const outcome = await world.settle(shop.tryCommand<number>("a", "wait", 250));
    expect(outcome).toMatchObject({ status: "completed", target: "a", value: 250, attempts: 1 });
    expect(outcome.durationMs).toBe(250);
  });
});

describe("deadlines", () => {
  test("answer a handler that never ends, abort its signal and free its place", async () => {
    const world = new World();
    let signal: AbortSignal | undefined;
    const { shop, child } = await pair(
      world,
      { hang: (_: unknown, context) => ((signal = context.signal), new Promise(() => {})), quick: () => "quick" },
      { concurrency: 1 },
    );
    const answer = shop.tryCommand("a", "hang", {}, { timeoutMs: 1_000 });
    const outcome = await world.settle(answer);
    expect(outcome).toMatchObject({ status: "timedOut", durationMs: 1_000, error: { code: "DEADLINE_EXCEEDED" } });
    await world.run(10);
    expect([signal?.aborted, child.status.running]).toEqual([true, 0]);
    expect(await world.settle(shop.command("a", "quick"))).toBe("quick");
  });

  test("count what is left, over hops", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const a = world.node({ path: "shop.a" });
    const x = world.node({
      path: "shop.a.x",
      children: [{ id: "y" }],
      commands: { look: (_: unknown, { remainingMs }) => remainingMs() },
    });
    await world.up(shop, a);
    await x.start();
    await world.until(() => a.child("x")?.link === "opening");
    const answer = shop.command("a.x", "look", {}, { timeoutMs: 5_000 });
    await world.run(900);
    await world.node({ path: "shop.a.x.y" }).start();
    expect(await world.settle(answer)).toBe(4_100);
  });

  test("expire what waits in the child's queue", async () => {
    const world = new World();
    const ran: string[] = [];
    const { shop, child } = await pair(
      world,
      { hang: (name: string) => (ran.push(name), new Promise(() => {})) },
      { concurrency: 1 },
    );
    const first = shop.tryCommand("a", "hang", "first", { timeoutMs: 5_000 });
    const second = shop.tryCommand("a", "hang", "second", { timeoutMs: 1_000 });
    expect(await world.settle(second)).toMatchObject({ status: "timedOut", durationMs: 1_000 });
    await world.run(100);
    expect([ran, child.status.queued]).toEqual([["first"], 0]);
    await world.settle(first);
  });

  test("the node's commandTimeoutMs is the default", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }], commandTimeoutMs: 700 });
    await world.up(shop, world.node({ path: "shop.a", commands: { hang: () => new Promise(() => {}) } }));
    expect(await world.settle(shop.tryCommand("a", "hang"))).toMatchObject({ status: "timedOut", durationMs: 700 });
  });
});

describe("handlers that throw", () => {
  class OutOfStock extends Error {
    readonly code = "OUT_OF_STOCK";
  }

  test("their message and code arrive, their stack does not, and the node lives", async () => {
    const world = new World();
    const { shop, child } = await pair(world, {
      later: async () => Promise.reject(new OutOfStock("nothing left")),
      now: () => {
        throw new OutOfStock("nothing left");
      },
      fine: () => "fine",
    });
    for (const name of ["later", "now"]) {
      const error = await world.failure(shop.command("a", name));
      expect(error).toBeInstanceOf(CommandError);
      expect(error).toMatchObject({
        code: "HANDLER_FAILED",
        status: "failed",
        message: `${name} at shop.a: nothing left`,
        handlerCode: "OUT_OF_STOCK",
        path: "shop.a",
        commandName: name,
      });
    }
    expect(world.wire.some(({ payload }) => Buffer.from(payload).includes("commands.test"))).toBe(false);
    expect(await world.settle(shop.command("a", "fine"))).toBe("fine");
    expect(child.state).toBe("SYNCHRONIZED");
  });

  // An unusual thrown value used to end as an unhandled rejection and a call that nobody answered.
  const odd: readonly [string, unknown, string][] = [
    ["a string", "plain", "plain"],
    ["undefined", undefined, "undefined"],
    ["null", null, "null"],
    ["an object without a prototype", Object.create(null), "unknown error"],
    ["an object that throws when it is printed", { toString: () => expect.fail("printed") }, "unknown error"],
    [
      "an error whose code throws",
      Object.defineProperty(new Error("odd"), "code", { get: () => expect.fail("read") }),
      "odd",
    ],
    ["an error with a very long message", new Error("x".repeat(100_000)), "x".repeat(1_000)],
  ];
  test.each(odd)("%s is thrown", async (_, thrown, message) => {
    const world = new World();
    const { shop } = await pair(world, {
      odd: () => {
        throw thrown;
      },
    });
    const error = await world.failure(shop.command("a", "odd"), 1_000);
    expect(error).toMatchObject({ code: "HANDLER_FAILED", message: `odd at shop.a: ${message}` });
  });

  test("what they do after their deadline changes nothing", async () => {
    const world = new World();
    const ends = gate();
    const { shop } = await pair(world, {
      late: async () => {
        await ends.opened;
        throw new Error("too late");
      },
    });
    const outcome = await world.settle(shop.tryCommand("a", "late", {}, { timeoutMs: 100 }));
    ends.open();
    await world.run(1_000);
    expect(outcome.status).toBe("timedOut");
  });
});

describe("what cannot be executed", () => {
  test("an unknown command", async () => {
    const world = new World();
    const { shop } = await pair(world, {});
    for (const name of ["nothing", "constructor", "__proto__"]) {
      const error = await world.failure(shop.command("a", name));
      expect(error).toMatchObject({ code: "UNKNOWN_COMMAND", status: "notStarted" });
    }
  });

  test("an unknown child, here and further below", async () => {
    const world = new World();
    const { shop } = await pair(world, {});
    for (const target of ["b", "a.b", "b.c"]) {
      const error = await world.failure(shop.command(target, "x"), 1_000);
      expect(error).toMatchObject({ code: "UNKNOWN_CHILD", status: "notStarted", path: `shop.${target}` });
    }
  });

  test("a child that was never there", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }, { id: "b" }] });
    await shop.start();
    await world.node({ path: "shop.b" }).start();
    await world.until(() => shop.state === "DEGRADED");
    const error = await world.failure(shop.command("a", "x"), 1);
    expect(error).toMatchObject({
      code: "UNAVAILABLE",
      status: "notStarted",
      message: "x at shop.a: child a is absent",
    });
  });

  test("a child that died, and one that left", async () => {
    const world = new World();
    const children = ["a", "b", "c"].map((id) => ({ id }));
    const shop = world.node({ path: "shop", children });
    const [a, b, c] = children.map(({ id }) => world.node({ path: `shop.${id}` }));
    if (a === undefined || b === undefined || c === undefined) throw new Error("no nodes");
    await world.up(shop, a, b, c);
    world.kill(a);
    await world.settle(b.stop());
    await world.until(() => shop.child("a")?.link === "dead");
    for (const id of ["a", "b"]) {
      const error = await world.failure(shop.command(id, "x"), 1);
      expect(error).toMatchObject({ code: "UNAVAILABLE", status: "notStarted" });
    }
  });

  test("a child that is still starting: the command waits for it", async () => {
    const world = new World();
    const shop = world.node({ path: "shop" });
    const a = world.node({ path: "shop.a", children: [{ id: "x" }], commands: { hello: () => "hello" } });
    await world.up(shop);
    await a.start();
    await world.until(() => shop.child("a")?.link === "opening");
    const answer = shop.command("a", "hello");
    await world.run(2_000);
    expect(shop.child("a")?.pending).toBe(1);
    await world.up(world.node({ path: "shop.a.x" }), a);
    expect(await world.settle(answer)).toBe("hello");
  });

  test('what was not delivered is told by "command.undelivered" too; a failure is not', async () => {
    const world = new World();
    const { shop } = await pair(world, {
      fails: () => {
        throw new Error("no");
      },
    });
    const told: unknown[] = [];
    shop.on("command.undelivered", (event) => told.push(event));
    await world.settle(shop.tryCommand("a", "fails"));
    const outcome = await world.settle(shop.tryCommand("b", "x"));
    const error = outcome.status === "completed" ? null : outcome.error;
    expect(told).toEqual([{ path: "shop.b", name: "x", error }]);
  });
});
