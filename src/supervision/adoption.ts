/**
 * A child that lives although this supervisor did not start it: there is only its session to act upon. What it is told is
 * repeated, as nothing else makes sure that it arrives; its end is that of the session.
 */
import type { Clock, Timer } from "../health/clock.js";
import type { ChildExit } from "./starter.js";

export interface AdoptionPort {
  readonly clock: Clock;
  readonly generation: number;
  /** Asks it to shut down within so many milliseconds. */
  readonly tellStop: (timeoutMs: number) => void;
  readonly exited: (exit: ChildExit) => void;
}

/** How often it is told again, and for how long after its time is over; then its successor fences it, milliseconds. */
const REPEAT_MS = 250;
const GIVE_UP_MS = 1_000;

export class Adoption {
  readonly generation: number;
  readonly #port: AdoptionPort;
  #timer: Timer | null = null;
  #deadlineAtMs = Infinity;
  #isOver = false;

  constructor(port: AdoptionPort) {
    this.#port = port;
    this.generation = port.generation;
  }

  stop(timeoutMs: number): void {
    this.#deadlineAtMs = Math.min(this.#deadlineAtMs, this.#port.clock.now() + timeoutMs);
    this.#tell();
  }

  kill(): void {
    this.stop(1);
  }

  release(): void {
    this.#isOver = true;
    this.#clearTimer();
  }

  /** Its session has ended. */
  ended(exit: ChildExit): void {
    if (this.#isOver) return;
    this.release();
    this.#port.exited(exit);
  }

  #tell(): void {
    this.#clearTimer();
    if (this.#isOver) return;
    const { clock, tellStop } = this.#port;
    const leftMs = this.#deadlineAtMs - clock.now();
    if (leftMs < -GIVE_UP_MS) return this.ended({ kind: "failed", reason: "killed" });
    tellStop(Math.max(1, Math.floor(leftMs)));
    this.#timer = clock.setTimeout(() => this.#tell(), REPEAT_MS);
  }

  #clearTimer(): void {
    if (this.#timer !== null) this.#port.clock.clearTimeout(this.#timer);
    this.#timer = null;
  }
}
