/** Where real nodes play a path: virtual time and a simulated network, or real time and a NATS server. */
import type { Clock, Random, Transport } from "../../../src/index.js";
import { seededRandom, SimulatedClock, SimulatedNetwork } from "../../../src/testing/index.js";

/** One process, real or simulated. */
export interface Host {
  readonly clock: Clock;
  readonly random: Random;
  readonly transport: Transport;
  /** Ends it without a word to anybody. */
  kill(): void;
}

/** Whom the node in question cannot reach. */
export interface Cuts {
  readonly parent: boolean;
  readonly children: boolean;
}

export interface Stage {
  /** Whether what is sent in one instant arrives in one instant. */
  readonly keepsInstants: boolean;
  /** Begins a process; the one of this name before it must be over. */
  host(name: string): Host;
  cut(cuts: Cuts): void;
  /** Lets time pass until the condition holds; tells whether it did in time. */
  until(condition: () => boolean, withinMs: number): Promise<boolean>;
}

/** The names of the processes that play: the node in question, its parent and its children. */
export const NODE = "node";
export const PARENT = "parent";

export function simulatedStage(seed: number, childNames: readonly string[]): Stage {
  const clock = new SimulatedClock();
  const random = seededRandom(seed);
  // One delay for all, so that what is sent in one instant arrives in one instant.
  const network = new SimulatedNetwork({ clock, random, faults: { minDelayMs: 1, maxDelayMs: 1 } });
  return {
    keepsInstants: true,
    host: (name) => network.host(name),
    cut: ({ parent, children }) => {
      network.heal();
      if (parent) network.partition([NODE], [PARENT]);
      if (children) network.partition([NODE], childNames);
    },
    until: (condition, withinMs) => clock.runUntil(condition, { withinMs }),
  };
}
