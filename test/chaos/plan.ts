/** What tree a chaos run has, how its nodes are set, and how long things may take. */
import type { NodeOptions, OrphanPolicy, Random, Strategy } from "fractal-tree";
import { seededRandom } from "fractal-tree/testing";

export type Pace =
  /** The library's default options: death after 10 s. */
  | "default"
  /** Everything several times as fast, for short runs. */
  | "fast";

/** Who starts a node. */
export type StartedBy =
  /** An operator: its parent only expects it. */
  | "operator"
  /** Its parent, as a process that ends with the parent's. */
  | "parent"
  /** Its parent, as a process that outlives the parent's and is adopted by the next one. */
  | "parent, for good";

export interface PlannedNode {
  readonly path: string;
  readonly parent: string | null;
  readonly startedBy: StartedBy;
  /** Of its own children. */
  readonly strategy: Strategy;
  readonly isCritical: boolean;
  readonly onOrphaned: OrphanPolicy;
}

export interface ChaosPlan {
  readonly seed: number;
  readonly pace: Pace;
  readonly nodes: readonly PlannedNode[];
  readonly times: ChaosTimes;
}

/** All in milliseconds. */
export interface ChaosTimes {
  /** Of a silence that is death. */
  readonly deadMs: number;
  /** Of the longest beat and the pause after it: who stood still for longer has to ask whether it still holds its path. */
  readonly suspicionMs: number;
  /** Longest fault. */
  readonly faultMs: number;
  /** Between faults, on average. */
  readonly faultIntervalMs: number;
  /** Once faults stop, the whole tree is SYNCHRONIZED again within this: death, init timeout and backoff in turn. */
  readonly recoveryMs: number;
  /** Longest deadline of a call. */
  readonly callMs: number;
  /** Deadline for leaving, and for the shutdown of the tree. */
  readonly shutdownMs: number;
  /** A process whose parent's process is gone has ended within this. */
  readonly orphanMs: number;
  /** Of the sliding window in which restarts are counted. */
  readonly restartPeriodMs: number;
  /** How much later than due something may happen because the machine is busy. */
  readonly slackMs: number;
}

export const ROOT = "c";

/** What `runChild` gives a process whose parent's process is gone: three seconds to end in order, and one to end at all. */
const ORPHAN_MS = 4_000;

const TIMES: Readonly<Record<Pace, ChaosTimes>> = {
  default: {
    deadMs: 10_000,
    suspicionMs: 3_200,
    faultMs: 15_000,
    faultIntervalMs: 1_000,
    recoveryMs: 60_000,
    callMs: 20_000,
    shutdownMs: 5_000,
    orphanMs: ORPHAN_MS,
    restartPeriodMs: 30_000,
    slackMs: 2_000,
  },
  fast: {
    deadMs: 2_000,
    suspicionMs: 800,
    faultMs: 4_000,
    faultIntervalMs: 700,
    recoveryMs: 20_000,
    callMs: 5_000,
    shutdownMs: 3_000,
    orphanMs: ORPHAN_MS,
    restartPeriodMs: 10_000,
    slackMs: 2_000,
  },
};

/** Three levels: a root, nodes below it, and as many leaves below each of these. */
export function planChaos(options: {
  readonly seed: number;
  readonly pace: Pace;
  readonly middles: number;
  readonly leaves: number;
}): ChaosPlan {
  const { seed, pace, middles, leaves } = options;
  const random = seededRandom(seed * 3 + 1);
  const root = { startedBy: "operator", strategy: "one_for_one", isCritical: false, onOrphaned: "continue" } as const;
  const nodes: PlannedNode[] = [{ path: ROOT, parent: null, ...root }];
  for (let middle = 0; middle < middles; middle++) {
    const path = `${ROOT}.m${middle}`;
    nodes.push(planNode(ROOT, path, random));
    for (let leaf = 0; leaf < leaves; leaf++) nodes.push(planNode(path, `${path}.l${leaf}`, random));
  }
  return { seed, pace, nodes, times: TIMES[pace] };
}

function planNode(parent: string, path: string, random: Random): PlannedNode {
  return {
    path,
    parent,
    startedBy: pick(random, "operator", "operator", "parent", "parent", "parent, for good"),
    strategy: pick(random, "one_for_one", "one_for_one", "one_for_all", "rest_for_one"),
    isCritical: random() < 0.1,
    onOrphaned: pick(random, "continue", "continue", "continue", "pause", "stop"),
  };
}

function pick<T>(random: Random, first: T, ...others: readonly T[]): T {
  const choices = [first, ...others];
  return choices[Math.floor(random() * choices.length)] ?? first;
}

export function childrenOf({ nodes }: ChaosPlan, path: string): readonly PlannedNode[] {
  return nodes.filter(({ parent }) => parent === path);
}

export function descendantsOf({ nodes }: ChaosPlan, path: string): readonly string[] {
  return nodes.filter((node) => node.path.startsWith(`${path}.`)).map((node) => node.path);
}

/** What is not left to the defaults. */
export function nodeOptions({ pace, times }: ChaosPlan): Partial<NodeOptions> {
  const { deadMs, shutdownMs, callMs, restartPeriodMs } = times;
  const common = { commandTimeoutMs: callMs, shutdownTimeoutMs: shutdownMs };
  if (pace === "default") return common;
  return {
    ...common,
    heartbeat: { minMs: 100, maxMs: 300 },
    failureDetector: { pauseMs: 300, deadMs },
    backoff: { baseMs: 50, maxMs: 1_000 },
    initTimeoutMs: 3_000,
    cleanupTimeoutMs: 1_000,
    supervision: { backoff: { baseMs: 50, maxMs: 1_000 }, periodMs: restartPeriodMs, stableMs: 3_000 },
  };
}
