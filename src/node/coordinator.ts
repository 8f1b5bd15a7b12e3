/** Runs the node's coordination machine and turns what it emits into calls of the runtime. */
import { nextBackoffMs } from "../../machines/backoff.js";
import {
  type CoordinationContext,
  type CoordinationEffect,
  type CoordinationEvent,
  type CoordinationState,
  type DegradedReason,
  degradedReasons,
} from "../../machines/coordination.js";
import { CoordinationRun } from "./coordination-run.js";
import type { NodeCore } from "./core.js";
import type { StateChange } from "./events.js";

type StateEntered = Extract<CoordinationEffect, { type: "state.entered" }>;

export interface CoordinatorPort {
  callChildren(): void;
  reportUp(): void;
  /** Ends what is open; the coordinator schedules the next attempt when that is done: at once, or later. */
  cleanUp(failure: string): Promise<void> | null;
  retry(): void;
  entered(change: StateChange): void;
}

/** SYNCHRONIZED for this long, the next failure starts with the shortest delay again. */
const STABLE_MIN_MS = 10_000;

export class Coordinator {
  readonly #core: NodeCore;
  readonly #port: CoordinatorPort;
  readonly #run: CoordinationRun;
  state: CoordinationState = "DISCONNECTED";
  #enteredAtMs = 0;
  #enteredReasons: readonly DegradedReason[] = [];
  #retryDelayMs = 0;
  #isStopping = false;

  constructor(core: NodeCore, hasUplink: boolean, port: CoordinatorPort) {
    this.#core = core;
    this.#port = port;
    const { thresholds, initTimeoutMs, recoveryTimeoutMs, cleanupTimeoutMs } = core.options;
    const input = { thresholds, initTimeoutMs, recoveryTimeoutMs, cleanupTimeoutMs, hasUplink };
    this.#run = new CoordinationRun(core.path, core.options, input, this);
  }

  get context(): CoordinationContext {
    return this.#run.context;
  }

  /** Has sessions with its children, or seeks them. */
  get isCoordinating(): boolean {
    return this.isAvailable || this.state === "CONNECTING";
  }

  /** SYNCHRONIZED or DEGRADED: able to work. */
  get isAvailable(): boolean {
    return this.state === "SYNCHRONIZED" || this.state === "DEGRADED";
  }

  /** Why it is DEGRADED; empty in other states. */
  get reasons(): readonly DegradedReason[] {
    // Within a step the machine may be ahead of what it has told.
    const isSettled = this.#run.state === "DEGRADED" && this.state === "DEGRADED";
    return isSettled ? degradedReasons(this.context) : this.#enteredReasons;
  }

  /** Time that a child has for its own initialization, whole milliseconds: ours, or what is left of it. */
  get childBudgetMs(): number {
    const { initTimeoutMs } = this.#core.options;
    if (this.state !== "CONNECTING") return Math.floor(initTimeoutMs);
    return Math.max(1, Math.floor(this.context.initBudgetMs - (this.#core.now() - this.#enteredAtMs)));
  }

  start(): void {
    this.#run.start();
  }

  send(event: CoordinationEvent): void {
    this.#run.send(event);
  }

  /** After FAILED, no further attempt is made. */
  stopRetrying(): void {
    this.#isStopping = true;
  }

  stop(): void {
    this.#run.stop();
  }

  /** Carries out what the machine emits. */
  emitted(effect: CoordinationEffect): void {
    switch (effect.type) {
      case "state.entered":
        return this.#entered(effect);
      case "effect.callChildren":
        return this.#port.callChildren();
      case "effect.reportUp":
        return this.#port.reportUp();
      case "effect.retry":
        return this.#port.retry();
      case "effect.cleanUp":
        // The event that led to it is to be handled to its end.
        return this.#core.options.clock.defer(() => this.#cleanUp());
    }
  }

  #entered({ state, reasons, failure }: StateEntered): void {
    const from = this.state;
    if (from === state) return;
    const atMs = this.#core.now();
    if (from === "SYNCHRONIZED" && atMs - this.#enteredAtMs >= this.#stableMs()) this.#retryDelayMs = 0;
    this.state = state;
    this.#enteredAtMs = atMs;
    this.#enteredReasons = reasons;
    // A copy: what the machine told is told to others, too.
    this.#port.entered({ atMs, path: this.#core.path, from, state, reasons: reasons.slice(), failure });
  }

  #stableMs(): number {
    return Math.max(STABLE_MIN_MS, this.#retryDelayMs);
  }

  #cleanUp(): void {
    if (this.state !== "FAILED") return;
    const done = this.#port.cleanUp(this.context.failure ?? "failed");
    if (done === null) return this.#cleanedUp();
    // A later failure has a clean-up of its own.
    const enteredAtMs = this.#enteredAtMs;
    const isStill = (): boolean => this.state === "FAILED" && this.#enteredAtMs === enteredAtMs;
    void done.then(() => (isStill() ? this.#cleanedUp() : undefined));
  }

  #cleanedUp(): void {
    const { backoff, random } = this.#core.options;
    this.#retryDelayMs = nextBackoffMs(backoff, this.#retryDelayMs, random());
    this.send({ type: "cleanup.done", retryInMs: this.#isStopping ? null : this.#retryDelayMs });
  }
}
