/**
 * Frames to bytes and back. Positional arrays, version first; decoding validates everything and never throws.
 *
 *   frame   [version, session, ack, broadcastAck, credit, [message, …], …]
 *   message [type, kind number, seq, field, …]
 *
 * Elements after the known ones are ignored, so that later versions can add some.
 */
import { estimateField, type Format, FORMATS, readId } from "./fields.js";
import { HOT_FORMATS, type HotFormat } from "./hot-kinds.js";
import { type FieldType, KIND_BY_NUMBERS, LAYOUTS, layoutKey } from "./layouts.js";
import type { Frame, Message, UnknownMessage } from "./messages.js";
import { Reader, UNREADABLE } from "./reader.js";
import { isWellFormed } from "./well-formed.js";
import { Writer } from "./writer.js";

/** One for all frames, of which the largest usual ones take a quarter of its slabs; nobody keeps them. */
const writer = new Writer(65_536);

/** Most messages of one frame. */
export const FRAME_MESSAGES_MAX = 1024;

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
  const wire = WIRES[message.kind];
  writer.list(3 + wire.names.length);
  writer.int(wire.type);
  writer.int(wire.number);
  writer.int(message.seq);
  if (wire.hot === null) writeFields(message as unknown as Fields, wire);
  else wire.hot.write(writer, message);
}

function writeFields(message: Fields, { names, formats }: Wire): void {
  for (let i = 0; i < names.length; i++) (formats[i] as Format).write(writer, message[names[i] as string]);
}

/** An upper bound of a message's encoded size, bytes, without encoding it. */
export function estimateBytes(message: Message): number {
  const wire = WIRES[message.kind];
  return 16 + (wire.hot?.estimate?.(message) ?? estimateFields(message as unknown as Fields, wire));
}

function estimateFields(message: Fields, { names, types }: Wire): number {
  let bytes = 0;
  for (let i = 0; i < names.length; i++) bytes += estimateField(types[i] as FieldType, message[names[i] as string]);
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
  const session = readId(reader);
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
  const wire = WIRES_BY_KEY[layoutKey(type, number)];
  if (wire === undefined) return readUnknown(reader, length, { kind: "unknown", seq, type, unknownKind: number });
  const known = 3 + wire.names.length;
  if (wire.direction !== direction || length < known) throw UNREADABLE;
  const message = wire.hot === null ? readFields(reader, wire, seq) : wire.hot.read(reader, seq);
  for (let i = known; i < length; i++) reader.skip();
  return message;
}

function readUnknown(reader: Reader, length: number, message: UnknownMessage): UnknownMessage {
  for (let i = 3; i < length; i++) reader.skip();
  return message;
}

function readFields(reader: Reader, { blank, names, formats }: Wire, seq: number): Message {
  const message: Fields = { ...blank };
  message["seq"] = seq;
  for (let i = 0; i < names.length; i++) message[names[i] as string] = (formats[i] as Format).read(reader);
  return message as unknown as Message;
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
  /** How the whole of it travels, for the kinds of which there are many. */
  readonly hot: HotFormat | null;
}

function toWire(kind: Kind): Wire {
  const { type, number, direction, fields } = LAYOUTS[kind];
  const names = fields.map(([name]) => name);
  const types = fields.map(([, fieldType]) => fieldType);
  const blank = { kind, seq: 0, ...Object.fromEntries(names.map((name) => [name, null])) };
  const formats = types.map((each) => FORMATS[each]);
  return { type, number, direction, names, types, formats, blank, hot: HOT_FORMATS[kind] ?? null };
}

const WIRES = Object.fromEntries(Object.keys(LAYOUTS).map((kind) => [kind, toWire(kind as Kind)])) as Record<
  Kind,
  Wire
>;

/** By what `layoutKey` makes of the numbers. */
const WIRES_BY_KEY: (Wire | undefined)[] = [];
for (const [key, kind] of KIND_BY_NUMBERS) WIRES_BY_KEY[key] = WIRES[kind];
