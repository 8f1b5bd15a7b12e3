/**
 * Whole trees through a thousand seeded disasters, in two test files so that two cores share them.
 *
 * `npm run simulate -- --seeds 20000` runs more; `npm run simulate -- --seed 17` replays one and tells what happened.
 */
import { expect, it } from "vitest";
import { simulate, type SimulationResult } from "../../src/testing/index.js";
import { explain } from "./explain.js";

const SEEDS = Number(process.env["SEEDS"] ?? 1_000);
const PARTS = 2;

/** Defines the test of one part: every other seed. */
export function surviveSeeds(part: number): void {
  const seeds = Array.from({ length: SEEDS }, (_, index) => index + 1).filter((seed) => seed % PARTS === part);
  it(`trees survive ${seeds.length} seeds of faults`, { timeout: 3_600_000 }, async () => {
    const results: Figures[] = [];
    for (const seed of seeds) {
      const result = await simulate({ seed });
      expect(result.broken, result.broken.length > 0 ? explain(result) : "").toEqual([]);
      const { nodes, processes, steps, calls, completed, recoveryMs } = result;
      results.push({ nodes, processes, steps, calls, completed, recoveryMs });
    }
    console.log(summarize(results));
  });
}

/** Without the events: those of a thousand runs would fill the memory. */
type Figures = Pick<SimulationResult, "nodes" | "processes" | "steps" | "calls" | "completed" | "recoveryMs">;

function summarize(results: readonly Figures[]): string {
  const sum = (pick: (result: Figures) => number): number => results.reduce((total, result) => total + pick(result), 0);
  const slowest = Math.round(Math.max(...results.map(({ recoveryMs }) => recoveryMs)));
  return [
    `${results.length} seeds, ${sum(({ nodes }) => nodes)} nodes, ${sum(({ processes }) => processes)} processes,`,
    `${sum(({ steps }) => steps)} steps, ${sum(({ calls }) => calls)} calls`,
    `(${sum(({ completed }) => completed)} completed), slowest recovery ${slowest} ms of virtual time`,
  ].join(" ");
}
