/** Messages of one session that came before a missing one, by their numbers: negative ones are those of broadcasts. */
import { estimateBytes } from "../protocol/codec.js";
import type { Message, UnknownMessage } from "../protocol/messages.js";

/** How far ahead of the missing one they may be. A sender never needs more: its credit is smaller. */
const EARLY_MAX = 4096;
/** And their size in all, bytes: what is dropped for it is retransmitted like what was lost. */
const EARLY_BYTES_MAX = 16 * 1024 * 1024;

type Received = Message | UnknownMessage;

export class EarlyMessages {
  readonly #byNumber = new Map<number, Received>();
  #bytes = 0;

  get isEmpty(): boolean {
    return this.#byNumber.size === 0;
  }

  /** Keeps a message that is so far ahead; returns false if it cannot be kept. */
  keep(message: Received, ahead: number): boolean {
    if (ahead > EARLY_MAX) return false;
    if (this.#byNumber.has(message.seq)) return true;
    const bytes = sizeOf(message);
    if (this.#bytes + bytes > EARLY_BYTES_MAX) return false;
    this.#bytes += bytes;
    this.#byNumber.set(message.seq, message);
    return true;
  }

  /** The message with this number, which is not kept any longer. */
  take(seq: number): Received | undefined {
    const message = this.#byNumber.get(seq);
    if (message === undefined) return undefined;
    this.#byNumber.delete(seq);
    this.#bytes -= sizeOf(message);
    return message;
  }
}

function sizeOf(message: Received): number {
  return message.kind === "unknown" ? 0 : estimateBytes(message);
}
