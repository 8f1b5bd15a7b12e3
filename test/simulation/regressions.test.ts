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
