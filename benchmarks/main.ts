/** `npm run bench -- NAME [--json] [--runs N] [--operations N]` */
import { parseArgs } from "node:util";
import { type Bench, takeReadings } from "./bench.js";
import { commands } from "./commands.js";
import { detection } from "./detection.js";
import { nodes } from "./nodes.js";
import { recovery } from "./recovery.js";
import { toRows } from "./rows.js";
import { environmentHeader, toTable } from "./table.js";

const BENCHES: readonly Bench[] = [commands, detection, nodes, recovery];

const USAGE = `Usage: npm run bench -- NAME [--json] [--runs N] [--operations N]

  --json          one line with an array of rows, instead of a table
  --runs          how often each variant is measured
  --operations    how much one measurement does: less is faster and noisier

Benchmarks:
${BENCHES.map(({ name, question }) => `  ${name.padEnd(14)}${question}`).join("\n")}`;

class UsageError extends Error {}

async function main(args: readonly string[]): Promise<void> {
  const { name, json, runs, operations } = parse(args);
  if (name === undefined) return console.log(USAGE);
  const bench = BENCHES.find((each) => each.name === name);
  if (bench === undefined) throw new UsageError(`there is no benchmark ${JSON.stringify(name)}`);
  const options = { runs: runs ?? bench.runs, operations, tell: (line: string) => console.error(`${name}: ${line}`) };
  const rows = toRows(bench, await takeReadings(bench, options));
  if (json) return console.log(JSON.stringify(rows));
  console.log(`${name}: ${bench.question}\n${await environmentHeader(options.runs)}\n\n${toTable(rows)}`);
}

function parse(args: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { json: { type: "boolean" }, runs: { type: "string" }, operations: { type: "string" } },
    });
    if (positionals.length > 1) throw new UsageError("one benchmark at a time");
    const { json = false, runs, operations } = values;
    return { name: positionals[0], json, runs: count("--runs", runs), operations: count("--operations", operations) };
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

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${error.message}\n\n${USAGE}`);
  process.exitCode = 2;
}
