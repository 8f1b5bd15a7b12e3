/**
 * The coordination machine: the life of one node.
 *
 * Invariants
 * C1. Its state changes are the eight rules of the protocol's source plus two documented additions, and no others:
 *     a graceful shutdown leads to DISCONNECTED from any state, and CONNECTING → DEGRADED when the init timeout finds
 *     enough children ready.
 * C2. It never acts. What is to be done it emits as `effect.*` events, which the runtime carries out in order; each state
 *     that it enters it emits as `state.entered`.
 * C3. It never reads a clock or a random source: delays come in by input and events.
 */
import { assign, cancel, emit, raise, setup } from "xstate";
import type { ChildCounts, Thresholds } from "./thresholds.js";
import { isComplete, isEnough, isFailure, NO_CHILDREN } from "./thresholds.js";

export type CoordinationState = "DISCONNECTED" | "CONNECTING" | "SYNCHRONIZED" | "DEGRADED" | "FAILED";

/** Why a node is DEGRADED: children are missing, its parent is, or both. */
export type DegradedReason = "children" | "uplink";

export interface CoordinationInput {
  readonly thresholds: Thresholds;
  /** Longest stay in CONNECTING, milliseconds. */
  readonly initTimeoutMs: number;
  /** Longest stay in DEGRADED before FAILED, milliseconds; null for no limit. */
  readonly recoveryTimeoutMs: number | null;
  /** Longest stay in FAILED before DISCONNECTED even if cleanup does not report back, milliseconds. */
  readonly cleanupTimeoutMs: number;
  /** Whether the node has a parent, so that it is complete only while the uplink is open. */
  readonly hasUplink: boolean;
}

export interface CoordinationContext extends CoordinationInput {
  readonly counts: ChildCounts;
  readonly uplinkOpen: boolean;
  /** The init timeout of the attempt under way: the own one or the parent's remaining budget, whichever is shorter. */
  readonly initBudgetMs: number;
  /** Delay before the next attempt, milliseconds; null when none is to be made. */
  readonly retryInMs: number | null;
  /** What made the node fail last. */
  readonly failure: string | null;
}

export type CoordinationEvent =
  /** Start coordinating: a root's start or retry, or a COORD_INIT from the parent. */
  | { readonly type: "coordination.requested"; readonly counts: ChildCounts; readonly budgetMs?: number }
  | { readonly type: "children.changed"; readonly counts: ChildCounts }
  | { readonly type: "uplink.opened" }
  | { readonly type: "uplink.lost" }
  | { readonly type: "fault.raised"; readonly reason: string }
  | { readonly type: "recovery.requested" }
  | { readonly type: "cleanup.done"; readonly retryInMs: number | null }
  /** Raised by the machine itself when the delay of the next attempt is over. */
  | { readonly type: "retry.due" }
  | { readonly type: "shutdown.requested" };

/** What the runtime has to do, in the order emitted. */
export type CoordinationEffect =
  /** A state was entered; told for each, also for those passed through within one event. */
  | {
      readonly type: "state.entered";
      readonly state: CoordinationState;
      /** Why it is DEGRADED; empty in other states. */
      readonly reasons: readonly DegradedReason[];
      /** Why it FAILED; null in other states. */
      readonly failure: string | null;
    }
  /** Call the children: probe them and open sessions. */
  | { readonly type: "effect.callChildren" }
  /** Tell the parent that this subtree is ready, or how it now stands. */
  | { readonly type: "effect.reportUp" }
  /** Tell the parent of the failure, end what is open, then answer with `cleanup.done`. */
  | { readonly type: "effect.cleanUp" }
  /** A root requests coordination again; a child announces itself to its parent. */
  | { readonly type: "effect.retry" };

const RETRY = "retryDelay";

/** What is emitted may be told to many. */
const NO_REASONS: readonly DegradedReason[] = Object.freeze([]);

