/**
 * One timeout for many points in time that are mostly never reached, such as the deadlines of calls that are answered
 * long before. It is armed for the earliest; nothing is cleared when that one is no longer waited for: the alarm wakes,
 * finds nothing to do and is armed for the next.
 *
 * When the timer was late, what is waited for may have arrived meanwhile: it is read first.
 */
import { type Clock, NEVER_MS, type Timer } from "../health/clock.js";
import { readFirst } from "../health/late-timer.js";

export interface AlarmPort {
  readonly clock: Clock;
  /** Does what is due and returns when to look again, monotonic milliseconds; Infinity for never. */
  wake(nowMs: number): number;
}

/** A time that no clock shows. */
const UNSET_MS = NEVER_MS;

export class Alarm {
  readonly #port: AlarmPort;
  #timer: Timer | null = null;
  /** Whole milliseconds. */
  #atMs = UNSET_MS;

  constructor(port: AlarmPort) {
    this.#port = port;
  }

  /** Wakes at this time at the latest. */
  coverUntil(atMs: number): void {
    const wholeAtMs = Math.ceil(atMs);
    if (atMs !== Infinity && (this.#atMs === UNSET_MS || wholeAtMs < this.#atMs)) this.#arm(wholeAtMs);
  }

  stop(): void {
    if (this.#timer !== null) this.#port.clock.clearTimeout(this.#timer);
    this.#timer = null;
    this.#atMs = UNSET_MS;
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
    const timer = this.#timer;
    readFirst(this.#port.clock, this.#atMs, () => {
      if (this.#timer === timer) this.#ring();
    });
  }

  #ring(): void {
    this.#timer = null;
    this.#atMs = UNSET_MS;
    this.coverUntil(this.#port.wake(this.#port.clock.now()));
  }
}
