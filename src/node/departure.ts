/**
 * How a node ends in order: it finishes what it accepted, shuts down what it must, takes leave of its parent.
 *
 * Ending twice ends once, for the first reason; the shorter deadline counts, and it holds whatever others do. When one of
 * both is for the whole tree, the tree is shut down.
 */
import type { ChildLink } from "./child-link.js";
import type { Children } from "./children.js";
import type { NodeCore } from "./core.js";
import type { EndReason } from "./events.js";
import type { OwnedChildren } from "./owned-children.js";
import { isReachable, type Patience, reserveMs, shutdownChildren, untilTrue, withDeadline } from "./shutdown.js";
import type { Uplink } from "./uplink.js";

export interface DepartureOptions {
  readonly reason: EndReason;
  /** Told to parent and children. */
  readonly why: string;
  readonly timeoutMs: number;
  /** Shut down everything below too. */
  readonly isTree: boolean;
}

export interface DeparturePort {
  readonly core: NodeCore;
  readonly children: Children;
  readonly uplink: Uplink | null;
  /** The node has started: others may know of it. */
  readonly isStarted: boolean;
  /** From now on nothing new is accepted; resolves when what was accepted has ended. */
  stopAccepting(): Promise<void>;
  /** The children that the node started itself: they end with it. */
  readonly owned: OwnedChildren;
  /** Ends the calls that are still under way. */
  endCalls(why: string): void;
  finish(reason: EndReason): void;
  /**
   * Resolves when the last of the node's own children is certainly gone: those that are left after this time are killed.
   */
  untilEnded(timeoutMs: number): Promise<void>;
}

/** What a leaving node waits for its parent's acknowledgement at least, milliseconds. */
const LINGER_MIN_MS = 50;

export class Departure {
  readonly #port: DeparturePort;
  /** Whom a shorter deadline wakes. */
  readonly #waits = new Set<() => void>();
  #running: Promise<void> | null = null;
  #tree: Promise<void> | null = null;
  /** What was told to parent and children; empty before the end begins. */
  why = "";
  #startedAtMs = 0;
  #deadlineAtMs = Infinity;

  constructor(port: DeparturePort) {
    this.#port = port;
  }

