/**
 * The local listeners of a transport: many for each subject, one underlying subscription for each distinct subject (T3).
 *
 * S1. A listener gets the messages that are stamped after it was added and none once it was removed, also when it is
 *     added or removed while a message is being delivered.
 * S2. A listener that throws does not keep a message from the others; its error surfaces as an uncaught exception.
 */
import { InvalidOptionError } from "../errors.js";
import { rethrowLater } from "../health/rethrow-later.js";
import type { Subscription } from "./transport.js";

const SUBJECT = /^[^\s.*>]+(?:\.[^\s.*>]+)*(?:\.[*>])?$/;

type Listener<Payload> = (payload: Payload, subject: string) => void;

/** The listeners of one subject: mostly one, which needs no Set. */
export class ListenerSet<Payload = Uint8Array> {
  readonly subject: string;
  #listenings: Listening<Payload> | Set<Listening<Payload>> | null = null;

  constructor(subject: string) {
    this.subject = subject;
  }

  get isEmpty(): boolean {
    return this.#listenings === null;
  }

  add(listening: Listening<Payload>): void {
    if (this.#listenings === null) this.#listenings = listening;
    else if (this.#listenings instanceof Set) this.#listenings.add(listening);
    else this.#listenings = new Set([this.#listenings, listening]);
  }

  /** Returns whether it was there. */
  remove(listening: Listening<Payload>): boolean {
    const listenings = this.#listenings;
    const isThere = listenings instanceof Set ? listenings.delete(listening) : listenings === listening;
    if (isThere && (!(listenings instanceof Set) || listenings.size === 0)) this.#listenings = null;
    return isThere;
  }

  clear(): void {
    if (this.#listenings instanceof Set) this.#listenings.clear();
    this.#listenings = null;
  }

  /** Hands a message to the listeners that were there when it was stamped. */
  deliver(payload: Payload, subject: string, stamp: number): void {
    const listenings = this.#listenings;
    if (listenings instanceof Set) for (const listening of listenings) listening.hear(payload, subject, stamp);
    else listenings?.hear(payload, subject, stamp);
  }
}

/** One listener of one subject. */
class Listening<Payload> implements Subscription {
  readonly #table: SubscriptionTable<Payload>;
  readonly #listener: Listener<Payload>;
  readonly #sinceStamp: number;
  readonly set: ListenerSet<Payload>;

  constructor(
    table: SubscriptionTable<Payload>,
    set: ListenerSet<Payload>,
    listener: Listener<Payload>,
    sinceStamp: number,
  ) {
    this.#table = table;
    this.set = set;
    this.#listener = listener;
    this.#sinceStamp = sinceStamp;
  }

  hear(payload: Payload, subject: string, stamp: number): void {
    if (this.#sinceStamp >= stamp) return;
    try {
      this.#listener(payload, subject);
    } catch (error) {
      rethrowLater(error);
    }
  }

  unsubscribe(): void {
    this.#table.remove(this);
  }
}

export interface SubscriptionHooks<Payload> {
  /** A subject has its first listener. */
  readonly opened: (set: ListenerSet<Payload>) => void;
  /** A subject has lost its last listener. */
  readonly closed: (set: ListenerSet<Payload>) => void;
}

export class SubscriptionTable<Payload = Uint8Array> {
  readonly #sets = new Map<string, ListenerSet<Payload>>();
  readonly #hooks: SubscriptionHooks<Payload>;
  #stamp = 0;

  constructor(hooks: SubscriptionHooks<Payload>) {
    this.#hooks = hooks;
  }

  /** Marks a message's place among the additions of listeners. */
  stamp(): number {
    return ++this.#stamp;
  }

  /** The listeners of a subject or pattern. */
  get(subject: string): ListenerSet<Payload> | undefined {
    return this.#sets.get(subject);
  }

  sets(): Iterable<ListenerSet<Payload>> {
    return this.#sets.values();
  }

  add(subject: string, listener: Listener<Payload>): Subscription {
    if (!SUBJECT.test(subject))
      throw new InvalidOptionError("subject", subject, "tokens joined by dots, the last may be * or >");
    const set = this.#sets.get(subject) ?? this.#open(subject);
    const listening = new Listening(this, set, listener, this.#stamp);
    set.add(listening);
    return listening;
  }

  remove(listening: Listening<Payload>): void {
    const { set } = listening;
    if (set.remove(listening) && set.isEmpty) this.#close(set);
  }

  clear(): void {
    for (const set of this.#sets.values()) {
      set.clear();
      this.#close(set);
    }
  }

  #open(subject: string): ListenerSet<Payload> {
    const set = new ListenerSet<Payload>(subject);
    // The hook first: if it throws, nothing was added.
    this.#hooks.opened(set);
    this.#sets.set(subject, set);
    return set;
  }

  #close(set: ListenerSet<Payload>): void {
    this.#sets.delete(set.subject);
    this.#hooks.closed(set);
  }
}

/** The subject, and every pattern that matches it. */
export function patternsOf(subject: string): readonly string[] {
  return [...nearPatternsOf(subject), ...tailPatternsOf(subject)];
}

/** The subject, and the pattern with `*` that matches it. */
export function nearPatternsOf(subject: string): readonly [string, string] {
  return [subject, `${subject.slice(0, subject.lastIndexOf(".") + 1)}*`];
}

/** The patterns with `>` that match a subject. */
export function* tailPatternsOf(subject: string): Generator<string> {
  for (let dot = subject.indexOf("."); dot !== -1; dot = subject.indexOf(".", dot + 1)) {
    yield `${subject.slice(0, dot)}.>`;
  }
}
