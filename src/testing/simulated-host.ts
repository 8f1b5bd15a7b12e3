/** One simulated process: a clock view and a transport that stop with it. */
import { PayloadTooLargeError, TransportClosedError } from "../errors.js";
import type { Clock, Random, Timer } from "../health/clock.js";
import type { MessageListener, PublishOptions, Subscription, Transport } from "../transport/transport.js";
import type { SimulatedClock } from "./simulated-clock.js";

export interface HostOptions {
  readonly name: string;
  readonly clock: SimulatedClock;
  readonly random: Random;
  readonly tree: string;
  readonly maxPayloadBytes: number;
  readonly wallSkewMs: number;
  /** How fast its clock runs: 1.01 is one percent fast. */
  readonly clockRate: number;
  readonly send: (subject: string, payload: Uint8Array) => void;
  /** The host begins or ceases to listen to a subject. */
  readonly listens: (subject: string, isListening: boolean) => void;
}

interface Kept {
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly expiresAtMs: number;
}

/** Messages kept during an outage, as real transports bound them. */
const OUTBOX_MAX = 1_024;

/** Something that happens at a certain message. */
interface Trap {
  left: number;
  readonly direction: "sent" | "received";
  readonly act: () => void;
}

export class SimulatedHost {
  readonly name: string;
  /** Time as this process sees it: it stands still while the process is paused, and callbacks come late. */
  readonly clock: Clock;
  readonly random: Random;
  readonly transport: Transport;
  readonly #options: HostOptions;
  readonly #listeners = new Map<string, Set<MessageListener>>();
  readonly #connectionListeners = new Set<(connected: boolean) => void>();
  readonly #timers = new Set<Timer>();
  #outbox: Kept[] = [];
  /** Timers that came due while paused, in order. */
  #heldTimers: (() => void)[] = [];
  /** What arrived while paused, in order. */
  #heldInput: (() => void)[] = [];
  #traps: Trap[] = [];
  #deaths: (() => void)[] = [];
  #isAlive = true;
  #isPaused = false;
  #isConnected = true;
  #isClosed = false;

  constructor(options: HostOptions) {
    this.#options = options;
    this.name = options.name;
    this.random = options.random;
    this.clock = this.#clockView();
    this.transport = this.#newTransport();
  }

