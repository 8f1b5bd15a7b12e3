/** From conditions to figures: how fast each detector finds a death, and how often it finds one that was none. */
import type { Reading } from "./bench.js";
import { Arena, type ArenaOptions, type Conditions, type Finding, OURS } from "./detection-arena.js";
import type { Opinion } from "./detection-peers.js";
import { quantile } from "./rows.js";

const CHILDREN = 8;
/** Time without a death, for each kill of the time with some. */
const QUIET_MS = 48_000;
/** Time between two deaths: they do not disturb each other, and each child has long settled when its turn comes. */
const KILL_INTERVAL_MS = 25_000;
/** Long enough for the slowest detector. */
const DOWN_MS = 75_000;
const HOUR_MS = 3_600_000;

export interface Trace {
  /** Milliseconds from a kill to the opinion, by detector and opinion. */
  readonly latenciesMs: ReadonlyMap<string, readonly number[]>;
  /** Opinions of children that were alive, by detector and opinion. */
  readonly mistakes: ReadonlyMap<string, number>;
  readonly childHours: number;
}

export async function traceOf(conditions: Conditions, seed: number, kills: number): Promise<Trace> {
  const options: ArenaOptions = { ...conditions, seed, children: CHILDREN, peers: true };
  const quietMs = QUIET_MS * kills;
  const mistakes = await countMistakes(new Arena(options), quietMs);
  const latenciesMs = await killInTurn(new Arena(options), kills);
  return { mistakes, latenciesMs, childHours: (CHILDREN * quietMs) / HOUR_MS };
}

/** Nobody dies: whoever is suspected or given up is so by mistake. */
export async function countMistakes(arena: Arena, ms: number): Promise<ReadonlyMap<string, number>> {
  await arena.settle();
  await arena.clock.advance(ms);
  const mistakes = new Map<string, number>();
  for (const finding of arena.takeFindings()) {
    const key = keyOf(finding.detector, finding.opinion);
    mistakes.set(key, (mistakes.get(key) ?? 0) + 1);
  }
  return mistakes;
}

async function killInTurn(arena: Arena, kills: number): Promise<ReadonlyMap<string, readonly number[]>> {
  await arena.settle();
  const killedAtMs: { readonly id: string; readonly atMs: number }[] = [];
  for (let n = 0; n < kills; n++) {
    await arena.clock.advance(KILL_INTERVAL_MS * (0.5 + arena.random()));
    const id = arena.ids[n % arena.ids.length] ?? "";
    killedAtMs.push({ id, atMs: arena.clock.now() });
    arena.kill(id);
    arena.clock.setTimeout(() => arena.spawn(id), DOWN_MS);
  }
  await arena.clock.advance(DOWN_MS);
  const findings = arena.takeFindings();
  const latenciesMs = new Map<string, number[]>();
  for (const { id, atMs } of killedAtMs) noteLatencies(latenciesMs, findings, id, atMs);
  return latenciesMs;
}

/** The first word of each detector after a kill counts; who was suspected by mistake just then is left out. */
function noteLatencies(
  into: Map<string, number[]>,
  findings: readonly Finding[],
  id: string,
  killedAtMs: number,
): void {
  const seen = new Set<string>();
  for (const { detector, child, opinion, atMs } of findings) {
    if (child !== id || atMs < killedAtMs || atMs > killedAtMs + DOWN_MS || opinion === "alive") continue;
    const key = keyOf(detector, opinion);
    if (seen.has(key)) continue;
    seen.add(key);
    into.set(key, [...(into.get(key) ?? []), atMs - killedAtMs]);
  }
}

/** The rows of one detector: one that knows no suspicion has none of it, and medians are for our own only. */
export function toReadings(trace: Trace, detector: string, label: string): readonly Reading[] {
  return [...latencyReadings(trace, detector, "suspect", label), ...latencyReadings(trace, detector, "dead", label)];
}

function latencyReadings(trace: Trace, detector: string, opinion: Opinion, label: string): readonly Reading[] {
  const latencies = trace.latenciesMs.get(keyOf(detector, opinion));
  if (latencies === undefined) return [];
  const mistakes = trace.mistakes.get(keyOf(detector, opinion)) ?? 0;
  const noun = opinion === "dead" ? "deaths" : "suspicions";
  const quantiles = (detector === OURS ? [0.5, 0.99] : [0.99]).map((q) => {
    return { case: `${label}: kill to ${opinion}, p${q * 100}`, unit: "ms", value: quantile(latencies, q) };
  });
  return [...quantiles, { case: `${label}: false ${noun}`, unit: "1/child-hour", value: mistakes / trace.childHours }];
}

export function keyOf(detector: string, opinion: Opinion): string {
  return `${detector} ${opinion}`;
}
