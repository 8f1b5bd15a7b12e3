/** One command to many: settles when all have, with the first that completes, or with a quorum; streams what comes. */
import { CommandError, InvalidOptionError } from "../errors.js";
import type { CommandOptions, CommandOutcome } from "./dispatch.js";

export interface FanOutOptions extends Omit<CommandOptions, "commandId"> {
  /**
   * When the fan-out is decided: with all outcomes, the first completion, or that many completions. What is still under
   * way then is cancelled. @default "all"
   */
  readonly until?: "all" | "first" | { readonly quorum: number };
}

/** The outcomes of a fan-out: `await` it for all of them, or iterate over them as they come. */
export interface FanOut<Output = unknown> extends AsyncIterable<CommandOutcome<Output>> {
  /**
   * All outcomes in order of arrival. With `until: "first"` or a quorum it rejects with QUORUM_IMPOSSIBLE when too many
   * targets did not complete. Rejects with the signal's reason when the signal aborts.
   */
  readonly outcomes: Promise<readonly CommandOutcome<Output>[]>;
}

/** How many completions decide; null for waiting for all. `targets` is Infinity where their number is not the caller's. */
export function completionsNeeded(until: FanOutOptions["until"], targets: number): number | null {
  if (until === undefined || until === "all") return null;
  const needed = until === "first" ? 1 : until.quorum;
  if (!Number.isSafeInteger(needed) || needed < 1 || needed > targets) {
    throw new InvalidOptionError("until", needed, `a quorum from 1 to the number of targets (${targets})`);
  }
  return needed;
}

/** What a fan-out is made of: a call for each target, or one for all. */
export interface FanOutCalls<Call extends FanOutCall> {
  /** The calls, none of them started; whoever makes them passes on how each target ended. */
  readonly calls: (done: (outcome: CommandOutcome) => void) => readonly Call[];
  readonly start: (call: Call, place: number) => void;
}

export interface FanOutPlan<Call extends FanOutCall = FanOutCall> extends FanOutCalls<Call> {
  readonly name: string;
  readonly path: string;
  /** How many targets there are. */
  readonly targets: number;
  readonly needed: number | null;
  readonly signal: AbortSignal | undefined;
}

interface FanOutCall {
  abort(): void;
}

export function runFanOut<Call extends FanOutCall>(plan: FanOutPlan<Call>): FanOut<never> {
  const run = new FanOutRun(plan);
  run.start();
  // Whoever iterates instead need not handle this promise.
  run.outcomes.catch(() => {});
  return run as FanOut as FanOut<never>;
}

class FanOutRun<Call extends FanOutCall> implements FanOut {
  readonly outcomes: Promise<readonly CommandOutcome[]>;
  readonly #plan: FanOutPlan<Call>;
  readonly #arrived: CommandOutcome[] = [];
  readonly #wakes = new Set<() => void>();
  /** Enough completed, or enough no longer can, or the user aborted: what is under way is cancelled. */
  #isStopped = false;
  #completions = 0;
  #calls: readonly Call[] = [];
  #resolve: (outcomes: readonly CommandOutcome[]) => void = () => {};
  #reject: (reason: unknown) => void = () => {};

  constructor(plan: FanOutPlan<Call>) {
    this.#plan = plan;
    this.outcomes = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  start(): void {
    const { targets, signal } = this.#plan;
    if (isHopeless(this.#plan)) return this.#reject(impossible(this.#plan, 0));
    if (targets === 0) return this.#end();
    signal?.addEventListener("abort", this.#stop, { once: true });
    this.#isStopped = signal?.aborted === true;
    this.#calls = this.#plan.calls((outcome) => this.#note(outcome));
    this.#calls.forEach((call, place) => {
      // What was started before may have decided it already.
      if (this.#isStopped) call.abort();
      else this.#plan.start(call, place);
    });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<CommandOutcome, void, void> {
    const expected = isHopeless(this.#plan) ? 0 : this.#plan.targets;
    for (let next = 0; next < expected; next++) {
      while (this.#arrived.length <= next) await this.#news();
      yield this.#arrived[next] as CommandOutcome;
    }
  }

  #news(): Promise<void> {
    return new Promise((resolve) => this.#wakes.add(resolve));
  }

  #note(outcome: CommandOutcome): void {
    this.#arrived.push(outcome);
    if (outcome.status === "completed") this.#completions++;
    if (this.#wakes.size > 0) this.#tellReaders();
    if (this.#arrived.length === this.#plan.targets) this.#end();
    else if (isDecided(this.#plan, this.#completions, this.#arrived.length)) this.#stop();
  }

  #tellReaders(): void {
    for (const wake of this.#wakes) wake();
    this.#wakes.clear();
  }

  readonly #stop = (): void => {
    if (this.#isStopped) return;
    this.#isStopped = true;
    for (const call of this.#calls) call.abort();
  };

  #end(): void {
    const { signal, needed } = this.#plan;
    signal?.removeEventListener("abort", this.#stop);
    if (signal?.aborted === true) this.#reject(signal.reason);
    else if (needed !== null && this.#completions < needed) this.#reject(impossible(this.#plan, this.#completions));
    else this.#resolve(this.#arrived);
  }
}

type Wanted = Pick<FanOutPlan, "name" | "path" | "needed" | "targets">;

/** Not even all targets would be enough: nobody is asked. */
function isHopeless({ needed, targets }: Wanted): boolean {
  return needed !== null && needed > targets;
}

/** Enough completed, or enough no longer can. */
function isDecided({ needed, targets }: Wanted, completions: number, arrived: number): boolean {
  if (needed === null) return false;
  return completions >= needed || completions + (targets - arrived) < needed;
}

function impossible({ name, path, needed, targets }: Wanted, completions: number): CommandError {
  const message = `only ${completions} of ${targets} targets completed, ${needed} were needed`;
  return new CommandError({ status: "failed", code: "QUORUM_IMPOSSIBLE", message, path, name, commandId: "" });
}
