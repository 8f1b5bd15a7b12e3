#!/usr/bin/env node
/** The `fractal-tree` command. Exit codes: 0 done, 1 failed, 2 bad arguments, 128 + n ended by signal n. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseOptions, UsageError } from "./usage.js";

const USAGE = "usage: fractal-tree demo [--dir <folder>] [--processes] [--json] | --help | --version";

const HELP = `${USAGE}

Commands
  demo          shows a tree at work that loses a node: see fractal-tree demo --help

Options
  --help, -h    prints this
  --version, -v prints the version`;

/** Runs with the arguments behind its name; resolves to the exit code. */
type Command = (args: readonly string[]) => Promise<number>;

/** Loaded when called for: --help need not wait for all of them. */
const COMMANDS: ReadonlyMap<string, () => Promise<Command>> = new Map([
  ["demo", async () => (await import("./demo/command.js")).demo],
]);

async function main([first, ...rest]: readonly string[]): Promise<number> {
  if (first === undefined) throw new UsageError("a command is missing", USAGE);
  const load = COMMANDS.get(first);
  if (load !== undefined) return (await load())(rest);
  if (!first.startsWith("-")) throw new UsageError(`Unknown command '${first}'`, USAGE);
  const options = { help: { type: "boolean", short: "h" }, version: { type: "boolean", short: "v" } } as const;
  const { help, version } = parseOptions([first, ...rest], options, USAGE);
  if (help === true) console.log(HELP);
  else if (version === true) console.log(ownVersion());
  return 0;
}

function ownVersion(): string {
  // The distance to it differs between the sources and the build.
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, "package.json"))) folder = dirname(folder);
  const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { readonly version: string };
  return version;
}

function failed(error: unknown): number {
  if (error instanceof UsageError) {
    console.error(`fractal-tree: ${error.message}\n${error.usage}`);
    return 2;
  }
  console.error(`fractal-tree: ${error instanceof Error ? error.message : String(error)}`);
  return 1;
}

process.exitCode = await main(process.argv.slice(2)).catch(failed);
