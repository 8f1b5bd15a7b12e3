/**
 * Teaches: a parent, a child, and a command between them, in one process and without a server.
 *
 *   npm run build && npx tsx examples/quick-start.ts
 */
import { createNode, memoryTransport } from "fractal-tree";

const transport = memoryTransport(); // or: await connectNats({ servers: "nats://127.0.0.1:4222", tree: "acme" })
await using shop = createNode({ path: "shop", transport, children: [{ id: "orders", remote: true }] });
await using orders = createNode({
  path: "shop.orders",
  transport,
  commands: { reserve: async (input: { sku: string; qty: number }) => ({ reserved: input.qty }) },
});
await Promise.all([shop.start(), orders.start()]);
await shop.until("SYNCHRONIZED", { timeoutMs: 5_000 });
console.log(await shop.command("orders", "reserve", { sku: "A1", qty: 2 }));
