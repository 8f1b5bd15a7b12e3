/** The sequenced messages of a channel that its peer has not acknowledged: consecutive numbers, oldest first. */
import type { Message } from "../protocol/messages.js";

/** Places at first; always a power of two. */
const PLACES_MIN = 4;
/** Places that are kept when nothing is left. */
const PLACES_KEPT = 256;

/** A ring, which is not made anew each time that everything was acknowledged. */
export class Unacknowledged {
  size = 0;
  #places: (Message | null)[] = blank(PLACES_MIN);
  #oldestAt = 0;

  get oldest(): Message | null {
    return this.size === 0 ? null : this.#at(0);
  }

  get latest(): Message | null {
    return this.size === 0 ? null : this.#at(this.size - 1);
  }

  /** So many of the oldest, or all if there are fewer. */
  first(count: number): readonly Message[] {
    return Array.from({ length: Math.min(count, this.size) }, (_, place) => this.#at(place));
  }

  /** Its number is the one after the latest. */
  push(message: Message): void {
    if (this.size === this.#places.length) this.#widen();
    this.#places[this.#placeOf(this.size++)] = message;
  }

  /** Forgets everything up to this number; returns whether that was anything. */
  acknowledge(seq: number): boolean {
    const { oldest } = this;
    if (oldest === null || seq < oldest.seq) return false;
    const left = this.size - Math.min(this.size, seq - oldest.seq + 1);
    while (this.size > left) this.#forgetOldest();
    if (left === 0 && this.#places.length > PLACES_KEPT) this.clear();
    return true;
  }

  clear(): void {
    this.size = 0;
    this.#oldestAt = 0;
    this.#places = blank(PLACES_MIN);
  }

  #at(rank: number): Message {
    return this.#places[this.#placeOf(rank)] as Message;
  }

  #placeOf(rank: number): number {
    return (this.#oldestAt + rank) & (this.#places.length - 1);
  }

  #forgetOldest(): void {
    this.#places[this.#oldestAt] = null;
    this.#oldestAt = this.#placeOf(1);
    this.size--;
  }

  #widen(): void {
    const messages = this.first(this.size);
    this.#places = [...messages, ...blank(messages.length)];
    this.#oldestAt = 0;
  }
}

function blank(places: number): (Message | null)[] {
  return Array.from({ length: places }, () => null);
}
