/**
 * Frames to bytes and back. Positional arrays, version first; decoding validates everything and never throws.
 *
 *   frame   [version, session, ack, broadcastAck, credit, [message, …], …]
 *   message [type, kind number, seq, field, …]
 *
 * Elements after the known ones are ignored, so that later versions can add some.
 */
import { Packr } from "msgpackr";
import type { Epoch } from "../../machines/epoch.js";
import { type FieldType, KIND_BY_NUMBERS, LAYOUTS, layoutKey } from "./layouts.js";
import type { Frame, Message, UnknownMessage } from "./messages.js";
import { isPath } from "./path.js";
import { isWellFormed } from "./well-formed.js";

/**
 * `int64AsType: "auto"` reads 64-bit integers of other languages as numbers where they are safe; msgpackr's types lack it.
 * `useToJSON: false` because a `meta` entry of that name is data.
 */
const OPTIONS = { useRecords: false, mapsAsObjects: true, int64AsType: "auto", useToJSON: false } as object;
const packr = new Packr(OPTIONS);

/** Most messages of one frame. */
export const FRAME_MESSAGES_MAX = 1024;

const ID_LENGTH_MAX = 64;
const TEXT_LENGTH_MAX = 4096;
const EPOCH_LENGTH_MAX = 32;
const META_ENTRIES_MAX = 32;

/** Bytes of a frame that are no messages, rounded up: mostly a session id of another program in three-byte characters. */
export const FRAME_OVERHEAD_BYTES = 256;

type Kind = Message["kind"];

export type Decoded =
  | { readonly kind: "frame"; readonly frame: Frame }
  /** `reason` is one of a few fixed texts, fit for counting. */
  | { readonly kind: "malformed"; readonly reason: string };

export function encodeFrame(frame: Frame & { readonly messages: readonly Message[] }): Uint8Array {
  const { version, session, ack, broadcastAck, credit, messages } = frame;
  return packr.pack([version, session, ack, broadcastAck, credit, messages.map(toArray)]);
}

function toArray(message: Message): unknown[] {
  const { type, number, names } = WIRES[message.kind];
  const array: unknown[] = [type, number, message.seq];
  for (let i = 0; i < names.length; i++) array.push((message as unknown as Fields)[names[i] as string]);
  return array;
}

/** An upper bound of a message's encoded size, bytes, without encoding it. */
export function estimateBytes(message: Message): number {
  const { names, types } = WIRES[message.kind];
  let bytes = 16;
  for (let i = 0; i < names.length; i++) {
    bytes += estimateField(types[i] as FieldType, (message as unknown as Fields)[names[i] as string]);
  }
  return bytes;
}

function estimateField(type: FieldType, value: unknown): number {
  if (type === "bin") return (value as Uint8Array).length + 5;
  if (type === "epoch") return (value as readonly number[]).length * 9 + 3;
  if (type === "meta") return value === null ? 1 : estimateMeta(value as Record<string, string>);
  return typeof value === "string" ? value.length * 3 + 5 : 9;
}

function estimateMeta(meta: Readonly<Record<string, string>>): number {
  let bytes = 5;
  for (const key of Object.keys(meta)) bytes += (key.length + (meta[key] as string).length) * 3 + 10;
  return bytes;
}

export function decodeFrame(bytes: Uint8Array, direction: "down" | "up"): Decoded {
  if (!isWellFormed(bytes, { allowTimestamps: false })) return malformed("not MessagePack");
  try {
    return readFrame(packr.unpack(bytes), direction);
  } catch {
    return malformed("not MessagePack");
  }
}

function malformed(reason: string): Decoded {
  return { kind: "malformed", reason };
}

