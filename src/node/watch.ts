/**
 * Watching a node's end from anywhere: OTP's monitor, for whoever has a transport and is not its parent.
 *
 * It only listens: to the notices of the end, and to the signs of life that node and parent exchange anyway.
 */
import type { Epoch } from "../../machines/epoch.js";
import type { Clock, Timer } from "../health/clock.js";
import { realClock } from "../health/real-clock.js";
import { decodeFrame } from "../protocol/codec.js";
import { decodeEndNotice } from "../protocol/end-notice.js";
import type { Message, UnknownMessage } from "../protocol/messages.js";
import { assertPath } from "../protocol/path.js";
import { broadcastSubject, endSubject, upSubject } from "../protocol/subjects.js";
import type { MessageListener, Subscription, Transport } from "../transport/transport.js";
import { EventStream } from "./event-stream.js";
import { abortSignal, assertTransport, delay, flag, known, record, withMethods } from "./option-checks.js";
import { type NodeEnd, WatchedNode } from "./watched-node.js";

export interface WatchOptions {
  /** Also reports the ends of all nodes below, each time, and goes on after the end of the watched one. @default false */
  readonly subtree?: boolean;
  /**
   * After so long without any sign of life the node counts as ended, milliseconds: `noproc` if it was never heard,
   * `silent` if it was. To be longer than the node's `failureDetector.deadMs`, and than its `backoff.maxMs`, for which a
   * FAILED one says nothing. Time without a connection does not count. @default 40_000
   */
  readonly silenceMs?: number;
  /** Closes the watch. */
  readonly signal?: AbortSignal;
}

export interface WatchNodeOptions extends WatchOptions {
  readonly transport: Transport;
  readonly path: string;
  /** @default the process's real time */
  readonly clock?: Clock;
}

/**
 * A watch under way. Iterating it yields each end as it is learned, 1,024 kept at most for a slow consumer; it is over
 * after the one end, or with `subtree` when the watch is closed.
 */
export interface NodeWatch extends AsyncIterable<NodeEnd, undefined>, Disposable {
  readonly path: string;
  /**
   * The end of the watched node itself. Rejects when the watch is closed before, with the signal's reason or an AbortError,
   * and with TransportClosedError when the transport was closed.
   */
  readonly ended: Promise<NodeEnd>;
  /** Listens no longer. Idempotent. */
  close(): void;
}

const OPTIONS = ["transport", "path", "clock", "subtree", "silenceMs", "signal"] as const;

/** How often silence is looked at, milliseconds. */
const LOOK_MS = 1_000;

/** Lateness of our own timer that is a stall of our own, milliseconds. */
const LATE_MS = 200;

/** Nodes that one watch keeps in mind; beyond it, further ones below are known by their notices only. */
const NODES_MAX = 10_000;

/**
 * Watches the end of the incarnation that holds a path now: in order, by failure, or by silence.
 *
 * @throws InvalidOptionError, InvalidPathError, TransportClosedError, the signal's reason
 */
export function watchNode(options: WatchNodeOptions): NodeWatch {
  known("options", record("options", options), OPTIONS);
  assertTransport(options.transport);
  assertPath("path", options.path);
  if (options.signal !== undefined) abortSignal("signal", options.signal).throwIfAborted();
  if (options.clock !== undefined) withMethods("clock", options.clock, ["now", "setTimeout", "clearTimeout", "defer"]);
  const { transport, path, clock = realClock, signal } = options;
  const subtree = flag("subtree", options.subtree ?? false);
  const silenceMs = delay("silenceMs", options.silenceMs ?? 40_000);
  return new Watch({ transport, path, clock, subtree, silenceMs, signal: signal ?? null });
}

interface ResolvedWatchOptions {
  readonly transport: Transport;
  readonly path: string;
  readonly clock: Clock;
  readonly subtree: boolean;
  readonly silenceMs: number;
  readonly signal: AbortSignal | null;
}

class Watch implements NodeWatch {
  readonly path: string;
  readonly ended: Promise<NodeEnd>;
  readonly #options: ResolvedWatchOptions;
  readonly #nodes = new Map<string, WatchedNode>();
  readonly #subscriptions: Subscription[] = [];
  readonly #stream = new EventStream<NodeEnd>(() => this.close());
  readonly #aborted = (): void => this.#close(this.#options.signal?.reason);
  #resolve: (end: NodeEnd) => void = () => {};
  #reject: (reason: unknown) => void = () => {};
  /** Paths of nodes about which a notice waits. */
  readonly #doubtful = new Set<string>();
  /** Ends that wait for those of nodes below. */
  #held: NodeEnd[] = [];
  #timer: Timer | null = null;
  readonly #sinceMs: number;
  #dueAtMs = 0;
  #isClosed = false;

