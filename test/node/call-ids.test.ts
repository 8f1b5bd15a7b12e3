/** Ids of calls: unlike each other, and known by those who have seen them. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CallIds } from "../../src/node/call-ids.js";
import { KnownCalls } from "../../src/node/known-calls.js";

const BOOT = "k3j9x02mf8qa";

function take(ids: CallIds, count: number): string[] {
  return Array.from({ length: count }, () => ids.next());
}

describe("ids of calls", () => {
  it("begin with the boot id, and have four digits at first", () => {
    expect(take(new CallIds(BOOT), 63)).toEqual(expect.arrayContaining([`${BOOT}0000`, `${BOOT}000z`, `${BOOT}0010`]));
  });

  it.each([0, 62 ** 2 - 2, 62 ** 3 - 2, 62 ** 4 - 2, 62 ** 5 - 2])(
    "differ, and rise, from the count %i on",
    (count) => {
      const ids = take(new CallIds(BOOT, count), 4);
      expect(new Set(ids).size).toBe(4);
      const inOrder = ids.toSorted((a, b) => a.length - b.length || (a < b ? -1 : 1));
      expect(ids).toEqual(inOrder);
    },
  );

  it("are as good for a boot id of another length", () => {
    expect(take(new CallIds("boot"), 2)).toEqual(["boot0000", "boot0001"]);
  });
});

describe("ids that were seen", () => {
  it("are new as long as one process counts", () => {
    const seen = new KnownCalls(10, 10_000);
    for (const id of take(new CallIds(BOOT, 62 ** 4 - 100), 200)) expect(seen.add(id)).toBe(true);
    for (const id of take(new CallIds(BOOT, 62 ** 4 - 100), 200)) expect(seen.add(id)).toBe(false);
  });

  it("are new from each of several processes that take turns", () => {
    const seen = new KnownCalls(10, 10_000);
    const sources = Array.from({ length: 16 }, (_, i) => new CallIds(`boot${String(i).padStart(8, "0")}`));
    for (let round = 0; round < 3; round++) for (const ids of sources) expect(seen.add(ids.next())).toBe(true);
    expect(seen.add(new CallIds(BOOT).next())).toBe(false);
  });

  it("are never called new twice, whatever they are", () => {
    const unit = fc.constantFrom("a", "b", "0", "\0", " ", "é", "\uffff");
    const prefix = fc.string({ unit, minLength: 11, maxLength: 12 });
    const id = fc.oneof(
      fc.string({ unit, maxLength: 22 }),
      fc.tuple(prefix, fc.string({ unit, maxLength: 8 })).map(([a, b]) => a + b),
      fc.tuple(fc.constantFrom(BOOT, "\0".repeat(12), " ".repeat(12)), fc.nat(200)).map(([a, b]) => `${a}${b}`),
    );
    const isRight = (ids: readonly string[]): boolean => {
      const seen = new KnownCalls(10, 10_000);
      return ids.every((each, i) => !seen.add(each) || !ids.slice(0, i).includes(each));
    };
    expect(fc.check(fc.property(fc.array(id, { maxLength: 60 }), isRight), { numRuns: 2_000 })).toMatchObject({
      failed: false,
    });
  });
});
