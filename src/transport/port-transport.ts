/**
 * A transport through a channel between two processes or threads: whoever has no broker of its own uses its parent's.
 *
 * P1. It promises no more than any transport: what the other side cannot keep up with is dropped, so that memory is
 *     bounded on both sides.
 * P2. What arrives on the channel is checked; garbage is ignored.
 */
import { PayloadTooLargeError, TransportClosedError } from "../errors.js";
import { ConnectionListeners } from "./connection-listeners.js";
import { type ListenerSet, SubscriptionTable } from "./subscriptions.js";
import type { MessageListener, PublishOptions, Subscription, Transport } from "./transport.js";

/** One end of a channel that carries structured clones in order. */
export interface MessagePort {
  /** Never throws; what cannot be sent any more is lost. */
  post(message: unknown): void;
  /** Calls back with every message; the returned function ends that. */
  listen(listener: (message: unknown) => void): () => void;
}

/** What the user of a port transport must know of the one behind it. */
export interface PortTransportNames {
  readonly namespace: string;
  readonly tree: string;
  readonly maxPayloadBytes: number;
  readonly connected: boolean;
}

/** What may be under way in one direction before more is dropped, and after how much its receipt is acknowledged. */
const WINDOW_MESSAGES = 8_192;
const WINDOW_BYTES = 64 * 1_048_576;
const ACK_MESSAGES = 256;
const ACK_BYTES = 1_048_576;

const TAG = "ft.transport";

type Part = readonly [tag: string, kind: string, ...rest: unknown[]];

/** Sends within a window, and acknowledges what comes. */
class Flow {
  readonly #port: MessagePort;
  readonly #underWay = { messages: 0, bytes: 0 };
  readonly #unacknowledged = { messages: 0, bytes: 0 };

  constructor(port: MessagePort) {
    this.#port = port;
  }

  /** Sends what must arrive: there is little of it. */
  control(kind: string, ...rest: unknown[]): void {
    this.#port.post([TAG, kind, ...rest]);
  }

  /** Sends what may be lost. The copy is exact: a channel clones the whole buffer behind a payload, often a large pool. */
  message(kind: string, subject: string, payload: Uint8Array, ...rest: unknown[]): void {
    const underWay = this.#underWay;
    // One message always fits, however large.
    const isFull = underWay.bytes > 0 && underWay.bytes + payload.length > WINDOW_BYTES;
    if (isFull || underWay.messages >= WINDOW_MESSAGES) return;
    underWay.messages++;
    underWay.bytes += payload.length;
    this.control(kind, subject, new Uint8Array(payload), ...rest);
  }

  /** Whatever it was: it took its place in the other side's window. */
  received(payload: unknown): void {
    const received = this.#unacknowledged;
    received.messages++;
    received.bytes += payload instanceof Uint8Array ? payload.length : 0;
    if (received.messages < ACK_MESSAGES && received.bytes < ACK_BYTES) return;
    this.control("ack", received.messages, received.bytes);
    received.messages = 0;
    received.bytes = 0;
  }

  acknowledged(messages: unknown, bytes: unknown): void {
    this.#underWay.messages = lessened(this.#underWay.messages, messages);
    this.#underWay.bytes = lessened(this.#underWay.bytes, bytes);
  }
}

function lessened(value: number, by: unknown): number {
  return typeof by === "number" && by > 0 ? Math.max(0, value - by) : value;
}

