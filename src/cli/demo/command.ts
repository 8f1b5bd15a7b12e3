/** `fractal-tree demo`: its arguments, its output and its exit code. */
import { existsSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseOptions, UsageError } from "../usage.js";
import { play } from "./play.js";
import { Progress } from "./progress.js";
import { isOk, toJson, toText } from "./summary.js";

const USAGE = "usage: fractal-tree demo [--dir <folder>] [--processes] [--json] [--help]";

const HELP = `${USAGE}

A three-level tree digests (SHA-256) every file under a folder by commands to its leaves. On the way one mid-level node is
killed and a moment later started again; its leaves survive and attach again. The result is compared with a plain
single-process digest of the same folder.

Options
  --dir <folder>  the folder; default: node_modules in this folder, or else that of fractal-tree itself
  --processes     every node as an operating-system process over a real nats-server, which must be installed;
                  the killed node dies by SIGKILL. Default: one process, memory
  --json          prints the summary as one JSON line, and nothing else on stdout
  --help, -h      prints this

Exit codes: 0 the results are the same, 1 they differ or the demo failed, 2 bad arguments.`;

const OPTIONS = {
  dir: { type: "string" },
  processes: { type: "boolean", default: false },
  json: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
} as const;

/** Resolves to the exit code. @throws UsageError, Error */
export async function demo(args: readonly string[]): Promise<number> {
  const { dir, processes, json, help } = parseOptions(args, OPTIONS, USAGE);
  if (help) {
    console.log(HELP);
    return 0;
  }
  const folder = dir === undefined ? defaultFolder() : requireFolder(dir);
  const interruption = interruptible();
  const progress = new Progress(process.stderr);
  try {
    const result = await play({ folder, processes, progress, signal: interruption.signal });
    console.log(json ? toJson(result) : toText(result));
    return isOk(result) ? 0 : 1;
  } catch (error) {
    progress.clear();
    if (!interruption.signal.aborted) throw error;
    console.error("fractal-tree: interrupted");
    return interruption.exitCode();
  } finally {
    interruption.end();
  }
}

function requireFolder(dir: string): string {
  if (dir === "") throw new UsageError("--dir: the folder is missing", USAGE);
  const folder = resolve(dir);
  if (!existsSync(folder)) throw new UsageError(`--dir: there is no folder ${folder}`, USAGE);
  if (!statSync(folder).isDirectory()) throw new UsageError(`--dir: ${folder} is not a folder`, USAGE);
  return folder;
}

function defaultFolder(): string {
  const own = join(import.meta.dirname, "..", "..", "..", "..", "node_modules");
  const found = [resolve("node_modules"), own].find((folder) => existsSync(folder));
  if (found === undefined) throw new UsageError("there is no node_modules here; give --dir", USAGE);
  return found;
}

const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** Signals end the demo in order; a second one ends it at once. */
function interruptible() {
  const controller = new AbortController();
  let exitCode = 1;
  const interrupt = (signal: keyof typeof EXIT_CODES): void => {
    if (controller.signal.aborted) process.exit(exitCode);
    exitCode = EXIT_CODES[signal];
    controller.abort(new Error(`interrupted by ${signal}`));
  };
  const signals = Object.keys(EXIT_CODES);
  for (const signal of signals) process.on(signal, interrupt);
  const end = (): void => {
    for (const signal of signals) process.off(signal, interrupt);
  };
  return { signal: controller.signal, exitCode: () => exitCode, end };
}
