/** The process of the benchmark `nodes`: builds a tree, measures itself, ends. */
import { createNode, memoryTransport, type Node } from "fractal-tree";
import { setTimeout as sleep } from "node:timers/promises";
import type { Reading } from "./bench.js";
import { programInput, reportToParent } from "./child-process.js";
import { heapBytes } from "./heap.js";

/** Beats between nodes of one thread are spread over two minutes, so that each part of these is like the others. */
const IDLE_MS = 60_000;
/** Until V8 has collected the garbage of the start by itself, three times within 50 s: that is no part of idling. */
const SETTLING_MS = 60_000;
/** Until what was needed to get ready has been let go. */
const CALMING_MS = 2_000;
/** Whatever their number, so that only the number changes. */
const LEAVES_PER_MID = 100;
/** Of a tree that is shut down before anything is measured. */
const WARMING_LEAVES = 200;
/** A tree that is not ready by then is measured as it is. */
const PATIENCE_MS = 60_000;

const { leaves, isIdleMeasured } = programInput() as { readonly leaves: number; readonly isIdleMeasured: boolean };

/** Handlers as any service has them, shared by all nodes. */
const commands = { ping: () => "pong" };

function createTree(size: number): readonly Node[] {
  const transport = memoryTransport();
  const limits = { transport, initTimeoutMs: 2 * PATIENCE_MS };
  const midIds = idsOf(Math.ceil(size / LEAVES_PER_MID));
  const leafIds = idsOf(Math.min(size, LEAVES_PER_MID));
  const children = leafIds.map((id) => ({ id }));
  const root = createNode({ ...limits, path: "root", children: midIds.map((id) => ({ id })) });
  const mids = midIds.map((id) => createNode({ ...limits, path: `root.${id}`, children }));
  const rest = mids.flatMap(({ path }) =>
    leafIds.map((id) => createNode({ ...limits, path: `${path}.${id}`, commands })),
  );
  return [root, ...mids, ...rest];
}

function idsOf(count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => `n${i}`);
}

async function idleCpuPercent(): Promise<number> {
  const before = process.cpuUsage();
  const startedAtMs = performance.now();
  await sleep(IDLE_MS);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 10 / (performance.now() - startedAtMs);
}

/** So that code, and what V8 keeps with it, is not taken for that of the nodes. */
async function warmUp(): Promise<void> {
  const tree = createTree(WARMING_LEAVES);
  await Promise.all(tree.map((node) => node.start()));
  await tree[0]?.until("SYNCHRONIZED");
  await tree[0]?.shutdownTree();
}

async function measure(): Promise<readonly Reading[]> {
  await warmUp();
  const heapBefore = heapBytes();
  const startedAtMs = performance.now();
  const tree = createTree(leaves);
  const createdMs = performance.now() - startedAtMs;
  await Promise.all(tree.map((node) => node.start()));
  await tree[0]?.until("SYNCHRONIZED", { timeoutMs: PATIENCE_MS }).catch(() => {});
  const synchronizedMs = performance.now() - startedAtMs;
  await sleep(isIdleMeasured ? SETTLING_MS : CALMING_MS);
  const idle = isIdleMeasured
    ? [{ case: `CPU of the idle tree over ${IDLE_MS / 1_000} s`, unit: "% of a core", value: await idleCpuPercent() }]
    : [];
  const heap = heapBytes() - heapBefore;
  const available = tree.filter(({ state }) => state === "SYNCHRONIZED").length;
  return [
    { case: "nodes SYNCHRONIZED", unit: "", value: available },
    { case: "heap per leaf", unit: "B", value: heap / leaves },
    { case: "creation of the tree", unit: "ms", value: createdMs },
    { case: "creation to SYNCHRONIZED", unit: "ms", value: synchronizedMs },
    { case: "creation to SYNCHRONIZED, per leaf", unit: "µs", value: (synchronizedMs * 1_000) / leaves },
    ...idle,
  ];
}

reportToParent(await measure());
