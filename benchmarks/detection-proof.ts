/**
 * The promise that default settings keep: under loss, stalls up to the forgiven one are no deaths. Many short runs, each
 * from its own seed, of a parent and four children that all stand still now and then.
 */
import { forgivenStallMs } from "fractal-tree/machines";
import type { Reading } from "./bench.js";
import { Arena, OURS } from "./detection-arena.js";
import { countMistakes, keyOf } from "./detection-trace.js";

const CHILDREN = 4;
const RUN_MS = 60_000;

/** The defaults of `heartbeat.maxMs` and `failureDetector`; test/node/detection.test.ts holds them to this. */
export const FORGIVEN_MS = forgivenStallMs(2_000, { pauseMs: 1_000, deadMs: 10_000 });

export async function prove(firstSeed: number, runs: number): Promise<readonly Reading[]> {
  let deaths = 0;
  let runsWithDeath = 0;
  for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
    const conditions = { drop: 0.2, maxDelayMs: 5, stallsMs: [0, FORGIVEN_MS], parentStalls: true } as const;
    const mistakes = await countMistakes(new Arena({ ...conditions, seed, children: CHILDREN, peers: false }), RUN_MS);
    const found = mistakes.get(keyOf(OURS, "dead")) ?? 0;
    deaths += found;
    if (found > 0) runsWithDeath++;
  }
  const childHours = (runs * CHILDREN * RUN_MS) / 3_600_000;
  return [
    { case: "runs", unit: "", value: runs },
    { case: "false deaths", unit: "", value: deaths },
    { case: "runs with a false death, at most (95 %)", unit: "of 1", value: atMost(runsWithDeath) / runs },
    { case: "false deaths, at most (95 %)", unit: "1/child-hour", value: atMost(deaths) / childHours },
  ];
}

/**
 * The expectation that is refuted, at 95 %, by having seen only so many events: where a Poisson variable would have
 * shown more with that probability. Three for none, which is the rule of three.
 */
export function atMost(events: number): number {
  let [low, high] = [events, 3 + 2 * events + 3];
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (poissonUpTo(events, middle) > 0.05) low = middle;
    else high = middle;
  }
  return high;
}

function poissonUpTo(events: number, expected: number): number {
  let term = Math.exp(-expected);
  let sum = term;
  for (let n = 1; n <= events; n++) sum += term *= expected / n;
  return sum;
}
