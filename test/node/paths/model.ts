/** The model's side: paths that @xstate/graph derives from the coordination machine, and what each of their steps does. */
import { getShortestPaths, getSimplePaths } from "@xstate/graph";
import { getMicrosteps, initialTransition, type SnapshotFrom } from "xstate";
import { type CoordinationEvent, type CoordinationInput, coordinationMachine } from "../../../machines/coordination.js";
import {
  census,
  changed,
  CHILD,
  CLEANUP_TIMEOUT,
  cleanedUp,
  FAULT,
  INIT_TIMEOUT,
  RECOVERY,
  RECOVERY_TIMEOUT,
  requested,
  RETRY_DELAY,
  SHUTDOWN,
  UPLINK_LOST,
  UPLINK_OPENED,
} from "../../machines/coordination-kit.js";
import { type Edge, edgesOf } from "../../machines/definition.js";

export type Snapshot = SnapshotFrom<typeof coordinationMachine>;

/**
 * Three children, of which the third is critical: two may fail without a critical one failing, and the critical one may
 * fail alone. Otherwise these are the events of `test/machines/coordination-paths.test.ts`.
 */
export const THRESHOLDS: CoordinationInput["thresholds"] = { degraded: { count: 1 }, failed: { count: 2 } };
export const CHILD_IDS = ["a", "b", "c"] as const;
export type ChildId = (typeof CHILD_IDS)[number];

/** What an event of the model means for the real children. */
export type ChildMode = "ready" | "opening" | "failed";
export type Census = Readonly<Record<ChildId, ChildMode>>;

export const CENSUSES = {
  allReady: { a: "ready", b: "ready", c: "ready" },
  oneMissing: { a: "opening", b: "ready", c: "ready" },
  twoFailed: { a: "failed", b: "failed", c: "ready" },
  criticalFailed: { a: "ready", b: "ready", c: "failed" },
} as const satisfies Readonly<Record<string, Census>>;

/** One event of the model by its name here. */
export interface NamedEvent {
  readonly name: string;
  readonly event: CoordinationEvent;
}

function countsOf(modes: Census) {
  const values = Object.values(modes);
  const failed = values.filter((mode) => mode === "failed").length;
  return census({
    expected: values.length,
    ready: values.filter((mode) => mode === "ready").length,
    failed,
    criticalFailed: modes.c === "failed" ? 1 : 0,
    criticalUnavailable: modes.c === "ready" ? 0 : 1,
  });
}

const NAMED_EVENTS: readonly NamedEvent[] = [
  { name: "requested", event: requested(countsOf({ a: "opening", b: "opening", c: "opening" })) },
  ...Object.entries(CENSUSES).map(([name, modes]) => ({ name, event: changed(countsOf(modes)) })),
  { name: "uplinkOpened", event: UPLINK_OPENED },
  { name: "uplinkLost", event: UPLINK_LOST },
  { name: "fault", event: FAULT },
  { name: "recovery", event: RECOVERY },
  { name: "cleanedUp", event: cleanedUp(10) },
  { name: "shutdown", event: SHUTDOWN },
  { name: "initTimeout", event: INIT_TIMEOUT },
  { name: "recoveryTimeout", event: RECOVERY_TIMEOUT },
  { name: "cleanupTimeout", event: CLEANUP_TIMEOUT },
  { name: "retryDelay", event: RETRY_DELAY },
];

const INPUT: CoordinationInput = { ...CHILD, thresholds: THRESHOLDS, recoveryTimeoutMs: 500 };

export const EDGES = edgesOf(coordinationMachine);

export interface ModelStep extends NamedEvent {
  readonly before: Snapshot;
  readonly after: Snapshot;
  /** Ids of the transitions that the model takes. */
  readonly edges: readonly string[];
}

export type ModelPath = readonly ModelStep[];

/** The shortest path to every situation by every event that leads there, ignored events included. */
export function pathsByEvents(): readonly ModelPath[] {
  return toModelPaths(
    getShortestPaths(coordinationMachine, {
      input: INPUT,
      events: NAMED_EVENTS.map(({ event }) => event),
      serializeState: (state, event, previous) => `${situation(state)} by ${event?.type} from ${previous?.value}`,
    }),
  );
}

/** The shortest path to every situation, and one for each transition that these do not take. */
export function pathsCovering(): readonly ModelPath[] {
  const paths = toModelPaths(
    getShortestPaths(coordinationMachine, {
      input: INPUT,
      events: NAMED_EVENTS.map(({ event }) => event),
      serializeState: situation,
    }),
  );
  const taken = new Set(paths.flatMap(edgesTaken));
  const others = pathsByEvents().filter((path) => {
    const isNew = edgesTaken(path).some((edge) => !taken.has(edge));
    for (const edge of edgesTaken(path)) taken.add(edge);
    return isNew;
  });
  return [...paths, ...others];
}

function edgesTaken(path: ModelPath): readonly string[] {
  return path.flatMap(({ edges }) => edges);
}

/** All ways without a repeated situation: thousands. */
export function simplePaths(): readonly ModelPath[] {
  return toModelPaths(
    getSimplePaths(coordinationMachine, {
      input: INPUT,
      events: NAMED_EVENTS.map(({ event }) => event),
      serializeState: ({ value, context }) => `${value} ${JSON.stringify(context.counts)} ${context.uplinkOpen}`,
    }),
  );
}

/** Two nodes with equal situations behave alike for ever. */
function situation(snapshot: Snapshot): string {
  return `${snapshot.value} ${JSON.stringify(snapshot.context)}`;
}

interface GraphPath {
  readonly steps: readonly { readonly event: { readonly type: string } }[];
}

function toModelPaths(paths: readonly GraphPath[]): readonly ModelPath[] {
  return paths.map(({ steps }) => {
    const path: ModelStep[] = [];
    for (const { event } of steps) {
      const named = NAMED_EVENTS.find((candidate) => candidate.event === event);
      if (named === undefined) continue;
      const before = path.at(-1)?.after ?? initialTransition(coordinationMachine, INPUT)[0];
      path.push({ ...named, before, ...follow(before, named.event) });
    }
    return path;
  });
}

/** The first microstep takes the event's transition, if any; those after it take eventless ones. */
function follow(before: Snapshot, event: CoordinationEvent): Pick<ModelStep, "after" | "edges"> {
  const edges: string[] = [];
  let current = before;
  for (const [place, [after, actions]] of getMicrosteps(coordinationMachine, before, event).entries()) {
    const ignored = after.context === current.context && after.value === current.value && actions.length === 0;
    if (!ignored) edges.push(edgeBetween(current.value, place === 0 ? event.type : "", after.value).id);
    current = after;
  }
  return { after: current, edges };
}

/** Candidates of one event have different targets in this machine, so that the target tells which was taken. */
export function edgeBetween(from: string, event: string, to: string): Edge {
  const candidates = EDGES.filter((edge) => edge.from === from && edge.event === event);
  const edge = candidates.find((candidate) => (candidate.to ?? candidate.from) === to);
  if (edge === undefined) throw new Error(`no transition ${from} to ${to} by "${event}"`);
  return edge;
}
