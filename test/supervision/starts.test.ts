/** Starts that fail, hang, take long, or are no longer wanted. */
import { describe, expect, test } from "vitest";
import { createNode, DependencyDownError, type Node, type OwnedChildSpec, type StartContext } from "../../src/index.js";
import { forever, states, World } from "../node/kit.js";
import { decisionsOf, family, only, story } from "./kit.js";

/** A supervisor of one child that is started so. */
function supervisor(world: World, start: OwnedChildSpec["start"], parts: Partial<OwnedChildSpec> = {}) {
  const shop = world.node({ path: "shop", children: [{ id: "a", start, ...parts }] });
  return { shop, decisions: decisionsOf(shop) };
}

function build({ path, transport, clock, random }: StartContext): Node {
  return createNode({ path, transport, clock, random });
}

describe("a start that fails", () => {
  const wrong: readonly [string, OwnedChildSpec["start"], RegExp][] = [
    ["throws", () => failing("no disk"), /^start failed: no disk$/],
    ["rejects", () => Promise.reject(new Error("no disk")), /^start failed: no disk$/],
    ["throws no error", () => throwText(), /^start failed: nothing$/],
    [
      "returns a node of another path",
      (context) => build({ ...context, path: "shop.b" }),
      /path shop\.a, got "shop\.b"/,
    ],
    ["returns no node", () => ({}) as Node, /start must be a function that returns a node made by createNode/],
    ["returns nothing", () => undefined as unknown as Node, /start must be a function that returns a node/],
  ];

  test.each(wrong)("as it %s, is counted and tried again", async (_, start, reason) => {
    const world = new World();
    let isWrong = true;
    const { shop, decisions } = supervisor(world, (context) =>
      isWrong ? (start as typeof build)(context) : build(context),
    );
    await shop.start();
    await world.until(() => only(decisions, "restarting").length === 2);
    isWrong = false;
    await world.until(() => shop.state === "SYNCHRONIZED");
    const restarts = only(decisions, "restarting");
    expect(restarts.map(({ attempt }) => attempt)).toEqual([1, 2]);
    for (const restart of restarts)
      expect(restart).toMatchObject({ exit: "failed", reason: expect.stringMatching(reason) });
    expect(shop.whichChildren()).toMatchObject([{ generation: 3, restartsLeft: 1 }]);
    await world.end(shop);
    expect(world.clock.pending).toBe(0);
  });

  test("too often, fails the node", async () => {
    const world = new World();
    const { shop, decisions } = supervisor(world, () => failing("no disk"));
    const entered = states(shop);
    await shop.start();
    await world.until(() => shop.state === "FAILED");
    expect(entered).toEqual(["CONNECTING", "FAILED"]);
    expect(story(decisions).filter((line) => line.includes("started"))).toHaveLength(4);
    expect(only(decisions, "escalated")).toMatchObject([{ exit: "failed", budgetLeft: { child: 0 } }]);
    await world.end(shop);
  });
});

function failing(message: string): never {
  throw new Error(message);
}

function throwText(): never {
  // What users throw is not always an error.
  // oxlint-disable-next-line typescript/only-throw-error
  throw "nothing";
}

describe("a start that takes long", () => {
  test.each([
    ["never gives a node", () => forever()],
    ["gives a node that is never ready", (context: StartContext) => waiting(context)],
  ])("as it %s, is killed, counted and tried again", async (_, start) => {
    const world = new World();
    const contexts: StartContext[] = [];
    const { shop, decisions } = supervisor(
      world,
      (context) => {
        contexts.push(context);
        return contexts.length === 1 ? start(context) : build(context);
      },
      { startTimeoutMs: 3_000 },
    );
    await shop.start();
    await world.until(() => shop.state === "SYNCHRONIZED");
    expect(contexts).toHaveLength(2);
    expect(story(decisions)).toEqual(["a started 1", "a killed 1", "a restarting 1", "a started 2", "a ready 2"]);
    expect(only(decisions, "restarting")[0]?.reason).toBe("not ready within 3000 ms");
    expect(only(decisions, "killed")[0]?.atMs).toBe(3_000);
    await world.end(shop);
    expect(world.clock.pending).toBe(0);
  });

  test("but not too long is waited for", async () => {
    const world = new World();
    const { shop, of } = family(world, ["a", "b"], { child: { host: { startMs: 5_000 } } });
    await world.up(shop);
    expect(world.nowMs).toBeGreaterThanOrEqual(5_000);
    expect(world.nowMs).toBeLessThan(6_000);
    expect(of("a").attempts).toBe(1);
  });

  test("a node that ends during a start aborts it, and ends at once", async () => {
    const world = new World();
    const { shop, of, decisions } = family(world, ["a"], {
      child: { host: { startMs: 60_000 }, startTimeoutMs: 120_000 },
    });
    await shop.start();
    await world.run(1_000);
    const atMs = world.nowMs;
    await world.settle(shop.stop());
    expect(await shop.ended).toBe("stopped");
    expect(world.nowMs - atMs).toBeLessThan(200);
    expect(of("a").nodes).toHaveLength(0);
    await world.run(120_000);
    expect(of("a").attempts).toBe(0);
    expect(story(decisions)).toEqual(["a started 1", "a terminated 1"]);
    expect(world.clock.pending).toBe(0);
  });

  test("a node that is made after its start was aborted is never started", async () => {
    const world = new World();
    const made: Node[] = [];
    const { shop } = supervisor(world, async (context) => {
      await new Promise<void>((resolve) => void context.clock.setTimeout(resolve, 5_000));
      const node = build(context);
      made.push(node);
      return node;
    });
    await shop.start();
    await world.run(1_000);
    await world.settle(shop.stop(), 1_000);
    expect(await shop.ended).toBe("stopped");
    await world.until(() => made.length === 1);
    await world.run(1_000);
    expect(await world.settle((made[0] as Node).ended, 1_000)).toBe("stopped");
    expect(world.wire.filter(({ subject }) => subject.endsWith("shop.a"))).toEqual([]);
  });
});

