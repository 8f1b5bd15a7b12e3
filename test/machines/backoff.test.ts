import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type BackoffOptions, nextBackoffMs } from "../../machines/backoff.js";

const OPTIONS: BackoffOptions = { baseMs: 100, maxMs: 10_000 };
const unit = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const anyOptions = fc
  .tuple(fc.nat(10_000), fc.nat(1_000_000))
  .map(([baseMs, more]): BackoffOptions => ({ baseMs, maxMs: baseMs + more }));

/** The delays of consecutive attempts. */
function delays(options: BackoffOptions, randoms: readonly number[]): number[] {
  let previousMs = 0;
  return randoms.map((random) => (previousMs = nextBackoffMs(options, previousMs, random)));
}

describe("nextBackoffMs", () => {
  it.each([
    ["the first attempt, luckiest", 0, 0, 100],
    ["the first attempt, unluckiest", 0, 0.999_999, 300],
    ["the second, halfway", 200, 0.5, 350],
    ["beyond the longest", 9_000, 0.9, 10_000],
    ["the shortest again, by luck", 9_000, 0, 100],
  ])("is for %s: after %i ms with %d", (_, previousMs, random, expected) => {
    expect(nextBackoffMs(OPTIONS, previousMs, random)).toBe(expected);
  });

  it("stays between the shortest and the longest delay, whole milliseconds", () => {
    fc.assert(
      fc.property(anyOptions, fc.array(unit, { maxLength: 30 }), (options, randoms) => {
        for (const delay of delays(options, randoms)) {
          expect(Number.isInteger(delay)).toBe(true);
          expect(delay).toBeGreaterThanOrEqual(options.baseMs);
          expect(delay).toBeLessThanOrEqual(options.maxMs);
        }
      }),
    );
  });

  it("at most triples", () => {
    fc.assert(
      fc.property(anyOptions, fc.nat(1_000_000), unit, (options, previousMs, random) => {
        const limit = Math.max(options.baseMs, previousMs) * 3;
        expect(nextBackoffMs(options, previousMs, random)).toBeLessThanOrEqual(Math.round(limit));
      }),
    );
  });

  it("grows to the longest delay when luck is out", () => {
    expect(
      delays(
        OPTIONS,
        Array.from({ length: 6 }, () => 0.999_999),
      ),
    ).toEqual([300, 900, 2700, 8100, 10_000, 10_000]);
  });

  it("spreads the first attempts: with one delay for all, those who fail together would try again together", () => {
    const firsts = Array.from({ length: 100 }, (_, i) => nextBackoffMs(OPTIONS, 0, i / 100));
    expect(new Set(firsts).size).toBe(100);
  });
});