function readFrame(value: unknown, direction: "down" | "up"): Decoded {
  if (!Array.isArray(value) || value.length < 6) return malformed("not a frame");
  const [version, session, ack, broadcastAck, credit, list] = value as unknown[];
  if (!isUint(version) || version < 1) return malformed("bad version");
  if (!isId(session) || !isUint(ack) || !isUint(broadcastAck) || !isUint(credit)) return malformed("bad header");
  if (!Array.isArray(list) || list.length > FRAME_MESSAGES_MAX) return malformed("bad messages");
  const messages: (Message | UnknownMessage)[] = [];
  for (const item of list as unknown[]) {
    const message = readMessage(item, direction);
    if (message === null) return malformed("bad message");
    messages.push(message);
  }
  return { kind: "frame", frame: { version, session, ack, broadcastAck, credit, messages } };
}

function readMessage(item: unknown, direction: "down" | "up"): Message | UnknownMessage | null {
  if (!Array.isArray(item) || item.length < 3) return null;
  const type: unknown = item[0];
  const number: unknown = item[1];
  const seq: unknown = item[2];
  if (!isUint(type) || type > 255 || !isUint(number) || number > 255 || !Number.isSafeInteger(seq)) return null;
  const kind = KIND_BY_NUMBERS.get(layoutKey(type, number));
  if (kind === undefined) return { kind: "unknown", seq: seq as number, type, unknownKind: number };
  const wire = WIRES[kind];
  return wire.direction === direction ? readFields(wire, item as unknown[]) : null;
}

function readFields({ blank, names, checks }: Wire, item: readonly unknown[]): Message | null {
  const message: Fields = { ...blank };
  message["seq"] = item[2];
  for (let i = 0; i < names.length; i++) {
    const value = item[i + 3];
    if (!(checks[i] as Check)(value)) return null;
    message[names[i] as string] = value;
  }
  return message as unknown as Message;
}

type Check = (value: unknown) => boolean;

const CHECKS: Readonly<Record<FieldType, Check>> = {
  uint: isUint,
  bool: (value) => typeof value === "boolean",
  id: isId,
  text: isText,
  target: (value) => value === "" || isPath(value),
  epoch: isEpoch,
  bin: (value) => value instanceof Uint8Array,
  meta: (value) => value === null || isMeta(value),
};

export function isUint(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

export function isId(value: unknown): value is string {
  return typeof value === "string" && value.length <= ID_LENGTH_MAX;
}

export function isText(value: unknown): value is string {
  return typeof value === "string" && value.length <= TEXT_LENGTH_MAX;
}

export function isEpoch(value: unknown): value is Epoch {
  return Array.isArray(value) && value.length <= EPOCH_LENGTH_MAX && value.every(isUint);
}

/** Whether a value can be `meta`: a plain map of at most 32 texts. */
export function isMeta(value: unknown): value is Readonly<Record<string, string>> {
  if (typeof value !== "object" || value === null || Object.hasOwn(value, "__proto__")) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  const entries = Object.values(value);
  return entries.length <= META_ENTRIES_MAX && entries.every((entry) => typeof entry === "string");
}

type Fields = Record<string, unknown>;

/** A kind's layout, spread out for the loops that every message runs through. */
interface Wire {
  readonly type: number;
  readonly number: number;
  readonly direction: "down" | "up";
  readonly names: readonly string[];
  readonly types: readonly FieldType[];
  readonly checks: readonly Check[];
  /** All properties of a message, without their values: copying it is faster than adding them one by one. */
  readonly blank: Readonly<Fields>;
}

function toWire(kind: Kind): Wire {
  const { type, number, direction, fields } = LAYOUTS[kind];
  const names = fields.map(([name]) => name);
  const types = fields.map(([, fieldType]) => fieldType);
  const blank = { kind, seq: 0, ...Object.fromEntries(names.map((name) => [name, null])) };
  return { type, number, direction, names, types, checks: types.map((each) => CHECKS[each]), blank };
}

const WIRES = Object.fromEntries(Object.keys(LAYOUTS).map((kind) => [kind, toWire(kind as Kind)])) as Record<Kind, Wire>;