  /** Subscriptions of this process. */
  get subscriptions(): number {
    let count = 0;
    for (const listeners of this.#listeners.values()) count += listeners.size;
    return count;
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Dies like a process: nothing of it acts any more, and nobody is told. */
  kill(): void {
    this.#isAlive = false;
    for (const timer of this.#timers) this.#options.clock.clearTimeout(timer);
    this.#timers.clear();
    this.#heldTimers = [];
    this.#heldInput = [];
    this.#outbox = [];
    this.#forgetListeners();
    for (const tell of this.#deaths.splice(0)) tell();
  }

  /** Stops like SIGSTOP, what comes meanwhile waits; continues by itself after `forMs` milliseconds if given. */
  pause(forMs?: number): void {
    this.#isPaused = true;
    if (forMs !== undefined) this.#options.clock.setTimeout(() => this.resume(), forMs);
  }

  /** Continues like SIGCONT. As in Node, timers that came due run before what arrived is read. */
  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    const { clock } = this.#options;
    for (const act of this.#heldTimers.splice(0)) clock.defer(() => this.#act(this.#heldTimers, act));
    for (const act of this.#heldInput.splice(0)) clock.defer(() => this.#act(this.#heldInput, act));
  }

  /** Loses the connection to the network; the transport notices at once. */
  disconnect(): void {
    this.#setConnected(false);
  }

  /** Is connected again: sends what was kept and has not expired, then tells its listeners. */
  reconnect(): void {
    this.#setConnected(true);
  }

  /** Calls back when the process is killed, as whoever waits for it in the operating system is told. */
  onKilled(act: () => void): void {
    this.#deaths.push(act);
  }

  /** Calls back just before the `nth` message from now on is sent by this process, or read by it. */
  atMessage(nth: number, direction: "sent" | "received", act: () => void): void {
    this.#traps.push({ left: nth, direction, act });
  }

  /** Whether messages reach this process now. */
  get isReachable(): boolean {
    return this.#isAlive && this.#isConnected;
  }

  /** Hands a message to the listeners of a pattern; returns whether there are any. */
  deliver(pattern: string, subject: string, payload: Uint8Array): boolean {
    if (!this.isReachable || !this.#listeners.has(pattern)) return false;
    this.#act(this.#heldInput, () => {
      this.#spring("received");
      for (const listener of this.#listeners.get(pattern) ?? []) listener(payload, subject);
    });
    return true;
  }

  #spring(direction: Trap["direction"]): void {
    for (const trap of this.#traps) {
      if (trap.direction !== direction || --trap.left > 0) continue;
      this.#traps = this.#traps.filter((other) => other !== trap);
      trap.act();
    }
  }

  #forgetListeners(): void {
    for (const subject of this.#listeners.keys()) this.#options.listens(subject, false);
    this.#listeners.clear();
    this.#connectionListeners.clear();
  }

  /** Acts now, or when the process continues. */
  #act(held: (() => void)[], act: () => void): void {
    if (!this.#isAlive) return;
    if (this.#isPaused) held.push(act);
    else act();
  }

  #setConnected(connected: boolean): void {
    if (this.#isConnected === connected) return;
    this.#isConnected = connected;
    this.#act(this.#heldInput, () => {
      if (connected && this.#isConnected) this.#sendKept();
      for (const listener of this.#connectionListeners) listener(connected);
    });
  }

  #sendKept(): void {
    const nowMs = this.#options.clock.now();
    for (const { subject, payload, expiresAtMs } of this.#outbox.splice(0)) {
      if (expiresAtMs > nowMs) this.#options.send(subject, payload);
    }
  }

  #clockView(): Clock {
    const { clock, wallSkewMs, clockRate } = this.#options;
    const bornMs = clock.now();
    const now = (): number => bornMs + (clock.now() - bornMs) * clockRate;
    const setTimer = (callback: () => void, delayMs: number): Timer => {
      const timer = clock.setTimeout(() => {
        // While paused it stays among the timers, so that it can still be cleared before it acts.
        this.#act(this.#heldTimers, () => {
          if (this.#timers.delete(timer)) callback();
        });
      }, delayMs / clockRate);
      if (this.#isAlive) this.#timers.add(timer);
      else clock.clearTimeout(timer);
      return timer;
    };
    return {
      now,
      wallNow: () => clock.wallNow() + wallSkewMs + now() - clock.now(),
      setTimeout: setTimer,
      clearTimeout: (timer) => {
        this.#timers.delete(timer);
        clock.clearTimeout(timer);
      },
      defer: (callback) => {
        setTimer(callback, 0);
      },
    };
  }

  #newTransport(): Transport {
    const { tree, maxPayloadBytes } = this.#options;
    const isConnected = (): boolean => this.#isConnected;
    return {
      namespace: "ft",
      tree,
      maxPayloadBytes,
      get connected() {
        return isConnected();
      },
      publish: (subject, payload, options) => this.#publish(subject, payload, options),
      subscribe: (subject, listener) => this.#subscribe(subject, listener),
      onConnection: (listener) => {
        this.#connectionListeners.add(listener);
        return { unsubscribe: () => void this.#connectionListeners.delete(listener) };
      },
      close: async () => {
        this.#isClosed = true;
        this.#forgetListeners();
      },
    };
  }

  #publish(subject: string, payload: Uint8Array, { ttlMs = 0 }: PublishOptions = {}): void {
    if (this.#isClosed) throw new TransportClosedError();
    const { maxPayloadBytes, clock, send } = this.#options;
    if (payload.length > maxPayloadBytes) throw new PayloadTooLargeError(payload.length, maxPayloadBytes);
    this.#spring("sent");
    if (!this.#isAlive) return;
    if (this.#isConnected) return send(subject, payload);
    if (ttlMs <= 0) return;
    this.#outbox.push({ subject, payload: new Uint8Array(payload), expiresAtMs: clock.now() + ttlMs });
    if (this.#outbox.length > OUTBOX_MAX) this.#outbox.shift();
  }

  #subscribe(subject: string, listener: MessageListener): Subscription {
    if (this.#isClosed) throw new TransportClosedError();
    let listeners = this.#listeners.get(subject);
    if (listeners === undefined) {
      this.#listeners.set(subject, (listeners = new Set()));
      this.#options.listens(subject, true);
    }
    listeners.add(listener);
    return {
      unsubscribe: () => {
        listeners.delete(listener);
        if (listeners.size > 0 || this.#listeners.get(subject) !== listeners) return;
        this.#listeners.delete(subject);
        this.#options.listens(subject, false);
      },
    };
  }
}
