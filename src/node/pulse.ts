/**
 * The beat of one node: tells others that it lives, and judges who has fallen silent.
 *
 * P1. An interval counts from the last thing sent (fixed delay): other traffic replaces beats, and after a stall there is
 *     no burst of them.
 * P2. A late beat of our own judges nobody before the messages that arrived meanwhile were handled.
 * P3. While our own connection is down, and right after it came back, nobody is judged and nothing is sent.
 */
import { growInterval, jitteredMs } from "../../machines/heartbeat-interval.js";
import type { Timer } from "../health/clock.js";
import type { NodeCore } from "./core.js";

/** One direction in which the node beats. */
export interface BeatPort {
  /** When everyone in this direction was last sent something: the oldest such time; null when nobody is there. */
  sentMs(): number | null;
  /** Promises the next sign of life, milliseconds. */
  beat(nextInMs: number): void;
}

export interface PulsePort {
  readonly children: BeatPort;
  readonly uplink: BeatPort;
  judge(nowMs: number): void;
  forgive(nowMs: number): void;
  /** This process did not run for that long although it was due. */
  stalled(latenessMs: number): void;
  /** When silence is to be looked at next. */
  lookAtMs(): number;
}

/** Lateness of our own timer that counts as trouble of our own, milliseconds. */
const LATE_MS = 200;
/** A beat is due a little before its promise; see `jitteredMs`. */
const DUE_FRACTION = 0.9;

class Beat {
  /** What was promised last, milliseconds. */
  promisedMs: number;
  readonly #port: BeatPort;

  constructor(port: BeatPort, promisedMs: number) {
    this.#port = port;
    this.promisedMs = promisedMs;
  }

  nextAtMs(random: number): number {
    const sentMs = this.#port.sentMs();
    return sentMs === null ? Infinity : sentMs + jitteredMs(this.promisedMs, random);
  }

  isDue(nowMs: number): boolean {
    const sentMs = this.#port.sentMs();
    return sentMs !== null && nowMs >= sentMs + Math.floor(this.promisedMs * DUE_FRACTION);
  }

  send(): void {
    this.#port.beat(Math.ceil(this.promisedMs));
  }
}

export class Pulse {
  readonly #core: NodeCore;
  readonly #port: PulsePort;
  readonly #children: Beat;
  readonly #uplink: Beat;
  #timer: Timer | null = null;
  /** When the timer was to fire; Infinity while stopped. */
  #dueAtMs = Infinity;

  constructor(core: NodeCore, port: PulsePort) {
    this.#core = core;
    this.#port = port;
    this.#children = new Beat(port.children, core.options.heartbeat.minMs);
    this.#uplink = new Beat(port.uplink, core.options.heartbeat.minMs);
  }

  /** What the children were promised, milliseconds. */
  get childrenPromiseMs(): number {
    return Math.ceil(this.#children.promisedMs);
  }

  get uplinkPromiseMs(): number {
    return Math.ceil(this.#uplink.promisedMs);
  }

  /** How long the beat is overdue: after a stall, other callbacks can run before the beat itself does. */
  get latenessMs(): number {
    return Math.max(0, this.#core.now() - this.#dueAtMs);
  }

  /** Begins to beat, or beats at the shortest interval again: something changed. */
  quicken(): void {
    this.#port.stalled(this.latenessMs);
    this.#children.promisedMs = this.#core.options.heartbeat.minMs;
    this.#uplink.promisedMs = this.#core.options.heartbeat.minMs;
    this.#schedule();
  }

  /** A child came, with a promise: when it is the first, the pulse must not sleep longer than that. */
  keepPromise(): void {
    if (this.#dueAtMs !== Infinity && this.#dueAtMs > this.#core.now() + this.#children.promisedMs) this.#schedule();
  }

  stop(): void {
    if (this.#timer !== null) this.#core.options.clock.clearTimeout(this.#timer);
    this.#timer = null;
    this.#dueAtMs = Infinity;
  }

  #schedule(): void {
    const { clock, random, heartbeat } = this.#core.options;
    if (this.#timer !== null) clock.clearTimeout(this.#timer);
    const nowMs = clock.now();
    const beatAtMs = Math.min(this.#children.nextAtMs(random()), this.#uplink.nextAtMs(random()));
    const nextAtMs = Math.min(beatAtMs, this.#port.lookAtMs(), nowMs + heartbeat.maxMs);
    this.#dueAtMs = Math.max(nextAtMs, nowMs + heartbeat.minMs / 10);
    this.#timer = clock.setTimeout(() => this.#wake(), this.#dueAtMs - nowMs);
  }

  #wake(): void {
    this.#timer = null;
    const nowMs = this.#core.now();
    const isLate = this.latenessMs > LATE_MS;
    this.#port.stalled(this.latenessMs);
    if (isLate) this.#core.troubled();
    else this.#core.punctual();
    if (this.#core.options.transport.connected) this.#work(nowMs, isLate);
    else this.#port.forgive(nowMs);
    // Judging can stop the pulse, or quicken it, which schedules by itself.
    if (this.#dueAtMs !== Infinity && this.#timer === null) this.#schedule();
  }

  #work(nowMs: number, isLate: boolean): void {
    for (const beat of [this.#children, this.#uplink]) {
      if (!beat.isDue(nowMs)) continue;
      beat.promisedMs = growInterval(beat.promisedMs, this.#core.options.heartbeat);
      beat.send();
    }
    if (isLate) this.#judgeAfterDraining();
    else this.#port.judge(nowMs);
  }

  /** Two turns of the event loop: one to read what arrived, one to handle it. */
  #judgeAfterDraining(): void {
    const { clock } = this.#core.options;
    clock.defer(() =>
      clock.defer(() => {
        if (this.#dueAtMs !== Infinity) this.#port.judge(clock.now());
      }),
    );
  }
}
