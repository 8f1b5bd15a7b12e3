/** Which faults a seed stands for, as plain data: what can be printed, replayed, and made smaller. */
import { seededRandom } from "../prng.js";
import type { NetworkFaults } from "../simulated-network.js";
import type { TreePlan } from "./plan.js";

export type FaultKind =
  | "kill"
  | "killAtMessage"
  | "massKill"
  | "storm"
  | "pause"
  | "stall"
  | "slow"
  | "disconnect"
  | "hold"
  | "blackout"
  | "partition"
  | "rival"
  | "usurp"
  | "feud"
  | "redeploy"
  | "shutdown"
  | "fail"
  | "dependencyDown"
  | "recover"
  | "child";

/** One harm, done at a time and undone after a while. */
export interface Fault {
  readonly atMs: number;
  readonly kind: FaultKind;
  readonly path: string;
  readonly forMs: number;
  /** What is left to chance within the fault: a number in [0, 1). */
  readonly draw: number;
}

export interface FaultSchedule {
  readonly network: Required<NetworkFaults>;
  readonly faults: readonly Fault[];
}

/** How often each kind is drawn, of their sum. */
const WEIGHTS: Readonly<Record<FaultKind, number>> = {
  kill: 24,
  killAtMessage: 8,
  massKill: 2,
  storm: 3,
  pause: 12,
  stall: 6,
  slow: 3,
  disconnect: 10,
  hold: 4,
  blackout: 2,
  partition: 12,
  rival: 4,
  usurp: 4,
  feud: 1,
  redeploy: 4,
  shutdown: 2,
  fail: 4,
  dependencyDown: 2,
  recover: 2,
  child: 6,
};

const LONGEST_MS = 15_000;
const INTERVAL_MS = 400;

/** Faults at random, mostly short, sometimes longer than what anybody takes for alive. */
export function scheduleFaults({ seed, paths }: TreePlan, faultsMs: number): FaultSchedule {
  const random = seededRandom(seed * 3 + 3);
  const network = {
    drop: random() * 0.2,
    duplicate: random() * 0.1,
    minDelayMs: 1,
    maxDelayMs: 5 + random() ** 2 * 295,
    reorder: random() < 0.5,
  };
  const faults: Fault[] = [];
  for (let atMs = INTERVAL_MS; atMs < faultsMs; atMs += INTERVAL_MS) {
    const path = paths[Math.floor(random() * paths.length)] as string;
    const forMs = Math.round(100 + random() ** 3 * LONGEST_MS);
    faults.push({ atMs, kind: drawKind(random()), path, forMs, draw: random() });
  }
  return { network, faults };
}

function drawKind(draw: number): FaultKind {
  const kinds = Object.entries(WEIGHTS) as [FaultKind, number][];
  let left = draw * kinds.reduce((total, [, weight]) => total + weight, 0);
  for (const [kind, weight] of kinds) {
    left -= weight;
    if (left < 0) return kind;
  }
  return "kill";
}
