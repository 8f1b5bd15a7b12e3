/** Rules for epochs: who holds a path, and what of those who do not is accepted. */
import {
  type Acceptance,
  epochAt,
  type HandlerRun,
  type History,
  type Incarnation,
  isNewer,
  type Violation,
} from "./history.js";
import { ROOT } from "./plan.js";
import type { JournalRecord, RecordOf } from "./records.js";

export function checkEpochs(history: History): readonly Violation[] {
  const incarnations = [...history.incarnations.values()];
  return [
    ...checkHolders(incarnations),
    ...incarnations.flatMap(checkOwn),
    ...incarnations.flatMap(checkAccepted),
    ...[...history.calls.values()].flatMap(({ outcomes }) =>
      outcomes.flatMap((outcome) => checkResult(history, outcome)),
    ),
    ...[...history.runs.values()].flat().flatMap((run) => checkStart(history, run)),
    ...incarnations.flatMap((each) => checkFenced(each, incarnations)),
    ...incarnations.flatMap(checkDocuments),
  ];
}

/** No two processes of a path have the same epoch. */
function checkHolders(incarnations: readonly Incarnation[]): readonly Violation[] {
  const holders = new Map<string, RecordOf<"epoch">>();
  const violations: Violation[] = [];
  for (const { path, name, epochs } of incarnations) {
    for (const record of epochs) {
      const key = `${path} ${record.epoch}`;
      const holder = holders.get(key) ?? record;
      holders.set(key, holder);
      if (holder.process === name) continue;
      violations.push({ rule: "one live accepted epoch for a path", what: `two have ${key}`, lines: [holder, record] });
    }
  }
  return violations;
}

/** A process keeps its epoch while it lives. A root raises its own above what it meets. */
function checkOwn({ path, name, epochs }: Incarnation): readonly Violation[] {
  const isRoot = path === ROOT;
  return epochs.slice(1).flatMap((record, index) => {
    const before = epochs[index];
    if (before === undefined || (isRoot && isNewer(record.epoch, before.epoch))) return [];
    return [{ rule: "a process keeps its epoch", what: name, lines: [before, record] }];
  });
}

/** A parent never goes back to an older process of a child's path. */
function checkAccepted({ name, records }: Incarnation): readonly Violation[] {
  const newest = new Map<string, RecordOf<"link">>();
  const violations: Violation[] = [];
  for (const link of records) {
    if (link.type !== "link" || link.epoch === "") continue;
    const before = newest.get(link.id);
    if (before !== undefined && isNewer(before.epoch, link.epoch)) {
      violations.push({ rule: "one live accepted epoch for a path", what: `${name} went back`, lines: [before, link] });
    } else newest.set(link.id, link);
  }
  return violations;
}

/** A result counts only while some parent accepts the epoch of whoever ran the handler. */
function checkResult(history: History, outcome: RecordOf<"outcome">): readonly Violation[] {
  if (outcome.by === null) return [];
  const run = history.runs.get(outcome.value)?.find(({ by, finished }) => by.name === outcome.by && finished !== null);
  const finished = run?.finished;
  // What a root ran, nobody has to accept.
  if (run === undefined || finished === undefined || finished === null || run.by.path === ROOT) return [];
  if (isAnyoneBetween(run.by.name, outcome.process)) return [];
  const accepted = acceptancesOf(history, run).some(({ untilMs }) => untilMs > finished.atMs);
  if (accepted) return [];
  const rule = "no effect of a stale epoch is accepted";
  return [
    {
      rule,
      what: `${outcome.value} was taken from ${run.by.name}`,
      lines: [run.began, finished, ...superseders(history, run), outcome],
    },
  ];
}

/** An answer to a request comes down to who asked: those who pass it on do not accept it from a child. */
function isAnyoneBetween(executor: string, caller: string): boolean {
  const [executorPath = "", callerPath = ""] = [executor, caller].map((name) => name.slice(0, name.indexOf("#")));
  return callerPath.startsWith(`${executorPath}.`);
}

/** Who had no parent to ask when it fell asleep goes by its orphan policy. */
function wasOrphaned({ records }: Incarnation, atMs: number): boolean {
  const state = records.findLast((record) => record.type === "state" && record.atMs <= atMs);
  return (
    state?.type === "state" &&
    ((state.state !== "SYNCHRONIZED" && state.state !== "DEGRADED") || state.reasons.includes("uplink"))
  );
}

/** Whoever stood still for longer than silence is explained starts nothing before its parent confirmed its place. */
function checkStart(history: History, run: HandlerRun): readonly Violation[] {
  const { by, began } = run;
  const { suspicionMs } = history.plan.times;
  const slept = by.stops.findLast(([from, until]) => until - from > suspicionMs && until <= began.atMs);
  if (slept === undefined || by.path === ROOT || wasOrphaned(by, slept[0])) return [];
  const wokeAtMs = slept[1];
  const replaced = superseders(history, run).filter(({ atMs }) => atMs < wokeAtMs);
  const isAccepted = acceptancesOf(history, run).some(({ untilMs }) => untilMs > began.atMs);
  if (replaced.length === 0 || isAccepted) return [];
  const rule = "who slept and was replaced starts nothing when it wakes";
  return [{ rule, what: `${by.name} ran ${began.value}`, lines: [...replaced, began] }];
}

function acceptancesOf({ acceptances }: History, { by, began }: HandlerRun): readonly Acceptance[] {
  return acceptances.filter(({ path, epoch }) => path === by.path && epoch === began.epoch);
}

/** Where newer epochs of the executor's path were accepted. */
function superseders({ acceptances }: History, { by, began }: HandlerRun): readonly JournalRecord[] {
  const newer = acceptances.filter(({ path, epoch }) => path === by.path && isNewer(epoch, began.epoch));
  return newer.map(({ link }) => link);
}

/** A process gives way only to one of a newer epoch, and a newcomer is turned away only where several fight. */
function checkFenced(incarnation: Incarnation, all: readonly Incarnation[]): readonly Violation[] {
  const { name, path, endReason, endedAtMs, records } = incarnation;
  if (endReason !== "fenced" && endReason !== "duplicatePath") return [];
  const others = all.filter((other) => other.path === path && other !== incarnation);
  const own = epochAt(incarnation, endedAtMs);
  const isJustified =
    endReason === "fenced"
      ? others.some(({ epochs }) =>
          epochs.some(({ epoch, atMs }) => atMs < endedAtMs + HINDSIGHT_MS && isNewer(epoch, own)),
        )
      : others.length > 3;
  if (isJustified) return [];
  const lines = records.filter(({ type }) => type === "fenced" || type === "ended" || type === "epoch");
  return [{ rule: "who gives way has a rival", what: `${name} ended: ${endReason}`, lines }];
}

/** The winner may note its epoch a little after its parent has told the loser. */
const HINDSIGHT_MS = 2_000;

/** Documents of one publisher arrive in the order in which they were published. */
function checkDocuments({ name, records }: Incarnation): readonly Violation[] {
  const latest = new Map<string, RecordOf<"synced">>();
  const violations: Violation[] = [];
  for (const record of records) {
    if (record.type !== "synced") continue;
    const before = latest.get(record.by);
    if (before !== undefined && before.count > record.count) {
      violations.push({ rule: "documents never go back", what: name, lines: [before, record] });
    } else latest.set(record.by, record);
  }
  return violations;
}
