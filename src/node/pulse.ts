/**
 * The beat of one node: tells others that it lives, and judges who has fallen silent.
 *
 * P1. An interval counts from the last thing sent (fixed delay): other traffic replaces beats, and after a stall there is
 *     no burst of them.
 * P2. A late beat of our own judges nobody before the messages that arrived meanwhile were handled.
 * P3. While our own connection is down, and right after it came back, nobody is judged and nothing is sent.
 * P4. Between nodes of one thread the pulse is calm: it beats rarely while there is nothing to tell.
 */
import { growInterval, jitteredMs } from "../../machines/heartbeat-interval.js";
import type { Timer } from "../health/clock.js";
import { afterReading } from "../health/late-timer.js";
import type { NodeCore } from "./core.js";

export interface PulsePort {
  readonly core: NodeCore;
  /** When all children were last sent something: the oldest such time; null when nobody is there. */
  readonly childrenSentMs: number | null;
  /** When the parent was last sent something; null when it is not there. */
  readonly uplinkSentMs: number | null;
  /** The parent is in our thread, or there is none and the transport does not leave it. */
  readonly isUplinkLocal: boolean;
  /** So are all children with a session. */
  readonly areChildrenLocal: boolean;
  /** The parent is told something new with the next beat, or soon. */
  readonly hasNews: boolean;
  /** Promises the children the next sign of life, milliseconds. */
  beatChildren(nextInMs: number): void;
  beatUplink(nextInMs: number): void;
  judge(nowMs: number): void;
  forgive(nowMs: number): void;
  /** This process did not run for that long although it was due. */
  stalled(latenessMs: number): void;
  /** When silence is to be looked at next. */
  readonly lookAtMs: number;
}

/** Lateness of our own timer that counts as trouble of our own, milliseconds. */
const LATE_MS = 200;
/** A beat is due a little before its promise; see `jitteredMs`. */
const DUE_FRACTION = 0.9;

export class Pulse {
  readonly #core: NodeCore;
  #uplinkMs: number;
  #isBeating = false;
  /** When the timer is to fire, whole milliseconds. */
  #dueAtMs = 0;
  readonly #port: PulsePort;
  /** What was promised last, milliseconds. */
  #childrenMs: number;
  #timer: Timer | null = null;
  readonly #onTimer: () => void;

  constructor(port: PulsePort) {
    this.#core = port.core;
    this.#port = port;
    this.#onTimer = this.#wake.bind(this);
    this.#childrenMs = port.core.options.heartbeat.minMs;
    this.#uplinkMs = port.core.options.heartbeat.minMs;
  }

