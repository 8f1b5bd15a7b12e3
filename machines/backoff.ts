/**
 * Exponential backoff with decorrelated jitter: `min(maxMs, random(baseMs, previousMs * 3))`, where the first
 * attempt counts as following a delay of `baseMs`: those who fail together must not try again together.
 *
 * Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015. The jitter lies inside the cap.
 */
export interface BackoffOptions {
  /** Shortest delay, milliseconds. */
  readonly baseMs: number;
  /** Longest delay, milliseconds. */
  readonly maxMs: number;
}

/**
 * The delay to wait before the next attempt.
 *
 * @param previousMs the delay returned last time, or 0 for the first attempt
 * @param random a number in [0, 1)
 */
export function nextBackoffMs(options: BackoffOptions, previousMs: number, random: number): number {
  const upper = Math.max(options.baseMs, previousMs) * 3;
  const delay = options.baseMs + random * (upper - options.baseMs);
  return Math.round(Math.min(options.maxMs, delay));
}
