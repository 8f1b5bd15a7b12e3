/** What tree a seed stands for: its shape, who starts whom, who is critical, and how its nodes are set. */
import type { Shutdown } from "../../../machines/child-spec.js";
import type { Random } from "../../health/clock.js";
import type { SupervisionOptions } from "../../node/child-options.js";
import type { NodeOptions, OrphanPolicy } from "../../node/options.js";
import { seededRandom } from "../prng.js";

/**
 * Who starts a node: an operator (`remote`), or its parent: in its own process, in one of its own, or in one that
 * outlives the parent's.
 */
export type Ownership = "remote" | "inProcess" | "process" | "detached";

export interface PlannedNode {
  readonly path: string;
  readonly parent: string | null;
  readonly ownership: Ownership;
  /** Known to its parent in advance; who is not joins by announcing itself. */
  readonly isListed: boolean;
  readonly isCritical: boolean;
  readonly onOrphaned: OrphanPolicy;
  readonly shutdown: Shutdown;
  readonly supervision: SupervisionOptions;
}

export interface TreePlan {
  readonly seed: number;
  readonly nodes: readonly PlannedNode[];
  readonly paths: readonly string[];
  readonly byPath: ReadonlyMap<string, PlannedNode>;
  /** Ids of each node's children. */
  readonly children: ReadonlyMap<string, readonly string[]>;
  /** How far wall clocks are apart, milliseconds, at most. */
  readonly wallSkewMs: number;
  /** Roots get their epochs from a store, not from their clocks. */
  readonly hasEpochStore: boolean;
  /** How much faster or slower than 1 the clocks run, at most. */
  readonly drift: number;
  /** Probability that a start fails while faults last. */
  readonly startFailure: number;
  /** Set alike for all nodes. */
  readonly options: Partial<NodeOptions>;
}

export const NODES_MIN = 5;

/** Longest time in which a process starts and attaches, milliseconds; and what each level keeps of its time for itself. */
const NODE_START_MS = 400;
const LEVEL_RESERVE = 1.2;

/** A tree of 5 to `nodesMax` nodes, most of them small, on up to four levels. */
export function planTree(seed: number, nodesMax: number): TreePlan {
  const random = seededRandom(seed * 3 + 1);
  const size = Math.min(nodesMax, Math.floor(NODES_MIN * (nodesMax / NODES_MIN) ** (random() ** 1.5) + 0.5));
  const ownedShare = random();
  const nodes: PlannedNode[] = [planNode(null, "t", { random, ownedShare })];
  const middles = Math.min(size - 1, 2 + Math.floor(random() * 3));
  for (let id = 0; id < middles; id++) nodes.push(planNode("t", `m${id}`, { random, ownedShare }));
  while (nodes.length < size) {
    const parent = nodes[1 + Math.floor(random() * (nodes.length - 1))] as PlannedNode;
    if (parent.path.split(".").length < 4) {
      nodes.push(planNode(parent.path, `n${nodes.length}`, { random, ownedShare }));
    }
  }
  const isSkewed = random() < 0.25;
  return {
    seed,
    ...index(withTimeForChildren(nodes)),
    wallSkewMs: isSkewed ? 20_000 : 0,
    // A root raises its epoch above those of its children, but it does not meet their children.
    hasEpochStore: isSkewed && nodes.some(({ path }) => path.split(".").length > 2),
    drift: random() < 0.5 ? 0.01 : 0,
    startFailure: random() < 0.3 ? 0.2 : 0,
    options: planOptions(random, startMs(nodes, nodes[0] as PlannedNode)),
  };
}

interface Draw {
  readonly random: Random;
  /** How many of the nodes are owned by their parent. */
  readonly ownedShare: number;
}

function planNode(parent: string | null, id: string, { random, ownedShare }: Draw): PlannedNode {
  const isOwned = parent !== null && random() < ownedShare;
  const isListed = isOwned || parent === null || random() < 0.75;
  const choice = random();
  return {
    path: parent === null ? id : `${parent}.${id}`,
    parent,
    ownership: isOwned ? pick(random, "inProcess", "process", "process", "detached") : "remote",
    isListed,
    isCritical: parent !== null && isListed && random() < 0.15,
    onOrphaned: choice < 0.7 || parent === null ? "continue" : choice < 0.85 ? "pause" : "stop",
    shutdown: pick<Shutdown>(random, 500, 2_000, "brutal_kill", "infinity"),
    supervision: planSupervision(random),
  };
}

function planSupervision(random: Random): SupervisionOptions {
  const tight = { childIntensity: 1, intensity: 2, periodMs: 5_000 };
  return {
    strategy: pick(random, "one_for_one", "one_for_one", "one_for_all", "rest_for_one"),
    ...pick<SupervisionOptions>(random, {}, {}, tight, { ...tight, cooldownMs: 3_000 }),
    backoff: { baseMs: pick(random, 20, 100), maxMs: pick(random, 1_000, 4_000) },
    stableMs: pick(random, 2_000, 10_000),
    adoptionMs: pick(random, 200, 1_000),
  };
}

function pick<T>(random: Random, ...choices: readonly T[]): T {
  return choices[Math.floor(random() * choices.length)] as T;
}

/** Who is killed, or has little time, leaves its remote descendants behind: only leaves are. */
function withTimeForChildren(nodes: readonly PlannedNode[]): readonly PlannedNode[] {
  const parents = new Set(nodes.map(({ parent }) => parent));
  return nodes.map((node) => (parents.has(node.path) ? { ...node, shutdown: "infinity" } : node));
}

function index(nodes: readonly PlannedNode[]): Pick<TreePlan, "nodes" | "paths" | "byPath" | "children"> {
  const children = new Map<string, string[]>(nodes.map(({ path }) => [path, []]));
  for (const { path, parent } of nodes) {
    if (parent !== null) children.get(parent)?.push(path.slice(parent.length + 1));
  }
  const byPath = new Map(nodes.map((node) => [node.path, node]));
  return { nodes, paths: nodes.map(({ path }) => path), byPath, children };
}

/** How long a node's subtree may take to start: who starts its children in turn needs the sum of their times. */
function startMs(nodes: readonly PlannedNode[], node: PlannedNode): number {
  const children = nodes.filter(({ parent }) => parent === node.path).map((child) => startMs(nodes, child));
  const isInTurn = (node.supervision.strategy ?? "one_for_one") !== "one_for_one";
  const childrenMs = isInTurn ? children.reduce((sum, ms) => sum + ms, 0) : Math.max(0, ...children);
  return NODE_START_MS + childrenMs * LEVEL_RESERVE;
}

/** Times from quick and nervous to the defaults, bounds from tight to the defaults. */
function planOptions(random: Random, startsWithinMs: number): Partial<NodeOptions> {
  const pauseMs = pick(random, 400, 1_000);
  return {
    heartbeat: pick(random, { minMs: 200, maxMs: 800 }, { minMs: 500, maxMs: 2_000 }),
    failureDetector: { pauseMs, deadMs: pick(random, 3_500, 10_000) },
    backoff: { baseMs: pick(random, 50, 200), maxMs: pick(random, 1_000, 5_000) },
    initTimeoutMs: Math.max(pick(random, 3_000, 10_000), startsWithinMs),
    recoveryTimeoutMs: pick(random, null, null, Math.max(8_000, 2 * startsWithinMs)),
    thresholds: pick(random, {}, {}, { failed: { count: 2 } }, { degraded: { count: 2 } }),
    ...(random() < 0.25 ? { concurrency: 2, queueMax: 6, linkQueueMax: 12 } : {}),
  };
}
