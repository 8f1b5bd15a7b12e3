/** The sequenced messages of a channel that its peer has not acknowledged: consecutive numbers, oldest first. */
import type { Message } from "../protocol/messages.js";

/** Places of acknowledged messages that are kept before the others move up. */
const SPENT_MAX = 256;

export class Unacknowledged {
  readonly #messages: (Message | null)[] = [];
  /** Messages at the front that were acknowledged. */
  #spent = 0;

  get size(): number {
    return this.#messages.length - this.#spent;
  }

  get oldest(): Message | null {
    return this.#messages[this.#spent] ?? null;
  }

  /** So many of the oldest, or all if there are fewer. */
  first(count: number): readonly Message[] {
    return this.#messages.slice(this.#spent, this.#spent + count) as readonly Message[];
  }

  get latest(): Message | null {
    return this.#messages.at(-1) ?? null;
  }

  /** Its number is the one after the latest. */
  push(message: Message): void {
    this.#messages.push(message);
  }

  /** Forgets everything up to this number; returns whether that was anything. */
  acknowledge(seq: number): boolean {
    const { oldest, size } = this;
    if (oldest === null || seq < oldest.seq) return false;
    const end = this.#spent + Math.min(size, seq - oldest.seq + 1);
    while (this.#spent < end) this.#messages[this.#spent++] = null;
    if (this.size === 0) this.clear();
    else if (this.#spent > SPENT_MAX) this.#compact();
    return true;
  }

  clear(): void {
    this.#messages.length = 0;
    this.#spent = 0;
  }

  #compact(): void {
    this.#messages.splice(0, this.#spent);
    this.#spent = 0;
  }
}
