/**
 * The transport over a NATS connection.
 *
 * N1. The client is never given a message while it is disconnected: it would drop some and send others late. What is
 *     worth keeping waits in an outbox of our own.
 * N2. `connected` follows what the client reports and turns false as soon as the client suspects the connection.
 * N3. An error of the connection, or of one subscription, is reported to `onError` and never thrown into the runtime.
 * N4. A subscription that the server refuses is tried again, so that a node is not deaf once its permissions are mended.
 */
import { InvalidOptionError, PayloadTooLargeError, TransportClosedError } from "../errors.js";
import type { Timer } from "../health/clock.js";
import { realClock } from "../health/real-clock.js";
import { rethrowLater } from "../health/rethrow-later.js";
import { assertToken } from "../protocol/path.js";
import { ConnectionListeners } from "./connection-listeners.js";
import { destroySocket, endDeadHandshake, stopIteration, writePending } from "./nats-client.js";
import type { NatsConnectionLike, NatsStatusLike } from "./nats-connection.js";
import { Outbox } from "./outbox.js";
import { refusalIn, Refusals, warnOfRefusal } from "./refusals.js";
import { type ListenerSet, SubscriptionTable } from "./subscriptions.js";
import type { MessageListener, PublishOptions, Subscription, Transport } from "./transport.js";

/** How long `close()` waits for the server to confirm what was published; it may never do so on a half-open socket. */
const FLUSH_LIMIT_MS = 2_000;

/** How long a refused subscription waits until it is tried again: the server does not tell of mended permissions. */
const RETRY_REFUSED_MS = 5_000;

/** Whoever gets a message of so many bytes begins to work on it while we prepare the next. */
const WRITE_AT_ONCE_BYTES = 2_048;

/** What every NATS server allows unless told otherwise; used until the server has said its own. */
const SERVER_DEFAULT_MAX_PAYLOAD_BYTES = 1_048_576;

export interface NatsTransportSettings {
  /** Name of the tree, second token of every subject. Required: two trees on one server must not meet by accident. */
  readonly tree: string;
  /** First token of every subject. @default "ft" */
  readonly namespace?: string;
  /** Most messages kept while disconnected; beyond it the oldest is dropped. @default 1_024 */
  readonly outboxMax?: number;
  /** Most bytes kept while disconnected; beyond it the oldest are dropped. @default 8_388_608 */
  readonly outboxMaxBytes?: number;
  /**
   * Told of the connection's errors, and with a `PermissionDeniedError` of each subject that the server refuses, again
   * after a minute if it still does. @default refusals become process warnings, the rest is ignored
   */
  readonly onError?: (error: Error) => void;
}

export interface NatsTransportOptions extends NatsTransportSettings {
  /** Opened, and later closed, by the caller; have it reconnect for ever (`maxReconnectAttempts: -1`). */
  readonly connection: NatsConnectionLike;
}

/**
 * Creates a transport over a connection of `@nats-io/transport-node` 3 or `nats` 2.29 that the caller opened.
 * `close()` leaves the connection open.
 *
 * @throws InvalidOptionError, InvalidPathError
 */
export function natsTransport(options: NatsTransportOptions): Transport {
  const settings = resolveNatsSettings(options);
  if (typeof options.connection?.publish !== "function") {
    throw new InvalidOptionError("connection", options.connection, "an open NATS connection");
  }
  return new NatsTransport(options.connection, settings);
}

export type ResolvedNatsSettings = Required<NatsTransportSettings>;

/** @throws InvalidOptionError, InvalidPathError */
export function resolveNatsSettings(options: NatsTransportSettings): ResolvedNatsSettings {
  const { tree, namespace = "ft", outboxMax = 1_024, outboxMaxBytes = 8_388_608, onError = warnOfRefusal } = options;
  if (tree === undefined)
    throw new InvalidOptionError("tree", tree, "given: it keeps your tree apart on a shared server");
  assertToken("tree", tree);
  assertToken("namespace", namespace);
  assertCount("outboxMax", outboxMax);
  assertCount("outboxMaxBytes", outboxMaxBytes);
  return { tree, namespace, outboxMax, outboxMaxBytes, onError };
}

