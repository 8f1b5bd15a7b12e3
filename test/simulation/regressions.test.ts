/** What seeds have broken. Each test opens with the failure that it pins. */
import { expect, it } from "vitest";
import { createNode } from "../../src/index.js";
import { SimulatedWorld } from "../../src/testing/index.js";

it("a command that waited for a handler slot, given for a document, ran under another parent without it", async () => {
  const world = new SimulatedWorld({ seed: 1 });
  const documents: unknown[] = [];
  world.process("shop", (here) => createNode({ path: "shop", ...here, children: [{ id: "orders" }] }));
  const orders = world.process("orders", (here) => {
    const hold = (): Promise<void> => new Promise((resolve) => void here.clock.setTimeout(resolve, 5_000));
    const note = (): void => void documents.push(orders.synced);
    return createNode({ path: "shop.orders", ...here, concurrency: 1, commands: { hold, note } });
  });
  const isWhole = (): boolean => world.node("shop").state === "SYNCHRONIZED" && orders.state === "SYNCHRONIZED";
  await world.until(isWhole, { withinMs: 5_000 });
  const shop = world.node("shop");
  const minSyncVersion = shop.synchronize({ prices: 1 });
  await world.run(100);
  void shop.tryCommand("orders", "hold", null, { timeoutMs: 10_000 });
  void shop.tryCommand("orders", "note", null, { timeoutMs: 10_000, minSyncVersion });
  await world.run(100);
  expect(orders.status.queued).toBe(1);
  world.restart("shop");
  await world.run(8_000);
  expect(isWhole()).toBe(true);
  expect(documents).toEqual([]);
});

it("a leaf that had obeyed a newer root kept its parent from ever being ready, as the older root did not learn of it", async () => {
  const world = new SimulatedWorld({ seed: 1 });
  // The second root has the older epoch: its clock was behind, or it slept while the other one came and went.
  const epochs = [20, 10];
  const epochStore = { next: () => epochs.shift() ?? 30 };
  let fenced = 0;
  const middle = world.starter((here, { path }) => {
    const node = createNode({ path, ...here, children: [{ id: "leaf" }] });
    node.on("node.fenced", () => fenced++);
    return node;
  });
  const children = [{ id: "middle", start: middle }, { id: "other" }];
  const supervision = { cooldownMs: 1_000 };
  world.process("t", (here) => createNode({ path: "t", ...here, children, epochStore, supervision }));
  world.process("other", (here) => createNode({ path: "t.other", ...here }));
  world.process("leaf", (here) => createNode({ path: "t.middle.leaf", ...here }));
  const isWhole = (): boolean =>
    world.node("t").state === "SYNCHRONIZED" && world.node("leaf").state === "SYNCHRONIZED";
  expect(await world.until(isWhole, { withinMs: 10_000 })).toBe(true);
  world.kill("t");
  world.kill("other");
  world.restart("t");
  world.restart("other");
  expect(await world.until(() => !isWhole(), { withinMs: 10_000 })).toBe(true);
  expect(await world.until(isWhole, { withinMs: 120_000 })).toBe(true);
  expect(fenced).toBeGreaterThan(0);
});
