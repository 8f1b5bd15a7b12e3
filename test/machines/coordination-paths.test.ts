/**
 * Paths that @xstate/graph derives from the machine: a few representative events reach every state and take every
 * transition of the definition.
 */
import { getShortestPaths, getSimplePaths } from "@xstate/graph";
import { getMicrosteps, initialTransition } from "xstate";
import { describe, expect, it } from "vitest";
import {
  type CoordinationContext,
  type CoordinationEvent,
  type CoordinationInput,
  type CoordinationState,
  coordinationMachine,
  degradedReasons,
} from "../../machines/coordination.js";
import {
  BOTH_FAILED,
  BOTH_READY,
  changed,
  CHILD,
  CLEANUP_TIMEOUT,
  cleanedUp,
  type CoordinationSnapshot,
  CRITICAL_FAILED,
  FAULT,
  INIT_TIMEOUT,
  ONE_READY,
  RECOVERY,
  RECOVERY_TIMEOUT,
  requested,
  RETRY_DELAY,
  SHUTDOWN,
  UPLINK_LOST,
  UPLINK_OPENED,
} from "./coordination-kit.js";
import { type Edge, edgesOf, statesOf } from "./definition.js";

const INPUT: CoordinationInput = { ...CHILD, recoveryTimeoutMs: 500 };

const EVENTS: readonly CoordinationEvent[] = [
  requested(ONE_READY),
  changed(BOTH_READY),
  changed(ONE_READY),
  changed(BOTH_FAILED),
  changed(CRITICAL_FAILED),
  UPLINK_OPENED,
  UPLINK_LOST,
  FAULT,
  RECOVERY,
  cleanedUp(10),
  SHUTDOWN,
  INIT_TIMEOUT,
  RECOVERY_TIMEOUT,
  CLEANUP_TIMEOUT,
  RETRY_DELAY,
];

const EDGES = edgesOf(coordinationMachine);

/** Two nodes with equal situations behave alike for ever. */
function situation(snapshot: CoordinationSnapshot): string {
  return `${snapshot.value} ${JSON.stringify(snapshot.context)}`;
}

interface Path {
  readonly state: CoordinationSnapshot;
  readonly steps: readonly { readonly event: { readonly type: string } }[];
}

/** Every settled snapshot on a path, the first included, by replaying its events. */
function replay(path: Path, taken: Set<string>): CoordinationSnapshot[] {
  const visited: CoordinationSnapshot[] = [initialTransition(coordinationMachine, INPUT)[0]];
  for (const { event } of path.steps) {
    if (event.type === "xstate.init") continue;
    visited.push(step(visited.at(-1) as CoordinationSnapshot, event as CoordinationEvent, taken));
  }
  return visited;
}

/** The first microstep takes the event's transition, if any; those after it take eventless ones. */
function step(from: CoordinationSnapshot, event: CoordinationEvent, taken: Set<string>): CoordinationSnapshot {
  let before = from;
  for (const [place, [after, actions]] of getMicrosteps(coordinationMachine, from, event).entries()) {
    const ignored = after.context === before.context && after.value === before.value && actions.length === 0;
    if (!ignored) taken.add(edgeTaken(before, place === 0 ? event.type : "", after).id);
    before = after;
  }
  return before;
}

/** Candidates of one event have different targets in this machine, so that the target tells which was taken. */
function edgeTaken(before: CoordinationSnapshot, event: string, after: CoordinationSnapshot): Edge {
  const candidates = EDGES.filter((edge) => edge.from === before.value && edge.event === event);
  const edge = candidates.find((candidate) => (candidate.to ?? candidate.from) === after.value);
  if (edge === undefined) throw new Error(`no transition ${before.value} to ${after.value} by "${event}"`);
  return edge;
}

/** Replays all paths, checks that each ends where it was said to, and tells what they covered. */
function cover(name: string, paths: readonly Path[]) {
  const taken = new Set<string>();
  const snapshots = paths.flatMap((path) => {
    const visited = replay(path, taken);
    expect(visited.at(-1)?.value).toBe(path.state.value);
    return visited;
  });
  const states = new Set<string>(snapshots.map((snapshot) => snapshot.value));
  const all = statesOf(coordinationMachine).length;
  console.log(
    `${name}: ${paths.length} paths, ${states.size}/${all} states, ${taken.size}/${EDGES.length} transitions`,
  );
  return { states, taken, snapshots };
}

describe("paths derived from the coordination machine", () => {
  it("reach every state: the shortest to every situation", () => {
    const paths = getShortestPaths(coordinationMachine, { input: INPUT, events: EVENTS, serializeState: situation });
    const { states } = cover("shortest to situations", paths);
    expect([...states].toSorted()).toEqual([...statesOf(coordinationMachine)].toSorted());
  });

  it("take every transition: the shortest to every situation by every event that leads there", () => {
    const paths = getShortestPaths(coordinationMachine, {
      input: INPUT,
      events: EVENTS,
      serializeState: (state, event, previous) => `${situation(state)} by ${event?.type} from ${previous?.value}`,
    });
    const { taken } = cover("shortest by events", paths);
    expect(EDGES.filter((edge) => !taken.has(edge.id)).map((edge) => edge.id)).toEqual([]);
  });

  it("keep the machine's word all along: all simple ones", () => {
    const paths = getSimplePaths(coordinationMachine, {
      input: INPUT,
      events: EVENTS,
      serializeState: ({ value, context }) => `${value} ${JSON.stringify(context.counts)} ${context.uplinkOpen}`,
    });
    const { snapshots } = cover("simple", paths);
    for (const { value, context } of snapshots) expect(KEPT[value](context)).toBe(true);
  });
});

/** What being settled in a state says of the context. */
const KEPT: Readonly<Record<CoordinationState, (context: CoordinationContext) => boolean>> = {
  DISCONNECTED: ({ uplinkOpen }) => !uplinkOpen,
  CONNECTING: (context) =>
    context.failure === null && context.retryInMs === null && degradedReasons(context).length > 0,
  SYNCHRONIZED: (context) => context.failure === null && degradedReasons(context).length === 0,
  DEGRADED: (context) => context.failure === null && degradedReasons(context).length > 0,
  FAILED: ({ failure, retryInMs }) => failure !== null && retryInMs === null,
};
