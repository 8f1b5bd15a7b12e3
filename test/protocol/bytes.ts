/** Bytes as an attacker would send them, and what every receiver does with them. */
import { UnsupportedPayloadError } from "../../src/errors.js";
import { decodeFrame } from "../../src/protocol/codec.js";
import { decodePayload } from "../../src/protocol/payload.js";
import { DIRECTIONS } from "./arbitraries.js";

/** Decodes as all receivers would: true unless something was thrown that decoding does not promise. */
export function survives(bytes: Uint8Array): boolean {
  for (const direction of DIRECTIONS) decodeFrame(bytes, direction);
  try {
    decodePayload(bytes, "input");
    return true;
  } catch (error) {
    if (error instanceof UnsupportedPayloadError && error.field === "input") return true;
    throw error;
  }
}

export function concat(...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

export function repeat(part: readonly number[], times: number): Uint8Array {
  const bytes = new Uint8Array(part.length * times);
  for (let i = 0; i < times; i++) bytes.set(part, i * part.length);
  return bytes;
}
