/** What the runtime is tested with, for users' tests too: virtual time and seeded randomness. */
export { seededRandom } from "./prng.js";
export { SimulatedClock } from "./simulated-clock.js";

export type { RunOptions, SimulatedClockOptions } from "./simulated-clock.js";
