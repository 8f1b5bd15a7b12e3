/** One node of the demo's tree as a process: `node worker.js <path> <server> <tree>`, forked by the demo. */
import { connectNats } from "../../nats.js";
import { createDemoNode } from "./demo-tree.js";
import { nowMs } from "./timeline.js";
import type { WorkerReport } from "./worker-report.js";

// The demo has ended, in whatever way: nobody needs this process any more.
process.on("disconnect", () => process.exit());
if (!process.connected) process.exit();
// Ctrl-C reaches the whole process group; the demo decides in what order its tree ends.
process.on("SIGINT", () => {});

const [path = "", servers = "", tree = ""] = process.argv.slice(2);
const transport = await connectNats({ servers, tree });
const node = createDemoNode(path, transport);
node.on("state.changed", (change) => report({ change, atMs: nowMs() }));
await node.start();
await node.ended;
await transport.close();
process.exit();

function report(message: WorkerReport): void {
  if (process.connected) process.send?.(message);
}
