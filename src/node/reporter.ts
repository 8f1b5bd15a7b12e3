/** What a node tells its parent of itself: its state, its load and the size of its subtree. */
import type { Timer } from "../health/clock.js";
import { STATES, type StatusReport } from "../protocol/messages.js";
import type { Children } from "./children.js";
import type { Coordinator } from "./coordinator.js";
import type { NodeCore } from "./core.js";
import type { Uplink } from "./uplink.js";
import { countSubtree, toBits } from "./views.js";

/** Subtree news travel upward at most this often: a flapping leaf must not keep every level above it busy. */
const INTERVAL_MS = 100;

export interface ReporterPort {
  readonly core: NodeCore;
  readonly uplink: Uplink | null;
  readonly coordinator: Coordinator;
  readonly children: Children;
  /** Handlers of commands that run, and commands that wait for one. */
  readonly running: number;
  readonly queued: number;
  /** The version of the parent's document that is here; 0 for none. */
  readonly receivedVersion: number;
  /** The promise to give for the next sign of life, milliseconds. */
  readonly uplinkPromiseMs: number;
}

export class Reporter {
  readonly #port: ReporterPort;
  #timer: Timer | null = null;
  /** What was told last of `core.progress`. */
  #toldProgress = 0;

  constructor(port: ReporterPort) {
    this.#port = port;
  }

  /** Something that the parent is told with the heartbeat is new, or may soon be. */
  get hasNews(): boolean {
    const { core, running, queued } = this.#port;
    return running + queued > 0 || core.progress !== this.#toldProgress;
  }

  /** READY, if the subtree is, and a report, at once: the state changed, or a session was opened. */
  announceState(): void {
    const { uplink, coordinator } = this.#port;
    if (coordinator.isAvailable) {
      uplink?.send({ kind: "ready.subtree", seq: 0, state: STATES.indexOf(coordinator.state) });
    }
    this.send();
  }

  /** A report; a sequenced one must be acknowledged. */
  send(options: { readonly sequenced: boolean } = { sequenced: false }): void {
    this.#port.uplink?.send(this.#report(this.#port.uplinkPromiseMs), options.sequenced);
  }

  /** A report that is also the heartbeat. */
  beat(nextInMs: number): void {
    this.#port.uplink?.channel?.sendAlone(this.#report(nextInMs));
  }

  /** A report soon, together with what changes until then. */
  schedule(): void {
    const { uplink, core } = this.#port;
    if (uplink === null) return;
    this.#timer ??= core.options.clock.setTimeout(() => {
      this.#timer = null;
      this.send();
    }, INTERVAL_MS);
  }

  close(): void {
    if (this.#timer !== null) this.#port.core.options.clock.clearTimeout(this.#timer);
    this.#timer = null;
  }

  #report(nextInMs: number): StatusReport {
    const { coordinator, children, core, running, queued, receivedVersion } = this.#port;
    this.#toldProgress = core.progress;
    return {
      kind: "status.report",
      seq: 0,
      nextInMs,
      localHealth: core.localHealth,
      state: STATES.indexOf(coordinator.state),
      reasons: toBits(coordinator.reasons),
      running,
      queued,
      ...countSubtree(children, coordinator.isAvailable),
      syncVersion: receivedVersion,
      progress: core.progress,
    };
  }
}
