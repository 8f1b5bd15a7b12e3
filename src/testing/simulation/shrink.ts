/**
 * Makes a failing run small: leaves out faults, then shortens those that are left, as long as the same invariant breaks.
 *
 * Delta debugging (Zeller and Hildebrandt, 2002): ever smaller parts of the schedule are left out, from halves to single
 * faults, and whatever is not needed stays out.
 */
import type { Fault, FaultSchedule } from "./schedule.js";
import { simulate, type SimulationOptions, type SimulationResult } from "./simulate.js";

export interface ShrinkOptions {
  /** Runs that may be spent. @default 150 */
  readonly runsMax?: number;
}

/**
 * Runs what failed again and again, and returns its smallest run that breaks the same invariant.
 *
 * @throws InvalidOptionError
 */
export async function shrink(
  options: SimulationOptions,
  { runsMax = 150 }: ShrinkOptions = {},
): Promise<SimulationResult> {
  const first = await simulate(options);
  if (first.broken.length === 0) return first;
  const search = new Search(options, first, runsMax);
  await search.withoutFaults();
  await search.withCalmNetwork();
  await search.withShorterFaults();
  return search.smallest;
}

class Search {
  smallest: SimulationResult;
  readonly #options: SimulationOptions;
  readonly #invariant: string | undefined;
  #runsLeft: number;

  constructor(options: SimulationOptions, first: SimulationResult, runsMax: number) {
    this.#options = options;
    this.smallest = first;
    this.#invariant = first.broken[0]?.invariant;
    this.#runsLeft = runsMax;
  }

  get #faults(): readonly Fault[] {
    return this.smallest.schedule.faults;
  }

  async withoutFaults(): Promise<void> {
    for (let part = Math.ceil(this.#faults.length / 2); part >= 1; part = part === 1 ? 0 : Math.ceil(part / 2)) {
      for (let from = 0; from < this.#faults.length && this.#runsLeft > 0;) {
        const rest = this.#faults.filter((_, index) => index < from || index >= from + part);
        if (!(await this.#stillBreaks({ ...this.smallest.schedule, faults: rest }))) from += part;
      }
    }
  }

  async withCalmNetwork(): Promise<void> {
    const calm: readonly Partial<FaultSchedule["network"]>[] = [{ duplicate: 0 }, { drop: 0 }, { reorder: false }];
    for (const change of calm) {
      const { network, faults } = this.smallest.schedule;
      await this.#stillBreaks({ faults, network: { ...network, ...change } });
    }
  }

  async withShorterFaults(): Promise<void> {
    for (const index of this.#faults.keys()) {
      while (await this.#stillBreaksWithHalf(index));
    }
  }

  async #stillBreaksWithHalf(index: number): Promise<boolean> {
    const forMs = Math.floor((this.#faults[index]?.forMs ?? 0) / 2);
    if (forMs < 100) return false;
    const faults = this.#faults.map((fault, at) => (at === index ? { ...fault, forMs } : fault));
    return this.#stillBreaks({ ...this.smallest.schedule, faults });
  }

  async #stillBreaks(schedule: FaultSchedule): Promise<boolean> {
    if (this.#runsLeft-- <= 0) return false;
    const result = await simulate({ ...this.#options, schedule });
    const breaks = result.broken.some(({ invariant }) => invariant === this.#invariant);
    if (breaks) this.smallest = result;
    return breaks;
  }
}
