/** AbortSignals of commands: before, while queued, while running, over hops. */
import { describe, expect, test } from "vitest";
import { type HandlerContext } from "../../src/index.js";
import { forever, pair, World } from "./kit.js";

class Reason extends Error {}

describe("abort", () => {
  test("before the call: nothing is sent, the wait rejects with the signal's reason", async () => {
    const world = new World();
    const { shop } = await pair(world, { hang: forever });
    const reason = new Reason("not now");
    const sentBefore = world.sent("command.run").length;
    expect(await world.failure(shop.command("a", "hang", {}, { signal: AbortSignal.abort(reason) }))).toBe(reason);
    await world.run(1_000);
    expect(world.sent("command.run")).toHaveLength(sentBefore);
    expect(shop.child("a")?.pending).toBe(0);
  });

  test("tryCommand resolves to the outcome instead", async () => {
    const world = new World();
    const { shop } = await pair(world, { hang: forever });
    const outcome = await world.settle(shop.tryCommand("a", "hang", {}, { signal: AbortSignal.abort() }));
    expect(outcome).toMatchObject({ status: "cancelled", attempts: 0, error: { code: "CANCELLED" } });
  });

  test("before the call does not cancel another call with the same key", async () => {
    const world = new World();
    const { shop } = await pair(world, {
      wait: () => new Promise((resolve) => world.clock.setTimeout(() => resolve("done"), 500)),
    });
    const first = shop.command("a", "wait", {}, { commandId: "key" });
    await world.run(10);
    await world.settle(shop.tryCommand("a", "wait", {}, { commandId: "key", signal: AbortSignal.abort() }));
    expect(await world.settle(first)).toBe("done");
  });

  test("while it waits for the child's credit: the child never hears of it", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const ran: number[] = [];
    const child = world.node({
      path: "shop.a",
      concurrency: 1,
      queueMax: 1,
      commands: { hang: (n: number) => (ran.push(n), forever()) },
    });
    await world.up(shop, child);
    const controller = new AbortController();
    for (let n = 0; n < 5; n++) void shop.tryCommand("a", "hang", n, { timeoutMs: 2_000 });
    await world.run(100);
    const outcome = shop.tryCommand("a", "hang", 99, { signal: controller.signal });
    await world.run(100);
    controller.abort();
    expect(await world.settle(outcome, 1)).toMatchObject({ status: "cancelled", attempts: 0 });
    await world.run(20_000);
    expect(ran).not.toContain(99);
  });

  test("while it waits in the child's queue: the handler never starts", async () => {
    const world = new World();
    const ran: number[] = [];
    const { shop, child } = await pair(world, { hang: (n: number) => (ran.push(n), forever()) }, { concurrency: 1 });
    const controller = new AbortController();
    const first = shop.tryCommand("a", "hang", 1, { timeoutMs: 1_000 });
    const second = shop.tryCommand("a", "hang", 2, { signal: controller.signal });
    await world.run(100);
    expect(child.status.queued).toBe(1);
    controller.abort();
    expect((await world.settle(second, 1)).status).toBe("cancelled");
    await world.run(10);
    expect(child.status.queued).toBe(0);
    await world.settle(first);
    await world.run(1_000);
    expect(ran).toEqual([1]);
  });

  test("while it runs: the caller is free at once, the handler's signal aborts", async () => {
    const world = new World();
    const contexts: HandlerContext[] = [];
    const { shop, child } = await pair(world, { hang: (_: unknown, context) => (contexts.push(context), forever()) });
    const controller = new AbortController();
    const reason = new Reason("enough");
    const answer = shop.command("a", "hang", {}, { signal: controller.signal });
    await world.run(100);
    controller.abort(reason);
    expect(await world.failure(answer, 1)).toBe(reason);
    await world.run(10);
    expect(contexts.map(({ signal }) => [signal.aborted, (signal.reason as Error).name])).toEqual([
      [true, "AbortError"],
    ]);
    expect(child.status.running).toBe(0);
    expect(shop.child("a")?.pending).toBe(0);
  });

  test("over hops", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const a = world.node({ path: "shop.a", children: [{ id: "x" }] });
    const signals: AbortSignal[] = [];
    const x = world.node({
      path: "shop.a.x",
      commands: { hang: (_: unknown, { signal }) => (signals.push(signal), forever()) },
    });
    await world.up(shop, a, x);
    const controller = new AbortController();
    const answer = shop.tryCommand("a.x", "hang", {}, { signal: controller.signal });
    await world.run(100);
    controller.abort();
    await world.settle(answer, 1);
    await world.run(10);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
    expect([x.status.running, a.child("x")?.pending, shop.child("a")?.pending]).toEqual([0, 0, 0]);
  });

  test("a lost cancellation is repeated", async () => {
    const world = new World();
    const { shop, child } = await pair(world, { hang: forever });
    const controller = new AbortController();
    void shop.tryCommand("a", "hang", {}, { signal: controller.signal });
    await world.run(100);
    let lost = 0;
    world.processOf(shop).passes = ({ kinds }) => !(kinds.includes("command.cancel") && lost++ < 2);
    controller.abort();
    await world.run(300);
    expect(child.status.running).toBe(1);
    await world.run(2_000);
    expect([lost, child.status.running]).toEqual([3, 0]);
  });

  test("a result that is already under way is not waited for", async () => {
    const world = new World();
    const { shop } = await pair(world, { quick: () => "quick" });
    const controller = new AbortController();
    const answer = shop.tryCommand("a", "quick", {}, { signal: controller.signal });
    controller.abort();
    expect((await world.settle(answer, 1)).status).toBe("cancelled");
    await world.run(1_000);
    expect(shop.child("a")?.pending).toBe(0);
  });

  test("after the end changes nothing and leaves no listener behind", async () => {
    const world = new World();
    const { shop } = await pair(world, { quick: () => "quick" });
    const controller = new AbortController();
    let listeners = 0;
    const { signal } = controller;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => (listeners++, add(...args));
    signal.removeEventListener = (...args: Parameters<typeof remove>) => (listeners--, remove(...args));
    expect(await world.settle(shop.command("a", "quick", {}, { signal }))).toBe("quick");
    expect(listeners).toBe(0);
    controller.abort();
    await world.run(100);
  });

  test("cancels an idempotent command that waits for another try", async () => {
    const world = new World();
    const { shop, child } = await pair(world, {});
    const draining = child.drain();
    await world.settle(draining);
    const controller = new AbortController();
    const answer = shop.tryCommand("a", "x", {}, { idempotent: true, signal: controller.signal });
    await world.run(150);
    controller.abort();
    expect((await world.settle(answer, 1)).status).toBe("cancelled");
    const sent = world.sent("command.run").length;
    await world.run(30_000);
    expect(world.sent("command.run")).toHaveLength(sent);
  });
});
