/** What a benchmark is: one question, and subjects that are measured in turn to answer it. */

export interface BenchOptions {
  /** Operations of one measurement; null for the benchmark's own number. */
  readonly operations: number | null;
  /** How long a benchmark that goes by time measures; null for the benchmark's own time. */
  readonly minutes: number | null;
  /** Whether those are compared with that must be installed first. */
  readonly peers: boolean;
}

/** One figure of one run. */
export interface Reading {
  readonly case: string;
  readonly unit: string;
  readonly value: number;
}

/** What is measured in turn with others. */
export interface Subject {
  /** What is compared, for example "node.command()"; empty if there is nothing to compare. */
  readonly variant: string;
  readonly measure: () => Promise<readonly Reading[]>;
}

/** Measures the subjects in all runs. */
export type Measure = (subjects: readonly Subject[]) => Promise<void>;

export interface Goal {
  readonly of: "value" | "ratio";
  readonly is: ">=" | "<=";
  readonly limit: number;
  /** The variant that the ratio is to, where that is not the baseline. */
  readonly against?: string;
  /**
   * The row of what cannot be bettered, with variant and case, measured in the same runs. Where the goal lies beyond it,
   * reaching nine tenths of it is what can be asked.
   */
  readonly floor?: string;
}

export interface Bench {
  readonly name: string;
  readonly question: string;
  /** Runs unless told otherwise. */
  readonly runs: number;
  /** First runs that are thrown away, for just-in-time compilation: much code takes seconds until it is as fast as it gets. */
  readonly warmUps: number;
  /** The variant that the others are compared with, or null. */
  readonly baseline: string | null;
  /** By variant and case as a row names them: "node.command(), 1 in flight, p50". */
  readonly goals: Readonly<Record<string, Goal | readonly Goal[]>>;
  /** The cases that its chart shows, each as a group of bars, one for each variant. */
  readonly chart: readonly string[];
  /** What a reader of the results has to know beside the figures. */
  readonly notes?: readonly string[];
  /** Whether it takes so long that `npm run bench -- all` measures it only with `--long`. */
  readonly isLong?: boolean;
  /** Sets the stage, has the subjects measured, and clears up. */
  stage(options: BenchOptions, measure: Measure): Promise<void>;
}

export interface TakenReading extends Reading {
  readonly variant: string;
}

export interface RunOptions extends BenchOptions {
  readonly runs: number;
  readonly tell: (line: string) => void;
}

/** Measures the subjects run by run (A B C A B C …), so that a noisy minute troubles all of them. */
export async function takeReadings(bench: Bench, options: RunOptions): Promise<readonly TakenReading[]> {
  const taken: TakenReading[] = [];
  await bench.stage(options, async (subjects) => {
    for (let run = 1 - bench.warmUps; run <= options.runs; run++) {
      options.tell(run <= 0 ? "warming up" : `run ${run} of ${options.runs}`);
      const readings = await measureOnce(subjects);
      if (run > 0) taken.push(...readings);
    }
  });
  return taken;
}

async function measureOnce(subjects: readonly Subject[]): Promise<readonly TakenReading[]> {
  const readings: TakenReading[] = [];
  for (const { variant, measure } of subjects) {
    readings.push(...(await measure()).map((reading) => ({ ...reading, variant })));
  }
  return readings;
}
