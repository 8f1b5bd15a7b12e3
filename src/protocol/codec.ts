/**
 * Frames to bytes and back. Positional arrays, version first; decoding validates everything and never throws.
 *
 *   frame   [version, session, ack, broadcastAck, credit, [message, …], …]
 *   message [type, kind number, seq, field, …]
 *
 * Elements after the known ones are ignored, so that later versions can add some.
 */
import { DOWN_FORMATS, estimateCommand, type MessageFormat } from "./down-formats.js";
import { estimateField, readId } from "./fields.js";
import { KIND_BY_NUMBERS, type Layout, LAYOUTS, layoutKey } from "./layouts.js";
import type { Frame, Message, UnknownMessage } from "./messages.js";
import { Reader, UNREADABLE } from "./reader.js";
import { estimateCompletion, UP_FORMATS } from "./up-formats.js";
import { isWellFormed } from "./well-formed.js";
import { Writer } from "./writer.js";

/** One for all frames, of which the largest usual ones take a quarter of its slabs; nobody keeps them. */
const writer = new Writer(262_144);

/** Most messages of one frame. */
export const FRAME_MESSAGES_MAX = 1024;

/** Bytes of a frame that are no messages, rounded up: mostly a session id of another program in three-byte characters. */
export const FRAME_OVERHEAD_BYTES = 256;

/** A message's type, kind and number, at most. */
const ENVELOPE_BYTES = 16;

type Kind = Message["kind"];

/** A frame of messages that we know. */
export type Outgoing = Frame & { readonly messages: readonly Message[] };

export type Decoded =
  | { readonly kind: "frame"; readonly frame: Frame }
  /** `reason` is one of a few fixed texts, fit for counting. */
  | { readonly kind: "malformed"; readonly reason: string };

export function encodeFrame(frame: Outgoing): Uint8Array {
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
  writer.list(wire.length);
  writer.int(wire.type);
  writer.int(wire.number);
  writer.int(message.seq);
  wire.format.write(writer, message);
}

/** An upper bound of a message's encoded size, bytes, without encoding it. */
export function estimateBytes(message: Message): number {
  return ENVELOPE_BYTES + estimateContent(message);
}

/** Of what nearly all large frames are made of, without a look into the layouts. */
function estimateContent(message: Message): number {
  if (message.kind === "complete.command") return estimateCompletion(message);
  if (message.kind === "command.run") return estimateCommand(message);
  return estimateFields(message as unknown as Record<string, unknown>, WIRES[message.kind].fields);
}

function estimateFields(message: Readonly<Record<string, unknown>>, fields: Layout["fields"]): number {
  return fields.reduce((bytes, [name, type]) => bytes + estimateField(type, message[name]), 0);
}

/** One for all frames, each of which is read to its end. */
const reader = new Reader();
/** At each moment what is wrong if reading fails there. */
let fault = "";

export function decodeFrame(bytes: Uint8Array, direction: "down" | "up"): Decoded {
  reader.open(bytes);
  try {
    return { kind: "frame", frame: readFrame(direction) };
  } catch (error) {
    if (error !== UNREADABLE) throw error;
    // What is no MessagePack at all is called so, wherever we noticed it.
    const isWhole = isWellFormed(bytes, { allowTimestamps: false });
    return { kind: "malformed", reason: isWhole ? fault : "not MessagePack" };
  } finally {
    reader.close();
  }
}

function readFrame(direction: "down" | "up"): Frame {
  fault = "not a frame";
  const length = reader.list();
  if (length < 6) throw UNREADABLE;
  fault = "bad version";
  const version = reader.uint();
  if (version < 1) throw UNREADABLE;
  fault = "bad header";
  const session = readId(reader);
  const ack = reader.uint();
  const broadcastAck = reader.uint();
  const credit = reader.uint();
  fault = "bad messages";
  const messages = readMessages(direction);
  for (let i = 6; i < length; i++) reader.skip();
  if (!reader.isAtEnd) throw UNREADABLE;
  return { version, session, ack, broadcastAck, credit, messages };
}

function readMessages(direction: "down" | "up"): readonly (Message | UnknownMessage)[] {
  const count = reader.list();
  if (count > FRAME_MESSAGES_MAX) throw UNREADABLE;
  fault = "bad message";
  // oxlint-disable-next-line unicorn/no-new-array -- one that grows begins with room for seventeen
  const messages = new Array<Message | UnknownMessage>(count);
  for (let i = 0; i < count; i++) messages[i] = readMessage(direction);
  return messages;
}

function readMessage(direction: "down" | "up"): Message | UnknownMessage {
  const length = reader.list();
  if (length < 3) throw UNREADABLE;
  const type = reader.uint();
  const number = reader.uint();
  const seq = reader.int();
  if (type > 255 || number > 255) throw UNREADABLE;
  const wire = WIRES_BY_KEY[layoutKey(type, number)];
  if (wire === undefined) return readUnknown(length, { kind: "unknown", seq, type, unknownKind: number });
  if (wire.direction !== direction || length < wire.length) throw UNREADABLE;
  const message = wire.format.read(reader, seq);
  for (let i = wire.length; i < length; i++) reader.skip();
  return message;
}

function readUnknown(length: number, message: UnknownMessage): UnknownMessage {
  for (let i = 3; i < length; i++) reader.skip();
  return message;
}

interface Wire extends Layout {
  /** Elements that a message has at least. */
  readonly length: number;
  readonly format: MessageFormat<Message>;
}

const FORMATS = { ...DOWN_FORMATS, ...UP_FORMATS } as unknown as Readonly<Record<Kind, MessageFormat<Message>>>;

function toWire(kind: Kind): Wire {
  const layout = LAYOUTS[kind];
  return { ...layout, length: 3 + layout.fields.length, format: FORMATS[kind] };
}

const WIRES = Object.fromEntries(Object.keys(LAYOUTS).map((kind) => [kind, toWire(kind as Kind)])) as Record<
  Kind,
  Wire
>;

/** By what `layoutKey` makes of the numbers. */
const WIRES_BY_KEY: (Wire | undefined)[] = [];
for (const [key, kind] of KIND_BY_NUMBERS) WIRES_BY_KEY[key] = WIRES[kind];
