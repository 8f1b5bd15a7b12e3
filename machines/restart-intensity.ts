/**
 * Restart intensity: how many restarts within a sliding window are borne before the supervisor gives up.
 *
 * Source: OTP `supervisor.erl`, `add_restart/1`: restarts older than the period are forgotten, and the one that makes more
 * than `intensity` of them is too many.
 */
export interface IntensityOptions {
  /** Restarts borne within the period; 0 bears none. */
  readonly intensity: number;
  /** Length of the window, milliseconds. */
  readonly periodMs: number;
}

/** Times of the restarts within the window, oldest first. */
export type RestartHistory = readonly number[];

/** The history with one more restart. It is cut to what the verdict needs, so that it stays bounded. */
export function noteRestart(history: RestartHistory, nowMs: number, options: IntensityOptions): RestartHistory {
  return [...recentRestarts(history, nowMs, options), nowMs].slice(-(options.intensity + 1));
}

/** Whether the restarts noted are more than is borne. */
export function isTooIntense(history: RestartHistory, options: IntensityOptions): boolean {
  return history.length > options.intensity;
}

/** Restarts still borne at this time. */
export function restartsLeft(history: RestartHistory, nowMs: number, options: IntensityOptions): number {
  return Math.max(0, options.intensity - recentRestarts(history, nowMs, options).length);
}

/** As in OTP, a restart exactly one period ago still counts. */
function recentRestarts(history: RestartHistory, nowMs: number, { periodMs }: IntensityOptions): RestartHistory {
  return history.filter((atMs) => nowMs - atMs <= periodMs);
}