const machineSetup = setup({
  types: {
    context: {} as CoordinationContext,
    events: {} as CoordinationEvent,
    emitted: {} as CoordinationEffect,
    input: {} as CoordinationInput,
  },
  guards: {
    subtreeComplete: ({ context }) =>
      isComplete(context.counts, context.thresholds) && (context.uplinkOpen || !context.hasUplink),
    subtreeIncomplete: ({ context }) => !isComplete(context.counts, context.thresholds),
    enoughReady: ({ context }) => isEnough(context.counts, context.thresholds),
    tooManyFailures: ({ context }) => isFailure(context.counts, context.thresholds),
    criticalFailed: ({ context }) => context.counts.criticalFailed > 0,
    recoveryLimited: ({ context }) => context.recoveryTimeoutMs !== null,
    retryAwaited: ({ context }) => context.retryInMs !== null,
  },
  delays: {
    initTimeout: ({ context }) => context.initBudgetMs,
    recoveryTimeout: ({ context }) => context.recoveryTimeoutMs ?? 0,
    cleanupTimeout: ({ context }) => context.cleanupTimeoutMs,
  },
  actions: {
    noteCounts: assign({
      counts: ({ context, event }) => (event.type === "children.changed" ? event.counts : context.counts),
    }),
    noteUplinkOpen: assign({ uplinkOpen: true }),
    noteUplinkLost: assign({ uplinkOpen: false }),
    noteRequest: assign({
      counts: ({ context, event }) => (event.type === "coordination.requested" ? event.counts : context.counts),
      uplinkOpen: true,
      initBudgetMs: ({ context, event }) =>
        event.type === "coordination.requested"
          ? Math.min(context.initTimeoutMs, event.budgetMs ?? context.initTimeoutMs)
          : context.initTimeoutMs,
      failure: null,
      retryInMs: null,
    }),
    noteFault: assign({ failure: ({ event }) => (event.type === "fault.raised" ? event.reason : "fault") }),
    noteTooManyFailures: assign({
      failure: ({ context }) => (context.counts.criticalFailed > 0 ? "critical child failed" : "too many failures"),
    }),
    noteInitTimeout: assign({ failure: "initialization timed out" }),
    noteRecoveryTimeout: assign({ failure: "recovery timed out" }),
    noteRetry: assign({
      retryInMs: ({ event }) => (event.type === "cleanup.done" ? event.retryInMs : null),
    }),
    noteCleanupTimeout: assign({ retryInMs: ({ context }) => context.cleanupTimeoutMs }),
    forget: assign({ uplinkOpen: false }),
    abandonRetry: assign({ retryInMs: null }),
    // `after` would start a timer in every node that is DISCONNECTED, of which hardly one is to try again.
    startRetryTimer: raise({ type: "retry.due" }, { id: RETRY, delay: ({ context }) => context.retryInMs ?? 0 }),
    stopRetryTimer: cancel(RETRY),
    enter: emit(({ context }, { state }: { readonly state: CoordinationState }) => ({
      type: "state.entered" as const,
      state,
      reasons: state === "DEGRADED" ? degradedReasons(context) : NO_REASONS,
      failure: state === "FAILED" ? context.failure : null,
    })),
    callChildren: emit({ type: "effect.callChildren" }),
    reportUp: emit({ type: "effect.reportUp" }),
    cleanUp: emit({ type: "effect.cleanUp" }),
    retry: emit({ type: "effect.retry" }),
  },
});

/** What every coordinating state does with facts that do not change its state. */
const watch = {
  "children.changed": { actions: "noteCounts" },
  "uplink.opened": { actions: "noteUplinkOpen" },
  "uplink.lost": { actions: "noteUplinkLost" },
} as const;

/** What a node begins with. */
export function initialContext(input: CoordinationInput): CoordinationContext {
  const { thresholds, initTimeoutMs, recoveryTimeoutMs, cleanupTimeoutMs, hasUplink } = input;
  return {
    thresholds,
    initTimeoutMs,
    recoveryTimeoutMs,
    cleanupTimeoutMs,
    hasUplink,
    counts: NO_CHILDREN,
    uplinkOpen: false,
    initBudgetMs: initTimeoutMs,
    retryInMs: null,
    failure: null,
  };
}

