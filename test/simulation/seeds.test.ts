/** Whole trees through hundreds of seeded disasters. `SEEDS=5000 npx vitest run test/simulation` runs more. */
import { expect, it } from "vitest";
import { runSeed, type SeedResult } from "./run-seed.js";

const SEEDS = Number(process.env["SEEDS"] ?? 300);
/** `SEED=17` replays one. */
const ONLY = process.env["SEED"];

it(
  `trees survive ${ONLY === undefined ? `${SEEDS} seeds` : `seed ${ONLY}`} of faults`,
  { timeout: 3_600_000 },
  async () => {
    const seeds = ONLY === undefined ? Array.from({ length: SEEDS }, (_, index) => index + 1) : [Number(ONLY)];
    const results: SeedResult[] = [];
    for (const seed of seeds) {
      const result = await runSeed(seed);
      expect(result.broken, explain(result)).toEqual([]);
      results.push(result);
    }
    console.log(summarize(results));
  },
);

function explain({ seed, chaos, broken }: SeedResult): string {
  const replay = `SEED=${seed} npx vitest run test/simulation/seeds.test.ts`;
  return `seed ${seed} broke. Replay: ${replay}\n${broken.join("\n")}\nfaults:\n${chaos.join("\n")}`;
}

function summarize(results: readonly SeedResult[]): string {
  const sum = (pick: (result: SeedResult) => number): number =>
    results.reduce((total, result) => total + pick(result), 0);
  const slowest = Math.round(Math.max(...results.map(({ recoveryMs }) => recoveryMs)));
  return [
    `${results.length} seeds, ${sum(({ nodes }) => nodes)} nodes, ${sum(({ messages }) => messages)} messages,`,
    `${sum(({ commands }) => commands)} commands (${sum(({ completed }) => completed)} completed),`,
    `slowest recovery ${slowest} ms of virtual time`,
  ].join(" ");
}
