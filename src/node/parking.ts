/** Commands that wait for a version of the parent's document: bounded in number, and answered at their deadline. */
import type { CommandRun } from "../protocol/messages.js";
import { type CallSink, type Outcome, refused, uncompleted } from "./call.js";
import type { NodeCore } from "./core.js";
import type { Synchronizer } from "./synchronizer.js";

interface Parked {
  readonly sink: CallSink;
  /** Stops waiting for the version and for the deadline. */
  readonly forget: () => void;
}

export class Parking {
  readonly #core: NodeCore;
  readonly #synchronizer: Synchronizer;
  readonly #parked = new Map<string, Parked>();

  constructor(core: NodeCore, synchronizer: Synchronizer) {
    this.#core = core;
    this.#synchronizer = synchronizer;
  }

  /** Calls `start` with the time left, milliseconds, once the version is there. */
  park(message: CommandRun, sink: CallSink, start: (deadlineMs: number) => void): void {
    const { commandId, minSyncVersion, deadlineMs } = message;
    if (this.#parked.has(commandId)) return;
    if (this.#parked.size >= this.#core.options.queueMax) {
      return sink.settle(refused("OVERLOADED", "too many wait for a sync"), commandId);
    }
    const deadlineAtMs = this.#core.now() + deadlineMs;
    const forgetDeadline = this.#core.wait(() => this.answer(commandId, this.#unstarted()), deadlineMs);
    const forgetVersion = this.#synchronizer.whenReceived(minSyncVersion, () => {
      this.#parked.delete(commandId);
      forgetDeadline();
      start(deadlineAtMs - this.#core.now());
    });
    const forget = (): void => {
      forgetDeadline();
      forgetVersion();
    };
    this.#parked.set(commandId, { sink, forget });
  }

  /** Answers a command that waits; returns whether it did. */
  answer(commandId: string, outcome: Outcome): boolean {
    const parked = this.#parked.get(commandId);
    if (parked === undefined) return false;
    this.#parked.delete(commandId);
    parked.forget();
    parked.sink.settle(outcome, commandId);
    return true;
  }

  /** Refuses all that wait. */
  close(why: string): void {
    for (const commandId of this.#parked.keys()) this.answer(commandId, refused("UNAVAILABLE", why));
  }

  #unstarted(): Outcome {
    if (this.#core.isOver) return refused("UNAVAILABLE", "the node has ended");
    return uncompleted("timedOut", "DEADLINE_EXCEEDED", "the parent's document did not arrive in time");
  }
}
