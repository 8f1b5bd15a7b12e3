/** What the journals say, put together: processes, calls, handlers that ran, and who accepted whom when. */
import { compareEpochs } from "../../machines/epoch.js";
import type { ChaosPlan } from "./plan.js";
import { DRIVER, type Issued, type JournalRecord, type RecordOf } from "./records.js";

export type Span = readonly [fromMs: number, untilMs: number];

/** One process from its start to its end. */
export interface Incarnation {
  readonly name: string;
  readonly path: string;
  readonly records: JournalRecord[];
  start: RecordOf<"start"> | null;
  /** Epochs that it held; only a root's changes. */
  readonly epochs: RecordOf<"epoch">[];
  /** When it stood still, at most. */
  readonly stops: Span[];
  killedAtMs: number;
  /** When its node ended; Infinity if it did not say so. */
  endedAtMs: number;
  endReason: string | null;
  /** When the process was gone. */
  exitedAtMs: number;
}

export interface Call extends Issued {
  readonly caller: Incarnation;
  readonly issued: RecordOf<"issued">;
  readonly outcomes: RecordOf<"outcome">[];
  settled: RecordOf<"settled"> | RecordOf<"refused"> | null;
}

/** One handler. */
export interface HandlerRun {
  readonly by: Incarnation;
  readonly began: RecordOf<"began">;
  finished: RecordOf<"finished"> | null;
}

/** While a parent accepted a child's epoch: from the session's begin to another epoch, a death, or the parent's end. */
export interface Acceptance {
  readonly parent: Incarnation;
  readonly path: string;
  readonly epoch: string;
  readonly link: RecordOf<"link">;
  readonly fromMs: number;
  untilMs: number;
}

export interface History {
  readonly plan: ChaosPlan;
  readonly records: readonly JournalRecord[];
  readonly incarnations: ReadonlyMap<string, Incarnation>;
  readonly calls: ReadonlyMap<string, Call>;
  /** By the value of what was asked for. */
  readonly runs: ReadonlyMap<string, readonly HandlerRun[]>;
  readonly acceptances: readonly Acceptance[];
}

/** `records` in the order of time. */
export function toHistory(plan: ChaosPlan, records: readonly JournalRecord[]): History {
  const incarnations = new Map<string, Incarnation>();
  const incarnation = (name: string): Incarnation => {
    const found = incarnations.get(name) ?? newIncarnation(name);
    incarnations.set(name, found);
    return found;
  };
  for (const record of records) {
    if (record.process === DRIVER) noteDriver(record, incarnation);
    else noteOwn(record, incarnation(record.process));
  }
  const all = [...incarnations.values()];
  noteKills(all);
  const calls = toCalls(all);
  return { plan, records, incarnations, calls, runs: toRuns(all), acceptances: all.flatMap(toAcceptances) };
}

function newIncarnation(name: string): Incarnation {
  const path = name.slice(0, name.indexOf("#"));
  const ends = { killedAtMs: Infinity, endedAtMs: Infinity, endReason: null, exitedAtMs: Infinity };
  return { name, path, records: [], start: null, epochs: [], stops: [], ...ends };
}

function noteOwn(record: JournalRecord, incarnation: Incarnation): void {
  incarnation.records.push(record);
  if (record.type === "start") incarnation.start = record;
  if (record.type === "epoch") incarnation.epochs.push(record);
  if (record.type !== "ended") return;
  incarnation.endedAtMs = record.atMs;
  incarnation.endReason = record.reason;
}

function noteDriver(record: JournalRecord, incarnation: (name: string) => Incarnation): void {
  if (record.type === "spawned") incarnation(record.of);
  if (record.type === "killed") incarnation(record.of).killedAtMs = record.atMs;
  if (record.type === "stopped") incarnation(record.of).stops.push([record.atMs, Infinity]);
  if (record.type === "continued" || record.type === "exited") endStop(incarnation(record.of), record.atMs);
  if (record.type === "exited") incarnation(record.of).exitedAtMs = record.atMs;
}

/** A supervisor kills whoever does not end in time, also while it tells of its end. The driver sees them gone. */
function noteKills(all: readonly Incarnation[]): void {
  for (const parent of all) {
    for (const record of parent.records) {
      if (record.type !== "decided" || record.decision !== "killed") continue;
      const path = `${parent.path}.${record.id}`;
      const victim = all.find((each) => each.path === path && isOwnedBy(parent, each) && isThere(each, record.atMs));
      if (victim !== undefined) victim.killedAtMs = Math.min(victim.killedAtMs, victim.exitedAtMs);
    }
  }
}

