/** At most one event for each key and interval; forgets what is older, and never holds more than a bound. */
import type { Clock } from "../health/clock.js";

const KEYS_MAX = 1_000;

export class RateLimit {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #last = new Map<string, number>();

  constructor(clock: Clock, intervalMs: number) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
  }

  allows(key: string): boolean {
    const nowMs = this.#clock.now();
    const lastMs = this.#last.get(key);
    if (lastMs !== undefined && nowMs - lastMs < this.#intervalMs) return false;
    this.#last.delete(key);
    this.#last.set(key, nowMs);
    this.#forgetOldest();
    return true;
  }

  #forgetOldest(): void {
    if (this.#last.size <= KEYS_MAX) return;
    const oldest = this.#last.keys().next().value;
    if (oldest !== undefined) this.#last.delete(oldest);
  }
}
