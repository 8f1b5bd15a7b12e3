/**
 * How each type of field travels. What reads it checks it.
 */
import type { Epoch } from "../../machines/epoch.js";
import type { FieldType } from "./layouts.js";
import type { ErrorCommand, Meta } from "./messages.js";
import { packr } from "./msgpack.js";
import { isPath, PATH_LENGTH_MAX } from "./path.js";
import { type Reader, UNREADABLE } from "./reader.js";
import { TEXT_BYTES_MAX, type Writer } from "./writer.js";

const ID_LENGTH_MAX = 64;
const TEXT_LENGTH_MAX = 4096;
const EPOCH_LENGTH_MAX = 32;
const META_ENTRIES_MAX = 32;

export function readId(reader: Reader): string {
  return reader.text(ID_LENGTH_MAX);
}

export function readText(reader: Reader): string {
  return reader.text(TEXT_LENGTH_MAX);
}

export function readTarget(reader: Reader): string {
  const target = reader.text(PATH_LENGTH_MAX);
  if (target !== "" && !isPath(target)) throw UNREADABLE;
  return target;
}

export function writeEpoch(writer: Writer, epoch: Epoch): void {
  writer.list(epoch.length);
  for (const number of epoch) writer.int(number);
}

export function readEpoch(reader: Reader): Epoch {
  const length = reader.list();
  if (length > EPOCH_LENGTH_MAX) throw UNREADABLE;
  const epoch: number[] = [];
  for (let i = 0; i < length; i++) epoch.push(reader.uint());
  // Epochs are kept for long: without the room that growing left.
  return Object.freeze(epoch.slice());
}

/** Sessions of one message; what more are to be acknowledged come in another one. */
export const ACKS_MAX = 65_536;

export function writeAcks(writer: Writer, acks: readonly (string | number)[]): void {
  writer.list(acks.length);
  for (const each of acks) {
    if (typeof each === "string") writer.text(each);
    else writer.int(each);
  }
}

export function readAcks(reader: Reader): readonly (string | number)[] {
  const length = reader.list();
  if (length % 2 !== 0 || length > 2 * ACKS_MAX) throw UNREADABLE;
  const acks: (string | number)[] = [];
  while (acks.length < length) acks.push(readId(reader), reader.uint());
  return acks;
}

export function writeMeta(writer: Writer, meta: Meta | null): void {
  if (meta === null) writer.nil();
  else writer.raw(packr.pack(meta));
}

export function readMeta(reader: Reader): Meta | null {
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

/** What a call came to that did not succeed. */
export function writeFailure(
  writer: Writer,
  { status, code, message, handlerCode }: Pick<ErrorCommand, "status" | "code" | "message" | "handlerCode">,
): void {
  writer.int(status);
  writer.text(code);
  writer.text(message);
  writer.text(handlerCode);
}

/** What a field takes at most, bytes. */
export function estimateField(type: FieldType, value: unknown): number {
  if (type === "bin") return (value as Uint8Array).length + 5;
  if (type === "acks") return estimateAcks(value as readonly (string | number)[]);
  if (type === "epoch") return (value as readonly number[]).length * 9 + 3;
  if (type === "meta") return estimateMeta(value as Meta | null);
  return estimateOne(value);
}

function estimateOne(value: unknown): number {
  return typeof value === "string" ? value.length * TEXT_BYTES_MAX + 5 : 9;
}

function estimateAcks(acks: readonly (string | number)[]): number {
  let bytes = 5;
  for (const each of acks) bytes += estimateOne(each);
  return bytes;
}

export function estimateMeta(meta: Meta | null): number {
  if (meta === null) return 1;
  let bytes = 5;
  for (const key of Object.keys(meta)) bytes += (key.length + (meta[key] as string).length) * TEXT_BYTES_MAX + 10;
  return bytes;
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

/** Whether a value can be `meta`: a plain map of at most 32 well-formed texts. */
export function isMeta(value: unknown): value is Readonly<Record<string, string>> {
  if (typeof value !== "object" || value === null || Object.hasOwn(value, "__proto__")) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  const entries = Object.entries(value);
  return (
    entries.length <= META_ENTRIES_MAX && entries.every(([name, text]) => isWellFormed(name) && isWellFormed(text))
  );
}

function isWellFormed(value: unknown): boolean {
  return typeof value === "string" && value.isWellFormed();
}
