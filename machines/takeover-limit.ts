/**
 * The end of a kill loop: two processes that claim one path and restart when fenced would take over from each other for
 * ever. After `TAKEOVERS_MAX` contested takeovers within a minute the incumbent stays.
 */
export const TAKEOVERS_MAX = 3;
export const TAKEOVER_WINDOW_MS = 60_000;

/** Times of contested takeovers, oldest first; never longer than `TAKEOVERS_MAX`. */
export type TakeoverHistory = readonly number[];

/** Of almost every path. */
export const NO_TAKEOVERS: TakeoverHistory = [];

export function noteTakeover(history: TakeoverHistory, nowMs: number): TakeoverHistory {
  return [...recentTakeovers(history, nowMs), nowMs].slice(-TAKEOVERS_MAX);
}

export function isTakeoverAllowed(history: TakeoverHistory, nowMs: number): boolean {
  return recentTakeovers(history, nowMs).length < TAKEOVERS_MAX;
}

function recentTakeovers(history: TakeoverHistory, nowMs: number): TakeoverHistory {
  return history.filter((atMs) => nowMs - atMs < TAKEOVER_WINDOW_MS);
}
