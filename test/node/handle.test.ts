/** The handle that users hold: waits, streams, listeners. */
import { describe, expect, test } from "vitest";
import { createNode, memoryTransport, NodeEndedError, WaitTimeoutError } from "../../src/index.js";
import { collectUncaught } from "../support/uncaught.js";
import { record, World } from "./kit.js";

describe("until", () => {
  test("resolves at once in the state, else when it comes", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    await world.settle(shop.until("DISCONNECTED"), 0);
    const connecting = shop.until("CONNECTING");
    await shop.start();
    await world.settle(connecting, 0);
    const synchronized = shop.until("SYNCHRONIZED");
    await world.up(world.node({ path: "shop.a" }));
    await world.settle(synchronized, 100);
    expect(shop.state).toBe("SYNCHRONIZED");
  });

  test("resolves for a state that is only passed through", async () => {
    const world = new World();
    const shop = world.node({ path: "shop" });
    await world.up(shop);
    const failed = shop.until("FAILED");
    shop.fail("x");
    await world.settle(failed, 0);
    expect(shop.state).not.toBe("SYNCHRONIZED");
  });

  test("times out", async () => {
    const world = new World();
    const shop = world.node({ path: "shop" });
    const error = await world.failure(shop.until("SYNCHRONIZED", { timeoutMs: 500 }), 500);
    expect(error).toBeInstanceOf(WaitTimeoutError);
    expect(error).toMatchObject({ code: "WAIT_TIMED_OUT", timeoutMs: 500 });
    expect(world.clock.pending).toBe(0);
  });

  test("rejects with the signal's reason", async () => {
    const world = new World();
    const shop = world.node({ path: "shop" });
    const reason = new Error("enough");
    expect(await world.failure(shop.until("FAILED", { signal: AbortSignal.abort(reason) }), 0)).toBe(reason);
    const controller = new AbortController();
    const waiting = world.failure(shop.until("FAILED", { signal: controller.signal, timeoutMs: 60_000 }), 1);
    controller.abort(reason);
    expect(await waiting).toBe(reason);
    expect(world.clock.pending).toBe(0);
  });

  test("rejects when the node ends, and after", async () => {
    const world = new World();
    const shop = world.node({ path: "shop" });
    await world.up(shop);
    const waiting = world.failure(shop.until("FAILED"), 1_000);
    await world.settle(shop.stop());
    const error = await waiting;
    expect(error).toBeInstanceOf(NodeEndedError);
    expect(error).toMatchObject({ code: "NODE_ENDED" });
    expect(await world.failure(shop.until("SYNCHRONIZED"), 0)).toBeInstanceOf(NodeEndedError);
    await world.settle(shop.until("DISCONNECTED"), 0);
  });
});

