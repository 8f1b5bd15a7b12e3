/** `npm run bench`: see USAGE. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Bench, takeReadings } from "./bench.js";
import { codec } from "./codec.js";
import { commands } from "./commands.js";
import { deep } from "./deep.js";
import { detection } from "./detection.js";
import { type Environment, readEnvironment, toHeader } from "./environment.js";
import { fanout } from "./fanout.js";
import { heartbeats } from "./heartbeats.js";
import { nodes } from "./nodes.js";
import { overhead } from "./overhead.js";
import { overload } from "./overload.js";
import { recovery } from "./recovery.js";
import { readResults, type Result, saveResult, writeReport } from "./results.js";
import { missing, toRows } from "./rows.js";
import { soak } from "./soak.js";
import { toTable } from "./table.js";

const BENCHES: readonly Bench[] = [
  codec,
  commands,
  deep,
  detection,
  fanout,
  heartbeats,
  nodes,
  overhead,
  overload,
  recovery,
  soak,
];

const USAGE = `Usage: npm run bench -- NAME [--json] [--save] [--runs N] [--operations N] [--minutes N] [--no-peers]
       npm run bench -- all      measures and saves everything, but what is marked * only with --long
       npm run bench -- report   writes benchmarks/RESULTS.md and the charts anew from what was saved

  --json          one line with an array of rows, instead of a table
  --save          replaces the benchmark's part of benchmarks/RESULTS.md, and its chart
  --runs          how often each variant is measured
  --operations    how much one measurement does: less is faster and noisier
  --long          for "all": measures also what is marked *, which takes minutes each
  --no-peers      leaves out who must be installed first, to be compared with
  --minutes       how long a measurement takes that goes by time

Benchmarks:
${BENCHES.map(({ name, question, isLong }) => `  ${`${name}${isLong === true ? " *" : ""}`.padEnd(14)}${question}`).join("\n")}`;

class UsageError extends Error {}

type Arguments = ReturnType<typeof parse>;

async function main(args: readonly string[]): Promise<void> {
  const options = parse(args);
  if (options.name === undefined) return console.log(USAGE);
  if (options.name === "all") return measureAll(options);
  if (options.name === "report") return report();
  const bench = BENCHES.find(({ name }) => name === options.name);
  if (bench === undefined) throw new UsageError(`there is no benchmark ${JSON.stringify(options.name)}`);
  await measureOne(bench, options);
}

async function measureOne(bench: Bench, options: Arguments): Promise<void> {
  const tell = (line: string): void => console.error(`${bench.name}: ${line}`);
  const environment = await readEnvironment();
  const startedAtMs = performance.now();
  const readings = await takeReadings(bench, { ...options, runs: options.runs ?? bench.runs, tell });
  const tookSeconds = Math.round((performance.now() - startedAtMs) / 1_000);
  const rows = toRows(bench, readings);
  for (const label of missing(bench, rows)) tell(`not measured: ${label}`);
  tell(`took ${tookSeconds} s`);
  console.log(options.json ? JSON.stringify(rows) : toPage(bench, environment, toTable(rows)));
  if (options.save) await save(bench, { environment, options: optionArgs(options).join(" "), tookSeconds, rows });
}

function toPage({ name, question }: Bench, environment: Environment, table: string): string {
  return `${name}: ${question}\n${toHeader(environment)}\n\n${table}\n`;
}

type Measured = Pick<Result, "environment" | "options" | "tookSeconds" | "rows">;

async function save({ name, question, chart, notes = [] }: Bench, measured: Measured): Promise<void> {
  await saveResult({ name, question, chart, notes, ...measured });
  await report();
}

async function report(): Promise<void> {
  await writeReport(await readResults(BENCHES.map(({ name }) => name)));
}

/** Each in a process of its own: none inherits another's heap, and one that fails does not stop the rest. */
async function measureAll({ json, long, ...options }: Arguments): Promise<void> {
  if (json) throw new UsageError("all saves what it measures: --json is for one benchmark");
  const startedAtMs = performance.now();
  const failed: string[] = [];
  for (const { name } of BENCHES.filter(({ isLong }) => isLong !== true || long)) {
    const program = [...process.execArgv, fileURLToPath(import.meta.url), name, "--save", ...optionArgs(options)];
    const [code] = (await once(spawn(process.execPath, program, { stdio: "inherit" }), "exit")) as [number | null];
    if (code !== 0) failed.push(name);
  }
  console.error(`all: took ${Math.round((performance.now() - startedAtMs) / 1_000)} s`);
  if (failed.length > 0) throw new Error(`could not be measured: ${failed.join(", ")}`);
}

function parse(args: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        json: { type: "boolean" },
        save: { type: "boolean" },
        long: { type: "boolean" },
        "no-peers": { type: "boolean" },
        runs: { type: "string" },
        operations: { type: "string" },
        minutes: { type: "string" },
      },
    });
    if (positionals.length > 1) throw new UsageError("one benchmark at a time");
    return {
      name: positionals[0],
      json: values.json === true,
      save: values.save === true,
      long: values.long === true,
      peers: values["no-peers"] !== true,
      runs: count("--runs", values.runs),
      operations: count("--operations", values.operations),
      minutes: positive("--minutes", values.minutes),
    };
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function count(option: string, given: string | undefined): number | null {
  if (given === undefined) return null;
  const number = Number(given);
  if (!Number.isSafeInteger(number) || number < 1) throw new UsageError(`${option} must be an integer >= 1`);
  return number;
}

function positive(option: string, given: string | undefined): number | null {
  if (given === undefined) return null;
  const number = Number(given);
  if (!(number > 0 && number < Infinity)) throw new UsageError(`${option} must be a number > 0`);
  return number;
}

/** What changes the figures, as it is written on the command line. */
function optionArgs({ runs, operations, minutes, peers }: Omit<Arguments, "json" | "long">): readonly string[] {
  const options = Object.entries({ runs, operations, minutes }).filter(([, value]) => value !== null);
  return [...options.flatMap(([name, value]) => [`--${name}`, `${value}`]), ...(peers ? [] : ["--no-peers"])];
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${error.message}\n\n${USAGE}`);
  process.exitCode = 2;
}
