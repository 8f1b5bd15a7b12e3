/** Arbitrary messages and frames, built from the layouts, so that a new kind is tested without being listed. */
import * as fc from "fast-check";
import { FRAME_MESSAGES_MAX } from "../../src/protocol/codec.js";
import { type FieldType, LAYOUTS, type Layout } from "../../src/protocol/layouts.js";
import type { Frame, Message } from "../../src/protocol/messages.js";

export type Direction = Layout["direction"];

export const KINDS = Object.keys(LAYOUTS) as Message["kind"][];

export const DIRECTIONS: readonly Direction[] = ["down", "up"];

function kindsOf(direction: Direction): readonly Message["kind"][] {
  return KINDS.filter((kind) => LAYOUTS[kind].direction === direction);
}

const anyUint = fc.oneof(fc.nat(300), fc.maxSafeNat(), fc.constantFrom(0, 127, 128, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1));

/** Well-formed text of any alphabet, counted in UTF-16 units as JavaScript does. */
function anyText(lengthMax: number): fc.Arbitrary<string> {
  const unicode = fc.string({ unit: "binary", maxLength: Math.min(lengthMax, 100) });
  const longest = fc.constantFrom("x", "é", "漢").map((character) => character.repeat(lengthMax));
  return fc.oneof(unicode, unicode, unicode, longest).filter((text) => text.length <= lengthMax);
}

const TOKEN_CHARACTERS = "ABCXYZabcxyz0189_-".split("");
export const anyToken = fc.string({ unit: fc.constantFrom(...TOKEN_CHARACTERS), minLength: 1, maxLength: 64 });
export const anyPath = fc.array(anyToken, { minLength: 1, maxLength: 32 }).map((tokens) => tokens.join("."));

const anyMeta = fc.option(
  fc.dictionary(
    fc
      .oneof(anyText(40), fc.constantFrom("constructor", "toJSON", "hasOwnProperty"))
      .filter((key) => key !== "__proto__"),
    anyText(200),
    { maxKeys: 32, noNullPrototype: false },
  ),
);

const FIELDS: Readonly<Record<FieldType, fc.Arbitrary<unknown>>> = {
  uint: anyUint,
  bool: fc.boolean(),
  id: anyText(64),
  text: anyText(4096),
  target: fc.oneof(fc.constant(""), anyPath),
  epoch: fc.array(anyUint, { maxLength: 32 }),
  acks: fc.array(fc.tuple(anyText(64), anyUint), { maxLength: 40 }).map((pairs) => pairs.flat()),
  bin: fc.oneof(fc.uint8Array(), fc.uint8Array({ minLength: 250, maxLength: 300 })),
  meta: anyMeta,
};

const anySeq = fc.oneof(fc.constant(0), fc.nat(), fc.maxSafeInteger());

export function messageOf(kind: Message["kind"]): fc.Arbitrary<Message> {
  const fields = LAYOUTS[kind].fields.map(([name, type]) => [name, FIELDS[type]] as const);
  return fc.record({ kind: fc.constant(kind), seq: anySeq, ...Object.fromEntries(fields) }) as fc.Arbitrary<never>;
}

export function anyMessage(direction: Direction): fc.Arbitrary<Message> {
  return fc.oneof(...kindsOf(direction).map(messageOf));
}

export type KnownFrame = Omit<Frame, "messages"> & { readonly messages: readonly Message[] };

export function anyFrame(direction: Direction, messagesMax = 6): fc.Arbitrary<KnownFrame> {
  return fc.record({
    version: anyUint.filter((version) => version > 0),
    session: anyText(64),
    ack: anyUint,
    broadcastAck: anyUint,
    credit: anyUint,
    messages: fc.array(anyMessage(direction), { maxLength: Math.min(messagesMax, FRAME_MESSAGES_MAX) }),
  });
}

/** A frame around these messages. */
export function frameOf(...messages: readonly Message[]): KnownFrame {
  return { version: 1, session: "s", ack: 0, broadcastAck: 0, credit: 0, messages };
}

/** Bytes as plain Uint8Array, which is how values are compared: decoded ones are views of Node's Buffer. */
export function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return new Uint8Array(value);
  if (value instanceof Date || typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)]));
}
