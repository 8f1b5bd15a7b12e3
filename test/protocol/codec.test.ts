/** Every message survives the wire; estimates hold. */
import * as fc from "fast-check";
import { unpack } from "msgpackr";
import { describe, expect, it } from "vitest";
import { decodeFrame, encodeFrame, estimateBytes, FRAME_OVERHEAD_BYTES } from "../../src/protocol/codec.js";
import { isMeta } from "../../src/protocol/fields.js";
import { isDown, isUp, KIND_BY_NUMBERS, LAYOUTS, layoutKey, UNSEQUENCED } from "../../src/protocol/layouts.js";
import { Type } from "../../src/protocol/messages.js";
import { anyFrame, anyMessage, DIRECTIONS, frameOf, KINDS, messageOf, plain } from "./arbitraries.js";

describe("a frame", () => {
  it.each(DIRECTIONS)("going %s arrives as it was sent", (direction) => {
    fc.assert(
      fc.property(anyFrame(direction), (frame) => {
        expect(plain(decodeFrame(encodeFrame(frame), direction))).toEqual({ kind: "frame", frame });
      }),
    );
  });

  it.each(KINDS)("of %s arrives as it was sent", (kind) => {
    fc.assert(
      fc.property(messageOf(kind), (message) => {
        const decoded = decodeFrame(encodeFrame(frameOf(message)), LAYOUTS[kind].direction);
        expect(plain(decoded)).toEqual({ kind: "frame", frame: frameOf(message) });
      }),
      { numRuns: 50 },
    );
  });
});

it.each(KINDS)("%s travels as its layout says, however it is written", (kind) => {
  const { type, number, fields } = LAYOUTS[kind];
  fc.assert(
    fc.property(messageOf(kind), (message) => {
      const [written] = (unpack(encodeFrame(frameOf(message))) as readonly unknown[])[5] as readonly unknown[];
      const values = fields.map(([name]) => (message as unknown as Record<string, unknown>)[name]);
      expect(plain(written)).toEqual(plain([type, number, message.seq, ...values]));
    }),
    { numRuns: 20 },
  );
});

it("meta may have entries that serializers look for", () => {
  const meta = Object.assign(Object.create(null), { toJSON: "x", constructor: "y" });
  const run = { commandId: "c", target: "", name: "n", input: new Uint8Array(0), deadlineMs: 1, idempotent: false };
  const frame = frameOf({ kind: "command.run", seq: 1, ...run, minSyncVersion: 0, meta });
  expect(decodeFrame(encodeFrame(frame), "down")).toMatchObject({ kind: "frame", frame: { messages: [{ meta }] } });
});

describe("estimates", () => {
  it.each(DIRECTIONS)("are never below the size of a message going %s", (direction) => {
    const emptyBytes = encodeFrame(frameOf()).length;
    fc.assert(
      fc.property(anyMessage(direction), (message) => {
        expect(encodeFrame(frameOf(message)).length - emptyBytes).toBeLessThanOrEqual(estimateBytes(message));
      }),
      { numRuns: 1_000 },
    );
  });

  it.each(DIRECTIONS)("and the overhead are never below the size of a frame going %s", (direction) => {
    fc.assert(
      fc.property(anyFrame(direction, 40), (frame) => {
        const estimate = frame.messages.reduce<number>(
          (sum, message) => sum + estimateBytes(message),
          FRAME_OVERHEAD_BYTES,
        );
        expect(encodeFrame(frame).length).toBeLessThanOrEqual(estimate);
      }),
    );
  });
});

describe("the layouts", () => {
  it("give every kind its own numbers, by which it is found", () => {
    expect(KIND_BY_NUMBERS.size).toBe(KINDS.length);
    for (const kind of KINDS)
      expect(KIND_BY_NUMBERS.get(layoutKey(LAYOUTS[kind].type, LAYOUTS[kind].number))).toBe(kind);
  });

  it("use types 1 to 5 down and 6 to 10 up, all ten", () => {
    for (const kind of KINDS) expect(LAYOUTS[kind].direction).toBe(LAYOUTS[kind].type <= 5 ? "down" : "up");
    expect(new Set(KINDS.map((kind) => LAYOUTS[kind].type))).toEqual(new Set(Object.values(Type)));
  });

  it("name each kind by its type", () => {
    for (const kind of KINDS) {
      expect(Type[(kind.split(".")[0] ?? "").toUpperCase() as keyof typeof Type]).toBe(LAYOUTS[kind].type);
    }
  });

  it("never name a field twice, nor as the envelope does", () => {
    for (const kind of KINDS) {
      const names = ["kind", "seq", ...LAYOUTS[kind].fields.map(([name]) => name)];
      expect(new Set(names).size).toBe(names.length);
    }
  });

  it("tell the direction of each kind and know no others", () => {
    for (const kind of KINDS) {
      expect(isDown({ kind })).toBe(LAYOUTS[kind].direction === "down");
      expect(isUp({ kind })).toBe(LAYOUTS[kind].direction === "up");
    }
    expect(isDown({ kind: "unknown" }) || isUp({ kind: "unknown" })).toBe(false);
  });

  it("sequence what must arrive: the rest may be lost or repeated", () => {
    expect(KINDS.filter((kind) => !UNSEQUENCED.has(kind))).toEqual([
      "command.run",
      "command.reply",
      "sync.full",
      "status.leaving",
      "status.request",
      "status.data",
      "error.command",
      "complete.command",
      "complete.shutdown",
    ]);
  });
});

const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`key${i}`, "x"]));

describe("isMeta", () => {
  it.each<[string, unknown, boolean]>([
    ["no entries", {}, true],
    ["texts", { traceparent: "00-ab", empty: "" }, true],
    ["no prototype", Object.assign(Object.create(null), { a: "b" }), true],
    ["32 entries", many(32), true],
    ["33 entries", many(33), false],
    ["a number", { a: 1 }, false],
    ["undefined inside", { a: undefined }, false],
    ["null", null, false],
    ["undefined", undefined, false],
    ["a text", "a", false],
    ["an array", ["a"], false],
    ["bytes", new Uint8Array(0), false],
    ["a Map, which would travel unchecked", new Map([["a", "b"]]), false],
    ["a Date, for which the receiver would refuse the whole frame", new Date(0), false],
    ["Headers", new Headers({ a: "b" }), false],
    ["a name that would arrive as another", JSON.parse('{"__proto__":"x"}'), false],
  ])("of %s", (_, value, allowed) => {
    expect(isMeta(value)).toBe(allowed);
  });
});
