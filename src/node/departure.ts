/**
 * How a node ends in order: it finishes what it accepted, shuts down what it must, takes leave of its parent.
 *
 * Ending twice ends once; the shorter deadline counts, and it holds whatever others do.
 */
import type { Timer } from "../health/clock.js";
import type { Children } from "./children.js";
import type { NodeCore } from "./core.js";
import type { EndReason } from "./events.js";
import { reserveMs, shutdownChildren, untilTrue, withDeadline } from "./shutdown.js";
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
  /** From now on nothing new is accepted; resolves when what was accepted has ended. */
  stopAccepting(): Promise<void>;
  /** Ends the calls that are still under way. */
  endCalls(): void;
  finish(reason: EndReason): void;
  isOver(): boolean;
}

/** What a leaving node waits for its parent's acknowledgement at least, milliseconds. */
const LINGER_MIN_MS = 50;

export class Departure {
  readonly #port: DeparturePort;
  #running: Promise<void> | null = null;
  #deadlineAtMs = Infinity;
  #timer: Timer | null = null;

  constructor(port: DeparturePort) {
    this.#port = port;
  }

  begin(options: DepartureOptions): Promise<void> {
    if (this.#port.isOver()) return Promise.resolve();
    this.#setDeadline(options);
    this.#running ??= this.#run(options);
    return this.#running;
  }

  /** Forgets the deadline: the node is over. */
  close(): void {
    if (this.#timer !== null) this.#port.core.options.clock.clearTimeout(this.#timer);
    this.#timer = null;
  }

  #setDeadline({ reason, timeoutMs }: DepartureOptions): void {
    const { core } = this.#port;
    const { clock } = core.options;
    const deadlineAtMs = core.now() + timeoutMs;
    if (deadlineAtMs >= this.#deadlineAtMs) return;
    this.close();
    this.#deadlineAtMs = deadlineAtMs;
    this.#timer = clock.setTimeout(() => this.#port.finish(reason), timeoutMs + LINGER_MIN_MS);
  }

  async #run({ reason, why, timeoutMs, isTree }: DepartureOptions): Promise<void> {
    const { core, children } = this.#port;
    core.log.info({ event: "node.stopping", path: core.path, reason: why }, "stopping");
    const accepted = this.#port.stopAccepting();
    const workUntilMs = this.#deadlineAtMs - reserveMs(timeoutMs) / 2;
    if (isTree) await shutdownChildren(core, [...children.open()], { deadlineAtMs: workUntilMs, reason: why });
    await withDeadline(core, accepted, workUntilMs);
    if (this.#port.isOver()) return;
    this.#port.endCalls();
    await this.#takeLeave(reason, why, isTree);
    this.#port.finish(reason);
  }

  async #takeLeave(reason: EndReason, why: string, isTree: boolean): Promise<void> {
    const { core, children, uplink } = this.#port;
    for (const link of children.open()) link.channel?.flush();
    if (!isTree) children.broadcaster.publish({ kind: "shutdown.leaving", seq: 0, reason: why });
    const channel = uplink?.channel;
    if (!channel) return;
    if (reason === "shutdown") channel.send({ kind: "complete.shutdown", seq: 0 });
    else channel.send({ kind: "status.leaving", seq: 0, reason: why });
    channel.flush();
    const untilMs = Math.max(core.now() + LINGER_MIN_MS, this.#deadlineAtMs);
    await untilTrue(core, () => this.#port.isOver() || channel.isDrained() || uplink?.channel !== channel, untilMs);
  }
}
