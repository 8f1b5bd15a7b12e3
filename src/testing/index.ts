/** What the runtime is tested with, for users' tests too: virtual time, seeded randomness, a network full of faults. */
export { seededRandom } from "./prng.js";
export { SimulatedClock } from "./simulated-clock.js";
export { SimulatedNetwork } from "./simulated-network.js";
export { shrink } from "./simulation/shrink.js";
export { SimulatedWorld } from "./simulated-world.js";
export { simulate } from "./simulation/simulate.js";

export type { RunOptions, SimulatedClockOptions } from "./simulated-clock.js";
export type { SimulatedHost } from "./simulated-host.js";
export type { NetworkFaults, NetworkOptions, NetworkStats, SimulatedHostOptions } from "./simulated-network.js";
export type { Here, ShakeOptions, SimulatedWorldOptions, WorldFault } from "./simulated-world.js";
export type { Invariant, Violation } from "./simulation/journal.js";
export type { Fault, FaultKind, FaultSchedule } from "./simulation/schedule.js";
export type { ShrinkOptions } from "./simulation/shrink.js";
export type { SimulationOptions, SimulationResult } from "./simulation/simulate.js";
