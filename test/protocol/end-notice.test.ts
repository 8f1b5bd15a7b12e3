/** Notices of ends: what is written is read, the document's example is true, and nothing else is read at all. */
import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { Packr } from "msgpackr";
import { describe, expect, it, test } from "vitest";
import { decodeEndNotice, encodeEndNotice, type EndNotice } from "../../src/protocol/end-notice.js";
import { anyToken } from "./arbitraries.js";
import { concat } from "./bytes.js";

const packr = new Packr({ useRecords: false });

/** In the order of their numbers. */
const KINDS = ["normal", "shutdown", "failed", "dependencyDown"] as const;
const SPEAKERS = ["node", "parent", "silence"] as const;

const anyNotice: fc.Arbitrary<EndNotice> = fc.record({
  epoch: fc.array(fc.maxSafeNat(), { minLength: 1, maxLength: 32 }),
  kind: fc.constantFrom(...KINDS),
  reason: fc.string({ maxLength: 1_000 }),
  speaker: fc.constantFrom(...SPEAKERS),
  ageMs: fc.maxSafeNat(),
  session: fc.oneof(fc.constant(""), anyToken),
  broadcastSession: fc.oneof(fc.constant(""), anyToken),
});

const GOOD = [1, [5, 1], 0, "stop", 0, 0, "s", ""] as const;

/** The good notice with another element in one place. */
function withElement(place: number, value: unknown): Uint8Array {
  return packr.pack(GOOD.with(place, value as never));
}

function block(fence: string): string {
  const text = readFileSync(new URL("../../docs/protocol.md", import.meta.url), "utf8");
  const [, found] = text.match(new RegExp(`^\`\`\`${fence}\\n([\\s\\S]*?)^\`\`\`$`, "m")) ?? [];
  if (found === undefined) throw new Error(`there is no block ${fence}`);
  return found;
}

describe("a notice", () => {
  it("is read as it was written", () => {
    fc.assert(
      fc.property(anyNotice, (notice) => {
        expect(decodeEndNotice(encodeEndNotice(notice))).toEqual(notice);
      }),
    );
  });

  it("is written as the document says", () => {
    const notice = JSON.parse(block("notice")) as EndNotice;
    const hex = block("hex notice").replaceAll(/#.*$/gm, "").replaceAll(/\s/g, "");
    expect(Buffer.from(encodeEndNotice(notice)).toString("hex")).toBe(hex);
    expect(decodeEndNotice(new Uint8Array(Buffer.from(hex, "hex")))).toEqual(notice);
  });

  it("has kinds and speakers with the document's numbers", () => {
    for (const [number, kind] of KINDS.entries())
      expect(decodeEndNotice(withElement(2, number))).toMatchObject({ kind });
    for (const [number, speaker] of SPEAKERS.entries()) {
      expect(decodeEndNotice(withElement(4, number))).toMatchObject({ speaker });
    }
  });

  it("may be of a later version, with more elements", () => {
    const notice = decodeEndNotice(packr.pack([2, ...GOOD.slice(1), "news", { more: true }]));
    expect(notice).toMatchObject({ epoch: [5, 1], kind: "normal", speaker: "node" });
  });

  it("has a reason that is shortened, and an age that is whole and not negative", () => {
    const notice = { ...(decodeEndNotice(packr.pack(GOOD)) as EndNotice), reason: "x".repeat(9_000) };
    expect(decodeEndNotice(encodeEndNotice({ ...notice, ageMs: 1.6 }))).toMatchObject({ ageMs: 2 });
    expect(decodeEndNotice(encodeEndNotice({ ...notice, ageMs: -3 }))).toMatchObject({ ageMs: 0 });
    expect(decodeEndNotice(encodeEndNotice(notice))?.reason).toHaveLength(1_000);
  });
});

describe("what is no notice is not read", () => {
  const wrong: readonly (readonly [string, number, readonly unknown[]])[] = [
    ["version", 0, [0, -1, 1.5, "1", null]],
    ["epoch", 1, [[], [-1], ["1"], Array.from({ length: 33 }, () => 1), 5, null]],
    ["kind", 2, [4, -1, "normal", "length", 0.5, null]],
    ["reason", 3, [null, 1, "x".repeat(4_097)]],
    ["speaker", 4, [3, -1, "node", "length", null]],
    ["age", 5, [-1, 0.5, "0", null, 2 ** 54]],
    ["session", 6, [null, 7, "x".repeat(65)]],
    ["broadcast session", 7, [null, 7, "x".repeat(65)]],
  ];

  test.each(wrong)("with a wrong %s", (_, place, values) => {
    expect(decodeEndNotice(packr.pack(GOOD))).not.toBeNull();
    for (const value of values) expect(decodeEndNotice(withElement(place, value))).toBeNull();
  });

  it("when it is too short, too long, no array, or followed by more", () => {
    for (const value of [GOOD.slice(0, 7), [], {}, null, "notice", 1])
      expect(decodeEndNotice(packr.pack(value))).toBeNull();
    expect(decodeEndNotice(packr.pack([...GOOD, "x".repeat(17_000)]))).toBeNull();
    expect(decodeEndNotice(concat(packr.pack(GOOD), [0xc0]))).toBeNull();
    expect(decodeEndNotice(new Uint8Array(0))).toBeNull();
  });

  it("whatever the bytes are, and however a good one was damaged", () => {
    const damaged = fc.tuple(anyNotice, fc.nat(), fc.nat(255)).map(([notice, place, byte]) => {
      const bytes = new Uint8Array(encodeEndNotice(notice));
      bytes[place % bytes.length] = byte;
      return bytes;
    });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), damaged), (bytes) => {
        const notice = decodeEndNotice(bytes);
        expect(notice === null || decodeEndNotice(encodeEndNotice(notice)) !== null).toBe(true);
      }),
      { numRuns: 3_000 },
    );
  });
});
