/** Many seeds on all cores: each process runs one seed at a time, and a process that does not come back is replaced. */
import { type ChildProcess, fork } from "node:child_process";
import { availableParallelism } from "node:os";
import type { SeedOrder, SeedReport } from "./seed-worker.js";

export interface RunSeedsOptions {
  readonly from: number;
  readonly count: number;
  /** Nodes of the largest tree. */
  readonly nodes: number;
  /** The worker to run; this package's unless a mutation is tried. */
  readonly program?: URL;
  readonly jobs?: number;
  /** Ends the whole at the first broken seed. */
  readonly stopsAtFirst?: boolean;
  readonly tell?: (totals: SeedTotals) => void;
}

export interface SeedTotals {
  seeds: number;
  steps: number;
  calls: number;
  slowestRecoveryMs: number;
  /** Reports of the seeds that broke something. */
  readonly failed: SeedReport[];
}

/** Real time that one seed may take: far above the slowest. */
const SEED_LIMIT_MS = 120_000;

export async function runSeeds(options: RunSeedsOptions): Promise<SeedTotals> {
  const { count, jobs = availableParallelism() } = options;
  const run = new Run(options);
  await Promise.all(Array.from({ length: Math.min(jobs, count) }, () => run.work()));
  run.totals.failed.sort((a, b) => a.seed - b.seed);
  return run.totals;
}

class Run {
  readonly totals: SeedTotals = { seeds: 0, steps: 0, calls: 0, slowestRecoveryMs: 0, failed: [] };
  readonly #options: RunSeedsOptions;
  #next: number;

  constructor(options: RunSeedsOptions) {
    this.#options = options;
    this.#next = options.from;
  }

  /** One worker's life: seeds until none is left. */
  async work(): Promise<void> {
    let worker = this.#fork();
    for (let seed = this.#take(); seed !== null; seed = this.#take()) {
      const report = await ask(worker, { seed, nodes: this.#options.nodes });
      this.#add(report);
      if (worker.connected && worker.exitCode === null) continue;
      worker = this.#fork();
    }
    worker.kill();
  }

  #fork(): ChildProcess {
    const program = this.#options.program ?? new URL("seed-worker.ts", import.meta.url);
    return fork(program, { execArgv: ["--max-semi-space-size=64", "--import", "tsx"] });
  }

  #take(): number | null {
    const { from, count, stopsAtFirst = false } = this.#options;
    const isOver = this.#next >= from + count || (stopsAtFirst && this.totals.failed.length > 0);
    return isOver ? null : this.#next++;
  }

  #add(report: SeedReport): void {
    const { totals } = this;
    totals.seeds++;
    totals.steps += report.steps;
    totals.calls += report.calls;
    totals.slowestRecoveryMs = Math.max(totals.slowestRecoveryMs, report.recoveryMs);
    if (report.broken.length > 0) totals.failed.push(report);
    this.#options.tell?.(totals);
  }
}

/** What becomes of a seed; a process that hangs or dies has broken it. */
function ask(worker: ChildProcess, order: SeedOrder): Promise<SeedReport> {
  return new Promise((resolve) => {
    const settle = (report: SeedReport): void => {
      clearTimeout(limit);
      worker.off("message", settle);
      worker.off("exit", died);
      resolve(report);
    };
    const lost = (what: string): SeedReport => {
      const broken = [{ invariant: "no-uncaught" as const, what, atMs: 0 }];
      return { seed: order.seed, broken, steps: 0, nodes: 0, calls: 0, recoveryMs: 0 };
    };
    const died = (code: number | null): void => settle(lost(`the process ended with ${code ?? "a signal"}`));
    const limit = setTimeout(() => {
      worker.off("exit", died);
      worker.kill("SIGKILL");
      worker.once("exit", () => settle(lost(`it did not end within ${SEED_LIMIT_MS} ms of real time`)));
    }, SEED_LIMIT_MS);
    worker.on("message", settle);
    worker.on("exit", died);
    worker.send(order);
  });
}
