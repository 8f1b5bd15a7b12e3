/**
 * The local listeners of a transport: many for each subject, one underlying subscription for each distinct subject (T3).
 *
 * S1. A listener gets the messages that are stamped after it was added and none once it was removed, also when it is
 *     added or removed while a message is being delivered.
 * S2. A listener that throws does not keep a message from the others; its error surfaces as an uncaught exception.
 */
import { InvalidOptionError } from "../errors.js";
import type { MessageListener, Subscription } from "./transport.js";

const SUBJECT = /^[^\s.*>]+(?:\.[^\s.*>]+)*(?:\.[*>])?$/;

/** The listeners of one subject. */
export interface ListenerSet {
  readonly subject: string;
  readonly entries: Set<ListenerEntry>;
}

interface ListenerEntry {
  readonly listener: MessageListener;
  readonly sinceStamp: number;
}

export interface SubscriptionHooks {
  /** A subject has its first listener. */
  readonly opened: (set: ListenerSet) => void;
  /** A subject has lost its last listener. */
  readonly closed: (set: ListenerSet) => void;
}

export class SubscriptionTable {
  readonly #sets = new Map<string, ListenerSet>();
  readonly #hooks: SubscriptionHooks;
  #stamp = 0;

  constructor(hooks: SubscriptionHooks) {
    this.#hooks = hooks;
  }

  /** Marks a message's place among the additions of listeners. */
  stamp(): number {
    return ++this.#stamp;
  }

  sets(): Iterable<ListenerSet> {
    return this.#sets.values();
  }

  add(subject: string, listener: MessageListener): Subscription {
    if (!SUBJECT.test(subject))
      throw new InvalidOptionError("subject", subject, "tokens joined by dots, the last may be * or >");
    const set = this.#sets.get(subject) ?? this.#open(subject);
    const entry = { listener, sinceStamp: this.#stamp };
    set.entries.add(entry);
    return { unsubscribe: () => this.#remove(set, entry) };
  }

  clear(): void {
    for (const set of this.#sets.values()) {
      set.entries.clear();
      this.#close(set);
    }
  }

  #open(subject: string): ListenerSet {
    const set: ListenerSet = { subject, entries: new Set() };
    // The hook first: if it throws, nothing was added.
    this.#hooks.opened(set);
    this.#sets.set(subject, set);
    return set;
  }

  #remove(set: ListenerSet, entry: ListenerEntry): void {
    if (set.entries.delete(entry) && set.entries.size === 0) this.#close(set);
  }

  #close(set: ListenerSet): void {
    this.#sets.delete(set.subject);
    this.#hooks.closed(set);
  }
}

/** The subject, and every pattern that matches it. */
export function patternsOf(subject: string): readonly string[] {
  return [...nearPatternsOf(subject), ...tailPatternsOf(subject)];
}

/** The subject, and the pattern with `*` that matches it. */
export function nearPatternsOf(subject: string): readonly string[] {
  return [subject, `${subject.slice(0, subject.lastIndexOf(".") + 1)}*`];
}

/** The patterns with `>` that match a subject. */
export function* tailPatternsOf(subject: string): Generator<string> {
  for (let dot = subject.indexOf("."); dot !== -1; dot = subject.indexOf(".", dot + 1)) {
    yield `${subject.slice(0, dot)}.>`;
  }
}

/** Hands a message to the listeners that were there when it was stamped. */
export function deliver(set: ListenerSet, payload: Uint8Array, subject: string, stamp: number): void {
  for (const { listener, sinceStamp } of set.entries) {
    if (sinceStamp >= stamp) continue;
    try {
      listener(payload, subject);
    } catch (error) {
      rethrowLater(error);
    }
  }
}

/** Lets an error surface without stopping whoever called the function that threw it. */
export function rethrowLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