describe("events", () => {
  /** Reads a stream to its end. */
  async function drain<T>(stream: AsyncIterable<T>): Promise<T[]> {
    const all: T[] = [];
    for await (const event of stream) all.push(event);
    return all;
  }

  test("streams what happens from the call on, in order, and ends with the node", async () => {
    const world = new World();
    const shop = world.node({ path: "shop" });
    const stream = shop.events("state.changed");
    await world.up(shop);
    await world.settle(shop.stop());
    const all = await world.settle(drain(stream), 0);
    expect(all.map(({ from, state }) => `${from} ${state}`)).toEqual([
      "DISCONNECTED CONNECTING",
      "CONNECTING SYNCHRONIZED",
      "SYNCHRONIZED DISCONNECTED",
    ]);
  });

  test("of an ended node ends at once", async () => {
    const world = new World();
    const shop = world.node({ path: "shop" });
    await world.up(shop);
    await world.settle(shop.stop());
    expect(await world.settle(drain(shop.events("state.changed")), 0)).toEqual([]);
  });

  test("ends with the signal", async () => {
    const world = new World();
    const shop = world.node({ path: "shop" });
    const controller = new AbortController();
    const reading = drain(shop.events("state.changed", { signal: controller.signal }));
    await world.up(shop);
    controller.abort();
    expect(await world.settle(reading, 0)).toHaveLength(2);
    expect(await world.settle(drain(shop.events("state.changed", { signal: AbortSignal.abort() })), 0)).toEqual([]);
  });

  test("a reader that breaks off leaves nothing behind", async () => {
    const world = new World();
    const shop = world.node({ path: "shop" });
    const first = (async () => {
      for await (const event of shop.events("state.changed")) return event.state;
      return null;
    })();
    await world.up(shop);
    expect(await world.settle(first, 0)).toBe("CONNECTING");
    const unread = shop.events("state.changed");
    await unread.return?.();
    shop.fail("x");
    expect(await unread.next()).toEqual({ done: true, value: undefined });
    await world.settle(shop.stop());
  });

  test("a slow reader loses the oldest events, not the newest", async () => {
    const world = new World();
    const shop = world.node({ path: "shop" });
    const a = world.node({ path: "shop.a" });
    await world.up(shop, a);
    await world.run(100);
    const stream = shop.events("child.reported");
    for (let n = 0; n < 1_500; n++) {
      a.report(n);
      if (n % 100 === 0) await world.run(50);
    }
    await world.run(1_000);
    await world.settle(shop.stop());
    const seen = (await world.settle(drain(stream), 0)).map(({ data }) => data);
    expect([seen.length, seen.at(0), seen.at(-1)]).toEqual([1_024, 476, 1_499]);
  });

  test("two readers both see everything", async () => {
    const world = new World();
    const shop = world.node({ path: "shop" });
    const readings = [drain(shop.events("state.changed")), drain(shop.events("state.changed"))];
    await world.up(shop);
    await world.settle(shop.stop());
    const [first, second] = await world.settle(Promise.all(readings), 0);
    expect(first).toHaveLength(3);
    expect(second).toEqual(first);
  });
});

describe("listeners", () => {
  test("on returns how to take it off again", async () => {
    const world = new World();
    const shop = world.node({ path: "shop" });
    const seen: string[] = [];
    const off = shop.on("state.changed", ({ state }) => {
      seen.push(state);
      off();
    });
    await world.up(shop);
    expect(seen).toEqual(["CONNECTING"]);
  });

  test("one that throws disturbs neither the node nor the others, and is not hidden", async () => {
    const world = new World();
    const shop = world.node({ path: "shop" });
    const error = new Error("a listener's bug");
    shop.on("state.changed", () => {
      throw error;
    });
    const seen = record(shop, "state.changed");
    const uncaught = await collectUncaught(() => world.up(shop));
    expect(uncaught).toEqual([error, error]);
    expect(seen).toHaveLength(2);
  });

  test("a node may be stopped, failed or given a command from within a listener", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const a = world.node({ path: "shop.a", commands: { hello: () => "hello" } });
    const answers: Promise<unknown>[] = [];
    shop.on("state.changed", ({ state }) => {
      if (state === "SYNCHRONIZED") answers.push(shop.command("a", "hello"));
    });
    a.on("state.changed", ({ state, from }) => {
      if (state === "SYNCHRONIZED" && from === "CONNECTING" && answers.length === 1) void a.stop();
    });
    await world.up(shop, a);
    expect(await world.settle(Promise.all(answers))).toEqual(["hello"]);
    a.fail("again");
    await world.settle(a.ended);
    expect(answers).toHaveLength(1);
  });
});

describe("await using", () => {
  test("stops the node at the end of the block, also when it throws", async () => {
    const transport = memoryTransport();
    const ended: Promise<string>[] = [];
    const use = async (): Promise<void> => {
      await using shop = createNode({ path: "shop", transport });
      ended.push(shop.ended);
      await shop.start();
      await shop.until("SYNCHRONIZED", { timeoutMs: 5_000 });
      throw new Error("out");
    };
    await expect(use()).rejects.toThrow("out");
    expect(await ended[0]).toBe("stopped");
  });
});
