/**
 * The adaptive heartbeat interval: it grows while a link is quiet and stable, and falls back to the minimum on any change.
 */
export interface HeartbeatOptions {
  /** Interval right after a change, milliseconds. */
  readonly minMs: number;
  /** Interval on a link that has been stable for long, milliseconds. */
  readonly maxMs: number;
}

const GROWTH = 1.25;
/** How much longer the interval is between nodes of one thread, which cannot die without each other. */
const LOCAL_FACTOR = 60;
const JITTER = 0.1;

/** The interval after one more undisturbed beat. */
export function growInterval(intervalMs: number, options: HeartbeatOptions): number {
  return Math.min(options.maxMs, intervalMs * GROWTH);
}

/**
 * The interval between nodes of one thread, milliseconds. Who watches whom inside a process needs no beats at all in OTP and
 * Akka; a few are left to tell the load of who is quiet.
 */
export function localIntervalMs({ maxMs }: HeartbeatOptions): number {
  return LOCAL_FACTOR * maxMs;
}

/** When to beat next: up to a tenth earlier than promised, so that siblings spread out and none is late by jitter. */
export function jitteredMs(intervalMs: number, random: number): number {
  return Math.round(intervalMs * (1 - JITTER * random));
}
