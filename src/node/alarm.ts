/**
 * One timeout for many points in time that are mostly never reached, such as the deadlines of calls that are answered
 * long before. It is armed for the earliest; nothing is cleared when that one is no longer waited for: the alarm wakes,
 * finds nothing to do and is armed for the next.
 *
 * Alarms for the same millisecond share a timeout of the clock: after a command to ten thousand nodes there are as many.
 *
 * When the timer was late, what is waited for may have arrived meanwhile: it is read first.
 */
import type { Clock, Timer } from "../health/clock.js";
import { readFirst } from "../health/late-timer.js";
import { rethrowLater } from "../health/rethrow-later.js";

export interface AlarmPort {
  readonly clock: Clock;
  /** Does what is due and returns when to look again, monotonic milliseconds; Infinity for never. */
  wake(nowMs: number): number;
}

export class Alarm {
  readonly #port: AlarmPort;
  #moment: Moment | null = null;
  /** When it wakes, whole milliseconds, and where it stands among those that do. */
  #atMs = 0;
  #place = 0;

  constructor(port: AlarmPort) {
    this.#port = port;
  }

  /** Wakes at this time at the latest. */
  coverUntil(atMs: number): void {
    if (atMs === Infinity) return;
    // Rounding must not have it wake just before the time, again and again.
    const wholeAtMs = Math.ceil(atMs);
    if (this.#moment === null || wholeAtMs < this.#atMs) this.#arm(wholeAtMs);
  }

  stop(): void {
    this.#moment?.remove(this.#place);
    this.#moment = null;
  }

  #arm(atMs: number): void {
    this.stop();
    this.#atMs = atMs;
    this.#moment = momentAt(this.#port.clock, atMs);
    this.#place = this.#moment.add(this);
  }

  /** Of the moment. */
  ring(): void {
    this.#moment = null;
    this.coverUntil(this.#port.wake(this.#port.clock.now()));
  }
}

type Moments = Map<number, Moment>;

/** Those at which somebody wakes, by time. */
const pending = new WeakMap<Clock, Moments>();

function momentAt(clock: Clock, atMs: number): Moment {
  let moments = pending.get(clock);
  if (moments === undefined) pending.set(clock, (moments = new Map()));
  let moment = moments.get(atMs);
  if (moment === undefined) moments.set(atMs, (moment = new Moment(clock, moments, atMs)));
  return moment;
}

/** A millisecond at which alarms wake. */
class Moment {
  readonly #clock: Clock;
  readonly #moments: Moments;
  readonly #atMs: number;
  readonly #timer: Timer;
  /** In the order in which they were armed; null for those that were stopped. */
  readonly #alarms: (Alarm | null)[] = [];
  #waiting = 0;

  constructor(clock: Clock, moments: Moments, atMs: number) {
    this.#clock = clock;
    this.#moments = moments;
    this.#atMs = atMs;
    this.#timer = clock.setTimeout(() => this.#due(), Math.max(0, Math.ceil(atMs - clock.now())));
  }

  /** Returns its place. */
  add(alarm: Alarm): number {
    this.#waiting++;
    return this.#alarms.push(alarm) - 1;
  }

  remove(place: number): void {
    this.#alarms[place] = null;
    if (--this.#waiting > 0) return;
    this.#clock.clearTimeout(this.#timer);
    this.#forget();
  }

  #forget(): void {
    if (this.#moments.get(this.#atMs) === this) this.#moments.delete(this.#atMs);
  }

  #due(): void {
    readFirst(this.#clock, this.#atMs, () => this.#ring());
  }

  /** What is armed for this very time from now on has a moment of its own. */
  #ring(): void {
    this.#forget();
    for (const alarm of this.#alarms) {
      try {
        alarm?.ring();
      } catch (error) {
        rethrowLater(error);
      }
    }
  }
}
