/**
 * The port between the runtime and whatever carries its messages.
 *
 * T1. Delivery is at most once, ordered for one publisher and subject while the connection holds. Nothing more is assumed.
 * T2. `publish` never blocks and never throws for an outage; it throws for a closed transport or an oversized message.
 * T3. A subject is one server subscription for each connection however many nodes listen, so that a broadcast reaches
 *     a process once.
 * T4. Listeners are never called from within `publish` or `subscribe`.
 */
export interface Transport {
  /** First token of every subject. */
  readonly namespace: string;
  /** Second token of every subject: the tree's name. */
  readonly tree: string;
  /** Largest message that can be published, bytes. */
  readonly maxPayloadBytes: number;
  /** False while the transport knows that nothing can get through. */
  readonly connected: boolean;
  /**
   * Boot ids of the nodes that run here, where no message leaves the thread: of two such nodes neither can die, or be cut off,
   * alone, and what one publishes while the other listens arrives, in order, by the end of the next turn of the event loop.
   * Nodes add and remove themselves. Undefined where peers may be elsewhere.
   */
  readonly locals?: Set<string>;
  publish(subject: string, payload: Uint8Array, options?: PublishOptions): void;
  /**
   * Where letters to a subject go: they are handed over as they are to those who collect, and written as bytes for others
   * only. With `collect`, where no message leaves the thread. Whoever wraps a transport wraps both of these as well, or leaves
   * both out: then all goes by `publish` and `subscribe`.
   */
  route?(subject: string): Route;
  /** `subject` may end in a `*` token, one token, or in `>`, one or more. The payload is the listener's: the transport does not change it afterwards. */
  subscribe(subject: string, listener: MessageListener): Subscription;
  /** As `subscribe`, of letters: those that were posted, and those made of what was published. */
  collect?(subject: string, listener: LetterListener): Subscription;
  /** Calls back at each change of `connected`. */
  onConnection(listener: (connected: boolean) => void): Subscription;
  /** Ends subscriptions and, where the transport opened it, the connection. Idempotent. */
  close(): Promise<void>;
}

/** A subject that a sender has looked up, for as often as it likes. */
export interface Route {
  /** As `publish`. */
  post(letter: Letter): void;
}

/** A message that was not written as bytes, or not yet. Nobody changes what it holds. */
export interface Letter {
  /** No fewer than it has, bytes. */
  readonly bytesMax: number;
  toBytes(): Uint8Array;
}

export type LetterListener = (letter: Letter, subject: string) => void;

export type MessageListener = (payload: Uint8Array, subject: string) => void;

export interface PublishOptions {
  /** How long the message is worth sending if the transport is disconnected, milliseconds; 0 drops it at once. @default 0 */
  readonly ttlMs?: number;
}

export interface Subscription {
  unsubscribe(): void;
}
