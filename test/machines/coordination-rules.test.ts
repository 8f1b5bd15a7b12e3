/** The machine's state changes are the protocol's eight rules and the two documented additions, and no others (C1). */
import * as fc from "fast-check";
import { getMicrosteps, initialTransition } from "xstate";
import { describe, expect, it } from "vitest";
import { type CoordinationEvent, coordinationMachine } from "../../machines/coordination.js";
import {
  BOTH_FAILED,
  BOTH_READY,
  census,
  changed,
  CHILD,
  CLEANUP_TIMEOUT,
  cleanedUp,
  type CoordinationSnapshot,
  CRITICAL_FAILED,
  emittedBy,
  FAULT,
  INIT_TIMEOUT,
  NOBODY_READY,
  ONE_READY,
  RECOVERY,
  RECOVERY_TIMEOUT,
  requested,
  RETRY_DELAY,
  ROOT,
  SHUTDOWN,
  UPLINK_LOST,
  UPLINK_OPENED,
} from "./coordination-kit.js";
import { edgesOf, statesOf } from "./definition.js";

/** As the protocol's source has them. */
const EIGHT_RULES = `
DISCONNECTED → CONNECTING: On coordination request
CONNECTING → SYNCHRONIZED: All children ready
CONNECTING → FAILED: Initialization timeout/error
SYNCHRONIZED → DEGRADED: Some children fail
SYNCHRONIZED → FAILED: Critical failure
DEGRADED → SYNCHRONIZED: Failed children recover
DEGRADED → FAILED: Too many failures
FAILED → DISCONNECTED: After cleanup
`;

const ADDITIONS = `
CONNECTING → DEGRADED: Initialization timeout, but enough children are ready
CONNECTING → DISCONNECTED: On graceful shutdown
SYNCHRONIZED → DISCONNECTED: On graceful shutdown
DEGRADED → DISCONNECTED: On graceful shutdown
FAILED → DISCONNECTED: On graceful shutdown
`;

function pairsOf(rules: string): readonly string[] {
  return [...rules.matchAll(/^(\w+ → \w+):/gm)].map((match) => match[1] as string);
}

const ALLOWED = new Set([...pairsOf(EIGHT_RULES), ...pairsOf(ADDITIONS)]);

describe("the rules", () => {
  const edges = edgesOf(coordinationMachine);

  it("are the definition's pairs of states, exactly", () => {
    const moving = edges.filter((edge) => edge.to !== null && edge.to !== edge.from);
    const defined = new Set(moving.map((edge) => `${edge.from} → ${edge.to}`));
    expect(pairsOf(EIGHT_RULES)).toHaveLength(8);
    expect([...defined].toSorted()).toEqual([...ALLOWED].toSorted());
  });

  it("lead to DISCONNECTED on shutdown from every state", () => {
    const targets = edges.filter((edge) => edge.event === "shutdown.requested");
    expect(targets.map((edge) => [edge.from, edge.to ?? edge.from])).toEqual(
      statesOf(coordinationMachine).map((state) => [state, "DISCONNECTED"]),
    );
  });

  it("use the additions for nothing but what they were added for", () => {
    const seed = new Set(pairsOf(EIGHT_RULES));
    const added = edges.filter((edge) => edge.to !== null && !seed.has(`${edge.from} → ${edge.to}`));
    const events = added.map((edge) => [`${edge.from} → ${edge.to}`, edge.event]);
    expect(events).toEqual([
      ["CONNECTING → DISCONNECTED", "shutdown.requested"],
      ["CONNECTING → DEGRADED", INIT_TIMEOUT.type],
      ["SYNCHRONIZED → DISCONNECTED", "shutdown.requested"],
      ["DEGRADED → DISCONNECTED", "shutdown.requested"],
    ]);
  });
});

const anyCounts = fc
  .record({ expected: fc.nat(5), ready: fc.nat(5), failed: fc.nat(5), critical: fc.nat(2) })
  .map(({ expected, ready, failed, critical }) =>
    census({
      expected,
      ready: Math.min(ready, expected),
      failed,
      criticalFailed: critical,
      criticalUnavailable: critical,
    }),
  );

const FIXED_EVENTS: readonly CoordinationEvent[] = [
  UPLINK_OPENED,
  UPLINK_LOST,
  FAULT,
  RECOVERY,
  SHUTDOWN,
  cleanedUp(null),
  cleanedUp(10),
  INIT_TIMEOUT,
  RECOVERY_TIMEOUT,
  CLEANUP_TIMEOUT,
  RETRY_DELAY,
  ...[BOTH_READY, ONE_READY, NOBODY_READY, BOTH_FAILED, CRITICAL_FAILED].map((counts) => changed(counts)),
];

const anyEvent: fc.Arbitrary<CoordinationEvent> = fc.oneof(
  fc.constantFrom(...FIXED_EVENTS),
  anyCounts.map((counts) => requested(counts)),
  anyCounts.map((counts) => changed(counts)),
);

/** The state changes of one event, one for each microstep, checked against what the machine tells of them. */
function changesBy(snapshot: CoordinationSnapshot, event: CoordinationEvent): [string[], CoordinationSnapshot] {
  const changes: string[] = [];
  let before = snapshot;
  for (const [after, actions] of getMicrosteps(coordinationMachine, snapshot, event)) {
    const moved = after.value !== before.value;
    if (moved) changes.push(`${before.value} → ${after.value}`);
    expect(emittedBy(actions).entered).toEqual(moved ? [after.value] : []);
    before = after;
  }
  return [changes, before];
}

describe("random walks", () => {
  it("take only allowed state changes, one rule at a time, and tell each", () => {
    const anyInput = fc.record({ root: fc.boolean(), limited: fc.boolean() });
    fc.assert(
      fc.property(anyInput, fc.array(anyEvent, { maxLength: 30 }), ({ root, limited }, events) => {
        const input = { ...(root ? ROOT : CHILD), recoveryTimeoutMs: limited ? 100 : null };
        let [snapshot] = initialTransition(coordinationMachine, input);
        for (const event of events) {
          const [changes, next] = changesBy(snapshot, event);
          for (const change of changes) expect(ALLOWED).toContain(change);
          snapshot = next;
        }
      }),
      { numRuns: 300 },
    );
  });
});
