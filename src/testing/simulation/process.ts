/** One node of a simulated tree, its process, and what became of both. */
import type { EndReason } from "../../node/events.js";
import type { Node } from "../../node/node.js";
import type { SimulatedHost } from "../simulated-host.js";

/** From when to when, milliseconds; Infinity while it lasts. */
export type Span = [number, number];

/** One node and the process that it runs in; nodes of one process share its host. */
export interface SimulatedProcess {
  readonly path: string;
  readonly number: number;
  readonly name: string;
  readonly host: SimulatedHost;
  readonly node: Node;
  /** Whose supervisor started it; null for the operator. */
  readonly owner: SimulatedProcess | null;
  /** It goes on when its owner's process dies. */
  readonly isDetached: boolean;
  readonly startedAtMs: number;
  endReason: EndReason | null;
  /** Told to end by a fault. */
  isDismissed: boolean;
  /** When it was killed; Infinity while it was not. */
  killedAtMs: number;
  /** From when to when it stood still. */
  readonly pauses: Span[];
  /** From when to when its messages were kept back or lost. */
  readonly cutOffs: Span[];
  /** Promises of this process that have not settled. */
  open: number;
}

export function isLiving({ host, endReason }: SimulatedProcess): boolean {
  return host.isAlive && endReason === null;
}

/** Able to act now. */
export function isActive(process: SimulatedProcess): boolean {
  return isLiving(process) && !process.host.isPaused;
}

/** How long a process stood still within a span of time. */
export function pausedMs({ pauses }: SimulatedProcess, fromMs: number, untilMs: number): number {
  let totalMs = 0;
  for (const [start, end] of pauses) totalMs += Math.max(0, Math.min(end, untilMs) - Math.max(start, fromMs));
  return totalMs;
}
