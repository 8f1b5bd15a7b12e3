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
import { type ListenerSet, nearPatternsOf, SubscriptionTable, tailPatternsOf } from "./subscriptions.js";
import type { Letter, LetterListener, MessageListener, Route, Subscription, Transport } from "./transport.js";

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

/** On its way to whoever listened when it was published: whoever came after its stamp leaves it. */
class Message {
  readonly #letter: Letter;
  readonly #subject: string;
  readonly #stamp: number;
  readonly #exact: Listeners | undefined;
  readonly #wildcard: Listeners | undefined;
  readonly #tails: readonly Listeners[];

  constructor(letter: Letter, stamp: number, { subject, exact, wildcard, tails }: Audience) {
    this.#letter = letter;
    this.#subject = subject;
    this.#stamp = stamp;
    this.#exact = exact;
    this.#wildcard = wildcard;
    this.#tails = tails;
  }

  deliver(): void {
    this.#exact?.deliver(this.#letter, this.#subject, this.#stamp);
    this.#wildcard?.deliver(this.#letter, this.#subject, this.#stamp);
    for (const tail of this.#tails) tail.deliver(this.#letter, this.#subject, this.#stamp);
  }
}

/** Who listens to a subject. */
interface Audience {
  readonly subject: string;
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

/** Who listens to a subject: looked up again when that may have changed. */
class MemoryRoute implements Route, Audience {
  readonly #broker: MemoryTransport;
  readonly subject: string;
  #version = -1;
  exact: Listeners | undefined;
  wildcard: Listeners | undefined;
  tails = NONE;

  constructor(broker: MemoryTransport, subject: string) {
    this.#broker = broker;
    this.subject = subject;
  }

  post(letter: Letter): void {
    this.#broker.post(this, letter);
  }

  /** Whether anybody listens. */
  find(version: number): boolean {
    if (this.#version !== version) this.#lookUp(version);
    return this.exact !== undefined || this.wildcard !== undefined || this.tails.length > 0;
  }

  #lookUp(version: number): void {
    this.#version = version;
    const [exact, wildcard] = nearPatternsOf(this.subject);
    this.exact = this.#broker.listenersTo(exact);
    this.wildcard = this.#broker.listenersTo(wildcard);
    this.tails = this.#broker.tailsOf(this.subject);
  }
}

class MemoryTransport implements Transport {
  readonly namespace: string;
  readonly tree: string;
  readonly maxPayloadBytes: number;
  readonly locals = new Set<string>();
  readonly #clock: Clock;
  /** By subjects that end in `>`. */
  readonly #tails = new Map<string, Listeners>();
  readonly #connectionListeners = new ConnectionListeners();
  readonly #subscriptions = new SubscriptionTable<Letter>({
    opened: (set) => this.#changed(set, () => this.#tails.set(set.subject, set)),
    closed: (set) => this.#changed(set, () => this.#tails.delete(set.subject)),
  });
  /** Counts the subjects that came and went. */
  #version = 0;
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
    this.post(new MemoryRoute(this, subject), new Bytes(new Uint8Array(payload)));
  }

  route(subject: string): Route {
    return new MemoryRoute(this, subject);
  }

  /** Of a route. */
  post(route: MemoryRoute, letter: Letter): void {
    if (this.#closed) throw new TransportClosedError();
    if (letter.bytesMax > this.maxPayloadBytes) this.#assertFits(letter.toBytes());
    if (!route.find(this.#version)) return;
    const message = new Message(letter, this.#subscriptions.stamp(), route);
    if (this.#queue.push(message) === 1) this.#clock.defer(() => this.#drain());
  }

  /** Of a subject or pattern. */
  listenersTo(subject: string): Listeners | undefined {
    return this.#subscriptions.get(subject);
  }

  tailsOf(subject: string): readonly Listeners[] {
    if (this.#tails.size === 0) return NONE;
    const sets = Array.from(tailPatternsOf(subject), (pattern) => this.#tails.get(pattern));
    return sets.filter((set) => set !== undefined);
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

  #assertFits({ length }: Uint8Array): void {
    if (length > this.maxPayloadBytes) throw new PayloadTooLargeError(length, this.maxPayloadBytes);
  }

  #drain(): void {
    const batch = this.#queue;
    this.#queue = [];
    for (const message of batch) message.deliver();
  }

  #changed({ subject }: Listeners, note: () => void): void {
    this.#version++;
    if (subject.endsWith(">")) note();
  }
}
