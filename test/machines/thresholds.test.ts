import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type ChildCounts,
  isComplete,
  isEnough,
  isFailure,
  NO_CHILDREN,
  reaches,
  type Threshold,
  type Thresholds,
} from "../../machines/thresholds.js";

const DEFAULTS: Thresholds = { degraded: { count: 1 }, failed: { fraction: 1 } };

function census(counts: Partial<ChildCounts>): ChildCounts {
  return { ...NO_CHILDREN, ...counts };
}

describe("reaches", () => {
  it.each<[Threshold, number, number, boolean]>([
    [{ count: 1 }, 0, 0, false],
    [{ count: 1 }, 0, 3, false],
    [{ count: 1 }, 1, 3, true],
    [{ count: 2 }, 1, 3, false],
    [{ count: 2 }, 2, 3, true],
    [{ count: 5 }, 3, 3, false],
    [{ fraction: 1 }, 2, 3, false],
    [{ fraction: 1 }, 3, 3, true],
    [{ fraction: 0.5 }, 1, 2, true],
    [{ fraction: 0.5 }, 1, 3, false],
    [{ fraction: 0.5 }, 2, 3, true],
    [{ fraction: 1 / 3 }, 1, 3, true],
    [{ fraction: 0.1 }, 1, 10, true],
    [{ fraction: 0.3 }, 3, 10, true],
    [{ fraction: 0.001 }, 0, 10, false],
    [{ fraction: 1 }, 0, 0, false],
  ])("%j with %i of %i is %s", (threshold, missing, expected, reached) => {
    expect(reaches(threshold, missing, expected)).toBe(reached);
  });

  it("holds exactly for the fraction that is stated, whatever rounding does", () => {
    for (let expected = 1; expected <= 100; expected++) {
      for (let missing = 1; missing <= expected; missing++) {
        expect(reaches({ fraction: missing / expected }, missing, expected)).toBe(true);
      }
    }
  });
});

describe("a census", () => {
  it.each<[string, Partial<ChildCounts>, boolean, boolean, boolean]>([
    ["without children", {}, true, false, true],
    ["of ready ones", { expected: 2, ready: 2 }, true, false, true],
    ["with one missing", { expected: 2, ready: 1 }, false, false, true],
    ["with one failed", { expected: 2, ready: 1, failed: 1 }, false, false, true],
    ["with all missing", { expected: 2 }, false, false, false],
    ["with all failed", { expected: 2, failed: 2 }, false, true, false],
    ["with a critical one missing", { expected: 9, ready: 8, criticalUnavailable: 1 }, false, false, false],
    [
      "with a critical one failed",
      { expected: 9, ready: 8, failed: 1, criticalFailed: 1, criticalUnavailable: 1 },
      false,
      true,
      false,
    ],
  ])("%s is complete, a failure, enough as stated", (_, counts, complete, failure, enough) => {
    expect(isComplete(census(counts), DEFAULTS)).toBe(complete);
    expect(isFailure(census(counts), DEFAULTS)).toBe(failure);
    expect(isEnough(census(counts), DEFAULTS)).toBe(enough);
  });

  const anyThreshold: fc.Arbitrary<Threshold> = fc.oneof(
    fc.integer({ min: 1, max: 10 }).map((count) => ({ count })),
    fc.double({ min: 0.01, max: 1, noNaN: true }).map((fraction) => ({ fraction })),
  );

  it("that gets worse is never judged better", () => {
    const anyThresholds = fc.record({ degraded: anyThreshold, failed: anyThreshold });
    fc.assert(
      fc.property(anyThresholds, fc.integer({ min: 1, max: 20 }), fc.nat(19), (thresholds, expected, n) => {
        const gone = Math.min(n, expected - 1);
        const before = census({ expected, ready: expected - gone, failed: gone });
        const after = census({ expected, ready: expected - gone - 1, failed: gone + 1 });
        expect(isComplete(after, thresholds) && !isComplete(before, thresholds)).toBe(false);
        expect(isEnough(after, thresholds) && !isEnough(before, thresholds)).toBe(false);
        expect(isFailure(before, thresholds) && !isFailure(after, thresholds)).toBe(false);
      }),
    );
  });
});
