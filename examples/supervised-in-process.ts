/**
 * Teaches: a supervisor whose children run in its own process, one of which fails and comes back.
 *
 *   npm run build && npx tsx examples/supervised-in-process.ts
 */
import { createNode, memoryTransport, type StartContext } from "fractal-tree";

/** Called for each incarnation of the child. */
function startOrders({ path, transport, generation }: StartContext) {
  const orders = createNode({
    path,
    transport,
    commands: {
      reserve: (sku: string) => `${sku} reserved by incarnation ${generation}`,
      explode: () => orders.fail("the cache is corrupt"),
    },
  });
  return orders;
}

const shop = createNode({
  path: "shop",
  transport: memoryTransport(),
  children: [{ id: "orders", start: startOrders, restart: "permanent" }],
  supervision: { strategy: "one_for_one", childIntensity: 3, periodMs: 30_000, backoff: { baseMs: 20 } },
});

shop.on("supervision.decided", ({ id, decision, generation, reason, budgetLeft }) => {
  console.log(`${id} ${generation} ${decision}${reason && `: ${reason}`} (${budgetLeft.child} restarts left)`);
});
shop.on("state.changed", ({ from, state }) => console.log(`shop: ${from} → ${state}`));

await shop.start();
await shop.until("SYNCHRONIZED", { timeoutMs: 5_000 });
console.log(await shop.command("orders", "reserve", "A1"));

await shop.tryCommand("orders", "explode");
await shop.until("DEGRADED", { timeoutMs: 5_000 });
await shop.until("SYNCHRONIZED", { timeoutMs: 5_000 });
console.log(await shop.command("orders", "reserve", "A1"));

await shop.stop(); // its children end with it, in reverse order
console.log(shop.countChildren());
