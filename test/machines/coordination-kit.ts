/** Walks the coordination machine by pure transitions: no actor, no clock. */
import { initialTransition, type SnapshotFrom, transition } from "xstate";
import {
  type CoordinationContext,
  type CoordinationEffect,
  type CoordinationEvent,
  type CoordinationInput,
  type CoordinationState,
  coordinationMachine,
} from "../../machines/coordination.js";
import { type ChildCounts, NO_CHILDREN } from "../../machines/thresholds.js";

export type CoordinationSnapshot = SnapshotFrom<typeof coordinationMachine>;

export const CHILD: CoordinationInput = {
  thresholds: { degraded: { count: 1 }, failed: { fraction: 1 } },
  initTimeoutMs: 1_000,
  recoveryTimeoutMs: null,
  cleanupTimeoutMs: 50,
  hasUplink: true,
};

export const ROOT: CoordinationInput = { ...CHILD, hasUplink: false };

export function census(counts: Partial<ChildCounts>): ChildCounts {
  return { ...NO_CHILDREN, ...counts };
}

export const NONE = NO_CHILDREN;
export const BOTH_READY = census({ expected: 2, ready: 2 });
export const ONE_READY = census({ expected: 2, ready: 1 });
export const ONE_FAILED = census({ expected: 2, ready: 1, failed: 1 });
export const NOBODY_READY = census({ expected: 2, ready: 0 });
export const BOTH_FAILED = census({ expected: 2, ready: 0, failed: 2 });
export const CRITICAL_MISSING = census({ expected: 2, ready: 1, criticalUnavailable: 1 });
export const CRITICAL_FAILED = census({
  expected: 2,
  ready: 1,
  failed: 1,
  criticalFailed: 1,
  criticalUnavailable: 1,
});

export function requested(counts: ChildCounts, budgetMs?: number): CoordinationEvent {
  return { type: "coordination.requested", counts, ...(budgetMs === undefined ? {} : { budgetMs }) };
}

export function changed(counts: ChildCounts): CoordinationEvent {
  return { type: "children.changed", counts };
}

export const UPLINK_OPENED: CoordinationEvent = { type: "uplink.opened" };
export const UPLINK_LOST: CoordinationEvent = { type: "uplink.lost" };
export const FAULT: CoordinationEvent = { type: "fault.raised", reason: "disk full" };
export const RECOVERY: CoordinationEvent = { type: "recovery.requested" };
export const SHUTDOWN: CoordinationEvent = { type: "shutdown.requested" };

export function cleanedUp(retryInMs: number | null): CoordinationEvent {
  return { type: "cleanup.done", retryInMs };
}

/** The event by which XState takes a delayed transition. */
function expired(delay: string, state: CoordinationState): CoordinationEvent {
  return { type: `xstate.after.${delay}.coordination.${state}` } as unknown as CoordinationEvent;
}

export const INIT_TIMEOUT = expired("initTimeout", "CONNECTING");
export const RECOVERY_TIMEOUT = expired("recoveryTimeout", "DEGRADED");
export const CLEANUP_TIMEOUT = expired("cleanupTimeout", "FAILED");
export const RETRY_DELAY: CoordinationEvent = { type: "retry.due" };

/** What a walk's last step led to. */
export interface Walk {
  readonly state: CoordinationState;
  readonly context: CoordinationContext;
  /** Effects of the last step, in order. */
  readonly effects: readonly CoordinationEffect["type"][];
  /** States that the last step told to have entered, in order. */
  readonly entered: readonly CoordinationState[];
  /** Delays that are running, milliseconds by name. */
  readonly timers: Readonly<Record<string, number>>;
}

export function walk(input: CoordinationInput, ...events: readonly CoordinationEvent[]): Walk {
  const timers: Record<string, number> = {};
  let [snapshot, actions] = initialTransition(coordinationMachine, input);
  runTimers(timers, actions);
  for (const event of events) {
    [snapshot, actions] = transition(coordinationMachine, snapshot, event);
    runTimers(timers, actions);
  }
  return { state: snapshot.value, context: snapshot.context, ...emittedBy(actions), timers };
}

interface Action {
  readonly type: string;
  readonly params?: unknown;
}

/** Splits what was emitted into news (states entered) and effects. */
export function emittedBy(actions: readonly Action[]): Pick<Walk, "effects" | "entered"> {
  const emits = actions.filter((action) => action.type === "xstate.emit");
  const emitted = emits.map((action) => (action.params as { event: CoordinationEffect }).event);
  return {
    effects: emitted.map((event) => event.type).filter((type) => type !== "state.entered"),
    entered: emitted.flatMap((event) => (event.type === "state.entered" ? [event.state] : [])),
  };
}

function runTimers(timers: Record<string, number>, actions: readonly Action[]): void {
  for (const { type, params } of actions) {
    if (type === "xstate.raise") {
      const { id, delay } = params as { id: string; delay: number };
      timers[nameOf(id)] = delay;
    } else if (type === "xstate.cancel") {
      delete timers[nameOf((params as { sendId: string }).sendId)];
    }
  }
}

/** `xstate.after.initTimeout.coordination.CONNECTING` is `initTimeout`. */
function nameOf(id: string): string {
  return id.split(".")[2] ?? id;
}
