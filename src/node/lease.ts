/**
 * The self-lease: whether this process may start a handler.
 *
 * A process that was stopped may have been replaced meanwhile. Before it starts anything, its parent must have
 * acknowledged a message that it sent after it woke; a parent that has replaced it answers that it is fenced.
 */
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
  renewed(): void;
}

export class Lease {
  readonly #port: LeasePort;
  /** A message that the parent must acknowledge is under way. */
  #isConfirming = false;

  constructor(port: LeasePort) {
    this.#port = port;
  }

  /** Whether a handler may start now; if not, `renewed` is called once one may. */
  isValid(): boolean {
    if (this.#isConfirming || this.#isPaused()) return false;
    const { core, uplink, pulse } = this.#port;
    const { heartbeat, failureDetector } = core.options;
    if (!uplink?.channel || pulse.isSteady(heartbeat.maxMs + failureDetector.pauseMs)) return true;
    this.#confirm();
    return false;
  }

  /** The parent acknowledged something. */
  acknowledged(): void {
    if (this.#isConfirming && this.#port.uplink?.channel?.unacknowledged === 0) this.renew();
  }

  /** Something changed that `isValid` asks about. */
  reconsider(): void {
    this.#port.renewed();
  }

  /** The parent has just granted us a session, or there is none. */
  renew(): void {
    this.#isConfirming = false;
    this.#port.renewed();
  }

  #confirm(): void {
    const { core } = this.#port;
    this.#isConfirming = true;
    core.troubled();
    core.log.warn({ event: "node.stalled", path: core.path }, "stalled: waiting for the parent's word");
    this.#port.probeParent();
  }

  #isPaused(): boolean {
    const { core, uplink } = this.#port;
    return core.options.onOrphaned === "pause" && uplink !== null && !uplink.isOpen;
  }
}
