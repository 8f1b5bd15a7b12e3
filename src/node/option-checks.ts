/** The rules that single options obey. Each check names the option, its value and the rule. */
import type { Threshold } from "../../machines/thresholds.js";
import { InvalidOptionError } from "../errors.js";
import type { Transport } from "../transport/transport.js";

/** Timer delays above this wrap around in Node. */
const DELAY_MAX_MS = 2 ** 31 - 1;

/** Bytes that the largest message without user data takes, rounded up: an error with its text in three-byte characters. */
const TRANSPORT_PAYLOAD_MIN = 8_192;

/** @throws InvalidOptionError, like all below */
export function positiveInteger(option: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidOptionError(option, value, "an integer >= 1");
  return value;
}

/** A delay in milliseconds, 1 to 2^31 - 1. */
export function delay(option: string, value: number): number {
  if (!(Number.isFinite(value) && value >= 1 && value <= DELAY_MAX_MS)) {
    throw new InvalidOptionError(option, value, `a number of milliseconds from 1 to ${DELAY_MAX_MS}`);
  }
  return value;
}

/** Strict, because it travels as a boolean. */
export function flag(option: string, value: boolean): boolean {
  if (typeof value !== "boolean") throw new InvalidOptionError(option, value, "true or false");
  return value;
}

export function atLeast(option: string, value: number, otherName: string, other: number): void {
  if (value < other) throw new InvalidOptionError(option, value, `>= ${otherName} (${other})`);
}

/** An object of the user's that is called later must have these methods now. */
export function withMethods<T extends object>(option: string, value: T, methods: readonly string[]): T {
  const candidate = value as Readonly<Record<string, unknown>> | null;
  const isObject = typeof candidate === "object" && candidate !== null;
  if (!isObject || !methods.every((name) => typeof candidate[name] === "function")) {
    throw new InvalidOptionError(option, value, `an object with the methods ${methods.join(", ")}`);
  }
  return value;
}

export function callable<T>(option: string, value: T): T {
  if (typeof value !== "function") throw new InvalidOptionError(option, value, "a function");
  return value;
}

export function abortSignal(option: string, value: AbortSignal): AbortSignal {
  if (!(value instanceof AbortSignal)) throw new InvalidOptionError(option, value, "an AbortSignal");
  return value;
}

export function list<T>(option: string, value: readonly T[]): readonly T[] {
  if (!Array.isArray(value)) throw new InvalidOptionError(option, value, "an array");
  return value as readonly T[];
}

export function record<T extends object>(option: string, value: T): T {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new InvalidOptionError(option, value, "an object");
  }
  return value;
}

/** One of a few words. */
export function oneOf<T extends string>(option: string, value: T, words: readonly T[]): T {
  if (!words.includes(value)) throw new InvalidOptionError(option, value, `one of ${words.join(", ")}`);
  return value;
}

/** A misspelt option would silently do nothing. */
export function known(option: string, value: object, names: readonly string[]): void {
  const unknown = Object.keys(value).find((name) => !names.includes(name));
  if (unknown === undefined) return;
  const name = option === "options" ? unknown : `${option}.${unknown}`;
  throw new InvalidOptionError(
    name,
    (value as Record<string, unknown>)[unknown],
    `one of the options ${names.join(", ")}`,
  );
}

export function assertThreshold(option: string, threshold: Threshold): void {
  record(option, threshold);
  if ("count" in threshold) {
    positiveInteger(`${option}.count`, threshold.count);
    return;
  }
  const { fraction } = threshold;
  if (!(typeof fraction === "number" && fraction > 0 && fraction <= 1)) {
    throw new InvalidOptionError(`${option}.fraction`, fraction, "a number above 0 and at most 1");
  }
}

export function assertTransport(transport: unknown): void {
  const candidate = transport as Partial<Transport> | null | undefined;
  if (typeof candidate?.publish !== "function" || typeof candidate.subscribe !== "function") {
    const rule = "a Transport, such as memoryTransport() or await connectNats(…)";
    throw new InvalidOptionError("transport", transport, rule);
  }
  const { maxPayloadBytes = 0 } = candidate;
  if (!(maxPayloadBytes >= TRANSPORT_PAYLOAD_MIN)) {
    throw new InvalidOptionError("transport.maxPayloadBytes", maxPayloadBytes, `>= ${TRANSPORT_PAYLOAD_MIN}`);
  }
}
