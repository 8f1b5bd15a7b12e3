/** A few bytes that claim gigabytes are refused; bytes that are what they claim cost a bounded multiple of their size. */
import { Packr } from "msgpackr";
import { describe, expect, it } from "vitest";
import { decodeFrame } from "../../src/protocol/codec.js";
import { decodePayload } from "../../src/protocol/payload.js";
import { isWellFormed } from "../../src/protocol/well-formed.js";
import { concat, repeat, survives } from "./bytes.js";

const MIB = 1024 * 1024;
const ANY_VALUES = { allowTimestamps: true };

/** The header of an array of a million elements. */
const MILLION = [0xdd, 0, 0x0f, 0x42, 0x40];

/** What a call allocates and keeps, bytes, and how long it takes, milliseconds. */
function cost(call: () => void): { readonly bytes: number; readonly ms: number } {
  const before = process.memoryUsage();
  const startMs = performance.now();
  call();
  const ms = performance.now() - startMs;
  const after = process.memoryUsage();
  return { bytes: after.heapUsed + after.external - before.heapUsed - before.external, ms };
}

describe("a bomb", () => {
  it.each<[string, Uint8Array]>([
    ["1000 nested arrays of a million elements each", repeat(MILLION, 1_000)],
    ["a mebibyte of nested arrays of a million elements each", repeat(MILLION, 209_715)],
    [
      "128 nested arrays of a million elements, then a mebibyte of nil",
      concat(repeat(MILLION, 128), repeat([0xc0], MIB)),
    ],
    ["1000 nested maps of a million entries each", repeat([0xdf, 0, 0x0f, 0x42, 0x40], 1_000)],
    ["an array of 2^32 - 1 elements", concat([0xdd, 255, 255, 255, 255], repeat([0xc0], MIB))],
    ["a map of 2^32 - 1 entries", concat([0xdf, 255, 255, 255, 255], repeat([0xa0], MIB))],
    ["a text of 2^32 - 1 bytes", concat([0xdb, 255, 255, 255, 255], repeat([0x61], MIB))],
    ["binary of 2^32 - 1 bytes", concat([0xc6, 255, 255, 255, 255], repeat([0], MIB))],
    ["a mebibyte of nested arrays of one element", repeat([0x91], MIB)],
    ["a mebibyte of nested maps of one entry", repeat([0x81, 0xa0], MIB / 2)],
    ["a mebibyte of maps nested as keys", repeat([0x81], MIB)],
  ])("of %s is refused before anything is allocated", (_, bytes) => {
    expect(isWellFormed(bytes, ANY_VALUES)).toBe(false);
    expect(decodeFrame(bytes, "down")).toEqual({ kind: "malformed", reason: "not MessagePack" });
    const { bytes: allocated, ms } = cost(() => survives(bytes));
    expect(allocated).toBeLessThan(8 * MIB);
    expect(ms).toBeLessThan(1_000);
  });
});

describe("two hundred thousand", () => {
  it.each<[string, readonly number[]]>([
    ["numbers", [0x7f]],
    ["empty texts", [0xa0]],
    ["empty arrays", [0x90]],
    ["empty maps", [0x80]],
    ["empty binaries", [0xc4, 0]],
    ["arrays of one", [0x91, 0xc0]],
    ["maps of one", [0x81, 0xa1, 0x61, 0xc0]],
    ["timestamps", [0xd6, 0xff, 0, 0, 0, 1]],
  ])("%s are what they claim and cost a bounded multiple of their size", (_, element) => {
    const bytes = concat([0xdd, 0, 0x03, 0x0d, 0x40], repeat(element, 200_000));
    expect(isWellFormed(bytes, ANY_VALUES)).toBe(true);
    const { bytes: allocated, ms } = cost(() => survives(bytes));
    expect(allocated).toBeLessThan(128 * MIB);
    expect(ms).toBeLessThan(5_000);
  });
});

describe("names and keys", () => {
  it("that are no text are survived", () => {
    const keys = [
      [0x90],
      [0x80],
      [0xc0],
      [0xc3],
      [0xcb, 127, 240, 0, 0, 0, 0, 0, 0],
      [0xc4, 1, 7],
      [0x91, 0x81, 0xa0, 0xc0],
    ];
    for (const key of keys) expect(survives(concat([0x81], key, [0xc0]))).toBe(true);
  });

  it("that objects already have do not reach a prototype", () => {
    const packr = new Packr({ useRecords: false });
    for (const name of ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty"]) {
      const bytes = packr.pack(JSON.parse(`{"${name}":{"polluted":true}}`));
      expect(Object.getPrototypeOf(decodePayload(bytes, "input"))).toBe(Object.prototype);
      expect(Reflect.get({}, "polluted")).toBeUndefined();
    }
  });
});
