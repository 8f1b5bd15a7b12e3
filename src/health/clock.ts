/**
 * Time as a port: the runtime reads and waits only through a `Clock`, so that whole trees run in virtual time.
 */
export interface Clock {
  /** Monotonic time, milliseconds. */
  now(): number;
  /** Wall-clock time, milliseconds since 1970; used for epochs only, never compared between hosts. */
  wallNow(): number;
  setTimeout(callback: () => void, delayMs: number): Timer;
  clearTimeout(timer: Timer): void;
  /** Runs after the messages that have already arrived were handled: the end of this turn of the event loop. */
  defer(callback: () => void): void;
}

/** Opaque handle of a pending timeout. */
export type Timer = object;

/** A source of randomness in [0, 1). */
export type Random = () => number;

const ID_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz";

/** Before all time, for what has never happened: V8 boxes what is no small integer, in each of many objects. */
export const NEVER_MS = -(2 ** 30);

/** A random identifier of `length` characters of [0-9a-z]. */
export function randomId(random: Random, length: number): string {
  let id = "";
  for (let i = 0; i < length; i++) id += ID_ALPHABET[Math.floor(random() * ID_ALPHABET.length)];
  return id;
}
