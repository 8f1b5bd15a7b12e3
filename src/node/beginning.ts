/**
 * How nodes that are made alike begin: the coordination machine never acts and knows no time, so that what it made of an
 * event for one of them it makes of it for all. Thousands of leaves that are requested to coordinate share one snapshot
 * before and one after it, and XState works each out once, which otherwise takes a third of a leaf's start.
 *
 * For actors that nobody inspects: the steps that are left out are seen by nobody.
 */
import { type AnyActorScope, getInitialSnapshot, type SnapshotFrom } from "xstate";
import {
  type CoordinationEffect,
  type CoordinationEvent,
  type CoordinationInput,
  coordinationMachine,
  initialContext,
} from "../../machines/coordination.js";

type Snapshot = SnapshotFrom<typeof coordinationMachine>;
type Request = Extract<CoordinationEvent, { type: "coordination.requested" }>;

/** What came of one request. */
interface Answered {
  readonly request: Request;
  readonly next: Snapshot;
  readonly effects: readonly CoordinationEffect[];
}

/** How all begin whose input is the same. */
class Beginning {
  readonly snapshot: Snapshot;
  #latest: Answered | null = null;

  constructor(snapshot: Snapshot) {
    this.snapshot = snapshot;
  }

  /** The next snapshot; what it emits is emitted in this scope. */
  requested(request: Request, scope: AnyActorScope): Snapshot {
    if (this.#latest === null || !isAlike(this.#latest.request, request)) return this.#workOut(request, scope);
    for (const effect of this.#latest.effects) scope.defer(() => scope.emit(effect));
    return this.#latest.next;
  }

  #workOut(request: Request, scope: AnyActorScope): Snapshot {
    const effects: CoordinationEffect[] = [];
    const emit: typeof scope.emit = (effect) => {
      effects.push(effect as CoordinationEffect);
      scope.emit(effect);
    };
    const next = coordinationMachine.transition(this.snapshot, request, { ...scope, emit });
    // In other states a timer runs, which is each actor's own.
    if (next.value === "SYNCHRONIZED") scope.defer(() => void (this.#latest = { request, next, effects }));
    return next;
  }
}

/** They differ in nothing but the context. */
let first: Snapshot | null = null;

/** Beginnings that are remembered. */
const KINDS_MAX = 4;

/** The latest first. */
const beginnings: Beginning[] = [];

/** The machine, but that it remembers how others began. That it entered DISCONNECTED, which is where a node is, it does not tell. */
export const beginningLogic = Object.create(coordinationMachine, {
  getInitialSnapshot: { value: (_: unknown, input: CoordinationInput) => beginningOf(input).snapshot },
  transition: { value: transition },
}) as typeof coordinationMachine;

function transition(snapshot: Snapshot, event: CoordinationEvent, scope: AnyActorScope): Snapshot {
  if (event.type !== "coordination.requested") return coordinationMachine.transition(snapshot, event, scope);
  const beginning = beginnings.find((each) => each.snapshot === snapshot);
  return beginning?.requested(event, scope) ?? coordinationMachine.transition(snapshot, event, scope);
}

function beginningOf(input: CoordinationInput): Beginning {
  return beginnings.find(({ snapshot }) => isSame(snapshot.context, input)) ?? newBeginning(input);
}

function newBeginning(input: CoordinationInput): Beginning {
  first ??= getInitialSnapshot(coordinationMachine, input);
  const snapshot = { ...first };
  snapshot.context = initialContext(input);
  const beginning = new Beginning(snapshot);
  beginnings.unshift(beginning);
  beginnings.length = Math.min(beginnings.length, KINDS_MAX);
  return beginning;
}

function isSame(one: CoordinationInput, other: CoordinationInput): boolean {
  return (
    one.thresholds === other.thresholds &&
    one.initTimeoutMs === other.initTimeoutMs &&
    one.recoveryTimeoutMs === other.recoveryTimeoutMs &&
    one.cleanupTimeoutMs === other.cleanupTimeoutMs &&
    one.hasUplink === other.hasUplink
  );
}

function isAlike(one: Request, other: Request): boolean {
  return one.counts === other.counts && one.budgetMs === other.budgetMs;
}
