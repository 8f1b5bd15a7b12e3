/** The process that the benchmark `recovery` kills: one node over NATS. */
import { createNode } from "fractal-tree";
import { connectNats } from "fractal-tree/nats";
import { programInput, reportToParent } from "./child-process.js";

const { servers } = programInput() as { readonly servers: string };

const node = createNode({ path: "bench.worker", transport: await connectNats({ servers, tree: "bench" }) });
const startedAtMs = performance.now();
await node.start();
await node.until("SYNCHRONIZED", { timeoutMs: 30_000 });
reportToParent({ readyMs: performance.now() - startedAtMs });
