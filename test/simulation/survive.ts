/**
 * Whole trees through hundreds of seeded disasters, in two test files so that two cores share them.
 *
 * `SEEDS=5000 npx vitest run test/simulation` runs more, `FROM=301` other ones, `SEED=17` replays one and tells all that
 * happened, `CHAOS_MS` sets how long the faults last.
 */
import { expect, it } from "vitest";
import { runSeed, type SeedResult } from "./run-seed.js";

const SEEDS = Number(process.env["SEEDS"] ?? 300);
const FROM = Number(process.env["FROM"] ?? 1);
const ONLY = process.env["SEED"];
const CHAOS_MS = Number(process.env["CHAOS_MS"] ?? 30_000);
const PARTS = 2;

/** Defines the test of one part: every other seed. */
export function surviveSeeds(part: number): void {
  const seeds = ONLY === undefined ? Array.from({ length: SEEDS }, (_, index) => FROM + index) : [Number(ONLY)];
  const ours = seeds.filter((seed) => seed % PARTS === part);
  it.runIf(ours.length > 0)(
    `trees survive ${ONLY === undefined ? `${ours.length} seeds` : `seed ${ONLY}`} of faults`,
    { timeout: 3_600_000 },
    async () => {
      const results: SeedResult[] = [];
      for (const seed of ours) {
        const result = await runSeed(seed, { chaosMs: CHAOS_MS });
        if (ONLY !== undefined) console.log(result.events.join("\n"));
        results.push({ ...result, events: [] });
      }
      const broken = results.filter((result) => result.broken.length > 0);
      expect(broken.length, broken.map(explain).join("\n\n")).toBe(0);
      console.log(summarize(results));
    },
  );
}

function explain({ seed, chaos, broken }: SeedResult): string {
  const duration = CHAOS_MS === 30_000 ? "" : `CHAOS_MS=${CHAOS_MS} `;
  const replay = `SEED=${seed} ${duration}npx vitest run test/simulation`;
  return `seed ${seed} broke. Replay: ${replay}\n${broken.join("\n")}\nfaults:\n${chaos.join("\n")}`;
}

function summarize(results: readonly SeedResult[]): string {
  const sum = (pick: (result: SeedResult) => number): number =>
    results.reduce((total, result) => total + pick(result), 0);
  const slowest = Math.round(Math.max(...results.map(({ recoveryMs }) => recoveryMs)));
  return [
    `${results.length} seeds, ${sum(({ nodes }) => nodes)} nodes, ${sum(({ processes }) => processes)} processes,`,
    `${sum(({ messages }) => messages)} messages, ${sum(({ calls }) => calls)} calls`,
    `(${sum(({ completed }) => completed)} completed), slowest recovery ${slowest} ms of virtual time`,
  ].join(" ");
}
