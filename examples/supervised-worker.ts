/**
 * Teaches: a child that runs in a worker thread, crashes, and comes back. No server is needed.
 *
 *   npm run build && npx tsx examples/supervised-worker.ts
 */
import { workerThread, createNode, memoryTransport } from "fractal-tree";

const shop = createNode({
  path: "shop",
  transport: memoryTransport(),
  children: [{ id: "orders", start: workerThread(new URL("children/orders.mjs", import.meta.url)), shutdown: 2_000 }],
});
shop.on("supervision.decided", ({ id, generation, decision, reason }) => {
  console.log(`${id} ${generation} ${decision}${reason && `: ${reason}`}`);
});

await shop.start();
await shop.until("SYNCHRONIZED", { timeoutMs: 15_000 });
console.log(await shop.command("orders", "reserve", "A1"));

const outcome = await shop.tryCommand("orders", "crash"); // process.exit(1) in the child
console.log(`crash: ${outcome.status}`); // it may have begun: nobody can know more
await shop.until("DEGRADED", { timeoutMs: 5_000 });
await shop.until("SYNCHRONIZED", { timeoutMs: 15_000 });
console.log(await shop.command("orders", "reserve", "A1"));

await shop.stop(); // resolves once the child is certainly gone
