/** What all parts of one node share. */
import type { Epoch } from "../../machines/epoch.js";
import { createDetector, type Detector } from "../../machines/failure-detector.js";
import { TransportClosedError } from "../errors.js";
import { improve, worsen } from "../../machines/local-health.js";
import { randomId } from "../health/clock.js";
import { encodeFrame, FRAME_OVERHEAD_BYTES } from "../protocol/codec.js";
import type { Route, Subscription } from "../transport/transport.js";
import { CallIds } from "./call-ids.js";
import { NodeEmitter } from "./events.js";
import type { Carried, FrameLetter } from "./frame-letter.js";
import type { Logger, ResolvedNodeOptions } from "./options.js";
import { Retries } from "./retries.js";

const NOTHING_DROPPED: ReadonlyMap<string, number> = new Map();

const SILENT: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** Sender and reason pairs that were logged; beyond that drops are only counted. */
const LOGGED_DROPS_MAX = 1_000;

/** What restarts of peers bring about by themselves. */
const ORDINARY_DROPS: ReadonlySet<string> = new Set([
  "no session",
  "stale session",
  "stale offer",
  "stale announcement",
  "addressed to another process",
]);

/** The node whose parts share a core. */
export interface CoreOwner {
  /** The transport turned out to be closed; told once. */
  transportClosed(): void;
}

/** The detector of all links within a thread, by which nobody is judged. */
export const UNJUDGED: Detector = createDetector(0, 0);

/** A subject, or the route that a transport has for it. */
export type Outlet = Route | string;

export class NodeCore {
  readonly options: ResolvedNodeOptions;
  /** Steps of work that were done: calls that ended, and what the user reported. */
  progress = 0;
  readonly path: string;
  /** The parent in our thread hears of us rarely, as long as there is nothing to tell. */
  isCalm = false;
  /** The node's incarnation; empty before it was granted one. */
  epoch: Epoch = [];
  /** This process's claim to the path: new at every start. */
  readonly boot: string;
  readonly emitter = new NodeEmitter();
  readonly log: Logger;
  /** Lifeguard's score of our own troubles, 0 to 7. */
  localHealth = 0;
  /** The node has ended: nothing waits any more. */
  isOver = false;
  #callIds: CallIds | null = null;
  #dropped: Map<string, number> | null = null;
  #logged: Set<string> | null = null;
  #waits: Set<() => void> | null = null;
  #retries: Retries | null = null;
  #owner: CoreOwner | null = null;

  constructor(path: string, options: ResolvedNodeOptions) {
    this.options = options;
    this.path = path;
    this.boot = randomId(options.random, 12);
    this.log = options.logger ?? SILENT;
  }

  /** Made when the first call has to be sent again. */
  get retries(): Retries {
    return (this.#retries ??= new Retries(this));
  }

  /** Inbound messages dropped, by reason. */
  get dropped(): ReadonlyMap<string, number> {
    return this.#dropped ?? NOTHING_DROPPED;
  }

  /** Says whom to tell what the parts cannot deal with. */
  ownedBy(owner: CoreOwner): void {
    this.#owner = owner;
  }

  /** Where to publish frames to a subject that many go to. */
  outlet(subject: string): Outlet {
    return this.options.transport.route?.(subject) ?? subject;
  }

  /** Publishes a frame. A transport that its owner closed under a running node ends the node; it never throws into a timer. */
  publish(outlet: Outlet, frame: FrameLetter, ttlMs = 0): void {
    try {
      if (typeof outlet === "string") this.options.transport.publish(outlet, encodeFrame(frame), { ttlMs });
      else outlet.post(frame);
    } catch (error) {
      this.#notPublished(error);
    }
  }

  /** As `publish`, of what is no frame. */
  publishBytes(subject: string, bytes: Uint8Array, ttlMs: number): void {
    try {
      this.options.transport.publish(subject, bytes, { ttlMs });
    } catch (error) {
      this.#notPublished(error);
    }
  }

  #notPublished(error: unknown): void {
    if (!(error instanceof TransportClosedError)) throw error;
    this.transportClosed();
  }

  /** Listens to frames. */
  listen(subject: string, listener: (carried: Carried, subject: string) => void): Subscription {
    const { transport } = this.options;
    return transport.collect?.(subject, listener) ?? transport.subscribe(subject, listener);
  }

  /** The transport turned out to be closed. */
  transportClosed(): void {
    const owner = this.#owner;
    this.#owner = null;
    if (owner !== null) this.options.clock.defer(() => owner.transportClosed());
  }

  /** Whether all that can be reached, but for ports that were lent, runs in this thread. */
  get staysInThread(): boolean {
    return this.options.transport.locals !== undefined;
  }

  /** Whether that process is this very thread, and no message between us leaves it. */
  isLocal(boot: string): boolean {
    return this.options.transport.locals?.has(boot) === true;
  }

  /** An id that no other call of this or another node has: the boot id is ours alone. */
  newCallId(): string {
    return (this.#callIds ??= new CallIds(this.boot)).next();
  }

  now(): number {
    return this.options.clock.now();
  }

  /** Calls back after a time, or at once when the node ends first; the returned function forgets it. */
  wait(callback: () => void, delayMs: number): () => void {
    const { clock } = this.options;
    const wake = (): void => {
      forget();
      callback();
    };
    const timer = clock.setTimeout(wake, this.isOver ? 0 : delayMs);
    const forget = (): void => {
      clock.clearTimeout(timer);
      this.#waits?.delete(wake);
    };
    (this.#waits ??= new Set()).add(wake);
    return forget;
  }

  end(): void {
    this.isOver = true;
    for (const wake of this.#waits ?? []) wake();
  }

  /** Bytes that one message's payload may have: the transport's maximum less everything around it. */
  maxBodyBytes(): number {
    return this.options.transport.maxPayloadBytes - FRAME_OVERHEAD_BYTES;
  }

  troubled(): void {
    this.localHealth = worsen(this.localHealth);
  }

  punctual(): void {
    this.localHealth = improve(this.localHealth);
  }

  /** Counts a message that is not acted upon, and tells of it once for each sender and reason. */
  drop(sender: string, reason: string): void {
    this.#dropped ??= new Map();
    this.#dropped.set(reason, (this.#dropped.get(reason) ?? 0) + 1);
    this.#logged ??= new Set();
    const key = `${sender} ${reason}`;
    if (this.#logged.has(key) || this.#logged.size >= LOGGED_DROPS_MAX) return;
    this.#logged.add(key);
    const fields = { event: "message.dropped", path: this.path, sender, reason };
    if (ORDINARY_DROPS.has(reason)) this.log.debug(fields, "inbound message dropped");
    else this.log.warn(fields, "inbound message dropped");
    this.emitter.emit("message.dropped", { sender, reason });
  }
}
