/**
 * What brings a child to life and confirms its end: a function of this process, a worker thread, a forked process, or
 * whatever a user writes against this port.
 *
 * P1. `exited` settles exactly once, when the child is certainly gone: a replacement is started only after it.
 * P2. Nothing here restarts anything: that is the supervisor's to decide.
 */
import type { ExitKind } from "../../machines/child-spec.js";
import type { Clock, Random } from "../health/clock.js";
import type { Transport } from "../transport/transport.js";

/** How an incarnation of a child ended. */
export interface ChildExit {
  readonly kind: ExitKind;
  /** For people and logs: `exit code 1`, `SIGKILL`, an error's message. */
  readonly reason: string;
}

/** What a starter is given for one incarnation. */
export interface StartContext {
  /** The path that the child holds. */
  readonly path: string;
  readonly id: string;
  /** Counts the incarnations that this supervisor started of the child: 1, 2, … */
  readonly generation: number;
  /** The parent's transport. */
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  /** Aborts when the start is no longer wanted, or has taken too long. */
  readonly signal: AbortSignal;
  /** What `startChild` was given for this child; undefined otherwise. */
  readonly args: unknown;
}

/** A running incarnation. */
export interface StartedChild {
  /** Resolves when it is certainly gone; never rejects. */
  readonly exited: Promise<ChildExit>;
  /** Asks it to end in order within so many milliseconds. May be called again. Never throws. */
  stop(timeoutMs: number): void;
  /** Ends it at once. May be called again. Never throws. */
  kill(): void;
  /** Lets it go on without us: nothing of it keeps this process alive. Of starters with `outlivesParent`. */
  release?(): void;
}

export interface Starter {
  /**
   * Starts one incarnation. A rejection counts as a failed start; one with code `DEPENDENCY_DOWN` as a dependency that
   * is down. Whoever rejects, or is aborted, leaves nothing running.
   */
  start(context: StartContext): Promise<StartedChild>;
  /**
   * Whether a child can outlive the process of its parent. If so, a starting parent first waits for living ones, which
   * it adopts. @default false
   */
  readonly outlivesParent?: boolean;
}
