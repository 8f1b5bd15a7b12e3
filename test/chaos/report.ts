/** What a chaos run found, for people and as JSON. */
import { epochAt, type History, type Incarnation, isNewer, stoppedMs, type Violation } from "./history.js";
import type { ChaosResult } from "./run.js";

export interface ChaosReport {
  readonly seed: number;
  readonly nodes: number;
  readonly processes: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly calls: number;
  /** Outcomes by kind of call and status. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** How processes ended, by the reason that their nodes gave, or `killed`. */
  readonly ends: Readonly<Record<string, number>>;
  /** What supervisors decided about their children. */
  readonly decisions: Readonly<Record<string, number>>;
  readonly recoveryMs: number;
  /** From the start of a process until its node was SYNCHRONIZED for the first time, while faults went on. */
  readonly startMs: Distribution;
  /** From waking a process that was replaced meanwhile until its node had ended. */
  readonly fencedMs: Distribution;
  readonly violations: number;
}

/** Milliseconds. */
export interface Distribution {
  readonly count: number;
  readonly median: number;
  readonly p99: number;
  readonly max: number;
}

export function toReport({ history, violations, faults, recoveryMs }: ChaosResult): ChaosReport {
  const incarnations = [...history.incarnations.values()];
  const calls = [...history.calls.values()];
  const outcomes = calls.flatMap((call) => call.outcomes.map(({ status }) => `${call.kind} ${status}`));
  return {
    seed: history.plan.seed,
    nodes: history.plan.nodes.length,
    processes: incarnations.length,
    faults: sorted(faults),
    calls: calls.length,
    outcomes: countEach(outcomes),
    ends: countEach(
      incarnations.map(({ endReason, killedAtMs }) => endReason ?? (killedAtMs < Infinity ? "killed" : "other")),
    ),
    decisions: countEach(history.records.flatMap((record) => (record.type === "decided" ? [record.decision] : []))),
    recoveryMs,
    startMs: distribution(incarnations.flatMap(startTime)),
    fencedMs: distribution(incarnations.flatMap((each) => fenceTime(history, each))),
    violations: violations.length,
  };
}

function countEach(names: readonly string[]): Readonly<Record<string, number>> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return sorted(counts);
}

function sorted(counts: ReadonlyMap<string, number>): Readonly<Record<string, number>> {
  return Object.fromEntries([...counts].toSorted(([one], [other]) => one.localeCompare(other)));
}

function startTime(incarnation: Incarnation): readonly number[] {
  const { start } = incarnation;
  const ready = incarnation.records.find((record) => record.type === "state" && record.state === "SYNCHRONIZED");
  if (start === null || ready === undefined) return [];
  return [ready.atMs - start.atMs - stoppedMs(incarnation, [start.atMs, ready.atMs])];
}

function fenceTime({ acceptances }: History, incarnation: Incarnation): readonly number[] {
  const { path, stops, endReason, endedAtMs } = incarnation;
  const [, wokeAtMs] = stops.at(-1) ?? [0, Infinity];
  const own = epochAt(incarnation, endedAtMs);
  const isReplaced = acceptances.some(
    ({ link, epoch, path: at }) => at === path && link.atMs < wokeAtMs && isNewer(epoch, own),
  );
  return endReason === "fenced" && isReplaced && wokeAtMs < endedAtMs ? [endedAtMs - wokeAtMs] : [];
}

function distribution(values: readonly number[]): Distribution {
  const ascending = values.toSorted((a, b) => a - b);
  const at = (fraction: number): number => Math.round(ascending[Math.ceil(fraction * ascending.length) - 1] ?? 0);
  return { count: ascending.length, median: at(0.5), p99: at(0.99), max: at(1) };
}

export function toText(report: ChaosReport): string {
  const { seed, nodes, processes, faults, calls, outcomes, ends, decisions, recoveryMs, startMs, fencedMs } = report;
  return [
    `seed ${seed}: ${nodes} nodes, ${processes} processes, ${calls} calls`,
    `faults     ${list(faults)}`,
    `outcomes   ${list(outcomes)}`,
    `ends       ${list(ends)}`,
    `decisions  ${list(decisions)}`,
    `recovery   SYNCHRONIZED ${recoveryMs} ms after the faults`,
    `starts     ${describe(startMs)} from a process's start to SYNCHRONIZED, under faults`,
    `fencing    ${describe(fencedMs)} from waking up replaced to the end`,
  ].join("\n");
}

function list(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${count} ${name}`)
    .join(", ");
}

function describe({ count, median, p99, max }: Distribution): string {
  return count === 0 ? "none" : `${count}: median ${median} ms, p99 ${p99} ms, max ${max} ms`;
}

const SHOWN_MAX = 10;

/** The violated rules, each with the lines of the journals that show it. */
export function explain(violations: readonly Violation[]): string {
  const shown = violations.slice(0, SHOWN_MAX).map(({ rule, what, lines }) => {
    return [`VIOLATED: ${rule}: ${what}`, ...lines.map((line) => `  ${JSON.stringify(line)}`)].join("\n");
  });
  const more = violations.length - shown.length;
  return [...shown, ...(more > 0 ? [`and ${more} more`] : [])].join("\n");
}