/** Shared by all nodes of a process: providing implementations per node would cost 20 kB each. */
export const coordinationMachine = machineSetup.createMachine({
  id: "coordination",
  description: "The life of one node: child of one parent, parent of its children.",
  initial: "DISCONNECTED",
  context: ({ input }) => initialContext(input),
  states: {
    DISCONNECTED: {
      description:
        "No active coordination. A child announces itself and waits for COORD_INIT; a root waits for its start.",
      entry: { type: "enter", params: { state: "DISCONNECTED" } },
      on: {
        "coordination.requested": { target: "CONNECTING", actions: ["stopRetryTimer", "noteRequest"] },
        "recovery.requested": { actions: ["abandonRetry", "stopRetryTimer", "retry"] },
        "retry.due": { guard: "retryAwaited", actions: ["abandonRetry", "retry"] },
        "shutdown.requested": { actions: ["forget", "abandonRetry", "stopRetryTimer"] },
      },
    },
    CONNECTING: {
      description: "Establishing coordination: the children are called and must become ready before the init timeout.",
      entry: [{ type: "enter", params: { state: "CONNECTING" } }, "callChildren"],
      always: [
        { guard: "criticalFailed", target: "FAILED", actions: "noteTooManyFailures" },
        { guard: "subtreeComplete", target: "SYNCHRONIZED" },
      ],
      on: {
        ...watch,
        "fault.raised": { target: "FAILED", actions: "noteFault" },
        "shutdown.requested": { target: "DISCONNECTED", actions: "forget" },
      },
      after: {
        initTimeout: [
          { guard: "enoughReady", target: "DEGRADED" },
          { target: "FAILED", actions: "noteInitTimeout" },
        ],
      },
    },
    SYNCHRONIZED: {
      description: "Active coordination: the parent is there and enough children are ready.",
      entry: [{ type: "enter", params: { state: "SYNCHRONIZED" } }, "reportUp"],
      always: [
        { guard: "tooManyFailures", target: "FAILED", actions: "noteTooManyFailures" },
        { guard: "subtreeIncomplete", target: "DEGRADED" },
      ],
      on: {
        ...watch,
        "uplink.lost": { target: "DEGRADED", actions: "noteUplinkLost" },
        "fault.raised": { target: "FAILED", actions: "noteFault" },
        "shutdown.requested": { target: "DISCONNECTED", actions: "forget" },
      },
    },
    DEGRADED: {
      description: "Partial coordination: children are missing or the parent is; the node goes on with what is left.",
      entry: [{ type: "enter", params: { state: "DEGRADED" } }, "reportUp"],
      always: [
        { guard: "tooManyFailures", target: "FAILED", actions: "noteTooManyFailures" },
        { guard: "subtreeComplete", target: "SYNCHRONIZED" },
      ],
      on: {
        ...watch,
        "fault.raised": { target: "FAILED", actions: "noteFault" },
        "recovery.requested": { actions: "callChildren" },
        "shutdown.requested": { target: "DISCONNECTED", actions: "forget" },
      },
      after: {
        recoveryTimeout: { guard: "recoveryLimited", target: "FAILED", actions: "noteRecoveryTimeout" },
      },
    },
    FAILED: {
      description: "Coordination failed: the parent is told, sessions are ended, then the node may try again.",
      entry: [{ type: "enter", params: { state: "FAILED" } }, "cleanUp"],
      on: {
        "cleanup.done": { target: "DISCONNECTED", actions: ["forget", "noteRetry", "startRetryTimer"] },
        "shutdown.requested": { target: "DISCONNECTED", actions: "forget" },
      },
      after: {
        cleanupTimeout: {
          target: "DISCONNECTED",
          actions: ["forget", "noteCleanupTimeout", "startRetryTimer"],
        },
      },
    },
  },
});

/** Why a DEGRADED node is so. */
export function degradedReasons(context: CoordinationContext): readonly DegradedReason[] {
  const reasons: DegradedReason[] = [];
  if (!isComplete(context.counts, context.thresholds)) reasons.push("children");
  if (context.hasUplink && !context.uplinkOpen) reasons.push("uplink");
  return reasons;
}
