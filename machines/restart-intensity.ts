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

/** Times of the latest restarts, oldest first. Mutable on purpose: ten thousand children may fail in one turn. */
export type RestartHistory = number[];

/** Notes one more restart and forgets those that no longer count. Returns whether it is one too many. */
export function noteRestart(history: RestartHistory, nowMs: number, options: IntensityOptions): boolean {
  history.push(nowMs);
  const stale = firstRecent(history, nowMs, options);
  if (stale > 0) history.splice(0, stale);
  if (history.length > options.intensity + 1) history.shift();
  return history.length > options.intensity;
}

/** Restarts still borne at this time. */
export function restartsLeft(history: RestartHistory, nowMs: number, options: IntensityOptions): number {
  return Math.max(0, options.intensity - (history.length - firstRecent(history, nowMs, options)));
}

/** As in OTP, a restart exactly one period ago still counts. */
function firstRecent(history: RestartHistory, nowMs: number, { periodMs }: IntensityOptions): number {
  let low = 0;
  for (let high = history.length; low < high;) {
    const middle = (low + high) >>> 1;
    if (nowMs - (history[middle] as number) > periodMs) low = middle + 1;
    else high = middle;
  }
  return low;
}
