/** The benchmark `detection`: its figures follow from the seed, and its bounds are those of the Poisson distribution. */
import { describe, expect, it } from "vitest";
import { OURS } from "../../benchmarks/detection-arena.js";
import { FIXED, MOLECULER, PEKKO } from "../../benchmarks/detection-peers.js";
import { atMost } from "../../benchmarks/detection-proof.js";
import { toReadings, traceOf } from "../../benchmarks/detection-trace.js";

const CALM = { drop: 0, maxDelayMs: 5, stallsMs: null, parentStalls: false };

describe("a trace", () => {
  it("is the same for the same seed, and another for another", async () => {
    const conditions = { ...CALM, drop: 0.2, stallsMs: [5_000, 5_000] as const };
    const [once, again, other] = [
      await traceOf(conditions, 7, 3),
      await traceOf(conditions, 7, 3),
      await traceOf(conditions, 8, 3),
    ];
    expect(again).toEqual(once);
    expect(other).not.toEqual(once);
  });

  it("holds each detector to its rule", async () => {
    const trace = await traceOf(CALM, 1, 8);
    expect(trace.mistakes.size).toBe(0);
    const latestMs = (key: string): number => Math.max(...(trace.latenciesMs.get(key) ?? []));
    expect(latestMs(`${OURS} suspect`)).toBeLessThan(3_500);
    expect(latestMs(`${OURS} dead`)).toBeLessThan(10_500);
    expect(latestMs(`${FIXED} dead`)).toBeLessThan(6_010);
    expect(latestMs(`${MOLECULER} dead`)).toBeLessThan(60_010);
    expect(latestMs(`${PEKKO} suspect`)).toBeLessThan(6_000);
  });

  it("shows stalls as mistakes of those that do not forgive them", async () => {
    const trace = await traceOf({ ...CALM, stallsMs: [7_000, 7_000] }, 1, 8);
    expect(trace.mistakes.get(`${FIXED} dead`)).toBeGreaterThan(0);
    expect(trace.mistakes.get(`${OURS} suspect`)).toBeGreaterThan(0);
    expect(trace.mistakes.get(`${OURS} dead`)).toBeUndefined();
    expect(toReadings(trace, OURS, "x").map(({ case: name }) => name)).toContain("x: false deaths");
  });
});

describe("the bound on a rate", () => {
  it.each([
    [0, 2.996],
    [1, 4.744],
    [10, 16.96],
  ])("for %d events seen is an expectation of %d", (events, expected) => {
    expect(atMost(events)).toBeCloseTo(expected, 2);
  });
});
