/** Load whose rate does not depend on the answers: what comes due is called, however many calls are under way. */
import { setImmediate as turn } from "node:timers/promises";
import type { CommandOptions, CommandOutcome, Node } from "fractal-tree";

/** The worker answers plain requests of this subject, with nothing. */
export const PLAIN_SUBJECT = "plain";

/** What the worker counted since its start. */
export interface WorkerReport {
  /** Commands that were begun. */
  readonly started: number;
  /** Commands that were begun again. */
  readonly repeated: number;
  readonly mostRunning: number;
  readonly mostQueued: number;
  readonly heapBytes: number;
}

export interface LoadOptions {
  /** Calls a second. */
  readonly rate: number;
  readonly seconds: number;
  readonly command?: CommandOptions;
  /** A command completed, so long after its call. */
  readonly onCompleted?: (durationMs: number) => void;
}

export interface Tally {
  readonly offered: number;
  readonly seconds: number;
  readonly completed: number;
  /** Of those, what completed while the load went on. */
  readonly completedMeanwhile: number;
  /** Refused at once because a queue is full. */
  readonly shed: number;
  /** Any other outcome than these, by its code. */
  readonly others: ReadonlyMap<string, number>;
  readonly mostPending: number;
}

/** Called in one turn, at most: what is answered meanwhile must be read. */
const TURN_CALLS_MAX = 256;

export class Load {
  readonly #node: Node;
  readonly #target: string;
  #number = 0;
  #pending = 0;

  constructor(node: Node, target: string) {
    this.#node = node;
    this.#target = target;
  }

  /** A closed loop: how many commands a second complete while there are always enough of them, but none too many. */
  async capacity(inFlight: number, seconds: number): Promise<number> {
    const startedAtMs = performance.now();
    let completed = 0;
    const caller = async (): Promise<void> => {
      while (performance.now() < startedAtMs + seconds * 1_000) {
        const { status } = await this.#call({});
        if (status === "completed") completed++;
      }
    };
    await Promise.all(Array.from({ length: inFlight }, caller));
    return (completed * 1_000) / (performance.now() - startedAtMs);
  }

  /** Calls for a time, and waits until everything has its outcome. */
  async offer({ rate, seconds, command = {}, onCompleted = () => {} }: LoadOptions): Promise<Tally> {
    const startedAtMs = performance.now();
    const others = new Map<string, number>();
    let [offered, completed, shed, mostPending] = [0, 0, 0, 0];
    const settled = (outcome: CommandOutcome, calledAtMs: number): void => {
      if (outcome.status === "completed") {
        completed++;
        // The outcome's own duration is in whole milliseconds.
        onCompleted(performance.now() - calledAtMs);
      } else if (outcome.status === "notStarted" && outcome.error.code === "OVERLOADED") shed++;
      else others.set(outcome.error.code, (others.get(outcome.error.code) ?? 0) + 1);
    };
    for (let elapsedMs = 0; elapsedMs < seconds * 1_000; elapsedMs = performance.now() - startedAtMs) {
      // Not after the calls: what is refused at once has settled by the next turn.
      mostPending = Math.max(mostPending, this.#pending);
      const due = Math.min(TURN_CALLS_MAX, Math.floor((elapsedMs * rate) / 1_000) - offered);
      const calledAtMs = performance.now();
      for (let n = 0; n < due; n++) void this.#call(command).then((outcome) => settled(outcome, calledAtMs));
      offered += Math.max(0, due);
      await turn();
    }
    const tookSeconds = (performance.now() - startedAtMs) / 1_000;
    const completedMeanwhile = completed;
    while (this.#pending > 0) await turn();
    return { offered, seconds: tookSeconds, completed, completedMeanwhile, shed, others, mostPending };
  }

  async #call(options: CommandOptions): Promise<CommandOutcome> {
    this.#pending++;
    const outcome = await this.#node.tryCommand(this.#target, "work", { number: this.#number++ }, options);
    this.#pending--;
    return outcome;
  }
}
