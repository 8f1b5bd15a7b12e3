/** What other versions and other programs may send, and what is refused of what they send. */
import { Packr } from "msgpackr";
import { describe, expect, it } from "vitest";
import { type Decoded, decodeFrame, encodeFrame, FRAME_MESSAGES_MAX } from "../../src/protocol/codec.js";
import { type FieldType, LAYOUTS } from "../../src/protocol/layouts.js";
import type { Message } from "../../src/protocol/messages.js";
import { DIRECTIONS, type Direction, KINDS, plain } from "./arbitraries.js";

const packr = new Packr({ useRecords: false });
const HEADER: readonly unknown[] = [1, "s", 0, 0, 0];

/** A frame as any program could write it. */
function raw(messages: unknown, header: readonly unknown[] = HEADER, more: readonly unknown[] = []): Uint8Array {
  return packr.pack([...header, messages, ...more]);
}

const GOOD: Readonly<Record<FieldType, unknown>> = {
  uint: 7,
  bool: true,
  id: "an-id",
  text: "some text",
  target: "orders.eu",
  epoch: [1, 2, 3],
  acks: ["k3x9q2wd", 6, "p0c7v5nz", 12],
  bin: new Uint8Array([1, 2, 3]),
  meta: { traceparent: "00-ab" },
};

const BAD: Readonly<Record<FieldType, readonly unknown[]>> = {
  uint: [-1, 1.5, 2 ** 53, Number.NaN, Infinity, "7", null, true, [7], 2n ** 60n],
  bool: [0, 1, "true", null, []],
  id: ["x".repeat(65), 7, null, ["a"], new Uint8Array(2)],
  text: ["x".repeat(4097), 7, null, {}],
  target: [".", "a.", "a..b", "a b", "a.*", ">", "x".repeat(65), Array(33).fill("a").join("."), 7, null],
  epoch: [Array(33).fill(1), [-1], [1.5], ["1"], [[1]], 7, null, {}],
  acks: [["s"], [6], ["s", -1], ["s", "6"], [6, "s"], ["x".repeat(65), 6], ["s", 6, "s"], "s", 7, null, {}],
  bin: ["text", null, [1, 2], 7, {}],
  meta: [[], "x", 7, { a: 1 }, { a: null }, { a: {} }, new Uint8Array(2), meta(33)],
};

function meta(entries: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: entries }, (_, i) => [`key${i}`, "x"]));
}

/** A message of `kind` in wire order, with one field replaced. */
function wire(kind: Message["kind"], place = -1, value?: unknown): unknown[] {
  const { type, number, fields } = LAYOUTS[kind];
  return [type, number, 0, ...fields.map(([, field], i) => (i === place ? value : GOOD[field]))];
}

function expected(kind: Message["kind"]): object {
  const fields = LAYOUTS[kind].fields.map(([name, type]) => [name, GOOD[type]]);
  return { kind, seq: 0, ...Object.fromEntries(fields) };
}

function messagesOf(decoded: Decoded): unknown {
  return decoded.kind === "frame" ? plain(decoded.frame.messages) : decoded.reason;
}

function opposite(direction: Direction): Direction {
  return direction === "up" ? "down" : "up";
}

