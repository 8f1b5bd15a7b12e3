/** Runs the built `fractal-tree` command as users do. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const MAIN = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));

export interface CliRun {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly pid: number;
}

export interface RunningCli {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly ended: Promise<CliRun>;
  /** Resolves once stderr contains the text. */
  readonly seen: (text: string) => Promise<void>;
}

export function startCli(args: readonly string[], options: { readonly env?: NodeJS.ProcessEnv } = {}): RunningCli {
  if (!existsSync(MAIN))
    throw new Error(`${MAIN} is missing: these tests run the built command, npm run build makes it`);
  const child = spawn(process.execPath, [MAIN, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...options.env },
  });
  const pid = child.pid ?? 0;
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (text: Buffer) => (stdout += text.toString()));
  child.stderr.on("data", (text: Buffer) => (stderr += text.toString()));
  const ended = once(child, "close").then(([code]) => ({ code: code as number | null, stdout, stderr, pid }));
  const seen = async (text: string): Promise<void> => {
    while (!stderr.includes(text)) {
      if (child.exitCode !== null) throw new Error(`it ended without saying ${JSON.stringify(text)}:\n${stderr}`);
      await sleep(10);
    }
  };
  return { child, pid, ended, seen };
}

/** Runs it to its end, which must be with this exit code. */
export async function runCli(
  args: readonly string[],
  { code = 0, env = {} }: { readonly code?: number; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<CliRun> {
  const run = await startCli(args, { env }).ended;
  if (run.code === code) return run;
  throw new Error(`exit code ${run.code} instead of ${code}:\n${run.stdout}\n${run.stderr}`);
}

/** Command lines of the processes that a demo started: each carries the demo's name. */
export async function processesOf(pid: number): Promise<readonly string[]> {
  const { stdout } = await promisify(execFile)("ps", ["-axo", "args="]);
  return stdout.split("\n").filter((line) => new RegExp(`fractal-tree-demo-${pid}\\b`).test(line));
}
