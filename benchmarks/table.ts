/** Rows for people: aligned columns, for a terminal or in Markdown. */
import type { Row } from "./rows.js";

const COLUMNS = ["case", "median", "min – max", "unit", "ratio", "against", "goal", "met"] as const;
/** Numbers stand to the right, words to the left. */
const RIGHT: ReadonlySet<string> = new Set(["median", "min – max", "ratio"]);

export function toTable(rows: readonly Row[]): string {
  const lines = aligned([COLUMNS, ...rows.map(toCells)], RIGHT);
  return lines.map((cells) => cells.join("  ").trimEnd()).join("\n");
}

export function toMarkdown(rows: readonly Row[]): string {
  return markdownTable(COLUMNS, rows.map(toCells), RIGHT);
}

export function markdownTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  right: ReadonlySet<string> = new Set(),
): string {
  const rules = header.map((name) => (right.has(name) ? "--:" : "---"));
  const [first = [], ...rest] = aligned([header, ...rows.map((cells) => cells.map(escaped))], right);
  const lines = [first, rules.map((rule, column) => rule.padStart(first[column]?.length ?? 3, "-")), ...rest];
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** Pads the cells; the first row is the header, which `right` speaks of. */
function aligned(rows: readonly (readonly string[])[], right: ReadonlySet<string>): readonly (readonly string[])[] {
  const header = rows[0] ?? [];
  const widths = header.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0), 3));
  return rows.map((row) =>
    header.map((name, column) => {
      const [cell, width] = [row[column] ?? "", widths[column] ?? 0];
      return right.has(name) ? cell.padStart(width) : cell.padEnd(width);
    }),
  );
}

function escaped(cell: string): string {
  return cell.replaceAll(/[|*_]|<(?=\w)/g, String.raw`\$&`);
}

function toCells(row: Row): readonly string[] {
  const { case: name, value, min, max, unit, ratio, against, goal } = row;
  const range = `${readable(min)} – ${readable(max)}`;
  return [name, readable(value), range, unit, times(ratio), against ?? "", goal ?? "", verdict(row)];
}

export function times(ratio: number | null): string {
  return ratio === null ? "" : `${readable(ratio)} ×`;
}

/** What can be asked of whoever has a goal beyond its floor. */
const SHARE_OF_FLOOR = 0.9;

/** Whether a goal that is not met is beyond what is possible here, of which enough was reached. */
export function isAtFloor({ met, ofFloor }: Pick<Row, "met" | "ofFloor">): boolean {
  return met === false && ofFloor !== undefined && ofFloor >= SHARE_OF_FLOOR;
}

export function verdict(row: Pick<Row, "met" | "ofFloor">): string {
  if (row.met === null) return "";
  if (row.met) return "yes";
  const share = row.ofFloor === undefined ? "" : ` (${readable(Math.round(row.ofFloor * 100))} % of the floor)`;
  return `${isAtFloor(row) ? "at its limit" : "NO"}${share}`;
}

export function readable(value: number): string {
  return value.toLocaleString("en", { maximumFractionDigits: 20 });
}