/** The side that has no broker. */
export class PortTransport implements Transport {
  readonly namespace: string;
  readonly tree: string;
  readonly maxPayloadBytes: number;
  readonly #flow: Flow;
  readonly #sets = new Map<string, ListenerSet>();
  readonly #connectionListeners = new ConnectionListeners();
  readonly #unlisten: () => void;
  readonly #subscriptions = new SubscriptionTable({
    opened: (set) => {
      this.#sets.set(set.subject, set);
      this.#flow.control("subscribe", set.subject);
    },
    closed: ({ subject }) => {
      this.#sets.delete(subject);
      this.#flow.control("unsubscribe", subject);
    },
  });
  #connected: boolean;
  #closed = false;

  constructor(port: MessagePort, names: PortTransportNames) {
    this.namespace = names.namespace;
    this.tree = names.tree;
    this.maxPayloadBytes = names.maxPayloadBytes;
    this.#connected = names.connected;
    this.#flow = new Flow(port);
    this.#unlisten = port.listen((message) => this.#receive(message));
    // It may have changed on the way here.
    this.#flow.control("connected?");
  }

  get connected(): boolean {
    return this.#connected && !this.#closed;
  }

  publish(subject: string, payload: Uint8Array, { ttlMs = 0 }: PublishOptions = {}): void {
    if (this.#closed) throw new TransportClosedError();
    if (payload.length > this.maxPayloadBytes) throw new PayloadTooLargeError(payload.length, this.maxPayloadBytes);
    this.#flow.message("publish", subject, payload, ttlMs);
  }

  subscribe(subject: string, listener: MessageListener): Subscription {
    if (this.#closed) throw new TransportClosedError();
    return this.#subscriptions.add(subject, listener);
  }

  onConnection(listener: (connected: boolean) => void): Subscription {
    return this.#connectionListeners.add(listener);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#subscriptions.clear();
    this.#closed = true;
    this.#unlisten();
    this.#connectionListeners.notify(false);
  }

  /** The other side is gone: nothing gets through any more. */
  lost(): void {
    this.#setConnected(false);
  }

  #receive(message: unknown): void {
    if (!isPart(message)) return;
    const [, kind, first, second, third] = message;
    if (kind === "connected" && typeof first === "boolean") this.#setConnected(first);
    else if (kind === "ack") this.#flow.acknowledged(first, second);
    else if (kind === "message") this.#deliver(first, second, third);
  }

  #deliver(subject: unknown, payload: unknown, pattern: unknown): void {
    this.#flow.received(payload);
    const set = typeof pattern === "string" ? this.#sets.get(pattern) : undefined;
    if (set === undefined || typeof subject !== "string" || !(payload instanceof Uint8Array)) return;
    set.deliver(payload, subject, this.#subscriptions.stamp());
  }

  #setConnected(connected: boolean): void {
    if (this.#connected === connected || this.#closed) return;
    this.#connected = connected;
    this.#connectionListeners.notify(connected);
  }
}

/** The side that has one: lends it to the other. Returns how to end that. */
export function lendTransport(port: MessagePort, transport: Transport): () => void {
  const flow = new Flow(port);
  const subscriptions = new Map<string, Subscription>();
  const ends = new Set<() => void>();
  const lend = (kind: string, args: readonly unknown[]): void => {
    if (kind === "publish") flow.received(args[1]);
    if (Object.hasOwn(LENDING, kind)) LENDING[kind]?.({ flow, transport, subscriptions }, args);
  };
  const connection = transport.onConnection((connected) => flow.control("connected", connected));
  ends.add(() => connection.unsubscribe());
  ends.add(
    port.listen((message) => {
      if (isPart(message)) lend(message[1], message.slice(2));
    }),
  );
  return () => {
    for (const end of ends) end();
    for (const subscription of subscriptions.values()) subscription.unsubscribe();
    subscriptions.clear();
  };
}

interface Loan {
  readonly flow: Flow;
  readonly transport: Transport;
  readonly subscriptions: Map<string, Subscription>;
}

const LENDING: Readonly<Record<string, (loan: Loan, args: readonly unknown[]) => void>> = {
  "connected?": ({ flow, transport }) => flow.control("connected", transport.connected),
  ack: ({ flow }, [messages, bytes]) => flow.acknowledged(messages, bytes),
  publish: ({ transport }, [subject, payload, ttlMs]) => {
    if (typeof subject !== "string" || !(payload instanceof Uint8Array)) return;
    tryTo(() => transport.publish(subject, payload, { ttlMs: typeof ttlMs === "number" ? ttlMs : 0 }));
  },
  subscribe: ({ flow, transport, subscriptions }, [pattern]) => {
    if (typeof pattern !== "string" || subscriptions.has(pattern)) return;
    tryTo(() => {
      const listener: MessageListener = (payload, subject) => flow.message("message", subject, payload, pattern);
      subscriptions.set(pattern, transport.subscribe(pattern, listener));
    });
  },
  unsubscribe: ({ subscriptions }, [pattern]) => {
    if (typeof pattern !== "string") return;
    subscriptions.get(pattern)?.unsubscribe();
    subscriptions.delete(pattern);
  },
};

/** The transport may be closed, or the subject may be none: the other side is not to be trusted with our process. */
function tryTo(act: () => void): void {
  try {
    act();
  } catch {
    // At most once: it is as if it had been lost.
  }
}

function isPart(message: unknown): message is Part {
  return Array.isArray(message) && message[0] === TAG && typeof message[1] === "string";
}
