/** What tree a seed stands for: its shape, who is listed, who is critical, and how its nodes are set. */
import type { NodeOptions, OrphanPolicy, Random } from "../../src/index.js";
import { seededRandom } from "../../src/testing/index.js";

export interface PlannedNode {
  readonly path: string;
  readonly parent: string | null;
  /** Known to its parent in advance; who is not joins by announcing itself. */
  readonly isListed: boolean;
  readonly isCritical: boolean;
  readonly onOrphaned: OrphanPolicy;
}

export interface TreePlan {
  readonly seed: number;
  readonly nodes: readonly PlannedNode[];
  readonly paths: readonly string[];
  readonly byPath: ReadonlyMap<string, PlannedNode>;
  /** Ids of each node's children. */
  readonly children: ReadonlyMap<string, readonly string[]>;
  /** How far the wall clocks of roots are apart, milliseconds, at most. */
  readonly wallSkewMs: number;
  /** Set alike for all nodes. */
  readonly options: Partial<NodeOptions>;
}

const ROOT: PlannedNode = { path: "t", parent: null, isListed: true, isCritical: false, onOrphaned: "continue" };

/** A tree of 24 to 40 nodes on three or four levels. */
export function planTree(seed: number): TreePlan {
  const random = seededRandom(seed * 3 + 1);
  const nodes: PlannedNode[] = [ROOT];
  const size = 24 + Math.floor(random() * 17);
  const middles = 3 + Math.floor(random() * 3);
  for (let id = 0; id < middles; id++) nodes.push(planNode("t", `m${id}`, random));
  while (nodes.length < size) {
    const parent = nodes[1 + Math.floor(random() * (nodes.length - 1))] as PlannedNode;
    if (parent.path.split(".").length < 4) nodes.push(planNode(parent.path, `n${nodes.length}`, random));
  }
  return { seed, ...index(nodes), wallSkewMs: random() < 0.25 ? 20_000 : 0, options: planOptions(random) };
}

function planNode(parent: string, id: string, random: Random): PlannedNode {
  const isListed = random() < 0.75;
  const isCritical = isListed && random() < 0.15;
  const choice = random();
  const onOrphaned = choice < 0.7 ? "continue" : choice < 0.85 ? "pause" : "stop";
  return { path: `${parent}.${id}`, parent, isListed, isCritical, onOrphaned };
}

function index(nodes: readonly PlannedNode[]): Pick<TreePlan, "nodes" | "paths" | "byPath" | "children"> {
  const children = new Map<string, string[]>(nodes.map(({ path }) => [path, []]));
  for (const { path, parent } of nodes) {
    if (parent !== null) children.get(parent)?.push(path.slice(parent.length + 1));
  }
  const byPath = new Map(nodes.map((node) => [node.path, node]));
  return { nodes, paths: nodes.map(({ path }) => path), byPath, children };
}

/** Times from quick and nervous to the defaults, bounds from tight to the defaults. */
function planOptions(random: Random): Partial<NodeOptions> {
  const pick = <T>(...choices: readonly T[]): T => choices[Math.floor(random() * choices.length)] as T;
  const pauseMs = pick(400, 1_000);
  return {
    heartbeat: pick({ minMs: 200, maxMs: 800 }, { minMs: 500, maxMs: 2_000 }),
    failureDetector: { pauseMs, deadMs: pick(3_500, 10_000) },
    backoff: { baseMs: pick(50, 200), maxMs: pick(1_000, 5_000) },
    initTimeoutMs: pick(3_000, 10_000),
    recoveryTimeoutMs: pick(null, null, 8_000),
    thresholds: pick({}, {}, { failed: { count: 2 } }, { degraded: { count: 2 } }),
    ...(random() < 0.25 ? { concurrency: 2, queueMax: 6, linkQueueMax: 12 } : {}),
  };
}
