/**
 * User payloads: one MessagePack value each, opaque to everyone between caller and handler.
 *
 * Allowed are JSON values, Uint8Array, Date and 64-bit bigint. Properties that are undefined are omitted, as in JSON.
 * Everything else is refused at the call, because it would arrive as something else.
 */
import { Packr } from "msgpackr";
import { UnsupportedPayloadError } from "../errors.js";
import { DEPTH_MAX, survey } from "./well-formed.js";

/** Without `useToJSON: false` it would call the property `toJSON` of data that also has a property `constructor`, or no prototype. */
const OPTIONS = { useRecords: false, mapsAsObjects: true, useToJSON: false };
const packr = new Packr(OPTIONS);

/** Omits what is undefined, which costs a sixth more. `skipValues` is documented by msgpackr but missing from its types. */
const omitting = new Packr({ ...OPTIONS, skipValues: [undefined] } as object);

const PAYLOADS = { allowTimestamps: true };

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
  hasUndefined = false;
  const found = faultOf(value, 0);
  if (found !== null) throw new UnsupportedPayloadError(`${field}${found.place}`, found.rule);
  return (hasUndefined ? omitting : packr).pack(value);
}

/**
 * Decodes a payload.
 *
 * @throws UnsupportedPayloadError when the bytes are no payload
 */
export function decodePayload(bytes: Uint8Array, field: string): unknown {
  if (bytes.length === 0) return undefined;
  const { end, hasBinary } = survey(bytes, 0, PAYLOADS);
  if (end !== bytes.length) throw malformed(field);
  try {
    const value: unknown = packr.unpack(bytes);
    return hasBinary ? withPlainBinary(value) : value;
  } catch {
    throw malformed(field);
  }
}

function malformed(field: string): UnsupportedPayloadError {
  return new UnsupportedPayloadError(field, "is not a well-formed MessagePack payload");
}

/** A property of the value that was looked at last is undefined. */
let hasUndefined = false;

/** What keeps a value from travelling. */
interface Fault {
  /** Where in the value: ".a[1]"; empty for the value itself. */
  readonly place: string;
  readonly rule: string;
}

function fault(rule: string): Fault {
  return { place: "", rule };
}

/** The first fault in a value. Its place is put together on the way back: nearly all values have none. */
function faultOf(value: unknown, depth: number): Fault | null {
  switch (typeof value) {
    case "boolean":
      return null;
    case "string":
      return value.isWellFormed() ? null : fault("is a string with a lone surrogate");
    case "number":
      return Number.isFinite(value) ? null : fault(`is ${value}, which is no JSON number`);
    case "bigint":
      return value < INT64_MIN || value > UINT64_MAX ? fault("exceeds 64 bits") : null;
    case "object":
      return faultOfObject(value, depth);
    default:
      return fault(`is of type ${typeof value}, which cannot travel`);
  }
}

function faultOfObject(value: object | null, depth: number): Fault | null {
  if (value === null) return null;
  const isList = Array.isArray(value);
  const prototype: unknown = isList ? null : Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return faultOfInstance(value);
  if (depth >= PAYLOAD_DEPTH_MAX) return fault(`is nested deeper than ${PAYLOAD_DEPTH_MAX} levels or refers to itself`);
  return isList ? faultOfArray(value, depth) : faultOfProperties(value as Record<string, unknown>, depth);
}

function faultOfInstance(value: object): Fault | null {
  if (value instanceof Uint8Array) return null;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? fault("is an invalid Date") : null;
  const { constructor } = Object.getPrototypeOf(value) as { constructor?: { name?: string } };
  return fault(`is an instance of ${constructor?.name ?? "a class"}; send a plain object instead`);
}

function faultOfArray(values: readonly unknown[], depth: number): Fault | null {
  for (let i = 0; i < values.length; i++) {
    const found = faultOf(values[i], depth + 1);
    if (found !== null) return { ...found, place: `[${i}]${found.place}` };
  }
  return null;
}

function faultOfProperties(record: Record<string, unknown>, depth: number): Fault | null {
  // Inherited ones come too, though they do not travel: this is several times faster than a list of the own ones.
  for (const key in record) {
    const found = faultOfProperty(key, record[key], depth);
    if (found !== null && Object.hasOwn(record, key)) return found;
  }
  return null;
}

function faultOfProperty(key: string, value: unknown, depth: number): Fault | null {
  if (key === "__proto__") return { place: `.${key}`, rule: "is a reserved property name" };
  if (!key.isWellFormed()) return fault("has a property name with a lone surrogate");
  if (value === undefined) hasUndefined = true;
  const found = value === undefined ? null : faultOf(value, depth + 1);
  return found === null ? null : { ...found, place: `.${key}${found.place}` };
}

/** Replaces Node's Buffers, which are views into the received message, by copies. */
function withPlainBinary(value: unknown): unknown {
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  if (value instanceof Uint8Array) return new Uint8Array(value);
  const holder = value as Record<string, unknown>;
  for (const key of Object.keys(holder)) holder[key] = withPlainBinary(holder[key]);
  return holder;
}
