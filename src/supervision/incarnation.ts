/**
 * One incarnation of a child: from the call of its starter to its confirmed end.
 *
 * I1. `exited` is called exactly once, and nothing of the incarnation lives after it.
 * I2. What is asked for while the start is under way is done once it is over; the start is aborted meanwhile.
 */
import { exitOfStartError } from "./exit.js";
import type { ChildExit, StartContext, StartedChild, Starter } from "./starter.js";

export interface IncarnationPort {
  readonly starter: Starter;
  readonly context: Omit<StartContext, "signal">;
  readonly exited: (exit: ChildExit) => void;
}

export class Incarnation {
  readonly generation: number;
  readonly #abort = new AbortController();
  #started: StartedChild | null = null;
  /** What it was asked for last; null for nothing. */
  #wish: { readonly timeoutMs: number } | "kill" | null = null;

  constructor({ starter, context, exited }: IncarnationPort) {
    this.generation = context.generation;
    const start = async (): Promise<ChildExit> => {
      this.#started = await starter.start({ ...context, signal: this.#abort.signal });
      this.#fulfil();
      return this.#started.exited;
    };
    start().then(exited, (error: unknown) => exited(exitOfStartError(error)));
  }

  /** Whether its start is over. Until then whoever is heard at its path may be a former process of it. */
  get hasStarted(): boolean {
    return this.#started !== null;
  }

  /** Asks it to end in order. */
  stop(timeoutMs: number): void {
    if (this.#wish !== "kill") this.#wish = { timeoutMs };
    this.#fulfil();
  }

  /** Lets it go on without us; a start that is still under way is aborted. */
  release(): void {
    if (this.#started === null) this.kill();
    else this.#started.release?.();
  }

  kill(): void {
    this.#wish = "kill";
    this.#fulfil();
  }

  #fulfil(): void {
    const wish = this.#wish;
    if (wish === null) return;
    if (this.#started === null) this.#abort.abort(new Error("the start is no longer wanted"));
    else if (wish === "kill") this.#started.kill();
    else this.#started.stop(wish.timeoutMs);
  }
}
