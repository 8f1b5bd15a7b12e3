/** Rules for how processes and the whole tree end, how it comes back, and who may be taken for dead. */
import { type History, type Incarnation, NOTICED_MS, type Span, stoppedMs, type Violation } from "./history.js";
import type { JournalRecord, RecordOf } from "./records.js";

export function checkEnds(history: History): readonly Violation[] {
  const incarnations = [...history.incarnations.values()];
  return [
    ...history.records.flatMap(checkCrash),
    ...incarnations.flatMap((each) => checkDeparture(history, each)),
    ...checkShutdown(history, incarnations),
    ...history.records.flatMap(checkWhole),
    ...incarnations.flatMap((each) => checkRest(history, each)),
    ...incarnations.flatMap((each) => checkDeaths(history, each)),
  ];
}

/** What a process may end with: in order, after another took its path, or by a signal of ours. Of others' it is not known. */
const EXITS = new Set<number | string>([0, 1, "SIGKILL", "SIGTERM", "unknown"]);

function checkCrash(record: JournalRecord): readonly Violation[] {
  const isCrash = record.type === "uncaught" || (record.type === "exited" && !EXITS.has(record.exit));
  return isCrash ? [{ rule: "nothing is thrown that nobody handles", what: record.process, lines: [record] }] : [];
}

/** Whoever leaves in order has ended by its deadline. */
function checkDeparture({ plan }: History, incarnation: Incarnation): readonly Violation[] {
  const { name, records, endedAtMs, exitedAtMs, killedAtMs } = incarnation;
  return records.flatMap((leaving) => {
    if (leaving.type !== "leaving") return [];
    const goneMs = Math.min(endedAtMs, exitedAtMs, killedAtMs);
    const lateMs = goneMs - leaving.atMs - leaving.timeoutMs - stoppedMs(incarnation, [leaving.atMs, goneMs]);
    const rule = "shutdown ends by its deadline";
    return lateMs > plan.times.slackMs
      ? [{ rule, what: `${name} ended ${Math.round(lateMs)} ms late`, lines: [leaving] }]
      : [];
  });
}

/** When the root has shut down its tree, no process of it is left. */
function checkShutdown({ plan, records }: History, incarnations: readonly Incarnation[]): readonly Violation[] {
  const rule = "shutdown ends by its deadline";
  const leaving = records.find((record) => record.type === "leaving" && record.how === "shutdownTree");
  if (leaving === undefined) return [{ rule, what: "the root was not told to shut down", lines: [] }];
  const dueMs = leaving.atMs + plan.times.shutdownMs + plan.times.slackMs;
  return incarnations
    .filter(({ exitedAtMs }) => exitedAtMs > dueMs)
    .map(({ name, records: own }) => ({ rule, what: `${name} outlived the tree`, lines: [leaving, ...own.slice(-1)] }));
}

function checkWhole(record: JournalRecord): readonly Violation[] {
  if (record.type !== "whole" || record.isWhole) return [];
  const what = `${record.when}: ${record.tree}`;
  return [{ rule: "once faults stop, the tree is SYNCHRONIZED again within the bound", what, lines: [record] }];
}

/** Long after the last call nothing is under way. Whoever was about to leave when the faults ended is gone by then. */
function checkRest(history: History, { name, records, endedAtMs, exitedAtMs }: Incarnation): readonly Violation[] {
  const rest = records.findLast((record) => record.type === "rest");
  const atRest = history.records.find((record) => record.type === "whole" && record.when === "at rest");
  const isGone = atRest !== undefined && Math.min(endedAtMs, exitedAtMs) < atRest.atMs;
  if (rest === undefined || isGone) return [];
  const { running, queued, pending, open } = rest;
  if (running + queued + pending + open === 0) return [];
  return [{ rule: "nothing is under way at rest", what: name, lines: [rest] }];
}

/** A part of the silence that is death must have a cause: a process that stood still or was gone, or servers cut off. */
const CAUSE_FRACTION = 0.3;

/** Who was ready and is judged by its silence. */
const VERDICT_ON = new Set(["alive", "suspect"]);

/** Nobody is taken for dead without a cause. */
function checkDeaths(history: History, parent: Incarnation): readonly Violation[] {
  let state = "DISCONNECTED";
  return parent.records.flatMap((death) => {
    if (death.type === "state") ({ state } = death);
    const isVerdict = death.type === "link" && death.state === "dead" && VERDICT_ON.has(death.from);
    // A parent that fails lets everybody go.
    if (!isVerdict || state === "FAILED" || hasCause(history, parent, death)) return [];
    return [{ rule: "nobody is taken for dead without a cause", what: `${parent.path}.${death.id}`, lines: [death] }];
  });
}

function hasCause(history: History, parent: Incarnation, { id, epoch, atMs }: RecordOf<"link">): boolean {
  const { deadMs, suspicionMs } = history.plan.times;
  const span: Span = [atMs - deadMs - suspicionMs, atMs];
  const path = `${parent.path}.${id}`;
  const child = [...history.incarnations.values()].find(
    (each) => each.path === path && each.epochs.some((own) => own.epoch === epoch),
  );
  if (child === undefined || Math.min(child.exitedAtMs, child.endedAtMs) < atMs + NOTICED_MS) return true;
  const causeMs = stoppedMs(child, span) + stoppedMs(parent, span) + serversMs(history, span);
  return causeMs > deadMs * CAUSE_FRACTION;
}

/** Faults between servers that live: their clients notice nothing and cannot forgive. */
const SERVER_FAULTS = /^server (stopped|cut off)|^all servers/;

/** Routes and connections come back so much later, milliseconds. */
const RECONNECTING_MS = 2_000;

function serversMs({ records }: History, [fromMs, untilMs]: Span): number {
  return records.reduce((total, record) => {
    if (record.type !== "fault" || !SERVER_FAULTS.test(record.what)) return total;
    const until = record.atMs + record.forMs + RECONNECTING_MS;
    return total + Math.max(0, Math.min(until, untilMs) - Math.max(record.atMs, fromMs));
  }, 0);
}