function isOwnedBy(parent: Incarnation, { start }: Incarnation): boolean {
  return start !== null && start.owner === parent.start?.pid;
}

function isThere({ start, exitedAtMs }: Incarnation, atMs: number): boolean {
  return start !== null && start.atMs <= atMs && atMs <= exitedAtMs;
}

function endStop({ stops }: Incarnation, untilMs: number): void {
  const last = stops.at(-1);
  if (last !== undefined && last[1] === Infinity) stops[stops.length - 1] = [last[0], untilMs];
}

function toCalls(incarnations: readonly Incarnation[]): ReadonlyMap<string, Call> {
  const calls = new Map<string, Call>();
  for (const caller of incarnations) {
    for (const record of caller.records) {
      if (record.type === "issued")
        calls.set(record.value, { ...record, caller, issued: record, outcomes: [], settled: null });
      if (record.type === "outcome") calls.get(record.value)?.outcomes.push(record);
      if (record.type !== "settled" && record.type !== "refused") continue;
      const call = calls.get(record.value);
      if (call !== undefined) call.settled = record;
    }
  }
  return calls;
}

function toRuns(incarnations: readonly Incarnation[]): ReadonlyMap<string, readonly HandlerRun[]> {
  const runs = new Map<string, HandlerRun[]>();
  for (const by of incarnations) {
    for (const record of by.records) {
      if (record.type === "began") {
        const own = runs.get(record.value);
        const run: HandlerRun = { by, began: record, finished: null };
        if (own === undefined) runs.set(record.value, [run]);
        else own.push(run);
      }
      if (record.type !== "finished") continue;
      const run = runs
        .get(record.value)
        ?.findLast((each) => each.by === by && each.began.commandId === record.commandId);
      if (run !== undefined) run.finished = record;
    }
  }
  return runs;
}

/** A link that failed or left may still have something under way; that nobody else holds the path is all that counts. */
const ENDS_ACCEPTANCE = new Set(["dead", "absent"]);

function toAcceptances(parent: Incarnation): readonly Acceptance[] {
  const acceptances: Acceptance[] = [];
  const current = new Map<string, Acceptance>();
  const endMs = Math.min(parent.endedAtMs, parent.exitedAtMs);
  for (const link of parent.records) {
    if (link.type !== "link") continue;
    const { id, epoch, state, atMs } = link;
    const before = current.get(id);
    const isOver = ENDS_ACCEPTANCE.has(state) || epoch !== before?.epoch;
    if (before !== undefined && isOver) {
      before.untilMs = atMs;
      current.delete(id);
    }
    if (epoch === "" || ENDS_ACCEPTANCE.has(state) || current.has(id)) continue;
    const acceptance = { parent, path: `${parent.path}.${id}`, epoch, link, fromMs: atMs, untilMs: endMs };
    acceptances.push(acceptance);
    current.set(id, acceptance);
  }
  return acceptances;
}

/** The driver looks for the ends of others' processes every now and then: their parents may know so much earlier. */
export const NOTICED_MS = 1_000;

/** How long a process stood still within a span of time, milliseconds. */
export function stoppedMs({ stops }: Incarnation, [fromMs, untilMs]: Span): number {
  return stops.reduce(
    (total, [from, until]) => total + Math.max(0, Math.min(until, untilMs) - Math.max(from, fromMs)),
    0,
  );
}

/** The last epoch that a process held at a time; empty before the first. */
export function epochAt({ epochs }: Incarnation, atMs: number): string {
  return epochs.findLast((each) => each.atMs <= atMs)?.epoch ?? "";
}

/** Whether an epoch is above another one. */
export function isNewer(one: string, other: string): boolean {
  return compareEpochs(toEpoch(one), toEpoch(other)) > 0;
}

function toEpoch(dotted: string): readonly number[] {
  return dotted === "" ? [] : dotted.split(".").map(Number);
}

/** Something that must not be, with the lines of the journals that show it. */
export interface Violation {
  readonly rule: string;
  readonly what: string;
  readonly lines: readonly JournalRecord[];
}
