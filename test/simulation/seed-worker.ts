/** Runs the seeds that it is sent, one at a time, and tells how each went. */
import { simulate, type Violation } from "fractal-tree/testing";

export interface SeedOrder {
  readonly seed: number;
  readonly nodes: number;
}

export interface SeedReport {
  readonly seed: number;
  readonly broken: readonly Violation[];
  readonly steps: number;
  readonly nodes: number;
  readonly calls: number;
  readonly recoveryMs: number;
}

process.on("message", (order: SeedOrder) => {
  void simulate(order).then(({ seed, broken, steps, nodes, calls, recoveryMs }) => {
    const report: SeedReport = { seed, broken, steps, nodes, calls, recoveryMs };
    return process.send?.(report);
  });
});
