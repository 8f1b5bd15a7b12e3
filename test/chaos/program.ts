/** The program of a run's processes, compiled: loading TypeScript would cost each of them two thirds of its start. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);

const PACKAGE = fileURLToPath(new URL("../..", import.meta.url));
const PROJECT = fileURLToPath(new URL("tsconfig.json", import.meta.url));

export interface Program extends AsyncDisposable {
  readonly file: string;
}

/** Inside the package, so that the program can import it by its name. */
export async function buildProgram(): Promise<Program> {
  const cache = join(PACKAGE, ".vitest-cache");
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, "chaos-"));
  await run(join(PACKAGE, "node_modules", ".bin", "tsc"), ["-p", PROJECT, "--outDir", folder]);
  return {
    file: join(folder, "node-program.js"),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}