describe.each(KINDS)("%s", (kind) => {
  const { direction, fields, type, number } = LAYOUTS[kind];

  it("is type, kind number, sequence number and its fields in order", () => {
    expect(messagesOf(decodeFrame(raw([wire(kind)]), direction))).toEqual([expected(kind)]);
  });

  it("may grow: later elements are ignored", () => {
    const later = [...wire(kind), "later", { much: ["later"] }, null];
    expect(messagesOf(decodeFrame(raw([later]), direction))).toEqual([expected(kind)]);
  });

  it("is refused from the wrong side", () => {
    expect(messagesOf(decodeFrame(raw([wire(kind)]), opposite(direction)))).toBe("bad message");
  });

  it("is refused when an element is missing", () => {
    const whole = wire(kind);
    for (let length = 0; length < whole.length; length++) {
      expect(messagesOf(decodeFrame(raw([whole.slice(0, length)]), direction))).toBe("bad message");
    }
  });

  it("is refused when a field is of another kind", () => {
    for (const [place, [name, field]] of fields.entries()) {
      for (const value of BAD[field]) {
        const messages = messagesOf(decodeFrame(raw([wire(kind, place, value)]), direction));
        expect({ name, value, messages }).toEqual({ name, value, messages: "bad message" });
      }
    }
  });

  it("is refused with a sequence number that is none, taken with any that is one", () => {
    const [, , , ...rest] = wire(kind);
    const decode = (seq: unknown) => messagesOf(decodeFrame(raw([[type, number, seq, ...rest]]), direction));
    for (const seq of [1.5, "1", null, 2 ** 53, []]) expect(decode(seq)).toBe("bad message");
    for (const seq of [-(2 ** 53) + 1, -1, 0, 1, 2 ** 53 - 1])
      expect(decode(seq)).toEqual([{ ...expected(kind), seq }]);
  });
});

describe("a frame", () => {
  const beat = wire("heartbeat.beat");

  it("may grow: later elements are ignored", () => {
    const decoded = decodeFrame(raw([beat], HEADER, ["later", { much: "later" }]), "down");
    expect(messagesOf(decoded)).toEqual([expected("heartbeat.beat")]);
  });

  it.each<[string, unknown, string]>([
    ["nothing at all", [], "not a frame"],
    ["no list of messages", HEADER, "not a frame"],
    ["a map", { version: 1 }, "not a frame"],
    ["a text", "hello", "not a frame"],
    ["nil", null, "not a frame"],
    ["version 0", [0, "s", 0, 0, 0, []], "bad version"],
    ["no version", [null, "s", 0, 0, 0, []], "bad version"],
    ["a fractional version", [1.5, "s", 0, 0, 0, []], "bad version"],
    ["a long session", [1, "s".repeat(65), 0, 0, 0, []], "bad header"],
    ["a numeric session", [1, 7, 0, 0, 0, []], "bad header"],
    ["a negative ack", [1, "s", -1, 0, 0, []], "bad header"],
    ["a textual broadcast ack", [1, "s", 0, "0", 0, []], "bad header"],
    ["no credit", [1, "s", 0, 0, null, []], "bad header"],
    ["messages that are a map", [1, "s", 0, 0, 0, {}], "bad messages"],
    ["too many messages", [1, "s", 0, 0, 0, Array(FRAME_MESSAGES_MAX + 1).fill(beat)], "bad messages"],
    ["a message that is a text", [1, "s", 0, 0, 0, ["beat"]], "bad message"],
    ["a message that is nil", [1, "s", 0, 0, 0, [null]], "bad message"],
  ])("with %s is refused", (_, value, reason) => {
    for (const direction of DIRECTIONS) {
      expect(decodeFrame(packr.pack(value), direction)).toEqual({ kind: "malformed", reason });
    }
  });

  it("is refused for one bad message among good ones", () => {
    expect(messagesOf(decodeFrame(raw([beat, [4, 0], beat]), "down"))).toBe("bad message");
  });

  it("takes as many messages as allowed, or none", () => {
    expect(messagesOf(decodeFrame(raw(Array(FRAME_MESSAGES_MAX).fill(beat)), "down"))).toHaveLength(FRAME_MESSAGES_MAX);
    expect(messagesOf(decodeFrame(raw([]), "up"))).toEqual([]);
  });

  it("of a later version is read as far as it is known", () => {
    const decoded = decodeFrame(raw([beat], [9, "s", 1, 2, 3]), "down");
    expect(decoded).toMatchObject({ frame: { version: 9, session: "s", ack: 1, broadcastAck: 2, credit: 3 } });
  });
});

