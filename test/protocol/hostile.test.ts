/** Whatever bytes arrive, decoding does not throw. */
import * as fc from "fast-check";
import { Packr } from "msgpackr";
import { describe, expect, it } from "vitest";
import { decodeFrame, encodeFrame } from "../../src/protocol/codec.js";
import { DEPTH_MAX, isWellFormed } from "../../src/protocol/well-formed.js";
import { anyFrame } from "./arbitraries.js";
import { concat, repeat, survives } from "./bytes.js";

const packr = new Packr({ useRecords: false });
const ANY_VALUES = { allowTimestamps: true };

describe("bytes of any kind", () => {
  it("are survived", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(survives(bytes)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  it("are survived when they look like MessagePack", () => {
    const header = fc.oneof(fc.integer({ min: 0x80, max: 0x9f }), fc.integer({ min: 0xc0, max: 0xdf }), fc.nat(255));
    const bytes = fc.array(fc.oneof(header, fc.constantFrom(0, 1, 2, 0xff)), { maxLength: 60 });
    fc.assert(
      fc.property(bytes, (values) => {
        expect(survives(Uint8Array.from(values))).toBe(true);
      }),
      { numRuns: 5_000 },
    );
  });
});

describe("a valid frame that was damaged", () => {
  const anyBytes = fc.oneof(anyFrame("down"), anyFrame("up")).map((frame) => new Uint8Array(encodeFrame(frame)));

  it("by flipped bits is survived", () => {
    fc.assert(
      fc.property(anyBytes, fc.array(fc.nat(), { minLength: 1, maxLength: 8 }), (bytes, places) => {
        for (const place of places) {
          const bit = place % (bytes.length * 8);
          bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
        }
        expect(survives(bytes)).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });

  it("by truncation is refused at every length", () => {
    fc.assert(
      fc.property(anyBytes, fc.nat(), (bytes, n) => {
        const cut = bytes.subarray(0, n % bytes.length);
        expect(decodeFrame(cut, "down")).toEqual({ kind: "malformed", reason: "not MessagePack" });
        expect(survives(cut)).toBe(true);
      }),
    );
  });

  it("by bytes after its end is refused", () => {
    fc.assert(
      fc.property(anyBytes, fc.uint8Array({ minLength: 1, maxLength: 9 }), (bytes, more) => {
        expect(decodeFrame(concat(bytes, more), "up")).toEqual({ kind: "malformed", reason: "not MessagePack" });
      }),
    );
  });

  it("by inserted, removed or foreign bytes is survived", () => {
    fc.assert(
      fc.property(
        anyBytes,
        anyBytes,
        fc.uint8Array({ maxLength: 9 }),
        fc.nat(),
        fc.nat(20),
        (bytes, other, more, n, gap) => {
          const at = n % bytes.length;
          expect(survives(concat(bytes.subarray(0, at), more, bytes.subarray(at + gap)))).toBe(true);
          expect(survives(concat(bytes.subarray(0, at), other.subarray(at)))).toBe(true);
        },
      ),
      { numRuns: 500 },
    );
  });
});

function nested(levels: number, header: readonly number[], leaf: number): Uint8Array {
  return concat(repeat(header, levels), [leaf]);
}

describe("isWellFormed", () => {
  it("holds for one whole value: not for a part of it, nor for more than it", () => {
    fc.assert(
      fc.property(fc.anything({ withDate: true, withTypedArray: false }), fc.nat(), (value, n) => {
        const bytes = new Uint8Array(packr.pack(plainOnly(value)));
        expect(isWellFormed(bytes, ANY_VALUES)).toBe(true);
        expect(isWellFormed(bytes.subarray(0, n % bytes.length), ANY_VALUES)).toBe(false);
        expect(isWellFormed(concat(bytes, bytes), ANY_VALUES)).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  it("lets through 128 levels, no more", () => {
    for (const header of [[0x91], [0xdc, 0, 1], [0xdd, 0, 0, 0, 1], [0x81, 0xa0], [0xdf, 0, 0, 0, 1, 0xa0]]) {
      expect(isWellFormed(nested(DEPTH_MAX, header, 0xc0), ANY_VALUES)).toBe(true);
      expect(isWellFormed(nested(DEPTH_MAX + 1, header, 0xc0), ANY_VALUES)).toBe(false);
    }
  });

  it("knows timestamps where they are allowed, and no other extension", () => {
    const stamps = [
      [0xd6, 0xff, 0, 0, 0, 1],
      [0xd7, 0xff, 0, 0, 0, 0, 0, 0, 0, 1],
      [0xc7, 12, 0xff, ...Array<number>(12).fill(0)],
    ];
    for (const stamp of stamps) {
      expect(isWellFormed(Uint8Array.from(stamp), ANY_VALUES)).toBe(true);
      expect(isWellFormed(Uint8Array.from(stamp), { allowTimestamps: false })).toBe(false);
      expect(isWellFormed(Uint8Array.from(stamp.slice(0, -1)), ANY_VALUES)).toBe(false);
    }
    for (const type of [0xc1, 0xc7, 0xc8, 0xc9, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8]) {
      const bytes = Uint8Array.from([type, 1, 1, ...Array<number>(16).fill(0)]);
      for (let length = 1; length <= bytes.length; length++) {
        expect(isWellFormed(bytes.subarray(0, length), ANY_VALUES)).toBe(false);
      }
    }
  });
});

/** What msgpackr writes without extensions. */
function plainOnly(value: unknown): unknown {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value;
  if (typeof value === "bigint" || typeof value === "symbol" || typeof value === "undefined") return null;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(plainOnly);
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plainOnly(each)]));
}
