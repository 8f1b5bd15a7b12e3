/** Steps are what XState's own `transition` makes of the same snapshot and event. */
import { getShortestPaths } from "@xstate/graph";
import { initialTransition, transition } from "xstate";
import { describe, expect, test } from "vitest";
import { coordinationMachine } from "../../machines/coordination.js";
import { initialStep, nextStep, type StepEffect } from "../../machines/coordination-step.js";
import {
  BOTH_FAILED,
  BOTH_READY,
  changed,
  CHILD,
  CLEANUP_TIMEOUT,
  cleanedUp,
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

const INPUT = { ...CHILD, recoveryTimeoutMs: 500 };
const EVENTS = [
  requested(ONE_READY),
  changed(BOTH_READY),
  changed(BOTH_FAILED),
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

interface Action {
  readonly type: string;
  readonly params?: unknown;
}

/** What is told, and the timer that is left, if the step touches it. */
function gist(effects: readonly StepEffect[]) {
  const emitted = effects.flatMap((effect) => (effect.type === "emit" ? [effect.effect] : []));
  const timer = effects.findLast((effect) => effect.type !== "emit");
  return { emitted, timer: timer?.type === "timer.set" ? [timer.id, timer.delayMs] : timer && null };
}

function gistOf(actions: readonly Action[]) {
  const emits = actions.filter(({ type }) => type === "xstate.emit");
  const emitted = emits.map(({ params }) => (params as { event: unknown }).event);
  const timer = actions.findLast(({ type }) => type === "xstate.raise" || type === "xstate.cancel");
  const { id, delay } = (timer?.params ?? {}) as { id?: string; delay?: number };
  return { emitted, timer: timer?.type === "xstate.raise" ? [id, delay] : timer && null };
}

describe("a step", () => {
  test("is XState's transition, from everywhere and by every event", () => {
    const paths = getShortestPaths(coordinationMachine, {
      input: INPUT,
      events: EVENTS,
      serializeState: ({ value, context }) => `${value} ${JSON.stringify(context)}`,
    });
    expect(paths.length).toBeGreaterThan(40);
    for (const { state } of paths) {
      for (const event of EVENTS) {
        const [expected, actions] = transition(coordinationMachine, state, event);
        const { snapshot, effects } = nextStep(state, event);
        expect([snapshot.value, snapshot.context]).toEqual([expected.value, expected.context]);
        expect(gist(effects)).toEqual(gistOf(actions));
      }
    }
  });

  test("the first one enters the initial state", () => {
    const [expected, actions] = initialTransition(coordinationMachine, INPUT);
    const { snapshot, effects } = initialStep(INPUT);
    expect([snapshot.value, snapshot.context]).toEqual([expected.value, expected.context]);
    expect(gist(effects)).toEqual(gistOf(actions));
  });

  test("that equal nodes take leads them to one snapshot, and unequal ones to their own", () => {
    const first = initialStep(INPUT).snapshot;
    expect(initialStep({ ...INPUT }).snapshot).toBe(first);
    expect(initialStep({ ...INPUT, initTimeoutMs: 1 }).snapshot).not.toBe(first);
    const counts = ONE_READY;
    const started = nextStep(first, { type: "coordination.requested", counts, budgetMs: 5 }).snapshot;
    expect(nextStep(first, { type: "coordination.requested", counts, budgetMs: 5 }).snapshot).toBe(started);
    expect(nextStep(first, { type: "coordination.requested", counts, budgetMs: 6 }).snapshot).not.toBe(started);
    expect(nextStep(first, { type: "coordination.requested", counts: BOTH_READY, budgetMs: 5 }).snapshot).not.toBe(
      started,
    );
  });
});
