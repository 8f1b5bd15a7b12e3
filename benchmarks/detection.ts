/**
 * How fast a silent child is suspected and given up, against how often that is a mistake: in virtual time, over levels of
 * loss, delay and stalls, beside the rules of other systems in the same traces; then the proof of the stated stall. All of
 * that follows from seeds: the same number of runs and operations gives the same rows on any machine.
 *
 * Last, in real time, how long recovery takes for each kind of child.
 */
import { startNatsServer } from "../test/support/nats-server.js";
import type { Bench, BenchOptions, Goal, Measure, Subject } from "./bench.js";
import { type Conditions, OURS } from "./detection-arena.js";
import { FIXED, MOLECULER, PEKKO } from "./detection-peers.js";
import { FORGIVEN_MS, prove } from "./detection-proof.js";
import { recoverySubjects } from "./detection-recovery.js";
import { toReadings, type Trace, traceOf } from "./detection-trace.js";

const KILLS = 300;
const PROOF_RUNS = 1_000;
const RECOVERIES = 50;
/** Whom a parent starts again itself: the goal for what that takes beside the child's own start, milliseconds. */
const OWNED = ["in process", "worker thread", "process"];
const RECOVERED_MS = 1_000;

interface Level {
  readonly loss?: number;
  readonly delayMs?: number;
  readonly stallMs?: number;
  readonly parentStalls?: true;
}

const LEVELS: readonly Level[] = [
  {},
  { loss: 0.05 },
  { loss: 0.2 },
  { delayMs: 300 },
  { stallMs: 500 },
  { stallMs: 2_000 },
  { stallMs: 5_000 },
  { stallMs: 8_000 },
  { loss: 0.05, delayMs: 300, stallMs: 2_000 },
  { loss: 0.2, stallMs: 5_000 },
  { loss: 0.2, stallMs: FORGIVEN_MS, parentStalls: true },
];

/** "loss 20 %, 1-5 ms, stalls 5 s" */
function labelOf({ loss = 0, delayMs = 5, stallMs = 0, parentStalls }: Level): string {
  const stalls = stallMs === 0 ? "no stalls" : `stalls ${stallMs / 1_000} s`;
  return `loss ${loss * 100} %, 1-${delayMs} ms, ${stalls}${parentStalls === true ? " of all" : ""}`;
}

function conditionsOf({ loss = 0, delayMs = 5, stallMs = 0, parentStalls }: Level): Conditions {
  const stallsMs = stallMs === 0 ? null : ([stallMs, stallMs] as const);
  return { drop: loss, maxDelayMs: delayMs, stallsMs, parentStalls: parentStalls === true };
}

export const detection: Bench = {
  name: "detection",
  question: "How fast is a death noticed, how often is one imagined, and how long does recovery take?",
  runs: 1,
  warmUps: 0,
  isLong: true,
  baseline: FIXED,
  goals: goals(),
  chart: [{}, { loss: 0.2 }, { stallMs: 5_000 }].map((level) => `${labelOf(level)}: kill to dead, p99`),
  stage,
};

/** Stalls up to the forgiven one kill nobody, and who dies is replaced within a second. */
function goals(): Readonly<Record<string, Goal>> {
  const none: Goal = { of: "value", is: "<=", limit: 0 };
  const soon: Goal = { of: "value", is: "<=", limit: RECOVERED_MS };
  const forgiven = LEVELS.filter(({ stallMs = 0 }) => stallMs <= FORGIVEN_MS);
  const labels = forgiven.map((level) => `${OURS}, ${labelOf(level)}: false deaths`);
  return Object.fromEntries([
    ...[...labels, "proof, false deaths"].map((label) => [label, none]),
    ...OWNED.map((kind) => [`${kind}, kill to SYNCHRONIZED, less its start, p99`, soon]),
  ]);
}

async function stage({ operations }: BenchOptions, measure: Measure): Promise<void> {
  const kills = operations ?? KILLS;
  const runs = operations ?? PROOF_RUNS;
  let firstSeed = 1;
  const proof = (): ReturnType<typeof prove> => prove((firstSeed += runs) - runs, runs);
  await using server = await startNatsServer();
  await measure([
    ...LEVELS.flatMap((level) => toSubjects(level, kills)),
    { variant: "proof", measure: proof },
    ...recoverySubjects(server.url, operations ?? RECOVERIES),
  ]);
}

/** One trace of each run serves all detectors; the first subject makes it. */
function toSubjects(level: Level, kills: number): readonly Subject[] {
  let trace: Trace | null = null;
  let seed = 0;
  const measure = (detector: string) => async () => {
    if (detector === OURS || trace === null) trace = await traceOf(conditionsOf(level), ++seed, kills);
    return toReadings(trace, detector, labelOf(level));
  };
  return [OURS, FIXED, MOLECULER, PEKKO].map((variant) => ({ variant, measure: measure(variant) }));
}