/** A node that waits for a child that never comes. */
function waiting({ path, transport, clock, random }: StartContext): Node {
  return createNode({ path, transport, clock, random, children: [{ id: "never" }], initTimeoutMs: 60_000 });
}

describe("a dependency that is down", () => {
  test("is not counted, and tried for ever with growing delays", async () => {
    const world = new World();
    const { shop, of, decisions } = family(world, ["a", "b"], {
      supervision: { backoff: { baseMs: 100, maxMs: 5_000 } },
    });
    of("a").fault = new DependencyDownError("no database");
    await shop.start();
    await world.until(() => of("a").attempts === 40, "forty attempts", 600_000);
    expect(shop.state).toBe("DEGRADED");
    expect(shop.whichChildren()[0]).toMatchObject({ restartsLeft: 3 });
    const restarts = only(decisions, "restarting");
    let previousMs = 100;
    for (const [index, { attempt, delayMs, exit, reason, budgetLeft }] of restarts.entries()) {
      expect({ attempt, exit, reason }).toEqual({
        attempt: index + 1,
        exit: "dependencyDown",
        reason: "start failed: no database",
      });
      expect(budgetLeft).toEqual({ child: 3, supervisor: 10 });
      expect(delayMs).toBeGreaterThanOrEqual(100);
      expect(delayMs).toBeLessThanOrEqual(Math.min(5_000, Math.round(previousMs * 3)));
      previousMs = delayMs ?? 0;
    }
    expect(restarts.filter(({ delayMs }) => (delayMs ?? 0) > 1_000).length).toBeGreaterThan(5);
    of("a").fault = null;
    await world.until(() => shop.state === "SYNCHRONIZED");
    await world.end(shop);
  });

  test("any error with its code will do", async () => {
    const world = new World();
    const error = Object.assign(new Error("no queue"), { code: "DEPENDENCY_DOWN" });
    const { shop, of, decisions } = family(world, ["a"], { supervision: { childIntensity: 0 } });
    of("a").fault = error;
    await shop.start();
    await world.until(() => only(decisions, "restarting").length === 2);
    of("a").fault = null;
    await world.until(() => shop.state === "SYNCHRONIZED");
    expect(only(decisions, "escalated")).toEqual([]);
  });
});

describe("children that start when the time of initialization is over", () => {
  test("leave their parent DEGRADED if enough others are ready, and complete it later", async () => {
    const world = new World();
    const { shop, of } = family(world, ["a", "b"], { initTimeoutMs: 3_000, each: { b: { host: { startMs: 5_000 } } } });
    const entered = states(shop);
    await shop.start();
    await world.until(() => shop.state === "SYNCHRONIZED");
    expect(entered).toEqual(["CONNECTING", "DEGRADED", "SYNCHRONIZED"]);
    expect(of("b").attempts).toBe(1);
  });

  test("are ended with it if it fails for want of them, and started with its next attempt", async () => {
    const world = new World();
    const { shop, of, decisions } = family(world, ["a"], { initTimeoutMs: 3_000, child: { host: { startMs: 5_000 } } });
    const entered = states(shop);
    await shop.start();
    await world.until(() => entered.filter((state) => state === "CONNECTING").length === 2);
    expect(entered).toEqual(["CONNECTING", "FAILED", "DISCONNECTED", "CONNECTING"]);
    expect(of("a").attempts).toBe(0);
    expect(story(decisions)).toEqual(["a started 1", "a terminated 1", "a started 2"]);
    await world.settle(shop.stop());
    expect(world.clock.pending).toBe(0);
  });
});
