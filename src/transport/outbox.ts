/** What was published while disconnected and is still worth sending: bounded, in order, the oldest dropped first. */
export interface OutboxMessage {
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly expiresAtMs: number;
}

export interface OutboxLimits {
  readonly messagesMax: number;
  readonly bytesMax: number;
}

export class Outbox {
  readonly #limits: OutboxLimits;
  // A set keeps the order of insertion and drops its oldest in constant time.
  readonly #messages = new Set<OutboxMessage>();
  #bytes = 0;

  constructor(limits: OutboxLimits) {
    this.#limits = limits;
  }

  add(message: OutboxMessage): void {
    this.#messages.add(message);
    this.#bytes += message.payload.length;
    for (const oldest of this.#messages) {
      if (this.#messages.size <= this.#limits.messagesMax && this.#bytes <= this.#limits.bytesMax) return;
      this.#remove(oldest);
    }
  }

  /** Empties it, passing on what has not expired. */
  flush(nowMs: number, send: (message: OutboxMessage) => void): void {
    for (const message of this.#messages) {
      this.#remove(message);
      if (message.expiresAtMs > nowMs) send(message);
    }
  }

  clear(): void {
    this.#messages.clear();
    this.#bytes = 0;
  }

  #remove(message: OutboxMessage): void {
    this.#messages.delete(message);
    this.#bytes -= message.payload.length;
  }
}
