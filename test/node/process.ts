/**
 * One process of a simulated world: its own view of time and its own connection to the broker that all share. It can be
 * killed, stopped and continued, disconnected, or listened in on.
 */
import { PayloadTooLargeError } from "../../src/errors.js";
import type { Clock, Timer } from "../../src/health/clock.js";
import { decodeFrame } from "../../src/protocol/codec.js";
import { decodeEndNotice } from "../../src/protocol/end-notice.js";
import type { Frame } from "../../src/protocol/messages.js";
import type { Transport } from "../../src/transport/transport.js";

/** One publish, as an observer of the wire sees it. */
export interface Publication {
  readonly atMs: number;
  readonly subject: string;
  readonly payload: Uint8Array;
  /** Kinds of the messages inside, `unknown` and `malformed` included; `end` for the notice of a node's end. */
  readonly kinds: readonly string[];
  /** Null when it is no frame. */
  readonly frame: Frame | null;
}

export interface ProcessOptions {
  readonly clock: Clock;
  readonly broker: Transport;
  readonly maxPayloadBytes?: number;
  readonly published: (publication: Publication) => void;
}

interface HeldTimer {
  callback: (() => void) | null;
}

export class Process {
  readonly clock: Clock;
  readonly transport: Transport;
  /** Subscriptions that are open, of either kind. */
  subscriptions = 0;
  publishes = 0;
  /** Publications for which it returns false are lost. */
  passes: (publication: Publication) => boolean = () => true;
  readonly #options: ProcessOptions;
  readonly #connectionListeners = new Set<(connected: boolean) => void>();
  readonly #killListeners = new Set<() => void>();
  #isKilled = false;
  #isStopped = false;
  #isConnected = true;
  #heldTimers: HeldTimer[] = [];
  /** Null while messages are delivered as they come. */
  #heldMessages: (() => void)[] | null = null;

  constructor(options: ProcessOptions) {
    this.#options = options;
    this.clock = this.#newClock();
    this.transport = this.#newTransport();
  }

  get isKilled(): boolean {
    return this.#isKilled;
  }

  /** SIGKILL: nothing of it happens any more. */
  kill(): void {
    if (this.#isKilled) return;
    this.#isKilled = true;
    for (const listener of this.#killListeners) listener();
  }

  /** Calls back once it is killed. */
  onKilled(listener: () => void): void {
    this.#killListeners.add(listener);
  }

  /** SIGSTOP: its timers do not fire, what is sent to it waits. */
  stop(): void {
    this.#isStopped = true;
    this.#heldMessages ??= [];
  }

  /** SIGCONT. After a stall Node's event loop runs the timers that are due before it reads what arrived. */
  continue({ messagesFirst = false }: { readonly messagesFirst?: boolean } = {}): void {
    this.#isStopped = false;
    if (messagesFirst) this.#deliverHeld();
    else this.#options.clock.defer(() => this.#deliverHeld());
    const timers = this.#heldTimers;
    this.#heldTimers = [];
    for (const { callback } of timers) callback?.();
  }

  /** The transport notices that its connection is gone; what is sent meanwhile is lost. */
  disconnect(): void {
    this.#isConnected = false;
    for (const listener of this.#connectionListeners) listener(false);
  }

  reconnect(): void {
    this.#isConnected = true;
    for (const listener of this.#connectionListeners) listener(true);
  }

  #deliverHeld(): void {
    const messages = this.#heldMessages ?? [];
    this.#heldMessages = null;
    for (const deliver of messages) deliver();
  }

  #newClock(): Clock {
    const { clock } = this.#options;
    const arm = (callback: () => void, delayMs: number): Timer => {
      const held: HeldTimer = { callback };
      const timer = clock.setTimeout(() => this.#fire(held), delayMs);
      return { held, timer };
    };
    return {
      now: () => clock.now(),
      wallNow: () => clock.wallNow(),
      setTimeout: arm,
      clearTimeout: (handle) => {
        const { held, timer } = handle as { readonly held: HeldTimer; readonly timer: Timer };
        held.callback = null;
        clock.clearTimeout(timer);
      },
      defer: (callback) => void arm(callback, 0),
    };
  }

  #fire(timer: HeldTimer): void {
    if (this.#isStopped) this.#heldTimers.push(timer);
    else if (!this.#isKilled) timer.callback?.();
  }

  #newTransport(): Transport {
    const { broker, maxPayloadBytes } = this.#options;
    const isConnected = (): boolean => this.#isConnected && broker.connected;
    return {
      namespace: broker.namespace,
      tree: broker.tree,
      maxPayloadBytes: maxPayloadBytes ?? broker.maxPayloadBytes,
      get connected() {
        return isConnected();
      },
      publish: (subject, payload) => this.#publish(subject, payload),
      subscribe: (subject, listener) =>
        this.#count(broker.subscribe(subject, (payload, from) => this.#receive(() => listener(payload, from)))),
      onConnection: (listener) => {
        this.#connectionListeners.add(listener);
        return this.#count({ unsubscribe: () => void this.#connectionListeners.delete(listener) });
      },
      close: () => broker.close(),
    };
  }

  #publish(subject: string, payload: Uint8Array): void {
    if (this.#isKilled) return;
    const { maxPayloadBytes } = this.transport;
    if (payload.length > maxPayloadBytes) throw new PayloadTooLargeError(payload.length, maxPayloadBytes);
    const publication = toPublication(this.#options.clock.now(), subject, payload);
    this.publishes++;
    this.#options.published(publication);
    if (!this.#isConnected || !this.passes(publication)) return;
    this.#options.broker.publish(subject, payload);
  }

  #receive(deliver: () => void): void {
    if (this.#isKilled || !this.#isConnected) return;
    if (this.#heldMessages === null) deliver();
    else this.#heldMessages.push(deliver);
  }

  #count(subscription: { unsubscribe(): void }): { unsubscribe(): void } {
    let isOpen = true;
    this.subscriptions++;
    return {
      unsubscribe: () => {
        if (isOpen) this.subscriptions--;
        isOpen = false;
        subscription.unsubscribe();
      },
    };
  }
}

function toPublication(atMs: number, subject: string, payload: Uint8Array): Publication {
  if (subject.split(".")[2] === "end") {
    return { atMs, subject, payload, kinds: [decodeEndNotice(payload) === null ? "malformed" : "end"], frame: null };
  }
  const decoded = decodeFrame(payload, subject.split(".")[2] === "up" ? "up" : "down");
  if (decoded.kind === "malformed") return { atMs, subject, payload, kinds: ["malformed"], frame: null };
  const { frame } = decoded;
  return { atMs, subject, payload, kinds: frame.messages.map(({ kind }) => kind), frame };
}
