/** One call that the workload made, and what must hold of how it ends. */
import { compareEpochs } from "../../../machines/epoch.js";
import type { CommandError } from "../../errors.js";
import type { CommandOutcome } from "../../node/dispatch.js";
import type { HandlerRun } from "./journal.js";
import { isLiving, pausedMs, type SimulatedProcess } from "./process.js";
import type { SimulatedTree, WorkInput } from "./simulated-tree.js";

export interface IssuedCall {
  readonly kind: "command" | "fanOut" | "request";
  readonly caller: SimulatedProcess;
  /** The node that is to run it, or null for a request, which any ancestor may serve. */
  readonly path: string | null;
  /** Unique, except for the targets of one fan-out and for calls repeated under one key. */
  readonly input: WorkInput;
  readonly atMs: number;
  readonly timeoutMs: number;
  readonly idempotent: boolean;
  /** The caller may lose interest in it. */
  readonly isCancellable: boolean;
  /** Several callers use its key: the deadline or cancellation of one ends it for all. */
  readonly isShared: boolean;
  /** The epoch that the child which is to run it had when the call was made; empty if it is no direct child. */
  readonly childEpoch: readonly number[];
}

/** How much later than its deadline an outcome may come: timers of one instant run in turn. */
const SLACK_MS = 50;

export type Ending =
  | { readonly status: "completed"; readonly value: unknown }
  | { readonly status: Exclude<CommandOutcome["status"], "completed">; readonly error: CommandError };

/** Checks one call when it has ended. */
export function checkEnding(tree: SimulatedTree, call: IssuedCall, ending: Ending): void {
  const { journal, nowMs } = tree;
  const { caller, atMs, timeoutMs, input } = call;
  const code = ending.status === "completed" ? "" : ending.error.code;
  const what = `${call.kind} ${input.value} from ${caller.name} to ${call.path ?? "above"}: ${ending.status} ${code}`;
  journal.note(what);
  const lateMs = nowMs - atMs - timeoutMs - pausedMs(caller, atMs, nowMs);
  if (lateMs > SLACK_MS + timeoutMs * tree.plan.drift)
    journal.violated("one-outcome", `${what}, ${lateMs} ms after its deadline`);
  const wrong = contradiction(tree, call, ending);
  checkEpochs(tree, call, { what, status: ending.status });
  if (wrong !== null) journal.violated("one-outcome", `${what}, but ${wrong}`);
}

/** A child that was superseded before the call was made did not do it. */
function checkEpochs(tree: SimulatedTree, call: IssuedCall, { what, status }: { what: string; status: string }): void {
  if (call.childEpoch.length === 0 || status !== "completed") return;
  const isFresh = ({ epoch, hasEnded }: HandlerRun): boolean =>
    hasEnded && compareEpochs(toEpoch(epoch), call.childEpoch) >= 0;
  if (!runsOf(tree, call).some(isFresh)) {
    tree.journal.violated("no-stale-effect", `${what} by an epoch older than ${call.childEpoch.join(".")}`);
  }
}

export function toEpoch(dotted: string): readonly number[] {
  return dotted === "" ? [] : dotted.split(".").map(Number);
}

/** The handlers that ran for a call. */
export function runsOf(tree: SimulatedTree, { input, path }: IssuedCall): readonly HandlerRun[] {
  return tree.journal.runsOf(input.value).filter((run) => path === null || run.path === path);
}

/** What an ending claims that is not so; null when it is consistent. */
function contradiction(tree: SimulatedTree, call: IssuedCall, end: Ending): string | null {
  const runs = runsOf(tree, call);
  switch (end.status) {
    case "completed":
      return completedWrongly(call, end.value, runs);
    case "failed":
      return failedWrongly(call, end.error, runs);
    case "notStarted":
      return !call.isShared && runs.length > 0 ? `it ran at process ${runs[0]?.process}` : null;
    case "cancelled":
      return call.isCancellable || call.isShared ? null : "nobody cancelled it";
    case "timedOut":
      return call.isShared ? null : timedOutEarly(tree, call);
    default:
      return null;
  }
}

/** By clocks that run up to the plan's drift too fast. */
function timedOutEarly({ nowMs, plan }: SimulatedTree, { atMs, timeoutMs }: IssuedCall): string | null {
  const leftMs = atMs + timeoutMs - nowMs;
  return leftMs > 1 + 2 * plan.drift * timeoutMs ? `it had ${leftMs} ms left` : null;
}

function completedWrongly({ input, path }: IssuedCall, value: unknown, runs: readonly HandlerRun[]): string | null {
  const { echo, path: by } = value as { echo?: number; path?: string };
  if (echo !== input.value || (path !== null && by !== path)) return `it got ${JSON.stringify(value)}`;
  if (input.throws) return "its handler throws";
  return runs.some(({ hasEnded }) => hasEnded) ? null : "no handler has run to its end";
}

function failedWrongly({ input }: IssuedCall, error: CommandError, runs: readonly HandlerRun[]): string | null {
  if (!input.throws) return "its handler does not throw";
  if (error.code !== "HANDLER_FAILED" || error.handlerCode !== "BROKEN_TOOL") return `it got ${error.message}`;
  return runs.some(({ hasEnded }) => hasEnded) ? null : "no handler has run to its end";
}

/** Counts a promise as open until it settles; a process that is killed takes its promises with it. */
export function track<T>(
  process: SimulatedProcess,
  promise: Promise<T>,
  settled: { readonly ok: (value: T) => void; readonly error: (error: unknown) => void },
): void {
  process.open++;
  const finish = (act: () => void): void => {
    if (!process.host.isAlive) return;
    process.open--;
    act();
  };
  promise.then(
    (value) => finish(() => settled.ok(value)),
    (error: unknown) => finish(() => settled.error(error)),
  );
}

/** A call that a node refuses to make because it has ended; that it has is told when its children have, too. */
export function isRefusedByEnd(process: SimulatedProcess, error: unknown): boolean {
  const isOver = !isLiving(process) || process.node.state === "DISCONNECTED";
  return isOver && (error as { code?: string }).code === "NODE_ENDED";
}
