/** One call under way over one link, and who waits for it. */
import type { CommandState } from "../../machines/command.js";
import type { Timer } from "../health/clock.js";
import type { Meta } from "../protocol/messages.js";
import type { CallSink, Outcome } from "./call.js";

/** What a call says to whomever it goes. */
export interface CallContent {
  readonly name: string;
  readonly input: Uint8Array;
  /** Monotonic time at which it expires, milliseconds. */
  readonly deadlineAtMs: number;
  readonly idempotent: boolean;
  readonly minSyncVersion: number;
  readonly meta: Meta | null;
}

/** A call as its caller hands it to a link. */
export interface OutgoingCall {
  readonly id: string;
  /** Path below the peer, or empty for the peer itself; set when it is handed to a link. */
  target: string;
  readonly content: CallContent;
  readonly sink: CallSink;
}

export class CallEntry {
  readonly call: OutgoingCall;
  state: CommandState = "queued";
  cancelTimer: Timer | null = null;
  /** Cancels sent so far. */
  cancels = 0;
  /** It was sent to an executor that was lost since: no later refusal proves that it did not begin. */
  mayHaveBegun = false;
  /** It was sent in an earlier session to the executor that we have: an answer may be lost. */
  wasSentBefore = false;
  /** Who waits for it, when the same key was given several times at the same time; null for whoever gave it first. */
  #callers: OutgoingCall[] | null = null;

  constructor(call: OutgoingCall) {
    this.call = call;
  }

  get callers(): readonly OutgoingCall[] {
    return this.#callers ?? [this.call];
  }

  get isShared(): boolean {
    return this.#callers !== null && this.#callers.length > 1;
  }

  join(call: OutgoingCall): void {
    this.#callers = [...this.callers, call];
  }

  part(call: OutgoingCall): void {
    this.#callers = this.callers.filter((caller) => caller !== call);
  }

  sent(): void {
    if (this.#callers === null) this.call.sink.sent?.();
    else for (const { sink } of this.#callers) sink.sent?.();
  }

  settle(outcome: Outcome): void {
    if (this.#callers === null) this.call.sink.settle(outcome, this.call.id);
    else for (const { sink, id } of this.#callers) sink.settle(outcome, id);
  }
}