  /** What a child is promised that is offered a session, milliseconds. */
  promiseFor(isLocal: boolean): number {
    const { minMs } = this.#core.options.heartbeat;
    return Math.ceil(isLocal || this.#childrenMs <= this.#longestMs(false) ? this.#childrenMs : minMs);
  }

  get uplinkPromiseMs(): number {
    return Math.ceil(this.#uplinkMs);
  }

  /** How long the beat is overdue: after a stall, other callbacks can run before the beat itself does. */
  latenessMs(nowMs: number): number {
    return this.#isBeating ? Math.max(0, nowMs - this.#dueAtMs) : 0;
  }

  /** Begins to beat, or beats at the shortest interval again: something changed. */
  quicken(): void {
    this.#port.stalled(this.latenessMs(this.#core.now()));
    this.#childrenMs = this.#firstMs(this.#port.areChildrenLocal);
    this.#uplinkMs = this.#firstMs(this.#port.isUplinkLocal);
    this.#schedule();
  }

  /** The parent in our thread is to hear of work: a handler starts, or progress was made. */
  enliven(): void {
    if (!this.#isBeating) return;
    this.#uplinkMs = this.#core.options.heartbeat.minMs;
    this.#schedule();
  }

  /** A child came from elsewhere, with a promise, or its progress is to be watched: the pulse must not sleep for longer. */
  keepPromise(): void {
    this.#childrenMs = this.promiseFor(false);
    if (this.#isBeating && this.#dueAtMs > this.#core.now() + this.#childrenMs) this.#schedule();
  }

  stop(): void {
    if (this.#timer !== null) this.#core.options.clock.clearTimeout(this.#timer);
    this.#timer = null;
    this.#isBeating = false;
  }

  #schedule(): void {
    const { clock, random, heartbeat } = this.#core.options;
    const isCalm = this.#port.isUplinkLocal && this.#port.areChildrenLocal;
    if (this.#timer !== null) clock.clearTimeout(this.#timer);
    const nowMs = clock.now();
    const childrenAtMs = nextAtMs(this.#port.childrenSentMs, this.#childrenMs, random());
    const uplinkAtMs = nextAtMs(this.#port.uplinkSentMs, this.#uplinkMs, random());
    const atMs = Math.min(childrenAtMs, uplinkAtMs, this.#port.lookAtMs, nowMs + this.#longestMs(isCalm));
    this.#isBeating = true;
    this.#dueAtMs = Math.ceil(Math.max(atMs, nowMs + heartbeat.minMs / 10));
    this.#timer = clock.setTimeout(this.#onTimer, this.#dueAtMs - nowMs);
    this.#core.isCalm = this.#uplinkMs > heartbeat.maxMs;
  }

  #wake(): void {
    this.#timer = null;
    const nowMs = this.#core.now();
    const latenessMs = this.latenessMs(nowMs);
    const isLate = latenessMs > LATE_MS;
    this.#port.stalled(latenessMs);
    if (isLate) this.#core.troubled();
    else this.#core.punctual();
    if (this.#core.options.transport.connected) this.#work(nowMs, isLate);
    else this.#port.forgive(nowMs);
    // Judging can stop the pulse, or quicken it, which schedules by itself.
    if (this.#isBeating && this.#timer === null) this.#schedule();
  }

  #work(nowMs: number, isLate: boolean): void {
    if (isDue(this.#port.childrenSentMs, this.#childrenMs, nowMs)) {
      this.#childrenMs = this.#nextMs(this.#childrenMs, this.#port.areChildrenLocal);
      this.#port.beatChildren(Math.ceil(this.#childrenMs));
    }
    if (isDue(this.#port.uplinkSentMs, this.#uplinkMs, nowMs)) {
      this.#uplinkMs = this.#nextMs(this.#uplinkMs, this.#port.isUplinkLocal && !this.#port.hasNews);
      this.#port.beatUplink(this.uplinkPromiseMs);
    }
    if (isLate) this.#judgeAfterDraining();
    else this.#port.judge(nowMs);
  }

  /** The interval after a change. Ten thousand nodes that start together must not beat together every time from then on. */
  #firstMs(isCalm: boolean): number {
    const { heartbeat, random } = this.#core.options;
    return isCalm ? Math.max(heartbeat.minMs, Math.ceil(this.#longestMs(true) * random())) : heartbeat.minMs;
  }

  /** The interval after one more undisturbed beat. */
  #nextMs(intervalMs: number, isCalm: boolean): number {
    return isCalm ? this.#longestMs(true) : growInterval(intervalMs, this.#core.options.heartbeat);
  }

  #longestMs(isCalm: boolean): number {
    const { localIntervalMs, heartbeat } = this.#core.options;
    return isCalm ? localIntervalMs : heartbeat.maxMs;
  }

  #judgeAfterDraining(): void {
    const { clock } = this.#core.options;
    afterReading(clock, () => {
      if (this.#isBeating) this.#port.judge(clock.now());
    });
  }
}

function nextAtMs(sentMs: number | null, promisedMs: number, random: number): number {
  return sentMs === null ? Infinity : sentMs + jitteredMs(promisedMs, random);
}

function isDue(sentMs: number | null, promisedMs: number, nowMs: number): boolean {
  return sentMs !== null && nowMs >= sentMs + Math.floor(promisedMs * DUE_FRACTION);
}
