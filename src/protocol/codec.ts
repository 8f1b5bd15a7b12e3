/**
 * Frames to bytes and back. Positional arrays, version first; decoding validates everything and never throws.
 *
 *   frame   [version, session, ack, broadcastAck, credit, [message, …], …]
 *   message [type, kind number, seq, field, …]
 *
 * Elements after the known ones are ignored, so that later versions can add some.
 */
import type { Epoch } from "../../machines/epoch.js";
import { type FieldType, KIND_BY_NUMBERS, LAYOUTS, layoutKey } from "./layouts.js";
import type { Frame, Message, Meta, UnknownMessage } from "./messages.js";
import { packr } from "./msgpack.js";
import { isPath, PATH_LENGTH_MAX } from "./path.js";
import { Reader, UNREADABLE } from "./reader.js";
import { isWellFormed } from "./well-formed.js";
import { Writer } from "./writer.js";

/** One for all frames, of which the largest usual ones take a quarter of its slabs; nobody keeps them. */
const writer = new Writer(65_536);

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
  // An earlier frame may have been given up half-way.
  writer.discard();
  writer.list(6);
  writer.int(frame.version);
  writer.text(frame.session);
  writer.int(frame.ack);
  writer.int(frame.broadcastAck);
  writer.int(frame.credit);
  writer.list(frame.messages.length);
  for (const message of frame.messages) writeMessage(message);
  return writer.take();
}

function writeMessage(message: Message): void {
  const { type, number, names, formats } = WIRES[message.kind];
  writer.list(3 + names.length);
  writer.int(type);
  writer.int(number);
  writer.int(message.seq);
  for (let i = 0; i < names.length; i++) {
    (formats[i] as Format).write((message as unknown as Fields)[names[i] as string]);
  }
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
  const progress = { reason: "not a frame" };
  try {
    return { kind: "frame", frame: readFrame(new Reader(bytes), direction, progress) };
  } catch (error) {
    if (error !== UNREADABLE) throw error;
    // What is no MessagePack at all is called so, wherever we noticed it.
    const isWhole = isWellFormed(bytes, { allowTimestamps: false });
    return { kind: "malformed", reason: isWhole ? progress.reason : "not MessagePack" };
  }
}

/** `progress.reason` says at each moment what is wrong if reading fails there. */
function readFrame(reader: Reader, direction: "down" | "up", progress: { reason: string }): Frame {
  const length = reader.list();
  if (length < 6) throw UNREADABLE;
  progress.reason = "bad version";
  const version = reader.uint();
  if (version < 1) throw UNREADABLE;
  progress.reason = "bad header";
  const session = reader.text(ID_LENGTH_MAX);
  const ack = reader.uint();
  const broadcastAck = reader.uint();
  const credit = reader.uint();
  progress.reason = "bad messages";
  const count = reader.list();
  if (count > FRAME_MESSAGES_MAX) throw UNREADABLE;
  progress.reason = "bad message";
  const messages: (Message | UnknownMessage)[] = [];
  for (let i = 0; i < count; i++) messages.push(readMessage(reader, direction));
  for (let i = 6; i < length; i++) reader.skip();
  if (!reader.isAtEnd) throw UNREADABLE;
  return { version, session, ack, broadcastAck, credit, messages };
}

function readMessage(reader: Reader, direction: "down" | "up"): Message | UnknownMessage {
  const length = reader.list();
  if (length < 3) throw UNREADABLE;
  const type = reader.uint();
  const number = reader.uint();
  const seq = reader.int();
  if (type > 255 || number > 255) throw UNREADABLE;
  const kind = KIND_BY_NUMBERS.get(layoutKey(type, number));
  const wire = kind === undefined ? null : WIRES[kind];
  if (wire !== null && (wire.direction !== direction || length < 3 + wire.names.length)) throw UNREADABLE;
  const message =
    wire === null ? { kind: "unknown" as const, seq, type, unknownKind: number } : readFields(reader, wire, seq);
  for (let i = 3 + (wire?.names.length ?? 0); i < length; i++) reader.skip();
  return message;
}

function readFields(reader: Reader, { blank, names, formats }: Wire, seq: number): Message {
  const message: Fields = { ...blank };
  message["seq"] = seq;
  for (let i = 0; i < names.length; i++) message[names[i] as string] = (formats[i] as Format).read(reader);
  return message as unknown as Message;
}

/** How a field travels; `read` checks it too. */
interface Format {
  write(value: unknown): void;
  read(reader: Reader): unknown;
}

const FORMATS: Readonly<Record<FieldType, Format>> = {
  uint: { write: (value) => writer.int(value as number), read: (reader) => reader.uint() },
  bool: { write: (value) => writer.bool(value as boolean), read: (reader) => reader.bool() },
  id: { write: (value) => writer.text(value as string), read: (reader) => reader.text(ID_LENGTH_MAX) },
  text: { write: (value) => writer.text(value as string), read: (reader) => reader.text(TEXT_LENGTH_MAX) },
  target: { write: (value) => writer.text(value as string), read: readTarget },
  epoch: { write: writeEpoch, read: readEpoch },
  bin: { write: (value) => writer.bin(value as Uint8Array), read: (reader) => reader.bin() },
  meta: { write: (value) => (value === null ? writer.nil() : writer.raw(packr.pack(value))), read: readMeta },
};

function readTarget(reader: Reader): string {
  const target = reader.text(PATH_LENGTH_MAX);
  if (target !== "" && !isPath(target)) throw UNREADABLE;
  return target;
}

function writeEpoch(value: unknown): void {
  const epoch = value as Epoch;
  writer.list(epoch.length);
  for (const number of epoch) writer.int(number);
}

function readEpoch(reader: Reader): Epoch {
  const length = reader.list();
  if (length > EPOCH_LENGTH_MAX) throw UNREADABLE;
  const epoch: number[] = [];
  for (let i = 0; i < length; i++) epoch.push(reader.uint());
  // Epochs are kept for long: without the room that growing left.
  return epoch.slice();
}

function readMeta(reader: Reader): Meta | null {
  if (reader.nil()) return null;
  const meta = unpack(reader.raw());
  if (!isMeta(meta)) throw UNREADABLE;
  return meta;
}

function unpack(bytes: Uint8Array): unknown {
  try {
    return packr.unpack(bytes);
  } catch {
    throw UNREADABLE;
  }
}

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
  readonly formats: readonly Format[];
  /** All properties of a message, without their values: copying it is faster than adding them one by one. */
  readonly blank: Readonly<Fields>;
}

function toWire(kind: Kind): Wire {
  const { type, number, direction, fields } = LAYOUTS[kind];
  const names = fields.map(([name]) => name);
  const types = fields.map(([, fieldType]) => fieldType);
  const blank = { kind, seq: 0, ...Object.fromEntries(names.map((name) => [name, null])) };
  return { type, number, direction, names, types, formats: types.map((each) => FORMATS[each]), blank };
}

const WIRES = Object.fromEntries(Object.keys(LAYOUTS).map((kind) => [kind, toWire(kind as Kind)])) as Record<
  Kind,
  Wire
>;
