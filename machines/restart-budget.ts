/**
 * How many restarts are left: of each child, and of its supervisor. One falling child must not use up what its siblings
 * may need, and many falling in turn must not go on for ever.
 */
import { noteRestart, type RestartHistory, restartsLeft } from "./restart-intensity.js";
import type { SupervisedChild } from "./supervised-child.js";
import type { SupervisionDecision, SupervisorOptions } from "./supervision.js";

/** Smallest default intensity of a supervisor. */
const SUPERVISOR_INTENSITY_MIN = 10;

export class RestartBudget {
  readonly #options: SupervisorOptions;
  readonly #size: () => number;
  #history: RestartHistory = [];

  /** `size` is the number of children. */
  constructor(options: SupervisorOptions, size: () => number) {
    this.#options = options;
    this.#size = size;
  }

  get child() {
    return { intensity: this.#options.childIntensity, periodMs: this.#options.periodMs };
  }

  get supervisor() {
    const { intensity, periodMs } = this.#options;
    return { intensity: intensity ?? Math.max(SUPERVISOR_INTENSITY_MIN, this.#size()), periodMs };
  }

  /** Counts a restart; returns whose intensity it exceeds. */
  count(child: SupervisedChild, nowMs: number): "child" | "supervisor" | null {
    const isTooManyOfChild = noteRestart(child.history, nowMs, this.child);
    const isTooMany = noteRestart(this.#history, nowMs, this.supervisor);
    if (isTooManyOfChild) return "child";
    return isTooMany ? "supervisor" : null;
  }

  left(child: SupervisedChild, nowMs: number): SupervisionDecision["budgetLeft"] {
    return {
      child: restartsLeft(child.history, nowMs, this.child),
      supervisor: restartsLeft(this.#history, nowMs, this.supervisor),
    };
  }

  /** Forgets the supervisor's restarts: a new attempt begins. */
  reset(): void {
    this.#history = [];
  }
}
