/** When a command may run: while the node does not drain, with the document it needs, with input that is valid. */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { describe, expect, test } from "vitest";
import { type CommandOutcome, type Node, type NodeOptions, validated } from "../../src/index.js";
import { counter, gate, pair, World } from "./kit.js";

describe("drain()", () => {
  test("finishes what was accepted, refuses what comes, and the node stays", async () => {
    const world = new World();
    const ends = gate<string>();
    const { shop, child } = await pair(world, { work: () => ends.opened }, { concurrency: 1 });
    const accepted = [shop.command("a", "work"), shop.command("a", "work")];
    await world.run(10);
    let isDrained = false;
    const drained = child.drain().then(() => (isDrained = true));
    await world.run(10);
    expect(await world.settle(shop.tryCommand("a", "work"))).toMatchObject({
      status: "notStarted",
      error: { code: "DRAINING" },
    });
    expect(isDrained).toBe(false);
    ends.open("done");
    expect(await world.settle(Promise.all(accepted))).toEqual(["done", "done"]);
    await world.settle(drained);
    await world.settle(child.drain());
    expect(child.state).toBe("SYNCHRONIZED");
  });
});

describe("minSyncVersion", () => {
  async function synced(world: World, options: Partial<NodeOptions> = {}) {
    const { shop, child } = await pair(world, { read: () => child.synced?.version ?? 0 }, options);
    return { shop, child };
  }

  /** Keeps the parent's documents from arriving while `hold` is in force. */
  function holdSyncs(world: World, shop: Node): () => void {
    const process = world.processOf(shop);
    process.passes = ({ kinds }) => !kinds.includes("sync.full");
    return () => (process.passes = () => true);
  }

  test("holds a command until the document has come", async () => {
    const world = new World();
    const { shop } = await synced(world);
    const version = shop.synchronize({ v: 1 });
    expect(await world.settle(shop.command("a", "read", {}, { minSyncVersion: version }))).toBe(version);
  });

  test("waits for a document that is late", async () => {
    const world = new World();
    const { shop, child } = await synced(world);
    const release = holdSyncs(world, shop);
    shop.synchronize({ v: 1 });
    await world.run(10);
    const answer = shop.command("a", "read", {}, { minSyncVersion: 1 });
    await world.run(50);
    expect([child.status.running, shop.child("a")?.pending]).toEqual([0, 1]);
    release();
    expect(await world.settle(answer, 2_000)).toBe(1);
  });

  test("a version that never comes: the deadline answers, and the place is free again", async () => {
    const world = new World();
    const { shop } = await synced(world, { queueMax: 1 });
    for (let i = 0; i < 3; i++) {
      const outcome = await world.settle(shop.tryCommand("a", "read", {}, { minSyncVersion: 99, timeoutMs: 1_000 }));
      expect(outcome).toMatchObject({ status: "timedOut", durationMs: 1_000 });
      await world.run(100);
    }
  });

  test("an abort while it waits", async () => {
    const world = new World();
    const { shop, child } = await synced(world, { queueMax: 1 });
    const controller = new AbortController();
    const answer = shop.tryCommand("a", "read", {}, { minSyncVersion: 1, signal: controller.signal });
    await world.run(100);
    controller.abort();
    await world.settle(answer, 1);
    const second = shop.command("a", "read", {}, { minSyncVersion: 1 });
    await world.run(100);
    shop.synchronize({});
    expect(await world.settle(second, 1_000)).toBe(1);
    expect(child.status.running).toBe(0);
  });

  test("what waits when the node stops is answered and leaves nothing behind", async () => {
    const world = new World();
    const { shop, child } = await synced(world);
    const answer = shop.tryCommand("a", "read", {}, { minSyncVersion: 7 });
    await world.run(100);
    await world.settle(child.stop());
    expect(await world.settle(answer, 1_000)).toMatchObject({ status: "notStarted" });
  });
});

describe("validated()", () => {
  type Validate<Output> = StandardSchemaV1<unknown, Output>["~standard"]["validate"];

  function schema<Output>(validate: Validate<Output>): StandardSchemaV1<unknown, Output> {
    return { "~standard": { version: 1, vendor: "test", validate } };
  }

  const positive = schema((value) => {
    const qty = (value as { qty?: unknown } | undefined)?.qty;
    if (typeof qty === "number" && qty > 0) return { value: { qty: Math.floor(qty) } };
    return { issues: [{ message: "must be positive", path: ["items", { key: "qty" }] }, { message: "try again" }] };
  });

  test("the handler gets the validator's output", async () => {
    const world = new World();
    const { shop } = await pair(world, { reserve: validated(positive, ({ qty }) => qty * 2) });
    expect(await world.settle(shop.command("a", "reserve", { qty: 2.5 }))).toBe(4);
  });

  test("what it refuses did not start", async () => {
    const world = new World();
    const { count, ran } = counter();
    const { shop } = await pair(world, { reserve: validated(positive, count) });
    const error = await world.failure(shop.command("a", "reserve", { qty: -1 }));
    expect(error).toMatchObject({
      code: "INVALID_INPUT",
      status: "notStarted",
      message: "reserve at shop.a: items.qty: must be positive; try again",
    });
    expect(ran()).toBe(0);
  });

  test("a validator that is asynchronous, and one that throws", async () => {
    const world = new World();
    const slow = schema(async (value) => {
      await Promise.resolve();
      if (value === "broken") throw new Error("validator is broken");
      return { value: value as string };
    });
    const { shop } = await pair(world, { hello: validated(slow, (name) => `hello ${name}`) });
    expect(await world.settle(shop.command("a", "hello", "you"))).toBe("hello you");
    const outcome: CommandOutcome = await world.settle(shop.tryCommand("a", "hello", "broken"));
    expect(outcome).toMatchObject({ status: "failed", error: { message: "hello at shop.a: validator is broken" } });
  });
});
