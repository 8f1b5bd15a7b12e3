/** The process of the benchmark `nodes`: builds a tree, measures itself, ends. */
import { createNode, memoryTransport, type Node } from "fractal-tree";
import { setTimeout as sleep } from "node:timers/promises";
import type { Reading } from "./bench.js";
import { programInput, reportToParent } from "./child-process.js";

const IDLE_MS = 10_000;
/** Heartbeats begin at their shortest interval and have reached their longest after this. */
const SETTLING_MS = 12_000;

const { leaves } = programInput() as { readonly leaves: number };

/** Handlers as any service has them, shared by all nodes. */
const commands = { ping: () => "pong" };

function createTree(): readonly Node[] {
  const transport = memoryTransport();
  const width = Math.ceil(Math.sqrt(leaves));
  const ids = Array.from({ length: width }, (_, i) => `n${i}`);
  const children = ids.map((id) => ({ id }));
  const limits = { transport, initTimeoutMs: 120_000 };
  const root = createNode({ ...limits, path: "root", children });
  const mids = ids.map((id) => createNode({ ...limits, path: `root.${id}`, children }));
  const rest = mids.flatMap(({ path }) => ids.map((id) => createNode({ ...limits, path: `${path}.${id}`, commands })));
  return [root, ...mids, ...rest];
}

function heapBytes(): number {
  for (let i = 0; i < 3; i++) globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

async function idleCpuPercent(): Promise<number> {
  const before = process.cpuUsage();
  const startedAtMs = performance.now();
  await sleep(IDLE_MS);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 10 / (performance.now() - startedAtMs);
}

async function measure(): Promise<readonly Reading[]> {
  const heapBefore = heapBytes();
  const startedAtMs = performance.now();
  const tree = createTree();
  const createdMs = performance.now() - startedAtMs;
  await Promise.all(tree.map((node) => node.start()));
  await tree[0]?.until("SYNCHRONIZED", { timeoutMs: 120_000 });
  const synchronizedMs = performance.now() - startedAtMs;
  await sleep(SETTLING_MS);
  const cpu = await idleCpuPercent();
  const heap = (heapBytes() - heapBefore) / tree.length;
  const available = tree.filter(({ state }) => state === "SYNCHRONIZED").length;
  return [
    { case: "nodes SYNCHRONIZED", unit: "", value: available },
    { case: "heap per idle node", unit: "B", value: heap },
    { case: "creation of the tree", unit: "ms", value: createdMs },
    { case: "creation to SYNCHRONIZED", unit: "ms", value: synchronizedMs },
    { case: "CPU of the idle tree over 10 s", unit: "% of a core", value: cpu },
  ];
}

reportToParent(await measure());
