/** Commands that do not complete: handlers that throw, and what cannot be executed. */
import { describe, expect, test } from "vitest";
import { CommandError } from "../../src/index.js";
import { gate, pair, World } from "./kit.js";

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
