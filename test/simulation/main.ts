/** `npm run simulate -- [--seeds N] [--nodes M] [--from F] [--seed S] [--jobs N] [--json] [--mutations [--only NAME]]` */
import { parseArgs } from "node:util";
import { shrink, type SimulationResult } from "fractal-tree/testing";
import { explain } from "./explain.js";
import { MUTATIONS, runMutation } from "./mutations/run-mutations.js";
import { runSeeds, type SeedTotals } from "./run-seeds.js";

const USAGE = `Usage: npm run simulate -- [--seeds N] [--nodes M] [--from F] [--jobs N] [--json] [--mutations [--only NAME]]
       npm run simulate -- --seed S [--nodes M]

  --seeds N      how many trees, each of its own seed (default 1,000)
  --nodes M      nodes of the largest tree; sizes are drawn from 5 to this (default 60)
  --from F       the first seed (default 1)
  --seed S       replays one seed, shrinks its faults if it fails, and tells what happened
  --jobs N       processes (default: one for each core)
  --mutations    proves that the simulator finds bugs: each of ${MUTATIONS.length} known ones is switched on and must be noticed
  --only NAME    this mutation alone
  --json         one line: { seeds, failures, failed, steps, mutations: { caught, total } }`;

/** Time between two lines about how far it is, milliseconds. */
const TELL_MS = 5_000;

class UsageError extends Error {}

type Arguments = ReturnType<typeof parse>;

async function main(given: readonly string[]): Promise<void> {
  const args = parse(given);
  if (args.seed !== null) return replay(args.seed, args.nodes);
  const startedMs = performance.now();
  const totals = await survive(args);
  const mutations = args.mutations ? await mutate(args) : null;
  const { seeds, steps, failed } = totals;
  const result = { seeds, failures: failed.length, failed: failed.map(({ seed }) => seed), steps };
  if (args.json) console.log(JSON.stringify(mutations === null ? result : { ...result, mutations }));
  else console.log(summarize(totals, performance.now() - startedMs));
  const isComplete = mutations === null || mutations.caught === mutations.total;
  if (failed.length > 0 || !isComplete) process.exitCode = 1;
}

async function survive({ from, seeds, nodes, jobs }: Arguments): Promise<SeedTotals> {
  let toldMs = performance.now();
  const tell = (totals: SeedTotals): void => {
    if (performance.now() - toldMs < TELL_MS) return;
    toldMs = performance.now();
    console.error(`${totals.seeds} of ${seeds} seeds, ${totals.failed.length} failed`);
  };
  const totals = await runSeeds({ from, count: seeds, nodes, tell, ...(jobs === null ? {} : { jobs }) });
  // The first failures are enough to begin with.
  for (const { seed, steps, broken } of totals.failed.slice(0, 3)) {
    if (steps === 0) console.error(`seed ${seed}: ${broken[0]?.what}`);
    else console.error(explain(await shrink({ seed, nodes })));
  }
  return totals;
}

async function mutate({ only, nodes, jobs }: Arguments): Promise<{ caught: number; total: number }> {
  const mutations = MUTATIONS.filter(({ name }) => only === null || name === only);
  if (mutations.length === 0) throw new UsageError(`there is no mutation ${JSON.stringify(only)}`);
  let caught = 0;
  for (const mutation of mutations) {
    const { caughtBy, seeds } = await runMutation(mutation, { nodes, ...(jobs === null ? {} : { jobs }) });
    if (caughtBy !== null) caught++;
    const how =
      caughtBy === null
        ? `NOT CAUGHT in ${seeds} seeds`
        : `caught by ${caughtBy.broken[0]?.invariant}, seed ${caughtBy.seed}`;
    console.error(`${mutation.name}: ${how} (${mutation.bug})`);
  }
  return { caught, total: mutations.length };
}

async function replay(seed: number, nodes: number): Promise<void> {
  const result: SimulationResult = await shrink({ seed, nodes });
  if (result.broken.length === 0)
    return console.log(`seed ${seed} broke nothing: ${result.nodes} nodes, ${result.steps} steps`);
  console.error(explain(result));
  process.exitCode = 1;
}

function summarize({ seeds, steps, calls, slowestRecoveryMs, failed }: SeedTotals, tookMs: number): string {
  const recovery = `slowest recovery ${Math.round(slowestRecoveryMs)} ms of virtual time`;
  return `${seeds} seeds, ${failed.length} failed, ${steps} steps, ${calls} calls, ${recovery}; ${Math.round(tookMs / 1_000)} s`;
}

function parse(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        seeds: { type: "string", default: "1000" },
        nodes: { type: "string", default: "60" },
        from: { type: "string", default: "1" },
        seed: { type: "string" },
        jobs: { type: "string" },
        only: { type: "string" },
        json: { type: "boolean", default: false },
        mutations: { type: "boolean", default: false },
      },
    });
    const { seeds, nodes, from, seed, jobs, only = null, json, mutations } = values;
    return {
      seeds: integer("--seeds", seeds, { min: mutations ? 0 : 1 }),
      nodes: integer("--nodes", nodes, { min: 5 }),
      from: integer("--from", from, { min: 0 }),
      seed: seed === undefined ? null : integer("--seed", seed, { min: 0 }),
      jobs: jobs === undefined ? null : integer("--jobs", jobs, { min: 1 }),
      only,
      json,
      mutations,
    };
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function integer(option: string, given: string, { min }: { readonly min: number }): number {
  const number = Number(given);
  if (!Number.isSafeInteger(number) || number < min) throw new UsageError(`${option} must be an integer >= ${min}`);
  return number;
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${error.message}\n\n${USAGE}`);
  process.exitCode = 2;
}
