/** `npm run chaos -- [--minutes N] [--seed N] [--fast] [--keep] [--json]` */
import { parseArgs } from "node:util";
import type { Pace } from "./plan.js";
import { explain, toReport, toText } from "./report.js";
import { runChaos } from "./run.js";

const USAGE = `Usage: npm run chaos -- [--minutes N] [--seed N] [--fast] [--keep] [--json]

  --minutes N   how long there are faults (default 5)
  --seed N      of the faults and of the tree's settings (default: a random one); load and timing differ in each run
  --fast        shorter limits than the library's default options, and more faults
  --keep        keeps the journals although every rule held
  --json        the report as one line of JSON`;

const EXIT_ABORTED = 130;

class UsageError extends Error {}

async function main(args: readonly string[]): Promise<void> {
  const { minutes, seed, pace, keeps, json } = parse(args);
  console.error(`chaos: seed ${seed}, ${minutes} minutes`);
  const tell = (line: string): void => console.error(`chaos: ${line}`);
  const result = await runChaos({ seed, forMs: minutes * 60_000, pace, middles: 3, leaves: 4, keeps, tell });
  const report = toReport(result);
  console.log(json ? JSON.stringify(report) : toText(report));
  if (result.violations.length > 0 || keeps) console.error(`chaos: the journals are in ${result.folder}`);
  if (result.violations.length === 0) return console.error("chaos: every rule held");
  console.error(explain(result.violations));
  process.exitCode = 1;
}

function parse(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        minutes: { type: "string" },
        seed: { type: "string" },
        fast: { type: "boolean" },
        keep: { type: "boolean" },
        json: { type: "boolean" },
      },
    });
    const {
      minutes = "5",
      seed = String(1 + Math.floor(Math.random() * 1_000_000)),
      fast = false,
      keep = false,
      json = false,
    } = values;
    const pace: Pace = fast ? "fast" : "default";
    return { minutes: positive("--minutes", minutes), seed: positive("--seed", seed), pace, keeps: keep, json };
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function positive(option: string, given: string): number {
  const number = Number(given);
  if (!(number > 0 && Number.isFinite(number))) throw new UsageError(`${option} must be a number > 0`);
  return number;
}

// Who stands still notices nothing: all processes are killed when this one exits.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(EXIT_ABORTED));

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${error.message}\n\n${USAGE}`);
  process.exitCode = 2;
}
