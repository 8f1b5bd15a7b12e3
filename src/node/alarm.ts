/**
 * One timeout for many points in time that are mostly never reached, such as the deadlines of calls that are answered
 * long before. It is armed for the earliest; nothing is cleared when that one is no longer waited for: the alarm wakes,
 * finds nothing to do and is armed for the next.
 *
 * When the timer was late, what is waited for may have arrived meanwhile: it is read first.
 */
import type { Clock, Timer } from "../health/clock.js";

export interface AlarmPort {
  readonly clock: Clock;
  /** Does what is due and returns when to look again, monotonic milliseconds; Infinity for never. */
  wake(nowMs: number): number;
}

/** Lateness of the own timer after which messages may be waiting to be read, milliseconds. */
const LATE_MS = 30;

export class Alarm {
  readonly #port: AlarmPort;
  #timer: Timer | null = null;
  #atMs = Infinity;

  constructor(port: AlarmPort) {
    this.#port = port;
  }

  /** Wakes at this time at the latest. */
  coverUntil(atMs: number): void {
    if (atMs < this.#atMs) this.#arm(atMs);
  }

  stop(): void {
    if (this.#timer !== null) this.#port.clock.clearTimeout(this.#timer);
    this.#timer = null;
    this.#atMs = Infinity;
  }

  #arm(atMs: number): void {
    this.stop();
    this.#atMs = atMs;
    const { clock } = this.#port;
    // Whole milliseconds: rounding must not have it wake just before the time, again and again.
    const delayMs = Math.max(0, Math.ceil(atMs - clock.now()));
    this.#timer = clock.setTimeout(() => this.#due(), delayMs);
  }

  #due(): void {
    const { clock } = this.#port;
    if (clock.now() - this.#atMs <= LATE_MS) return this.#ring();
    const timer = this.#timer;
    const ring = (): void => {
      if (this.#timer === timer) this.#ring();
    };
    // What was published in this turn is read in the next one.
    clock.defer(() => clock.defer(ring));
  }

  #ring(): void {
    this.#timer = null;
    this.#atMs = Infinity;
    this.coverUntil(this.#port.wake(this.#port.clock.now()));
  }
}
