/**
 * User payloads: one MessagePack value each, opaque to everyone between caller and handler.
 *
 * Allowed are JSON values, Uint8Array, Date and 64-bit bigint. Properties that are undefined are omitted, as in JSON.
 * Everything else is refused at the call, because it would arrive as something else.
 */
import { UnsupportedPayloadError } from "../errors.js";
import { packr } from "./msgpack.js";
import { decodeValue } from "./payload-decoder.js";
import { PayloadEncoder } from "./payload-encoder.js";
import { survey } from "./well-formed.js";

const sent = new PayloadEncoder();
const kept = new PayloadEncoder();

const PAYLOADS = { allowTimestamps: true };

/** Zero bytes stand for undefined. */
export const UNDEFINED_PAYLOAD = new Uint8Array(0);

/**
 * Encodes a payload that is let go once it has arrived.
 *
 * @param field how errors name the value, for example "input"
 * @throws UnsupportedPayloadError naming the path of the first part that cannot travel
 */
export function encodePayload(value: unknown, field: string): Uint8Array {
  return encodeBy(sent, value, field);
}

/** As `encodePayload`, for what is kept for long: it keeps none of the other payloads alive. */
export function encodeKept(value: unknown, field: string): Uint8Array {
  return encodeBy(kept, value, field);
}

function encodeBy(encoder: PayloadEncoder, value: unknown, field: string): Uint8Array {
  if (value === undefined) return UNDEFINED_PAYLOAD;
  const encoded = encoder.encode(value);
  if (encoded instanceof Uint8Array) return encoded;
  throw new UnsupportedPayloadError(`${field}${encoded.place}`, encoded.rule);
}

/**
 * Decodes a payload.
 *
 * @throws UnsupportedPayloadError when the bytes are no payload
 */
export function decodePayload(bytes: Uint8Array, field: string): unknown {
  if (bytes.length === 0) return undefined;
  try {
    return decodeValue(bytes);
  } catch {
    // Other types, no payload, or names that cannot be set since somebody has frozen what all objects inherit.
    return decodeRarely(bytes, field);
  }
}

/** Payloads with dates or bigints, and what is none. */
function decodeRarely(bytes: Uint8Array, field: string): unknown {
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

/** Replaces Node's Buffers, which are views into the received message, by copies. */
function withPlainBinary(value: unknown): unknown {
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  if (value instanceof Uint8Array) return new Uint8Array(value);
  const holder = value as Record<string, unknown>;
  for (const key of Object.keys(holder)) holder[key] = withPlainBinary(holder[key]);
  return holder;
}
