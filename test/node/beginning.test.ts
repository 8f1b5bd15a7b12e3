/** Nodes that nobody inspects begin as others did before them: what they do is what the machine would have them do. */
import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { CoordinationEffect, CoordinationEvent } from "../../machines/coordination.js";
import { NO_CHILDREN } from "../../machines/thresholds.js";
import { CoordinationRun } from "../../src/node/coordination-run.js";
import { SimulatedClock } from "../../src/testing/simulated-clock.js";

const input = {
  thresholds: { degraded: { count: 1 }, failed: { fraction: 1 } },
  initTimeoutMs: 1_000,
  recoveryTimeoutMs: 500,
  cleanupTimeoutMs: 200,
  hasUplink: true,
};
const missing = { ...NO_CHILDREN, expected: 2, ready: 0 };

type Step = CoordinationEvent | { readonly type: "time"; readonly ms: number };

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    type: fc.constant("coordination.requested" as const),
    counts: fc.constantFrom(NO_CHILDREN, NO_CHILDREN, { ...NO_CHILDREN }, missing),
    budgetMs: fc.constantFrom(300, 300, 400),
  }),
  fc.constant({ type: "coordination.requested" as const, counts: NO_CHILDREN }),
  fc.constantFrom<CoordinationEvent>(
    { type: "children.changed", counts: missing },
    { type: "uplink.opened" },
    { type: "uplink.lost" },
    { type: "fault.raised", reason: "disk" },
    { type: "cleanup.done", retryInMs: 50 },
    { type: "shutdown.requested" },
  ),
  fc.record({ type: fc.constant("time" as const), ms: fc.constantFrom(10, 250, 1_100) }),
);

async function live(steps: readonly Step[], isInspected: boolean): Promise<readonly unknown[]> {
  const clock = new SimulatedClock();
  const told: unknown[] = [];
  const emitted = (effect: CoordinationEffect): void => void told.push(effect);
  const inspect = isInspected ? () => {} : null;
  const run = new CoordinationRun("n", { clock, inspect }, input, { emitted });
  run.start();
  // That it is DISCONNECTED at first is told to the inspector only.
  told.length = 0;
  for (const step of steps) {
    if (step.type === "time") await clock.advance(step.ms);
    else run.send(step);
    told.push(run.state, run.context);
  }
  run.stop();
  return told;
}

it("whatever comes, and whatever came to others before", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(anyStep, { maxLength: 8 }), { minLength: 1, maxLength: 6 }), async (lives) => {
      for (const steps of lives) expect(await live(steps, false)).toEqual(await live(steps, true));
    }),
    { numRuns: 300 },
  );
});

it("by one snapshot for all", () => {
  const clock = new SimulatedClock();
  const begin = (budgetMs: number) => {
    const run = new CoordinationRun("n", { clock, inspect: null }, input, { emitted: () => {} });
    run.start();
    run.send({ type: "coordination.requested", counts: NO_CHILDREN, budgetMs });
    return run;
  };
  const [one, other, hurried] = [begin(300), begin(300), begin(200)];
  expect(one.state).toBe("SYNCHRONIZED");
  expect(other.context).toBe(one.context);
  expect(hurried.context).toMatchObject({ initBudgetMs: 200 });
  one.send({ type: "fault.raised", reason: "disk" });
  expect([one.state, other.state]).toEqual(["FAILED", "SYNCHRONIZED"]);
});
