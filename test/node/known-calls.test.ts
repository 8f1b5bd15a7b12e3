/** What an executor knows of calls: against a model that keeps everything. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { completed, type Outcome, uncompleted } from "../../src/node/call.js";
import { callCountIn, callIdOf, CallIds } from "../../src/node/call-ids.js";
import { KnownCalls } from "../../src/node/known-calls.js";

const SOURCES = ["k3j9x02mf8qa", "another0boot", "k3j9x02mf8qb"] as const;
const FAILED = uncompleted("failed", "HANDLER_FAILED", "no");
/** The first three are the same each time, the last are not. */
const OUTCOMES: readonly (() => Outcome)[] = [
  () => completed(new Uint8Array()),
  () => completed(Uint8Array.of(7)),
  () => FAILED,
  () => completed(Uint8Array.of(1, 2, 3)),
];

describe("counts in ids", () => {
  it("are those with which they were made", () => {
    for (const count of [0, 61, 62, 62 ** 4 - 1, 62 ** 4, 62 ** 5, 62 ** 7 + 5]) {
      const id = new CallIds(SOURCES[0], count).next();
      expect([callCountIn(id, 12), callIdOf(SOURCES[0], count)]).toEqual([count, id]);
    }
  });

  it.each(["", "000", "00000", "000-", "000é", "0zzzz", "zzzzzzzzz"])("are not in what ends with %j", (digits) => {
    expect(callCountIn(SOURCES[0] + digits, 12)).toBe(-1);
  });

  it("belong to one id each", () => {
    const unit = fc.constantFrom("0", "1", "A", "z", "-");
    fc.assert(
      fc.property(fc.string({ unit, minLength: 3, maxLength: 9 }), (digits) => {
        const id = SOURCES[0] + digits;
        const count = callCountIn(id, 12);
        expect(count === -1 ? id : callIdOf(SOURCES[0], count)).toBe(id);
      }),
    );
  });
});

interface Step {
  readonly id: string;
  readonly kind: number;
}

const anyId = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(fc.constantFrom(...SOURCES), fc.nat(30)).map(([boot, n]) => callIdOf(boot, n)) },
  { weight: 1, arbitrary: fc.constantFrom("order-17", "k", "", `${SOURCES[0]}00000`, SOURCES[1]) },
);
const anyStep: fc.Arbitrary<Step> = fc.record({ id: anyId, kind: fc.nat(OUTCOMES.length - 1) });
/** As most calls are: one after the other, and ended alike. */
const anyRun: fc.Arbitrary<Step[]> = fc
  .record({
    boot: fc.constantFrom(...SOURCES),
    from: fc.nat(30),
    length: fc.nat(12),
    kind: fc.nat(OUTCOMES.length - 1),
  })
  .map(({ boot, from, length, kind }) => Array.from({ length }, (_, n) => ({ id: callIdOf(boot, from + n), kind })));

describe("outcomes", () => {
  it("of at least the latest half are known, of none more than the bound, and never another's", () => {
    const steps = fc
      .array(
        fc.oneof(
          anyRun,
          anyStep.map((step) => [step]),
        ),
        { maxLength: 30 },
      )
      .map((each) => each.flat());
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 20 }), (all, max) => {
        const known = new KnownCalls(max, 1_000_000);
        const model = new Map<string, Outcome>();
        for (const { id, kind } of all) {
          known.add(id);
          if (known.outcomeOf(id) !== undefined) continue;
          const outcome = (OUTCOMES[kind] as () => Outcome)();
          known.ended(id, outcome);
          model.delete(id);
          model.set(id, outcome);
          const kept = [...model].filter(([each]) => known.outcomeOf(each) !== undefined);
          for (const [each, expected] of kept) expect(known.outcomeOf(each)).toBe(expected);
          expect(kept.length).toBeLessThanOrEqual(2 * Math.ceil(max / 2));
          const latest = [...model.keys()].slice(-Math.ceil(max / 2));
          expect(kept.map(([each]) => each)).toEqual(expect.arrayContaining(latest));
        }
      }),
      { numRuns: 500 },
    );
  });

  it("are bounded by their bytes as well", () => {
    const known = new KnownCalls(1_000, 10 * 256);
    const ids = Array.from({ length: 100 }, (_, count) => callIdOf(SOURCES[0], count));
    for (const id of ids) {
      known.add(id);
      known.ended(id, FAILED);
    }
    const kept = ids.filter((id) => known.outcomeOf(id) !== undefined);
    expect(kept).toEqual(ids.slice(-kept.length));
    expect(kept.length).toBeGreaterThanOrEqual(5);
    expect(kept.length).toBeLessThanOrEqual(10);
  });
});
