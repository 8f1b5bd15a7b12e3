/** Rows for people: aligned columns under a header that says where they come from. */
import { execFile } from "node:child_process";
import { cpus, loadavg } from "node:os";
import { promisify } from "node:util";
import { findNatsServer } from "../test/support/find-nats-server.js";
import type { Row } from "./rows.js";

const COLUMNS = ["case", "median", "min – max", "unit", "ratio", "against", "goal", "met"] as const;

export function toTable(rows: readonly Row[]): string {
  const cells = [COLUMNS, ...rows.map(toCells)];
  const widths = COLUMNS.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const lines = cells.map((row) => row.map((cell, column) => align(cell, column, widths[column] ?? 0)).join("  "));
  return lines.map((line) => line.trimEnd()).join("\n");
}

function toCells(row: Row): readonly string[] {
  const { case: name, value, min, max, unit, ratio, against, goal, met } = row;
  const verdict = met === null ? "" : met ? "yes" : "NO";
  const range = `${readable(min)} – ${readable(max)}`;
  return [name, readable(value), range, unit, ratio === null ? "" : `${ratio} ×`, against ?? "", goal ?? "", verdict];
}

/** Numbers to the right, words to the left. */
function align(cell: string, column: number, width: number): string {
  const isNumber = column === 1 || column === 2 || column === 4;
  return isNumber ? cell.padStart(width) : cell.padEnd(width);
}

function readable(value: number): string {
  return value.toLocaleString("en", { maximumFractionDigits: 20 });
}

export async function environmentHeader(runs: number): Promise<string> {
  const processors = cpus();
  const load = loadavg()[0]?.toFixed(1) ?? "?";
  return [
    `node ${process.version} · ${processors.length} × ${processors[0]?.model.trim() ?? "unknown cpu"}`,
    `${await natsServerVersion()} · load ${load} · runs: ${runs}, interleaved · ${new Date().toISOString()}`,
  ].join("\n");
}

async function natsServerVersion(): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(await findNatsServer(), ["--version"]);
    return stdout.trim().replace(": v", " ");
  } catch {
    return "nats-server not found";
  }
}
