/** A process of the benchmark `heartbeats`: a tree in memory that only beats, at one interval; measures itself, ends. */
import { setTimeout as sleep } from "node:timers/promises";
import { createNode, memoryTransport } from "fractal-tree";
import { programInput, reportToParent } from "./child-process.js";

const { mids, leavesPerMid, intervalMs, seconds } = programInput() as {
  readonly mids: number;
  readonly leavesPerMid: number;
  readonly intervalMs: number;
  readonly seconds: number;
};

const CALMING_MS = 3_000;
const PATIENCE_MS = 60_000;

const transport = memoryTransport();
const heartbeat = { minMs: intervalMs, maxMs: intervalMs };
const shared = { transport, heartbeat, initTimeoutMs: PATIENCE_MS };
const leaves = idsOf(leavesPerMid);
const root = createNode({ ...shared, path: "root", children: idsOf(mids) });
const nodes = [root];
for (const { id } of idsOf(mids)) {
  nodes.push(createNode({ ...shared, path: `root.${id}`, children: leaves }));
  nodes.push(...leaves.map((leaf) => createNode({ ...shared, path: `root.${id}.${leaf.id}` })));
}
await Promise.all(nodes.map((node) => node.start()));
await root.until("SYNCHRONIZED", { timeoutMs: PATIENCE_MS });
await sleep(CALMING_MS);
const before = process.cpuUsage();
const startedAtMs = performance.now();
await sleep(seconds * 1_000);
const { user, system } = process.cpuUsage(before);
const cpuMs = (user + system) / 1_000;
reportToParent({ links: nodes.length - 1, cpuMs, tookMs: performance.now() - startedAtMs });

function idsOf(count: number): readonly { readonly id: string }[] {
  return Array.from({ length: count }, (_, place) => ({ id: `n${place}` }));
}
