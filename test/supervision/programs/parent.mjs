/** A process with one child in a process of its own, `shop.orders`; says so once it is there. */
import { childProcess, createNode, memoryTransport } from "fractal-tree";

const options = JSON.parse(process.argv[2] ?? "{}");
const start = childProcess(new URL("child.mjs", import.meta.url), { stdio: "ignore", ...options });
const shop = createNode({ path: "shop", transport: memoryTransport(), children: [{ id: "orders", start }] });
await shop.start();
await shop.until("SYNCHRONIZED", { timeoutMs: 20_000 });
process.send?.("synchronized");
