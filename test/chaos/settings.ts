/** What the driver tells every process of a run, by its environment, which children inherit that other nodes start. */
import type { ChaosPlan } from "./plan.js";

export interface ChaosSettings {
  readonly plan: ChaosPlan;
  readonly servers: readonly string[];
  /** What each process runs. */
  readonly program: string;
  /** Where the journals are. */
  readonly folder: string;
  /** The driver: all processes end with it, whoever started them. */
  readonly driverPid: number;
  /** Says what all processes do, see `Phase`. */
  readonly phaseFile: string;
}

const VARIABLE = "FRACTAL_TREE_CHAOS";

export function toEnvironment(settings: ChaosSettings): NodeJS.ProcessEnv {
  return { ...process.env, [VARIABLE]: JSON.stringify(settings) };
}

/** @throws if this process was not started by a chaos run */
export function fromEnvironment(): ChaosSettings {
  const text = process.env[VARIABLE];
  if (text === undefined) throw new Error(`${VARIABLE} must be given: start this program by npm run chaos`);
  return JSON.parse(text) as ChaosSettings;
}
