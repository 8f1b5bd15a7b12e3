/** The sequenced messages of a channel that its peer has not acknowledged: consecutive numbers, oldest first. */
import type { Message } from "../protocol/messages.js";

/** Places at first; always a power of two. */
const PLACES_MIN = 4;
/** Places that are kept when nothing is left. */
const PLACES_KEPT = 256;

/** Mostly one message waits or none: it stands alone, without a ring for several. */
export class Unacknowledged {
  /** Number of the oldest message; meaningless when there is none. */
  #oldestSeq = 0;
  #only: Message | null = null;
  #ring: Ring | null = null;

  get size(): number {
    return this.#only === null ? (this.#ring?.size ?? 0) : 1;
  }

  get latest(): Message | null {
    return this.#only ?? this.#ring?.latest ?? null;
  }

  /** So many of the oldest, or all if there are fewer. */
  first(count: number): readonly Message[] {
    if (this.#only !== null) return count > 0 ? [this.#only] : [];
    return this.#ring?.first(count) ?? [];
  }

  /** Its number is the one after the latest. */
  push(message: Message): void {
    if (this.size === 0) this.#oldestSeq = message.seq;
    if (this.#ring !== null) return this.#ring.push(message);
    if (this.#only === null) this.#only = message;
    else {
      this.#ring = new Ring(this.#only, message);
      this.#only = null;
    }
  }

  /** Forgets everything up to this number; returns whether that was anything. */
  acknowledge(seq: number): boolean {
    const count = Math.min(this.size, seq - this.#oldestSeq + 1);
    if (count <= 0) return false;
    this.#oldestSeq += count;
    if (this.#only === null) this.#forget(count);
    else this.#only = null;
    return true;
  }

  clear(): void {
    this.#only = null;
    this.#ring = null;
  }

  /** A ring that was large will be needed again; one that grew very large is let go. */
  #forget(count: number): void {
    const ring = this.#ring;
    ring?.forget(count);
    if (ring?.size === 0 && (ring.places === PLACES_MIN || ring.places > PLACES_KEPT)) this.#ring = null;
  }
}

/** Is not made anew each time that everything was acknowledged. */
class Ring {
  size = 0;
  #places: (Message | null)[] = blank(PLACES_MIN);
  #oldestAt = 0;

  constructor(...messages: readonly Message[]) {
    for (const message of messages) this.push(message);
  }

  get places(): number {
    return this.#places.length;
  }

  get latest(): Message | null {
    return this.size === 0 ? null : this.#at(this.size - 1);
  }

  first(count: number): readonly Message[] {
    return Array.from({ length: Math.min(count, this.size) }, (_, place) => this.#at(place));
  }

  push(message: Message): void {
    if (this.size === this.#places.length) this.#widen();
    this.#places[this.#placeOf(this.size++)] = message;
  }

  /** Forgets so many of the oldest. */
  forget(count: number): void {
    for (let n = 0; n < count; n++) {
      this.#places[this.#oldestAt] = null;
      this.#oldestAt = this.#placeOf(1);
    }
    this.size -= count;
  }

  #at(rank: number): Message {
    return this.#places[this.#placeOf(rank)] as Message;
  }

  #placeOf(rank: number): number {
    return (this.#oldestAt + rank) & (this.#places.length - 1);
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
