/**
 * Teaches: a child that somebody else starts, here a second "deployment" in the same process. Its parent expects it and
 * sees it come, fail, recover and leave, but starts nothing itself.
 *
 *   npm run build && npx tsx examples/supervised-remote.ts
 */
import { createNode, memoryTransport } from "fractal-tree";

const transport = memoryTransport(); // each process would have its own connection to NATS
const shop = createNode({ path: "shop", transport, children: [{ id: "orders", remote: true }] });

/** What systemd, Kubernetes or an operator does. */
async function deploy() {
  const orders = createNode({ path: "shop.orders", transport, backoff: { baseMs: 20 } });
  await orders.start();
  return orders;
}

shop.on("child.changed", ({ id, from, state }) => console.log(`${id}: ${from} → ${state}`));
await shop.start();

const first = await deploy();
await shop.until("SYNCHRONIZED", { timeoutMs: 5_000 });

first.fail("lost its database"); // a remote child recovers by itself, and so does a parent all of whose children failed
await shop.until("FAILED", { timeoutMs: 5_000 });
await shop.until("SYNCHRONIZED", { timeoutMs: 5_000 });

await first.stop({ reason: "redeployed" }); // missed, but not failed
await shop.until("DEGRADED", { timeoutMs: 5_000 });

const second = await deploy();
await shop.until("SYNCHRONIZED", { timeoutMs: 5_000 });
console.log(`a newer incarnation: ${second.epoch > first.epoch}`);

await shop.shutdownTree(); // ends remote children, too
console.log(await second.ended);
