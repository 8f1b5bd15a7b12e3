/**
 * Announces a node, attempt by attempt and with backoff, until a parent opens a session.
 *
 * A1. When its own timer was late, the answer may have arrived meanwhile: it is read before the next attempt, which would
 *     make it stale. Ten thousand nodes that start in one process would otherwise keep each other from getting through.
 */
import { nextBackoffMs } from "../../machines/backoff.js";
import type { Clock, Random, Timer } from "../health/clock.js";
import { readFirst } from "../health/late-timer.js";

export interface AnnouncerPort {
  readonly clock: Clock;
  readonly random: Random;
  /** Nothing is lost on the way: a parent that was not there will call. */
  readonly isLossless: boolean;
  announce(attempt: number): void;
}

const BACKOFF = { baseMs: 100, maxMs: 5_000 };
const LOSSLESS_BACKOFF = { baseMs: 2_000, maxMs: 10_000 };
/** Announcements that a newer parent's call is worth while the present one lives. */
const CALL_ATTEMPTS_MAX = 5;

export class Announcer {
  /** The latest attempt: only an offer that answers it counts. */
  attempt = 0;
  readonly #port: AnnouncerPort;
  #isSeeking = false;
  #isRetired = false;
  #delayMs = 0;
  #timer: Timer | null = null;
  #dueAtMs = 0;
  /** Attempts left to answer a newer parent that called. */
  #callAttempts: number | null = null;

  constructor(port: AnnouncerPort) {
    this.#port = port;
  }

  get isSeeking(): boolean {
    return this.#isSeeking;
  }

  /** Whether it answers the call of a newer parent; the present one's offers are no answer meanwhile. */
  get isAnsweringRival(): boolean {
    return this.#callAttempts !== null;
  }

  /** Announces now, and again until it is stopped. */
  start(): void {
    if (this.#isRetired) return;
    this.#isSeeking = true;
    this.#delayMs = 0;
    this.#announce();
  }

  /** A parent called: answers soon, but ten thousand children must not answer one broadcast in the same instant. */
  startSoon({ isRival }: { readonly isRival: boolean }): void {
    if (this.#isRetired) return;
    this.#isSeeking = true;
    this.#delayMs = 0;
    if (isRival) this.#callAttempts = CALL_ATTEMPTS_MAX;
    this.#arm(this.#port.random() * BACKOFF.baseMs);
  }

  /** Announces soon instead of at the end of a long delay, if it announces at all. */
  hurry(): void {
    if (this.#isSeeking) this.startSoon({ isRival: this.#callAttempts !== null });
  }

  stop(): void {
    this.#isSeeking = false;
    this.#callAttempts = null;
    this.#clearTimer();
  }

  /** The node takes leave: no call of a parent brings it back. */
  retire(): void {
    this.#isRetired = true;
    this.stop();
  }

  #announce(): void {
    if (this.#callAttempts !== null && this.#callAttempts-- === 0) return this.stop();
    this.#port.announce(++this.attempt);
    this.#delayMs = nextBackoffMs(this.#backoff, this.#delayMs, this.#port.random());
    this.#arm(this.#delayMs);
  }

  get #backoff(): typeof BACKOFF {
    return this.#port.isLossless && this.#callAttempts === null ? LOSSLESS_BACKOFF : BACKOFF;
  }

  #arm(delayMs: number): void {
    this.#clearTimer();
    this.#dueAtMs = this.#port.clock.now() + delayMs;
    this.#timer = this.#port.clock.setTimeout(() => this.#due(), delayMs);
  }

  #due(): void {
    const timer = this.#timer;
    readFirst(this.#port.clock, this.#dueAtMs, () => {
      if (this.#timer === timer) this.#announce();
    });
  }

  #clearTimer(): void {
    if (this.#timer !== null) this.#port.clock.clearTimeout(this.#timer);
    this.#timer = null;
  }
}
