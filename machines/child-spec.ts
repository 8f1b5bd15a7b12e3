/** What a supervisor knows of a child in advance, in OTP's words, and when it starts one again. */

/** Which ends of a child call for a new one. */
export type RestartType =
  /** Always. */
  | "permanent"
  /** Only after a failure: not after `normal` or `shutdown`. */
  | "transient"
  /** Never. */
  | "temporary";

/** Who is started again when one child fails. */
export type Strategy =
  /** The child alone. */
  | "one_for_one"
  /** All children. */
  | "one_for_all"
  /** The child and those declared after it. */
  | "rest_for_one";

/** When the end of significant children shuts the supervisor down. */
export type AutoShutdown = "never" | "any_significant" | "all_significant";

/**
 * How a child is ended: milliseconds in which it may end in order before it is killed, killed at once, or for as long as
 * the supervisor's own deadline allows.
 */
export type Shutdown = number | "brutal_kill" | "infinity";

/** How an incarnation ended. */
export type ExitKind =
  /** It had finished. */
  | "normal"
  /** It was told to end. */
  | "shutdown"
  /** Anything else, also a kill. */
  | "failed"
  /** Something that it needs is missing: not its own fault, and restarts after it are not counted. */
  | "dependencyDown";

/** What the supervisor machine needs of a child's declaration. */
export interface ChildPlan {
  readonly id: string;
  readonly restart: RestartType;
  readonly shutdown: Shutdown;
  readonly significant: boolean;
  /** Until the child is ready, milliseconds. */
  readonly startTimeoutMs: number;
  /** Made from the template: it is forgotten once it is stopped for good. */
  readonly isDynamic: boolean;
}

/** Whether a child that ended so is started again. */
export function isRestarted(restart: RestartType, kind: ExitKind): boolean {
  if (restart === "temporary") return false;
  return restart === "permanent" || kind === "failed" || kind === "dependencyDown";
}
