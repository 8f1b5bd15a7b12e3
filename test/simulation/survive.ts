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
    const results: Omit<SimulationResult, "events">[] = [];
    for (const seed of seeds) {
      const { events, ...result } = await simulate({ seed });
      results.push(result);
      expect(result.broken, result.broken.length > 0 ? explain({ ...result, events }) : "").toEqual([]);
    }
    console.log(summarize(results));
  });
}

function summarize(results: readonly Omit<SimulationResult, "events">[]): string {
  const sum = (pick: (result: Omit<SimulationResult, "events">) => number): number =>
    results.reduce((total, result) => total + pick(result), 0);
  const slowest = Math.round(Math.max(...results.map(({ recoveryMs }) => recoveryMs)));
  return [
    `${results.length} seeds, ${sum(({ nodes }) => nodes)} nodes, ${sum(({ processes }) => processes)} processes,`,
    `${sum(({ steps }) => steps)} steps, ${sum(({ calls }) => calls)} calls`,
    `(${sum(({ completed }) => completed)} completed), slowest recovery ${slowest} ms of virtual time`,
  ].join(" ");
}
