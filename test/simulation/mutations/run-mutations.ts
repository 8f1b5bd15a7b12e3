/**
 * Proves that the simulator finds bugs: builds a copy of the sources with one known bug, and runs seeds until it notices.
 *
 * The copies lie in `.mutations/`, inside the package, so that its dependencies are found.
 */
import { execFile } from "node:child_process";
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { simulate } from "fractal-tree/testing";
import { runSeeds, type RunSeedsOptions } from "../run-seeds.js";
import type { SeedReport } from "../seed-worker.js";
import { COORDINATION_MUTATIONS } from "./coordination.js";
import { applyEdit, type Mutation } from "./mutation.js";
import { SUPERVISION_MUTATIONS } from "./supervision.js";

export const MUTATIONS: readonly Mutation[] = [...COORDINATION_MUTATIONS, ...SUPERVISION_MUTATIONS];

export interface MutationResult {
  readonly mutation: Mutation;
  /** What noticed it; null when nothing did. */
  readonly caughtBy: SeedReport | null;
  /** Seeds that were run. */
  readonly seeds: number;
}

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const COPIED = ["machines", "src", "package.json", "tsconfig.json", "tsconfig.build.json", "test/simulation"];

export async function runMutation(mutation: Mutation, { jobs, nodes = 60 }: MutationRun = {}): Promise<MutationResult> {
  const folder = join(ROOT, ".mutations", mutation.name);
  try {
    await copyWith(mutation, folder);
    const program = pathToFileURL(join(folder, "test/simulation/seed-worker.ts"));
    return await hunt(mutation, { ...(jobs === undefined ? {} : { jobs }), nodes, program, stopsAtFirst: true });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Runs seeds until one fails, and not without the mutation, too, which would prove nothing. */
async function hunt(mutation: Mutation, options: Omit<RunSeedsOptions, "from" | "count">): Promise<MutationResult> {
  const { withinSeeds } = mutation;
  let from = 1;
  while (from <= withinSeeds) {
    const { failed, seeds } = await runSeeds({ ...options, from, count: withinSeeds - from + 1 });
    for (const report of failed) {
      const { broken } = await simulate({ seed: report.seed, nodes: options.nodes });
      if (broken.length === 0) return { mutation, caughtBy: report, seeds: report.seed };
    }
    from += seeds;
  }
  return { mutation, caughtBy: null, seeds: withinSeeds };
}

export interface MutationRun {
  readonly jobs?: number;
  readonly nodes?: number;
}

async function copyWith({ edits }: Mutation, folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const name of COPIED) await cp(join(ROOT, name), join(folder, name), { recursive: true });
  for (const edit of edits) {
    const file = join(folder, edit.file);
    await writeFile(file, applyEdit(await readFile(file, "utf8"), edit));
  }
  await promisify(execFile)(join(ROOT, "node_modules/.bin/tsc"), ["-p", "tsconfig.build.json", "--noCheck"], {
    cwd: folder,
  });
}
