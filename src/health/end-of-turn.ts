/**
 * Runs what is to wait for the end of a turn of the event loop, all of it in one go. With a `setImmediate` for each, Node
 * would look after promises in between, and a NATS client would write to its socket after each of a thousand frames.
 */
import { AsyncResource } from "node:async_hooks";
import { rethrowLater } from "./rethrow-later.js";

/** Taken once: what was armed while a test has put its own in place is dropped with that. */
const { setImmediate } = globalThis;

export class EndOfTurn {
  #waiting: (() => void)[] = [];
  /** Callbacks of many requests run together, and in the asynchronous context of none of them. */
  readonly #onEnd = new AsyncResource("fractal-tree.EndOfTurn").bind((): void => this.#run());

  add(callback: () => void): void {
    if (this.#waiting.length === 0) setImmediate(this.#onEnd);
    this.#waiting.push(callback);
  }

  /** What these add comes at the end of the next turn. */
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
