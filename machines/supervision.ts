/** What a supervisor is told and what it answers. */
import type { BackoffOptions } from "./backoff.js";
import type { AutoShutdown, ExitKind, Strategy } from "./child-spec.js";

export interface SupervisorOptions {
  readonly strategy: Strategy;
  /** Restarts of all children borne within the period; null for the larger of 10 and the number of children. */
  readonly intensity: number | null;
  /** Restarts of one child borne within the period. */
  readonly childIntensity: number;
  readonly periodMs: number;
  readonly backoff: BackoffOptions;
  /** Running for so long, a child has recovered: its next failure begins with the shortest delay, milliseconds. */
  readonly stableMs: number;
  /** Rest of a child that was restarted too often, milliseconds; null to fail instead. */
  readonly cooldownMs: number | null;
  readonly autoShutdown: AutoShutdown;
}

/** How an incarnation ended. */
export interface SupervisedExit {
  readonly kind: ExitKind;
  readonly reason: string;
}

/** What was decided about a child, for logs and for whoever watches. */
export interface SupervisionDecision {
  readonly id: string;
  /** The incarnation that it is about. */
  readonly generation: number;
  readonly decision:
    | "started"
    | "ready"
    | "adopted"
    | "released"
    | "restarting"
    | "cooling"
    | "terminated"
    | "finished"
    | "killed"
    | "escalated"
    | "shutdown";
  /** Why: what its end is attributed to; empty for a start. */
  readonly reason: string;
  /** How it ended; null for what is not an end. */
  readonly exit: ExitKind | null;
  /** Restarts since the child was stable, this one included. */
  readonly attempt: number;
  /** Time until the next start, milliseconds; null when none is scheduled. */
  readonly delayMs: number | null;
  /** Restarts that the child and the supervisor bear further within the period. */
  readonly budgetLeft: { readonly child: number; readonly supervisor: number };
}

export type SupervisorAction =
  | { readonly type: "child.start"; readonly id: string; readonly generation: number }
  /** Ask it to end within so many milliseconds; null for as long as it takes. */
  | { readonly type: "child.stop"; readonly id: string; readonly generation: number; readonly timeoutMs: number | null }
  | { readonly type: "child.kill"; readonly id: string; readonly generation: number }
  /** It is wanted, or not any more: whether the parent misses it. */
  | { readonly type: "child.wanted"; readonly id: string; readonly wanted: boolean }
  /** Its declaration is gone. */
  | { readonly type: "child.forgotten"; readonly id: string }
  | { readonly type: "supervisor.failed"; readonly reason: string; readonly exit: ExitKind }
  | { readonly type: "supervisor.shutdown"; readonly reason: string }
  | { readonly type: "supervision.decided"; readonly decision: SupervisionDecision };
