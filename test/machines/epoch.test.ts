import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareEpochs, type Epoch, formatEpoch, grantEpoch } from "../../machines/epoch.js";

/** Few distinct counters, so that epochs share prefixes; large ones, as a root takes its own from the clock. */
const anyCounter = fc.oneof(fc.nat(3), fc.constantFrom(1_763_696_095_000, 2 ** 53 - 1));
const anyEpoch: fc.Arbitrary<Epoch> = fc.array(anyCounter, { maxLength: 5 });

describe("compareEpochs", () => {
  it.each<[Epoch, Epoch, number]>([
    [[], [], 0],
    [[], [0], -1],
    [[1], [2], -1],
    [[2], [1, 9, 9], 1],
    [[1, 2], [1, 2, 0], -1],
    [[1, 2, 3], [1, 2, 3], 0],
    [[2 ** 53 - 1], [0], 1],
  ])("of %j and %j is %i", (a, b, sign) => {
    expect(Math.sign(compareEpochs(a, b))).toBe(sign);
  });

  it("is a total order", () => {
    fc.assert(
      fc.property(anyEpoch, anyEpoch, anyEpoch, (a, b, c) => {
        const equal = JSON.stringify(a) === JSON.stringify(b);
        expect(compareEpochs(a, b) === 0).toBe(equal);
        expect(Math.sign(compareEpochs(a, b)) + Math.sign(compareEpochs(b, a))).toBe(0);
        if (compareEpochs(a, b) <= 0 && compareEpochs(b, c) <= 0) expect(compareEpochs(a, c)).toBeLessThanOrEqual(0);
      }),
      { numRuns: 1_000 },
    );
  });

  it("puts what a newer grantor gave above everything that an older one gave, below it included", () => {
    fc.assert(
      fc.property(anyEpoch, anyEpoch, fc.array(anyCounter), anyCounter, (older, newer, below, counter) => {
        fc.pre(older.length === newer.length && compareEpochs(older, newer) < 0);
        const granted = below.reduce<Epoch>((epoch, each) => grantEpoch(epoch, each), older);
        expect(compareEpochs(granted, grantEpoch(newer, counter))).toBeLessThan(0);
      }),
    );
  });
});

describe("grantEpoch", () => {
  it("outranks the grantor and earlier grants", () => {
    fc.assert(
      fc.property(anyEpoch, fc.nat(1_000), (grantor, counter) => {
        const first = grantEpoch(grantor, counter);
        expect(compareEpochs(first, grantor)).toBeGreaterThan(0);
        expect(compareEpochs(grantEpoch(grantor, counter + 1), first)).toBeGreaterThan(0);
      }),
    );
  });
});

it("formatEpoch joins by dots", () => {
  expect(formatEpoch([1_763_696_095_000, 3, 1])).toBe("1763696095000.3.1");
  expect(formatEpoch([])).toBe("");
});
