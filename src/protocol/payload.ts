/**
 * User payloads: one MessagePack value each, opaque to everyone between caller and handler.
 *
 * Allowed are JSON values, Uint8Array, Date and 64-bit bigint. Properties that are undefined are omitted, as in JSON.
 * Everything else is refused at the call, because it would arrive as something else.
 */
import { Packr } from "msgpackr";
import { UnsupportedPayloadError } from "../errors.js";
import { DEPTH_MAX, isWellFormed } from "./well-formed.js";

/**
 * `skipValues` is documented by msgpackr but missing from its types. Without `useToJSON: false` it would call the property
 * `toJSON` of data that also has a property `constructor`, or no prototype.
 */
const OPTIONS = { useRecords: false, mapsAsObjects: true, skipValues: [undefined], useToJSON: false } as object;
const packr = new Packr(OPTIONS);

/** Levels of a payload; one less than the check on arrival allows. */
const PAYLOAD_DEPTH_MAX = DEPTH_MAX - 1;

const INT64_MIN = -(2n ** 63n);
const UINT64_MAX = 2n ** 64n - 1n;

/** Zero bytes stand for undefined. */
export const UNDEFINED_PAYLOAD = new Uint8Array(0);

/**
 * Encodes a payload.
 *
 * @param field how errors name the value, for example "input"
 * @throws UnsupportedPayloadError naming the path of the first part that cannot travel
 */
export function encodePayload(value: unknown, field: string): Uint8Array {
  if (value === undefined) return UNDEFINED_PAYLOAD;
  check(value, field, 0);
  return packr.pack(value);
}

/**
 * Decodes a payload.
 *
 * @throws UnsupportedPayloadError when the bytes are no payload
 */
export function decodePayload(bytes: Uint8Array, field: string): unknown {
  if (bytes.length === 0) return undefined;
  if (!isWellFormed(bytes, { allowTimestamps: true })) throw malformed(field);
  try {
    const value: unknown = packr.unpack(bytes);
    return mayHoldBinary(bytes) ? withPlainBinary(value) : value;
  } catch {
    throw malformed(field);
  }
}

function malformed(field: string): UnsupportedPayloadError {
  return new UnsupportedPayloadError(field, "is not a well-formed MessagePack payload");
}

function check(value: unknown, field: string, depth: number): void {
  switch (typeof value) {
    case "boolean":
      return;
    case "string":
      if (!value.isWellFormed()) throw new UnsupportedPayloadError(field, "is a string with a lone surrogate");
      return;
    case "number":
      if (!Number.isFinite(value)) throw new UnsupportedPayloadError(field, `is ${value}, which is no JSON number`);
      return;
    case "bigint":
      if (value < INT64_MIN || value > UINT64_MAX) throw new UnsupportedPayloadError(field, "exceeds 64 bits");
      return;
    case "object":
      return checkObject(value, field, depth);
    default:
      throw new UnsupportedPayloadError(field, `is of type ${typeof value}, which cannot travel`);
  }
}

function checkObject(value: object | null, field: string, depth: number): void {
  if (value === null || value instanceof Uint8Array) return;
  if (depth >= PAYLOAD_DEPTH_MAX) {
    throw new UnsupportedPayloadError(field, `is nested deeper than ${PAYLOAD_DEPTH_MAX} levels or refers to itself`);
  }
  if (Array.isArray(value)) return checkArray(value, field, depth);
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw new UnsupportedPayloadError(field, "is an invalid Date");
    return;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    const name = (prototype as { constructor?: { name?: string } }).constructor?.name ?? "a class";
    throw new UnsupportedPayloadError(field, `is an instance of ${name}; send a plain object instead`);
  }
  checkProperties(value as Record<string, unknown>, field, depth);
}

function checkArray(values: readonly unknown[], field: string, depth: number): void {
  for (let i = 0; i < values.length; i++) check(values[i], `${field}[${i}]`, depth + 1);
}

function checkProperties(record: Record<string, unknown>, field: string, depth: number): void {
  for (const key of Object.keys(record)) {
    if (key === "__proto__") throw new UnsupportedPayloadError(`${field}.${key}`, "is a reserved property name");
    if (!key.isWellFormed()) throw new UnsupportedPayloadError(field, "has a property name with a lone surrogate");
    const value = record[key];
    if (value !== undefined) check(value, `${field}.${key}`, depth + 1);
  }
}

/** Whether a bin header can be anywhere: most payloads hold none, and the search is native. */
function mayHoldBinary(bytes: Uint8Array): boolean {
  return bytes.includes(0xc4) || bytes.includes(0xc5) || bytes.includes(0xc6);
}

/** Replaces Node's Buffers, which are views into the received message, by copies. */
function withPlainBinary(value: unknown): unknown {
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  if (value instanceof Uint8Array) return new Uint8Array(value);
  const holder = value as Record<string, unknown>;
  for (const key of Object.keys(holder)) holder[key] = withPlainBinary(holder[key]);
  return holder;
}
