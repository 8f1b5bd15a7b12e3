/** One command to many: settles when all have, with the first that completes, or with a quorum; streams what comes. */
import { setMaxListeners } from "node:events";
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

export interface FanOutPlan {
  readonly name: string;
  readonly path: string;
  readonly targets: readonly string[];
  readonly needed: number | null;
  readonly signal: AbortSignal | undefined;
  /** Starts the call to one target. */
  readonly start: (target: string, signal: AbortSignal) => Promise<CommandOutcome>;
}

export function runFanOut(plan: FanOutPlan): FanOut<never> {
  const arrived: CommandOutcome[] = [];
  const wakes = new Set<() => void>();
  const stop = new AbortController();
  // Each target listens to it: many are no leak.
  setMaxListeners(0, stop.signal);
  const abort = (): void => stop.abort(plan.signal?.reason);
  if (plan.signal?.aborted === true) abort();
  plan.signal?.addEventListener("abort", abort, { once: true });
  const outcomes = collect(plan, stop, arrived, () => wakes.forEach((wake) => wake())).finally(() =>
    plan.signal?.removeEventListener("abort", abort),
  );
  // Whoever iterates instead need not handle this promise.
  outcomes.catch(() => {});
  const iterate = async function* (): AsyncGenerator<CommandOutcome, void, void> {
    const expected = isHopeless(plan) ? 0 : plan.targets.length;
    for (let next = 0; next < expected; next++) {
      while (arrived.length <= next) {
        await new Promise<void>((resolve) => {
          const wake = (): void => {
            wakes.delete(wake);
            resolve();
          };
          wakes.add(wake);
        });
      }
      yield arrived[next] as CommandOutcome;
    }
  };
  return { outcomes, [Symbol.asyncIterator]: iterate } as FanOut<never>;
}

async function collect(
  plan: FanOutPlan,
  stop: AbortController,
  arrived: CommandOutcome[],
  tell: () => void,
): Promise<readonly CommandOutcome[]> {
  if (isHopeless(plan)) throw impossible(plan, 0);
  let completions = 0;
  const note = (outcome: CommandOutcome): void => {
    arrived.push(outcome);
    if (outcome.status === "completed") completions++;
    tell();
    if (isDecided(plan, completions, arrived.length)) stop.abort();
  };
  await Promise.all(plan.targets.map(async (target) => note(await plan.start(target, stop.signal))));
  plan.signal?.throwIfAborted();
  if (plan.needed !== null && completions < plan.needed) throw impossible(plan, completions);
  return arrived;
}

/** Not even all targets would be enough: nobody is asked. */
function isHopeless({ needed, targets }: FanOutPlan): boolean {
  return needed !== null && needed > targets.length;
}

/** Enough completed, or enough no longer can. */
function isDecided({ needed, targets }: FanOutPlan, completions: number, arrived: number): boolean {
  if (needed === null || arrived === targets.length) return false;
  return completions >= needed || completions + (targets.length - arrived) < needed;
}

function impossible({ name, path, needed, targets }: FanOutPlan, completions: number): CommandError {
  const message = `only ${completions} of ${targets.length} targets completed, ${needed} were needed`;
  return new CommandError({ status: "failed", code: "QUORUM_IMPOSSIBLE", message, path, name, commandId: "" });
}
