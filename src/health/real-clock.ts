/** The process's own time: one timing wheel for all nodes, and one end of a turn. */
import { endOfTurn } from "./batch.js";
import type { Clock } from "./clock.js";
import { TimingWheel } from "./timing-wheel.js";

const wheel = new TimingWheel();

/** The global is looked up through a getter each time. */
const { performance } = globalThis;

export const realClock: Clock = {
  // Whole milliseconds: V8 boxes every fraction that an object holds, and timeouts come in ticks of ten.
  now: () => Math.trunc(performance.now()),
  wallNow: () => Date.now(),
  setTimeout: (callback, delayMs) => wheel.add(callback, delayMs),
  clearTimeout: (timer) => wheel.remove(timer),
  defer: (callback) => endOfTurn.add(callback),
};
