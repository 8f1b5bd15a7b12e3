/**
 * Runs what is to wait for the end of a job, or of a turn, of the event loop: all of it in one go. With a `setImmediate` for
 * each, Node would look after promises in between, and a NATS client would write to its socket after each of a thousand
 * frames; a microtask of its own costs each five times as much.
 */
import { AsyncResource } from "node:async_hooks";
import { rethrowLater } from "./rethrow-later.js";

/** Taken once: what was armed while a test has put its own in place is dropped with that. */
const { setImmediate, queueMicrotask } = globalThis;

class Batch<Item> {
  #waiting: Item[] = [];
  readonly #schedule: (run: () => void) => void;
  readonly #end: (item: Item) => void;
  /** What waits for many requests runs together, and in the asynchronous context of none of them. */
  readonly #onEnd = new AsyncResource("fractal-tree.Batch").bind((): void => this.#run());

  /** `schedule` has its argument called once, later; `end` does what waits for that with one item. */
  constructor(schedule: (run: () => void) => void, end: (item: Item) => void) {
    this.#schedule = schedule;
    this.#end = end;
  }

  add(item: Item): void {
    if (this.#waiting.length === 0) this.#schedule(this.#onEnd);
    this.#waiting.push(item);
  }

  /** What these add comes with the next batch. */
  #run(): void {
    const items = this.#waiting;
    this.#waiting = [];
    for (const item of items) {
      try {
        this.#end(item);
      } catch (error) {
        rethrowLater(error);
      }
    }
  }
}

/** At the end of this turn, after the messages that have already arrived. */
export const endOfTurn = new Batch<() => void>(setImmediate, (callback) => callback());

/** Flushes at the end of this job, before anything else of the event loop. */
export const endOfJob = new Batch<{ flush(): void }>(queueMicrotask, (each) => each.flush());
