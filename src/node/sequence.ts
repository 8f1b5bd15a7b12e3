/** The receiving side of one sequence: delivers each number once, in order, and remembers what came too early. */
import { estimateBytes } from "../protocol/codec.js";
import type { Message, UnknownMessage } from "../protocol/messages.js";

/** Messages kept that arrived before a missing one. A sender never needs more: its credit is smaller. */
const EARLY_MAX = 4096;
/** And their size, bytes: what is dropped for it is retransmitted like what was lost. */
const EARLY_BYTES_MAX = 16 * 1024 * 1024;

type Received = Message | UnknownMessage;

export interface SequencePort {
  /** Takes the next message in order. */
  deliver(message: Received): void;
}

export class SequenceReceiver {
  /** All numbers up to this one were delivered. */
  received: number;
  #early: Map<number, Received> | null = null;
  #earlyBytes = 0;

  constructor(start: number) {
    this.received = start;
  }

  /**
   * Takes one message; delivers it and those that waited for it. Duplicates are ignored.
   *
   * @returns false when the number is so far ahead that it cannot be kept
   */
  take(number: number, message: Received, port: SequencePort): boolean {
    if (number <= this.received) return true;
    if (number > this.received + 1) return this.#keep(number, message);
    this.received = number;
    port.deliver(message);
    if (this.#early !== null) this.#deliverEarly(port);
    return true;
  }

  #keep(number: number, message: Received): boolean {
    if (number - this.received > EARLY_MAX) return false;
    if (this.#early?.has(number) === true) return true;
    const bytes = sizeOf(message);
    if (this.#earlyBytes + bytes > EARLY_BYTES_MAX) return false;
    this.#earlyBytes += bytes;
    this.#early ??= new Map();
    this.#early.set(number, message);
    return true;
  }

  #deliverEarly(port: SequencePort): void {
    while (this.#early !== null) {
      const message = this.#early.get(this.received + 1);
      if (message === undefined) return;
      this.received += 1;
      this.#earlyBytes -= sizeOf(message);
      this.#early.delete(this.received);
      if (this.#early.size === 0) this.#early = null;
      port.deliver(message);
    }
  }
}

function sizeOf(message: Received): number {
  return message.kind === "unknown" ? 0 : estimateBytes(message);
}