  constructor(options: ResolvedWatchOptions) {
    this.#options = options;
    this.path = options.path;
    this.#sinceMs = options.clock.now();
    this.ended = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Whoever only iterates does not wait for it.
    this.ended.catch(() => {});
    this.#add(options.path);
    this.#listen();
    options.signal?.addEventListener("abort", this.#aborted, { once: true });
    this.#lookLater();
  }

  close(): void {
    this.#close(new DOMException("the watch was closed", "AbortError"));
  }

  [Symbol.dispose](): void {
    this.close();
  }

  [Symbol.asyncIterator](): AsyncIterator<NodeEnd, undefined> {
    return this.#stream;
  }

  #close(reason: unknown): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const { clock, signal } = this.#options;
    signal?.removeEventListener("abort", this.#aborted);
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    if (this.#timer !== null) clock.clearTimeout(this.#timer);
    this.#nodes.clear();
    this.#reject(reason);
    this.#stream.end();
  }

  #listen(): void {
    const { transport, path } = this.#options;
    this.#hear(endSubject(transport, path), (payload, at) => this.#noticed(payload, at));
    this.#hear(upSubject(transport, path), (payload, at) => this.#heard("up", payload, at));
    this.#hear(broadcastSubject(transport, path), (payload, at) => this.#heard("all", payload, at));
    this.#subscriptions.push(transport.onConnection(() => this.#connectionChanged()));
  }

  /** The listener gets the path of whoever speaks, or is spoken of. */
  #hear(subject: string, listener: (payload: Uint8Array, path: string) => void): void {
    const { transport, path, subtree } = this.#options;
    const start = subject.length - path.length;
    const receive: MessageListener = (payload, from) => {
      if (!this.#isClosed) listener(payload, from.slice(start));
    };
    this.#subscriptions.push(transport.subscribe(subject, receive));
    if (subtree) this.#subscriptions.push(transport.subscribe(`${subject}.>`, receive));
  }

  #heard(direction: "up" | "all", payload: Uint8Array, path: string): void {
    const node = this.#nodes.get(path) ?? this.#add(path);
    const decoded = decodeFrame(payload, direction === "up" ? "up" : "down");
    if (node === null || decoded.kind === "malformed") return;
    const { session, messages } = decoded.frame;
    node.heard(direction, session, this.#nowMs);
    for (const message of messages) {
      const epoch = epochIn(message);
      if (epoch.length > 0) node.epochHeard(epoch, this.#nowMs);
    }
    this.#settle(node, null);
  }

  #noticed(payload: Uint8Array, path: string): void {
    const notice = decodeEndNotice(payload);
    if (notice === null) return;
    const node = this.#nodes.get(path) ?? this.#add(path) ?? this.#newNode(path);
    this.#settle(node, node.noticed(notice, this.#nowMs));
  }

  #add(path: string): WatchedNode | null {
    if (this.#nodes.size >= NODES_MAX && !this.#forgetOne()) return null;
    const node = this.#newNode(path);
    this.#nodes.set(path, node);
    return node;
  }

  #newNode(path: string): WatchedNode {
    return new WatchedNode(path, { sinceMs: this.#sinceMs, nowMs: this.#nowMs });
  }

  /** Makes room: of those that have ended, the first is forgotten. */
  #forgetOne(): boolean {
    for (const [path, { isOver }] of this.#nodes) {
      if (isOver && path !== this.path) return this.#nodes.delete(path);
    }
    return false;
  }

  /** Something happened to a node: an end is not told before that of a node below is certain. */
  #settle(node: WatchedNode, end: NodeEnd | null): void {
    if (node.isInDoubt) this.#doubtful.add(node.path);
    else this.#doubtful.delete(node.path);
    if (end !== null) this.#held.push(end);
    const ready = this.#held.filter(({ path }) => !this.#isDoubtfulBelow(path));
    if (ready.length === 0) return;
    this.#held = this.#held.filter((each) => !ready.includes(each));
    for (const each of ready) this.#report(each);
  }

  #isDoubtfulBelow(path: string): boolean {
    for (const doubtful of this.#doubtful) if (doubtful.startsWith(`${path}.`)) return true;
    return false;
  }

  #report(end: NodeEnd): void {
    this.#stream.push(end);
    if (end.path !== this.path) return;
    this.#resolve(end);
    if (!this.#options.subtree) this.close();
  }

  get #nowMs(): number {
    return this.#options.clock.now();
  }

  #lookLater(): void {
    const { clock } = this.#options;
    this.#dueAtMs = clock.now() + LOOK_MS;
    this.#timer = clock.setTimeout(() => this.#look(), LOOK_MS);
  }

  #look(): void {
    const nowMs = this.#nowMs;
    const lateMs = nowMs - this.#dueAtMs;
    if (!this.#options.transport.connected) this.#connectionChanged();
    else if (lateMs > LATE_MS) this.#excuse(lateMs);
    else this.#judge(nowMs);
    if (!this.#isClosed) this.#lookLater();
  }

  #connectionChanged(): void {
    const { transport, path } = this.#options;
    this.#excuse(Infinity);
    try {
      // One that was closed does not come back, and says so to whoever subscribes.
      transport.subscribe(endSubject(transport, path), () => {}).unsubscribe();
    } catch (error) {
      this.#close(error);
    }
  }

  #judge(nowMs: number): void {
    const { silenceMs } = this.#options;
    const ended: { readonly node: WatchedNode; readonly end: NodeEnd }[] = [];
    for (const node of this.#nodes.values()) {
      const end = node.check(nowMs, silenceMs);
      if (end !== null) ended.push({ node, end });
    }
    // The deepest first: who fell silent together ended from below.
    for (const { node, end } of ended.toSorted((a, b) => depth(b.end) - depth(a.end))) this.#settle(node, end);
  }

  #excuse(ms: number): void {
    for (const node of this.#nodes.values()) node.excuse(this.#nowMs, ms);
  }
}

const NO_EPOCH: Epoch = [];

/** The epoch that a message tells of its sender. */
function epochIn(message: Message | UnknownMessage): Epoch {
  if (message.kind === "ready.announce") return message.epoch;
  return message.kind === "init.probe" ? message.parentEpoch : NO_EPOCH;
}

function depth({ path }: NodeEnd): number {
  return path.split(".").length;
}
