/**
 * What to do when an own timer was late: messages may have arrived meanwhile that nobody has read yet, and what the timer was
 * to do would ignore them. A process with ten thousand nodes would otherwise repeat what was answered long ago.
 */
import type { Clock } from "./clock.js";

/** Lateness of the own timer after which messages may be waiting to be read, milliseconds. */
const UNREAD_AFTER_MS = 30;

/** Calls back when what has arrived was read and handled: what was published in this turn is read in the next one. */
export function afterReading(clock: Clock, callback: () => void): void {
  clock.defer(() => clock.defer(callback));
}

/** Calls back for a timer that was due at that time: at once, or if it fires late, when what has arrived was read. */
export function readFirst(clock: Clock, dueAtMs: number, callback: () => void): void {
  if (clock.now() - dueAtMs <= UNREAD_AFTER_MS) callback();
  else afterReading(clock, callback);
}
