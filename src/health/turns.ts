/** Counts the turns of the event loop in which something is noted, each by the clock that decides when it is over. */
import type { Clock } from "./clock.js";

interface Count {
  turn: number;
  /** When the present turn was first asked for. */
  sinceMs: number;
  /** Somebody has asked for the present turn: its end is awaited. */
  isUnderWay: boolean;
}

const counts = new WeakMap<Clock, Count>();

/** The number of the present turn. */
export function presentTurn(clock: Clock): number {
  return begun(clock).turn;
}

/** About now, for what need not be exact: a look at the clock for each of thousands of messages takes its time. */
export function turnMs(clock: Clock): number {
  return begun(clock).sinceMs;
}

function begun(clock: Clock): Count {
  const count = countOf(clock);
  if (!count.isUnderWay) begin(count, clock);
  return count;
}

function begin(count: Count, clock: Clock): void {
  count.isUnderWay = true;
  count.sinceMs = clock.now();
  clock.defer(() => end(count));
}

/** Whether a turn that was the present one is over. */
export function isOver(turn: number, clock: Clock): boolean {
  return turn < countOf(clock).turn;
}

function countOf(clock: Clock): Count {
  let count = counts.get(clock);
  if (count === undefined) counts.set(clock, (count = { turn: 0, sinceMs: 0, isUnderWay: false }));
  return count;
}

function end(count: Count): void {
  count.isUnderWay = false;
  count.turn++;
}
