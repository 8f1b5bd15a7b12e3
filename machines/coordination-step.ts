/**
 * The coordination machine as the pure function that it is: from a snapshot and an event to the next snapshot and what is
 * to be done.
 *
 * XState's `transition` does the same, but makes an actor for each step; here all steps share one that never starts. A
 * snapshot is immutable, so nodes that took the same steps share it: ten thousand idle leaves hold one.
 */
import { createActor, type SnapshotFrom } from "xstate";
import {
  type CoordinationEffect,
  type CoordinationEvent,
  type CoordinationInput,
  coordinationMachine,
} from "./coordination.js";

export type CoordinationSnapshot = SnapshotFrom<typeof coordinationMachine>;

/** What a step asks for, in order. */
export type StepEffect =
  | { readonly type: "emit"; readonly effect: CoordinationEffect }
  /** Hands back `event` after the delay, unless the timer is cleared first. */
  | { readonly type: "timer.set"; readonly id: string; readonly delayMs: number; readonly event: CoordinationEvent }
  | { readonly type: "timer.clear"; readonly id: string };

export interface CoordinationStep {
  readonly snapshot: CoordinationSnapshot;
  readonly effects: readonly StepEffect[];
}

interface Taken {
  readonly from: CoordinationInput | CoordinationSnapshot;
  /** Null for the initial step. */
  readonly event: CoordinationEvent | null;
  readonly step: CoordinationStep;
}

/** Steps remembered: those that equal nodes take one after the other while they start. */
const TAKEN_MAX = 8;
const taken: Taken[] = [];
let oldest = 0;

/** The first step: to the initial state. */
export function initialStep(input: CoordinationInput): CoordinationStep {
  return recall(input, null) ?? remember(input, null, stepBy(input, null));
}

export function nextStep(snapshot: CoordinationSnapshot, event: CoordinationEvent): CoordinationStep {
  return recall(snapshot, event) ?? remember(snapshot, event, stepBy(snapshot, event));
}

function recall(from: Taken["from"], event: Taken["event"]): CoordinationStep | undefined {
  for (const known of taken) {
    const isSame = event === null ? known.event === null && isEqual(known.from, from) : known.from === from;
    if (isSame && isEqual(known.event, event)) return known.step;
  }
  return undefined;
}

function remember(from: Taken["from"], event: Taken["event"], step: CoordinationStep): CoordinationStep {
  taken[oldest] = { from, event, step };
  oldest = (oldest + 1) % TAKEN_MAX;
  return step;
}

/** Whether two plain objects have the same entries; nested ones are compared by identity. */
function isEqual(a: object | null, b: object | null): boolean {
  if (a === b) return true;
  if (a === null || b === null) return false;
  const keys = Object.keys(a) as (keyof typeof a)[];
  return keys.length === Object.keys(b).length && keys.every((key) => Object.is(a[key], b[key]));
}

type Scope = Parameters<(typeof coordinationMachine)["transition"]>[2];
type Action = Parameters<Scope["actionExecutor"]>[0];

let collected: Action[] = [];

/** The actor never runs: a step only needs one to refer to. */
const scope = inertScope();

function inertScope(): Scope {
  const noInput = { initTimeoutMs: 0, recoveryTimeoutMs: null, cleanupTimeoutMs: 0, hasUplink: false };
  const thresholds = { degraded: { count: 1 }, failed: { count: 1 } };
  const self = createActor(coordinationMachine, { input: { ...noInput, thresholds } });
  return {
    self,
    system: self.system,
    id: "",
    sessionId: "",
    logger: () => {},
    defer: () => {},
    emit: () => {},
    stopChild: () => {},
    actionExecutor: (action) => void collected.push(action),
  };
}

function stepBy(from: CoordinationInput | CoordinationSnapshot, event: CoordinationEvent | null): CoordinationStep {
  collected = [];
  const snapshot =
    event === null
      ? coordinationMachine.getInitialSnapshot(scope, from as CoordinationInput)
      : coordinationMachine.transition(from as CoordinationSnapshot, event, scope);
  return { snapshot, effects: withoutIdleTimers(collected.flatMap(toEffect)) };
}

function toEffect({ type, params }: Action): StepEffect[] {
  switch (type) {
    case "xstate.emit":
      return [{ type: "emit", effect: (params as { event: CoordinationEffect }).event }];
    case "xstate.raise": {
      const { id, delay, event } = params as { id: string; delay?: number; event: CoordinationEvent };
      return delay === undefined ? [] : [{ type: "timer.set", id, delayMs: delay, event }];
    }
    case "xstate.cancel":
      return [{ type: "timer.clear", id: (params as { sendId: string }).sendId }];
    default:
      throw new Error(`the coordination machine has an action that nobody carries out: ${type}`);
  }
}

/** Of states that are passed through within one step no timer is set. */
function withoutIdleTimers(effects: readonly StepEffect[]): readonly StepEffect[] {
  const isCleared = (effect: StepEffect, place: number): boolean =>
    effect.type === "timer.set" &&
    effects.some((later, at) => at > place && later.type === "timer.clear" && later.id === effect.id);
  return effects.filter((effect, place) => !isCleared(effect, place));
}
