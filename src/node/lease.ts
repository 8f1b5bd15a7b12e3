/**
 * The self-lease: whether this process may start a handler.
 *
 * A process that was stopped may have been replaced meanwhile. Before it starts anything, its parent must have
 * acknowledged a message that it sent after it woke; a parent that has replaced it answers that it is fenced.
 */
import { NEVER_MS } from "../health/clock.js";
import type { NodeCore } from "./core.js";
import type { Pulse } from "./pulse.js";
import type { Uplink } from "./uplink.js";

export interface LeasePort {
  readonly core: NodeCore;
  readonly uplink: Uplink | null;
  readonly pulse: Pulse;
  /** Sends a message that the parent must acknowledge. */
  probeParent(): void;
  /** Handlers may start again. */
  leaseRenewed(): void;
}

export class Lease {
  readonly #port: LeasePort;
  /** Number of the message that the parent must acknowledge first; 0 when it need not. */
  #confirmingSeq = 0;
  /** When the parent was asked last. */
  #askedAtMs = NEVER_MS;
  /** While there was no session to ask in. */
  #hasStoodStill = false;

  constructor(port: LeasePort) {
    this.#port = port;
  }

  /** Whether a handler may start now; if not, `leaseRenewed` is called once one may. */
  isValid(nowMs: number): boolean {
    this.noteStall(this.#port.pulse.latenessMs(nowMs));
    return this.#confirmingSeq === 0 && !this.#isPaused();
  }

  /** This process stood still for so long; it may have been replaced meanwhile. */
  noteStall(latenessMs: number): void {
    const { core, uplink } = this.#port;
    const { pauseMs } = core.options.failureDetector;
    // As it is almost always; a node asks this at each beat.
    if (latenessMs <= pauseMs || uplink === null || uplink.isLocal) return;
    // What we stood still before we asked is what we asked about; the answer may have come before another stall.
    const stallMs = Math.min(latenessMs, core.now() - this.#askedAtMs);
    if (stallMs <= pauseMs) return;
    if (uplink.channel === null) this.#hasStoodStill = true;
    else this.#doubt(uplink);
  }

  /** The parent acknowledged something. */
  #acknowledged(): void {
    const acknowledged = this.#port.uplink?.channel?.acknowledgedSeq ?? 0;
    if (acknowledged < this.#confirmingSeq) return;
    this.#await(0);
    this.#port.leaseRenewed();
  }

  /** The parent must acknowledge the message with this number first; 0 for none. */
  #await(confirmingSeq: number): void {
    this.#confirmingSeq = confirmingSeq;
    const { uplink } = this.#port;
    if (uplink !== null) uplink.onAcknowledged = confirmingSeq === 0 ? null : () => this.#acknowledged();
  }

  /** Something changed that `isValid` asks about. A session that ended does not answer whether we were replaced before. */
  reconsider(): void {
    this.#port.leaseRenewed();
  }

  /** A session was opened. If we stood still, its offer may be older than that: the parent is asked within it. */
  opened(): void {
    // A parent in our thread stood still with us: it could not replace us meanwhile.
    const isDoubtful = (this.#confirmingSeq > 0 || this.#hasStoodStill) && this.#port.uplink?.isLocal !== true;
    this.#hasStoodStill = false;
    this.#await(0);
    if (isDoubtful) this.#ask();
    else this.#port.leaseRenewed();
  }

  #doubt(uplink: Uplink): void {
    const { core } = this.#port;
    core.troubled();
    // The silence was ours: the parent gets its time to answer.
    uplink.forgive(core.now());
    core.log.warn({ event: "node.stalled", path: core.path }, "stalled: waiting for the parent's word");
    this.#ask();
  }

  #ask(): void {
    this.#port.probeParent();
    this.#askedAtMs = this.#port.core.now();
    this.#await(this.#port.uplink?.channel?.sentSeq ?? 0);
  }

  #isPaused(): boolean {
    const { core, uplink } = this.#port;
    return core.options.onOrphaned === "pause" && uplink !== null && !uplink.isOpen;
  }
}