describe("an unknown kind", () => {
  it.each([
    ["of a known type", 2, 99],
    ["of an unknown type", 42, 0],
    ["of type 0", 0, 0],
    ["at the end of the range", 255, 255],
  ])("%s is told as unknown, among known ones and from either side", (_, type, number) => {
    const unknown = { kind: "unknown", seq: 5, type, unknownKind: number };
    const decoded = decodeFrame(raw([[type, number, 5, "what", { ever: 1 }], wire("heartbeat.beat")]), "down");
    expect(messagesOf(decoded)).toEqual([unknown, expected("heartbeat.beat")]);
    expect(messagesOf(decodeFrame(raw([[type, number, 5]]), "up"))).toEqual([unknown]);
  });

  it.each([
    ["a type beyond the range", [256, 0, 0]],
    ["a kind number beyond the range", [4, 256, 0]],
    ["a type and number that together mean another kind", [3, 256, 0]],
    ["a negative type", [-1, 0, 0]],
    ["a textual type", ["4", 0, 0]],
    ["no sequence number", [42, 0]],
  ])("is refused with %s", (_, message) => {
    expect(messagesOf(decodeFrame(raw([message]), "down"))).toBe("bad message");
  });
});

/** The frame with an empty list of messages and this version, given as bytes. */
function withVersion(...version: readonly number[]): Decoded {
  return decodeFrame(Uint8Array.from([0x96, ...version, 0xa1, 0x73, 0, 0, 0, 0x90]), "down");
}

describe("another program's MessagePack", () => {
  it.each([
    ["fixint", [0x05]],
    ["uint 8", [0xcc, 5]],
    ["uint 16", [0xcd, 0, 5]],
    ["uint 32", [0xce, 0, 0, 0, 5]],
    ["uint 64", [0xcf, 0, 0, 0, 0, 0, 0, 0, 5]],
    ["int 8", [0xd0, 5]],
    ["int 16", [0xd1, 0, 5]],
    ["int 32", [0xd2, 0, 0, 0, 5]],
    ["int 64", [0xd3, 0, 0, 0, 0, 0, 0, 0, 5]],
    ["float 32", [0xca, 0x40, 0xa0, 0, 0]],
    ["float 64", [0xcb, 0x40, 0x14, 0, 0, 0, 0, 0, 0]],
  ])("may write an integer as %s", (_, bytes) => {
    expect(withVersion(...bytes)).toMatchObject({ kind: "frame", frame: { version: 5 } });
  });

  it.each([
    ["beyond 2^53", [0xcf, 0, 0x20, 0, 0, 0, 0, 0, 0]],
    ["of 2^64 - 1", [0xcf, 255, 255, 255, 255, 255, 255, 255, 255]],
    ["below 0", [0xd3, 255, 255, 255, 255, 255, 255, 255, 255]],
  ])("is refused with an integer %s", (_, bytes) => {
    expect(withVersion(...bytes)).toEqual({ kind: "malformed", reason: "bad version" });
  });

  it.each([
    ["array 16", [0xdc, 0, 6]],
    ["array 32", [0xdd, 0, 0, 0, 6]],
  ])("may write the frame as %s", (_, header) => {
    const bytes = Uint8Array.from([...header, 1, 0xd9, 1, 0x73, 0, 0, 0, 0xdc, 0, 0]);
    expect(decodeFrame(bytes, "up")).toMatchObject({ kind: "frame", frame: { session: "s", messages: [] } });
  });

  it.each([
    ["a timestamp", [0xd6, 0xff, 0, 0, 0, 1]],
    ["a fixext", [0xd4, 1, 0]],
    ["an ext 8", [0xc7, 1, 5, 0]],
    ["a record definition of msgpackr", [0xd4, 0x72, 0x40]],
    ["the reserved byte", [0xc1]],
  ])("is refused with %s, which envelopes have no use for", (_, bytes) => {
    expect(withVersion(...bytes)).toEqual({ kind: "malformed", reason: "not MessagePack" });
  });

  it("may cut a text within a character: the rest of the frame is not lost", () => {
    const cut = "😀".slice(0, 1);
    const message: Message = { kind: "shutdown.leaving", seq: 0, reason: cut };
    const frame = { version: 1, session: "s", ack: 0, broadcastAck: 0, credit: 0, messages: [message] };
    expect(decodeFrame(encodeFrame(frame), "down")).toMatchObject({ kind: "frame" });
  });
});
