/**
 * A broker inside the process: what NATS is between hosts, without a server. One instance is shared by all nodes.
 *
 * M1. Every message is a copy, or a letter that nobody changes, delivered in the order of publication at the end of the turn
 *     that published it, to those who had subscribed by then.
 * M2. What is published during a delivery waits for the next turn, so that timers and I/O are never starved.
 */
import { InvalidOptionError, PayloadTooLargeError, TransportClosedError } from "../errors.js";
import type { Clock } from "../health/clock.js";
import { realClock } from "../health/real-clock.js";
import { assertToken } from "../protocol/path.js";
import { ConnectionListeners } from "./connection-listeners.js";
import { type ListenerSet, SubscriptionTable, tailPatternsOf } from "./subscriptions.js";
import type { Letter, LetterListener, MessageListener, Subscription, Transport } from "./transport.js";

export interface MemoryTransportOptions {
  /** Name of the tree, second token of every subject. @default "local" */
  readonly tree?: string;
  /** First token of every subject. @default "ft" */
  readonly namespace?: string;
  /** Largest message, bytes; the default is that of a NATS server. @default 1_048_576 */
  readonly maxPayloadBytes?: number;
  /** Decides when a turn ends; simulations pass their own. @default the process's real time */
  readonly clock?: Clock;
}

/**
 * Creates a transport that carries messages between the nodes of this process.
 *
 * @throws InvalidOptionError, InvalidPathError
 */
export function memoryTransport(options: MemoryTransportOptions = {}): Transport {
  const { tree = "local", namespace = "ft", maxPayloadBytes = 1_048_576, clock = realClock } = options;
  assertToken("tree", tree);
  assertToken("namespace", namespace);
  if (!Number.isSafeInteger(maxPayloadBytes) || maxPayloadBytes < 1) {
    throw new InvalidOptionError("maxPayloadBytes", maxPayloadBytes, "an integer >= 1");
  }
  return new MemoryTransport({ tree, namespace, maxPayloadBytes, clock });
}

type Listeners = ListenerSet<Letter>;

interface Message {
  readonly subject: string;
  readonly letter: Letter;
  readonly stamp: number;
  readonly exact: Listeners | undefined;
  readonly wildcard: Listeners | undefined;
  readonly tails: readonly Listeners[];
}

const NONE: readonly Listeners[] = [];

/** What was published. */
class Bytes implements Letter {
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get bytesMax(): number {
    return this.#bytes.length;
  }

  toBytes(): Uint8Array {
    return this.#bytes;
  }
}

class MemoryTransport implements Transport {
  readonly namespace: string;
  readonly tree: string;
  readonly maxPayloadBytes: number;
  readonly locals = new Set<string>();
  readonly #clock: Clock;
  /** By everything before the `*`. */
  readonly #wildcards = new Map<string, Listeners>();
  /** By subjects that end in `>`. */
  readonly #tails = new Map<string, Listeners>();
  readonly #connectionListeners = new ConnectionListeners();
  readonly #subscriptions = new SubscriptionTable<Letter>({
    opened: (set) => void this.#indexOf(set)?.set(keyOf(set.subject), set),
    closed: (set) => void this.#indexOf(set)?.delete(keyOf(set.subject)),
  });
  #queue: Message[] = [];
  #closed = false;

  constructor(options: Required<MemoryTransportOptions>) {
    this.namespace = options.namespace;
    this.tree = options.tree;
    this.maxPayloadBytes = options.maxPayloadBytes;
    this.#clock = options.clock;
  }

  get connected(): boolean {
    return !this.#closed;
  }

  publish(subject: string, payload: Uint8Array): void {
    this.#assertFits(payload.length);
    this.#send(subject, new Bytes(new Uint8Array(payload)));
  }

  post(subject: string, letter: Letter): void {
    this.#assertFits(letter.bytesMax > this.maxPayloadBytes ? letter.toBytes().length : 0);
    this.#send(subject, letter);
  }

  subscribe(subject: string, listener: MessageListener): Subscription {
    return this.collect(subject, (letter, from) => listener(letter.toBytes(), from));
  }

  collect(subject: string, listener: LetterListener): Subscription {
    if (this.#closed) throw new TransportClosedError();
    return this.#subscriptions.add(subject, listener);
  }

  onConnection(listener: (connected: boolean) => void): Subscription {
    return this.#connectionListeners.add(listener);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#subscriptions.clear();
    this.#connectionListeners.notify(false);
  }

  #assertFits(bytes: number): void {
    if (this.#closed) throw new TransportClosedError();
    if (bytes > this.maxPayloadBytes) throw new PayloadTooLargeError(bytes, this.maxPayloadBytes);
  }

  #send(subject: string, letter: Letter): void {
    const exact = this.#subscriptions.get(subject);
    const wildcard = this.#wildcards.get(prefixOf(subject));
    const tails = this.#tails.size === 0 ? NONE : this.#tailsOf(subject);
    if (exact === undefined && wildcard === undefined && tails.length === 0) return;
    const stamp = this.#subscriptions.stamp();
    if (this.#queue.push({ subject, letter, stamp, exact, wildcard, tails }) === 1) {
      this.#clock.defer(() => this.#drain());
    }
  }

  #drain(): void {
    const batch = this.#queue;
    this.#queue = [];
    for (const { subject, letter, stamp, exact, wildcard, tails } of batch) {
      exact?.deliver(letter, subject, stamp);
      wildcard?.deliver(letter, subject, stamp);
      for (const tail of tails) tail.deliver(letter, subject, stamp);
    }
  }

  #tailsOf(subject: string): readonly Listeners[] {
    const sets = Array.from(tailPatternsOf(subject), (pattern) => this.#tails.get(pattern));
    return sets.filter((set) => set !== undefined);
  }

  /** Where a pattern is found. */
  #indexOf({ subject }: Listeners): Map<string, Listeners> | null {
    if (subject.endsWith(">")) return this.#tails;
    return subject.endsWith("*") ? this.#wildcards : null;
  }
}

function keyOf(subject: string): string {
  return subject.endsWith("*") ? prefixOf(subject) : subject;
}

/** A subject without its last token. */
function prefixOf(subject: string): string {
  return subject.slice(0, subject.lastIndexOf(".") + 1);
}