function assertCount(option: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidOptionError(option, value, "an integer >= 0");
}

export class NatsTransport implements Transport {
  readonly namespace: string;
  readonly tree: string;
  readonly #connection: NatsConnectionLike;
  readonly #closeConnection: () => Promise<void>;
  readonly #onError: (error: Error) => void;
  readonly #statuses: AsyncIterable<NatsStatusLike>;
  readonly #outbox: Outbox;
  readonly #connectionListeners = new ConnectionListeners();
  /** By subject; a subject with listeners is missing while the server refuses it. */
  readonly #serverSubscriptions = new Map<string, { unsubscribe(): void }>();
  readonly #subscriptions = new SubscriptionTable({
    opened: (set) => this.#subscribeAtServer(set),
    closed: (set) => this.#unsubscribeAtServer(set),
  });
  readonly #refusals = new Refusals();
  #retryTimer: Timer | null = null;
  #connected: boolean;
  #maxPayloadBytes = SERVER_DEFAULT_MAX_PAYLOAD_BYTES;
  #closed = false;
  #closing: Promise<void> = Promise.resolve();

  /** `closeConnection` is for whoever opened the connection together with the transport. */
  constructor(
    connection: NatsConnectionLike,
    settings: ResolvedNatsSettings,
    closeConnection: () => Promise<void> = async () => {},
  ) {
    this.namespace = settings.namespace;
    this.tree = settings.tree;
    this.#connection = connection;
    this.#closeConnection = closeConnection;
    this.#onError = settings.onError;
    this.#outbox = new Outbox({ messagesMax: settings.outboxMax, bytesMax: settings.outboxMaxBytes });
    // The client forgets the server's info when it starts to dial again.
    this.#connected = connection.info !== undefined;
    this.#statuses = connection.status();
    void this.#followStatuses();
    void this.#followEnd();
  }

  get connected(): boolean {
    return this.#connected;
  }

  get maxPayloadBytes(): number {
    this.#maxPayloadBytes = this.#connection.info?.max_payload ?? this.#maxPayloadBytes;
    return this.#maxPayloadBytes;
  }

  publish(subject: string, payload: Uint8Array, options?: PublishOptions): void {
    if (this.#closed) throw new TransportClosedError();
    const maxPayloadBytes = this.maxPayloadBytes;
    if (payload.length > maxPayloadBytes) throw new PayloadTooLargeError(payload.length, maxPayloadBytes);
    // Copied, because the client reads it at the end of the turn only.
    if (this.#connected) this.#send(subject, Buffer.from(payload));
    else this.#keep(subject, payload, options?.ttlMs ?? 0);
  }

  subscribe(subject: string, listener: MessageListener): Subscription {
    if (this.#closed) throw new TransportClosedError();
    return this.#subscriptions.add(subject, listener);
  }

  onConnection(listener: (connected: boolean) => void): Subscription {
    return this.#connectionListeners.add(listener);
  }

  close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      this.#closing = this.#end();
    }
    return this.#closing;
  }

  async #end(): Promise<void> {
    const wasConnected = this.#connected;
    this.#subscriptions.clear();
    this.#outbox.clear();
    this.#stopRetryTimer();
    stopIteration(this.#statuses);
    this.#disconnected();
    if (wasConnected) await settledWithin(this.#connection.flush(), FLUSH_LIMIT_MS);
    await this.#closeConnection();
  }

  #keep(subject: string, payload: Uint8Array, ttlMs: number): void {
    if (ttlMs <= 0) return;
    this.#outbox.add({ subject, payload: Buffer.from(payload), expiresAtMs: realClock.now() + ttlMs });
  }

  #send(subject: string, payload: Uint8Array): void {
    try {
      this.#connection.publish(subject, payload);
      if (payload.length >= WRITE_AT_ONCE_BYTES) writePending(this.#connection);
    } catch (error) {
      this.#report(error);
    }
  }

  #subscribeAtServer(set: ListenerSet): void {
    try {
      this.#serverSubscriptions.set(
        set.subject,
        this.#connection.subscribe(set.subject, { callback: this.#receiver(set) }),
      );
    } catch (error) {
      this.#report(error);
    }
  }

  #receiver(set: ListenerSet): (error: Error | null, message: { data: Uint8Array; subject: string }) => void {
    return (error, message) => {
      // Refused: the client has dropped it, and reports the error as a status too.
      if (error !== null) this.#subscriptionRefused(set);
      else set.deliver(message.data, message.subject, this.#subscriptions.stamp());
    };
  }

  #subscriptionRefused({ subject }: ListenerSet): void {
    this.#serverSubscriptions.delete(subject);
    if (this.#closed) return;
    this.#retryTimer ??= realClock.setTimeout(() => {
      this.#retryTimer = null;
      if (this.#connected) this.#subscribeMissing();
    }, RETRY_REFUSED_MS);
  }

  #stopRetryTimer(): void {
    if (this.#retryTimer !== null) realClock.clearTimeout(this.#retryTimer);
    this.#retryTimer = null;
  }

  #subscribeMissing(): void {
    for (const set of this.#subscriptions.sets()) {
      if (!this.#serverSubscriptions.has(set.subject)) this.#subscribeAtServer(set);
    }
  }

  #unsubscribeAtServer({ subject }: ListenerSet): void {
    this.#serverSubscriptions.get(subject)?.unsubscribe();
    this.#serverSubscriptions.delete(subject);
  }

  async #followStatuses(): Promise<void> {
    try {
      for await (const status of this.#statuses) this.#onStatus(status);
    } catch (error) {
      this.#report(error);
    }
  }

  #onStatus(status: NatsStatusLike): void {
    if (this.#closed) return;
    if (status.type === "reconnect") this.#reconnected();
    else if (status.type === "disconnect") this.#lostServer();
    else if (status.type === "staleConnection") this.#wentStale();
    else if (status.type === "error") this.#onErrorStatus(status);
  }

  #onErrorStatus(status: NatsStatusLike): void {
    const refusal = refusalIn(status);
    if (refusal === null) this.#report(status.error ?? new Error(`NATS server: ${JSON.stringify(status)}`));
    else if (this.#refusals.isNews(refusal, realClock.now())) this.#report(refusal);
  }

  /** The client has given up, or its owner has closed it: nothing gets through any more. */
  async #followEnd(): Promise<void> {
    const reason = await this.#connection.closed();
    this.#disconnected();
    this.#outbox.clear();
    if (reason instanceof Error && !this.#closed) this.#report(reason);
  }

  /** Unanswered pings: the client drops the connection and dials again. */
  #wentStale(): void {
    this.#disconnected();
    destroySocket(this.#connection);
  }

  #lostServer(): void {
    this.#disconnected();
    endDeadHandshake(this.#connection);
  }

  #disconnected(): void {
    if (!this.#connected) return;
    this.#connected = false;
    this.#connectionListeners.notify(false);
  }

  #reconnected(): void {
    if (this.#connected || this.#connection.isClosed()) return;
    this.#subscribeMissing();
    this.#connected = true;
    this.#outbox.flush(realClock.now(), ({ subject, payload }) => this.#send(subject, payload));
    this.#connectionListeners.notify(true);
  }

  #report(error: unknown): void {
    try {
      this.#onError(error instanceof Error ? error : new Error(String(error)));
    } catch (thrown) {
      rethrowLater(thrown);
    }
  }
}

async function settledWithin(promise: Promise<unknown>, limitMs: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = realClock.setTimeout(resolve, limitMs);
    const settle = () => {
      realClock.clearTimeout(timer);
      resolve();
    };
    promise.then(settle, settle);
  });
}
