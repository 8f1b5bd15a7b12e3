/**
 * Runs what is to wait for the end of a job, or of a turn, of the event loop: all of it in one go. With a `setImmediate` for
 * each, Node would look after promises in between, and a NATS client would write to its socket after each of a thousand
 * frames; a microtask of its own costs each five times as much.
 */
import { AsyncResource } from "node:async_hooks";
import { rethrowLater } from "./rethrow-later.js";

/** Taken once: what was armed while a test has put its own in place is dropped with that. */
const { setImmediate, queueMicrotask } = globalThis;

export class Batch {
  #waiting: (() => void)[] = [];
  readonly #schedule: (run: () => void) => void;
  /** Callbacks of many requests run together, and in the asynchronous context of none of them. */
  readonly #onEnd = new AsyncResource("fractal-tree.Batch").bind((): void => this.#run());

  /** `schedule` has its argument called once, later. */
  constructor(schedule: (run: () => void) => void) {
    this.#schedule = schedule;
  }

  add(callback: () => void): void {
    if (this.#waiting.length === 0) this.#schedule(this.#onEnd);
    this.#waiting.push(callback);
  }

  /** What these add comes with the next batch. */
  #run(): void {
    const callbacks = this.#waiting;
    this.#waiting = [];
    for (const callback of callbacks) {
      try {
        callback();
      } catch (error) {
        rethrowLater(error);
      }
    }
  }
}

/** At the end of this turn, after the messages that have already arrived. */
export const endOfTurn = new Batch(setImmediate);

/** At the end of this job, before anything else of the event loop. */
export const endOfJob = new Batch(queueMicrotask);
