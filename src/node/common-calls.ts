/** The calls that a node gives to all of its children at once, as each link's calls know of them. */
import type { OutgoingCall } from "./call-entry.js";

/** A call that was sent to many at once, and has no entry of its own as long as it is completed in the end. */
export interface CommonCall {
  readonly id: string;
  /** The peer with this id has completed it. */
  completed(peerId: string, output: Uint8Array): void;
  /** The call that stands for the peer with this id from now on. */
  separate(peerId: string): OutgoingCall;
  /** Each peer that has not completed it gets a call of its own. */
  separateAll(): void;
}

/**
 * A call is given by being counted: a link finds out that it has it when its peer speaks of it. Handed to each of ten thousand
 * links, it would bring all of them into the processor's caches for that alone.
 */
export class CommonCalls {
  /** Calls that were given. */
  count = 0;
  /** The last of them, which some may not have answered; null when all have. */
  latest: CommonCall | null = null;
  /** Whoever is meant by them can take so many calls more, if not more; 0 when that has to be found out. */
  slack = 0;

  /** Gives a call to all whose calls flow. One at a time: what they have not answered before becomes a call of each. */
  give(call: CommonCall): void {
    this.latest?.separateAll();
    this.latest = call;
    this.count++;
    this.slack--;
  }

  /** All have answered. */
  ended(call: CommonCall): void {
    if (this.latest === call) this.latest = null;
  }
}
