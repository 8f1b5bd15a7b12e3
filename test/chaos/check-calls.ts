/** Rules for calls: how each ends, and which handlers run for it. */
import { type Call, type HandlerRun, type History, stoppedMs, type Violation } from "./history.js";
import type { JournalRecord, RecordOf } from "./records.js";

/** Timers of one process may round down. */
const EARLY_MS = 5;

export function checkCalls(history: History): readonly Violation[] {
  const calls = [...history.calls.values()];
  return [
    ...calls.flatMap((call) => checkSettled(call, history.plan.times.slackMs)),
    ...calls.flatMap((call) => call.outcomes.flatMap((outcome) => checkOutcome(history, call, outcome))),
    ...[...history.runs].flatMap(([value, runs]) => checkRuns(history.calls.get(value), runs)),
    ...calls.filter(({ probe }) => probe).flatMap(checkProbe),
  ];
}

/** Every call that was accepted ends exactly once and in time, unless its caller was killed before. */
function checkSettled(call: Call, slackMs: number): readonly Violation[] {
  const { caller, issued, settled, timeoutMs, outcomes } = call;
  const rule = "every accepted call ends in exactly one outcome, by its deadline";
  const dueMs = issued.atMs + timeoutMs + slackMs;
  if (settled === null) {
    const goneMs = Math.min(caller.killedAtMs, caller.endedAtMs === Infinity ? caller.exitedAtMs : Infinity);
    const openMs = goneMs - dueMs - stoppedMs(caller, [issued.atMs, goneMs]);
    return openMs > 0 ? [{ rule, what: `${call.value} never ended`, lines: [issued] }] : [];
  }
  const lines: readonly JournalRecord[] = [issued, ...outcomes, settled];
  const lateMs = settled.atMs - dueMs - stoppedMs(caller, [issued.atMs, settled.atMs]);
  const violations: Violation[] = [];
  if (lateMs > 0) violations.push({ rule, what: `${call.value} ended ${Math.round(lateMs + slackMs)} ms late`, lines });
  const wrong = miscounted(call, settled);
  if (wrong !== null) violations.push({ rule, what: `${call.value} ${wrong}`, lines });
  return violations;
}

function miscounted(
  { kind, targets, outcomes, caller }: Call,
  settled: RecordOf<"settled" | "refused">,
): string | null {
  if (settled.type === "refused") {
    const isEnded = settled.code === "NODE_ENDED" || caller.endReason !== null;
    if (!isEnded) return `was rejected: ${settled.code}`;
    return outcomes.length > 0 ? "was refused and has an outcome" : null;
  }
  const ended = outcomes.map(({ target }) => target);
  if (new Set(ended).size < ended.length) return "has two outcomes for one target";
  if (kind === "request") return ended.length === 1 ? null : `has ${ended.length} outcomes`;
  // A fan-out to all has an outcome for each child that was ready.
  const missing = targets.filter((target) => !ended.includes(target));
  return missing.length > 0 ? `has no outcome for ${missing.join(", ")}` : null;
}

function checkOutcome(history: History, call: Call, outcome: RecordOf<"outcome">): readonly Violation[] {
  const runs = (history.runs.get(call.value) ?? []).filter(
    ({ by }) => outcome.target === null || by.path === outcome.target,
  );
  const wrong = contradiction(call, outcome, runs);
  if (wrong === null) return [];
  const lines = [call.issued, ...runs.flatMap(linesOf), outcome];
  return [{ rule: "an outcome says what happened", what: `${call.value}: ${outcome.status}, but ${wrong}`, lines }];
}

/** What an outcome claims that is not so; null when it is consistent. */
function contradiction(call: Call, outcome: RecordOf<"outcome">, runs: readonly HandlerRun[]): string | null {
  const hasEnded = (by: string | null): boolean =>
    runs.some(
      (run) => (by === null || run.by.name === by) && run.finished !== null && run.finished.atMs <= outcome.atMs,
    );
  switch (outcome.status) {
    case "completed":
      if (outcome.message !== "") return outcome.message;
      if (call.throws) return "its handler throws";
      return hasEnded(outcome.by) ? null : "no handler had come to its end";
    case "failed":
      if (!call.throws || outcome.code !== "HANDLER_FAILED") return `its handler does not fail so: ${outcome.message}`;
      return hasEnded(null) ? null : "no handler had come to its end";
    case "notStarted":
      return runs.length > 0 ? `${runs[0]?.by.name} ran it` : null;
    case "cancelled":
      return call.cancellable ? null : "nobody cancelled it";
    case "timedOut": {
      const leftMs = call.issued.atMs + call.timeoutMs - outcome.atMs;
      return leftMs > EARLY_MS ? `it had ${Math.round(leftMs)} ms left` : null;
    }
    default:
      return outcome.status === "unknown" ? null : "there is no such status";
  }
}

/** A handler runs once at most for one call in one process, and once at all unless the call is idempotent. */
function checkRuns(call: Call | undefined, runs: readonly HandlerRun[]): readonly Violation[] {
  const violations: Violation[] = [];
  const seen = new Map<string, HandlerRun>();
  for (const run of runs) {
    const key = `${run.began.commandId} at ${run.by.name}`;
    const before = seen.get(key);
    seen.set(key, run);
    if (before === undefined) continue;
    const rule = "a handler runs at most once for a command id and executor epoch";
    violations.push({ rule, what: `${key} ran twice`, lines: [before, run].flatMap(linesOf) });
  }
  if (call?.idempotent === false) violations.push(...checkOnce(call, runs));
  if (call === undefined)
    violations.push({ rule: "nothing runs that nobody asked for", what: "", lines: runs.flatMap(linesOf) });
  return violations;
}

function checkOnce(call: Call, runs: readonly HandlerRun[]): readonly Violation[] {
  const paths = runs.map(({ by }) => by.path);
  // Each target of a fan-out runs it; a request runs at one ancestor.
  const isTwice = call.kind === "fanOut" ? new Set(paths).size < paths.length : paths.length > 1;
  const rule = "what is not idempotent runs at most once";
  return isTwice ? [{ rule, what: call.value, lines: [call.issued, ...runs.flatMap(linesOf), ...call.outcomes] }] : [];
}

function checkProbe({ value, issued, outcomes, settled }: Call): readonly Violation[] {
  const failed = outcomes.filter(({ status }) => status !== "completed");
  if (failed.length === 0 && settled?.type === "settled" && outcomes.length > 0) return [];
  return [{ rule: "when all is well, everybody can be reached", what: value, lines: [issued, ...outcomes] }];
}

function linesOf({ began, finished }: HandlerRun): readonly JournalRecord[] {
  return finished === null ? [began] : [began, finished];
}