  begin(options: DepartureOptions): Promise<void> {
    const { core } = this.#port;
    // It was superseded, or failed: its own children may still be ending.
    if (core.isOver) return this.#port.untilEnded(options.timeoutMs);
    if (!this.#port.isStarted) {
      this.#port.finish(options.reason);
      return Promise.resolve();
    }
    if (this.#running === null) this.#startedAtMs = core.now();
    if (this.#running === null) this.why = options.why;
    this.#setDeadline(options.timeoutMs);
    this.#running ??= this.#run(options).then(() => this.#port.untilEnded(0));
    this.#port.owned.halt();
    if (options.isTree) this.#tree ??= this.#shutdown(options.why, () => true);
    return this.#running;
  }

  /** What is left of the time to end, milliseconds; Infinity while nobody wants the end. */
  get leftMs(): number {
    return Math.max(0, this.#deadlineAtMs - this.#port.core.now());
  }

  /** What is left of that for a child, which needs some to answer, milliseconds. */
  get childMs(): number {
    const { leftMs } = this;
    return leftMs === Infinity ? Infinity : Math.max(0, leftMs - reserveMs(leftMs));
  }

  /** Shuts one remote child down, within the node's usual time. */
  shutDown(link: ChildLink): Promise<void> {
    const { core, owned } = this.#port;
    const deadlineAtMs = core.now() + core.options.shutdownTimeoutMs;
    const patience = this.#patience(() => Math.min(deadlineAtMs, this.#deadlineAtMs));
    return shutdownChildren(core, [link], { patience, reason: "terminated", ...owned.shutdownOptions() });
  }

  #setDeadline(timeoutMs: number): void {
    const deadlineAtMs = this.#port.core.now() + timeoutMs;
    if (deadlineAtMs >= this.#deadlineAtMs) return;
    this.#deadlineAtMs = deadlineAtMs;
    // Who is woken may wait again.
    const waits = Array.from(this.#waits);
    for (const wake of waits) wake();
  }

  #wait(callback: () => void, delayMs: number): () => void {
    const wake = (): void => {
      forget();
      callback();
    };
    const forgetWait = this.#port.core.wait(wake, delayMs);
    const forget = (): void => {
      forgetWait();
      this.#waits.delete(wake);
    };
    this.#waits.add(wake);
    return forget;
  }

  /** Waits no longer than until a time before the deadline. */
  #patience(deadlineAtMs: () => number): Patience {
    return { deadlineAtMs, wait: (callback, delayMs) => this.#wait(callback, delayMs) };
  }

  /** The time for work ends a little before the deadline, which leaves some to take leave. */
  #workPatience(): Patience {
    return this.#patience(() => this.#deadlineAtMs - reserveMs(this.#deadlineAtMs - this.#startedAtMs) / 2);
  }

  async #shutdown(why: string, concerns: (link: ChildLink) => boolean): Promise<void> {
    const { core, children, owned } = this.#port;
    const isConcerned = (link: ChildLink): boolean => owned.isActive(link.id) || isReachable(link, core);
    const links = Array.from(children.all()).filter((link) => isConcerned(link) && concerns(link));
    await shutdownChildren(core, links, { patience: this.#workPatience(), reason: why, ...owned.shutdownOptions() });
    if (!owned.hasActive) return;
    const { supervision } = owned;
    supervision.killAll("the node's time to end is over");
    await withDeadline(
      core,
      supervision.idle(),
      this.#patience(() => this.#deadlineAtMs),
    );
  }

  /** Children that others started go on; those that this node started do not outlive it. */
  #shutdownOwned(why: string): Promise<void> {
    const { owned } = this.#port;
    owned.release();
    if (!owned.hasActive) return Promise.resolve();
    return this.#shutdown(why, ({ id }) => owned.isActive(id));
  }

  async #run({ reason, why }: DepartureOptions): Promise<void> {
    const { core } = this.#port;
    core.log.info({ event: "node.stopping", path: core.path, reason: why }, "stopping");
    const accepted = this.#port.stopAccepting();
    this.#armDeadline(reason);
    await Promise.resolve();
    await this.#tree;
    await withDeadline(core, accepted, this.#workPatience());
    await this.#tree;
    if (core.isOver) return;
    if (this.#tree === null) await this.#shutdownOwned(why);
    if (core.isOver) return;
    this.#port.endCalls("the node is stopping");
    await this.#takeLeave(reason, why);
    this.#port.finish(reason);
  }

  /** Whatever the others do. */
  #armDeadline(reason: EndReason): void {
    const { core } = this.#port;
    const leftMs = this.#deadlineAtMs + LINGER_MIN_MS - core.now();
    if (leftMs <= 0) this.#port.finish(reason);
    else if (!core.isOver) this.#wait(() => this.#armDeadline(reason), Math.ceil(leftMs));
  }

  async #takeLeave(reason: EndReason, why: string): Promise<void> {
    const { core, children, uplink } = this.#port;
    for (const link of children.open()) link.channel?.flush();
    if (this.#tree === null) children.broadcaster.publish({ kind: "shutdown.leaving", seq: 0, reason: why });
    uplink?.retire();
    const channel = uplink?.channel;
    if (!channel) return;
    if (reason === "shutdown") channel.send({ kind: "complete.shutdown", seq: 0 });
    else channel.send({ kind: "status.leaving", seq: 0, reason: why });
    // Of what is sent after the farewell, such as refusals, nothing is acknowledged any more.
    const farewellSeq = channel.sentSeq;
    channel.flush();
    const nowMs = core.now();
    // A parent that does not hear it within the time in which silence means death knows no less.
    const lingerMaxMs = core.options.failureDetector.deadMs;
    const untilMs = (): number => Math.max(nowMs + LINGER_MIN_MS, Math.min(nowMs + lingerMaxMs, this.#deadlineAtMs));
    const patience = this.#patience(untilMs);
    // Nobody hears a farewell that cannot be sent.
    const { transport } = core.options;
    const isHeard = (): boolean => channel.acknowledgedSeq >= farewellSeq;
    const isDone = (): boolean => !transport.connected || isHeard() || uplink?.channel !== channel;
    await untilTrue(core, isDone, patience);
  }
}
