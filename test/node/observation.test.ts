/** What an operator sees: logs, the inspector, views, and signals of the process. */
import { describe, expect, test } from "vitest";
import { stopOnSignals } from "../../src/index.js";
import { pair, record, World } from "./kit.js";

/** A logger that keeps what it is told. */
function memoryLogger() {
  const entries: { readonly level: string; readonly event: unknown; readonly message: string }[] = [];
  const at = (level: string) => (fields: object, message: string) =>
    void entries.push({ level, event: (fields as { event?: unknown }).event, message });
  return { entries, logger: { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") } };
}

describe("logger", () => {
  test("gets stable event names at fitting levels", async () => {
    const world = new World();
    const { entries, logger } = memoryLogger();
    const shop = world.node({ path: "shop", children: [{ id: "a" }], logger });
    const a = world.node({ path: "shop.a" });
    await world.up(shop, a);
    world.broker.publish("ft.local.up.shop.a", new Uint8Array([0xc1]));
    await world.settle(shop.tryCommand("b", "x"));
    shop.fail("disk full");
    await world.until(() => shop.state === "SYNCHRONIZED");
    world.kill(a);
    await world.run(20_000);
    await world.settle(shop.stop());
    const seen = new Set(entries.map(({ level, event }) => `${level} ${String(event)}`));
    for (const expected of [
      "info state.changed",
      "info child.changed",
      "warn message.dropped",
      "warn command.undelivered",
      "error node.failed",
      "info node.stopping",
      "info node.ended",
    ]) {
      expect(seen).toContain(expected);
    }
    expect(entries.every(({ event, message }) => typeof event === "string" && message !== "")).toBe(true);
  });
});

describe("inspect", () => {
  test("shows the coordination machine to XState's inspector", async () => {
    const world = new World();
    const types = new Set<string>();
    const shop = world.node({ path: "shop", inspect: (event) => types.add(event.type) });
    await world.up(shop);
    expect(types).toContain("@xstate.snapshot");
    expect(types).toContain("@xstate.event");
  });
});

describe("views", () => {
  test("of a node", async () => {
    const world = new World();
    const { shop, child } = await pair(world, { hang: () => new Promise(() => {}) }, { concurrency: 1 });
    for (let n = 0; n < 3; n++) void shop.tryCommand("a", "hang");
    await world.run(5_000);
    expect(child.status).toEqual({
      path: "shop.a",
      state: "SYNCHRONIZED",
      reasons: [],
      failure: null,
      epoch: child.epoch,
      running: 1,
      queued: 2,
      nodes: 1,
      available: 1,
      localHealth: 0,
      connected: true,
      dropped: {},
    });
  });

  test("of a child, with their age", async () => {
    const world = new World();
    const { shop, child } = await pair(world, {});
    await world.run(60_000);
    const view = shop.child("a");
    expect(view).toEqual({
      id: "a",
      path: "shop.a",
      link: "alive",
      critical: false,
      listed: true,
      epoch: child.epoch,
      status: {
        state: "SYNCHRONIZED",
        reasons: [],
        running: 0,
        queued: 0,
        nodes: 1,
        available: 1,
        localHealth: 0,
        syncVersion: 0,
      },
      ageMs: expect.any(Number) as number,
      pending: 0,
    });
    world.kill(child);
    await world.run(5_000);
    expect(shop.child("a")?.ageMs).toBe((view?.ageMs ?? 0) + 5_000);
    expect(shop.child("b")).toBeUndefined();
  });

  test("of a child that was never there", () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a", critical: true }] });
    expect(shop.children()).toEqual([
      {
        id: "a",
        path: "shop.a",
        link: "absent",
        critical: true,
        listed: true,
        epoch: "",
        status: null,
        ageMs: null,
        pending: 0,
      },
    ]);
  });

  test("of a large subtree, counted upward", async () => {
    const world = new World();
    const mids = ["a", "b", "c"];
    const root = world.node({ path: "shop", children: mids.map((id) => ({ id })) });
    const nodes = mids.map((id) => world.node({ path: `shop.${id}` }));
    const leaves = mids.flatMap((id) => ["x", "y", "z"].map((leaf) => world.node({ path: `shop.${id}.${leaf}` })));
    await world.up(root, ...nodes, ...leaves);
    await world.run(1_000);
    expect(root.status).toMatchObject({ nodes: 13, available: 13 });
    for (const leaf of leaves.slice(0, 2)) world.kill(leaf);
    await world.run(20_000);
    expect(root.status).toMatchObject({ nodes: 13, available: 11 });
  });

  test('"child.changed" tells each change of a link', async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const changes = record(shop, "child.changed");
    const a = world.node({ path: "shop.a" });
    await world.up(shop, a);
    await world.settle(a.stop());
    expect(changes.map(({ from, state, epoch }) => [from, state, epoch])).toEqual([
      ["absent", "opening", a.epoch],
      ["opening", "alive", a.epoch],
      ["alive", "left", a.epoch],
    ]);
  });
});

describe("stopOnSignals", () => {
  // They were noticed, if at all, when the signal came.
  test.each<[string, unknown]>([
    ["timeoutMs", { timeoutMs: "x" }],
    ["timeoutMs", { timeoutMs: 0 }],
    ["reason", { reason: 5 }],
    ["signals", { signals: "SIGTERM" }],
    ["signals[1]", { signals: ["SIGTERM", "SIGFOO"] }],
    ["signals[0]", { signals: ["SIGKILL"] }],
    ["signal", { signal: "SIGTERM" }],
    ["options", null],
  ])("refuses a bad %s at once: %j", async (option, options) => {
    const node = new World().node({ path: "shop" });
    const listeners = process.listenerCount("SIGTERM");
    expect(() => stopOnSignals(node, options as never)).toThrow(
      expect.objectContaining({ code: "INVALID_OPTION", option }),
    );
    expect(process.listenerCount("SIGTERM")).toBe(listeners);
    expect(() => stopOnSignals(undefined as never)).toThrow(expect.objectContaining({ option: "node" }));
  });

  test("stops the node at the first signal, once, and stops listening", async () => {
    const world = new World();
    const { shop, child } = await pair(world, {});
    const before = process.listenerCount("SIGUSR2");
    stopOnSignals(child, { signals: ["SIGUSR2"], timeoutMs: 1_000 });
    expect(process.listenerCount("SIGUSR2")).toBe(before + 1);
    process.emit("SIGUSR2", "SIGUSR2");
    expect(process.listenerCount("SIGUSR2")).toBe(before);
    expect(await world.settle(child.ended, 1_000)).toBe("stopped");
    expect(shop.child("a")?.link).toBe("left");
  });

  test("can be taken back, and ends with the node", async () => {
    const world = new World();
    const { child } = await pair(world, {});
    const before = process.listenerCount("SIGUSR2");
    stopOnSignals(child, { signals: ["SIGUSR2"] })();
    expect(process.listenerCount("SIGUSR2")).toBe(before);
    stopOnSignals(child, { signals: ["SIGUSR2"] });
    await world.settle(child.stop());
    await world.run(0);
    expect(process.listenerCount("SIGUSR2")).toBe(before);
  });
});
