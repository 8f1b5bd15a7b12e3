/** Rows as a picture: horizontal bars in groups, each group drawn to its own scale, with figures beside the bars. */
import type { Row } from "./rows.js";
import { readable, times } from "./table.js";

export interface ChartSource {
  readonly question: string;
  /** The readings that are shown, each as a group. */
  readonly chart: readonly string[];
  readonly rows: readonly Row[];
}

const WIDTH = 820;
const MARGIN = 20;
const BAR = { left: 230, width: 330, height: 16, step: 22 } as const;
const TITLE_HEIGHT = 44;
const HEADING_HEIGHT = 24;
const GROUP_GAP = 14;

/** An opaque card of its own, so that it can be read on whatever page shows it. */
const STYLE = `
    .card { fill: #ffffff; }
    .ours { fill: #1f77b4; }
    .other { fill: #b0b7bf; }
    text { fill: #1f2328; font-size: 13px; }
    .title { font-size: 16px; font-weight: 600; }
    .heading { font-weight: 600; }
    .label { text-anchor: end; }
    @media (prefers-color-scheme: dark) {
      .card { fill: #161b22; }
      .ours { fill: #58a6ff; }
      .other { fill: #57606a; }
      text { fill: #e6edf3; }
    }
  `;

/** Null if no row has one of the readings. */
export function toChart({ question, chart, rows }: ChartSource): string | null {
  const first = rows[0]?.variant;
  const groups = chart.map((reading) => barsOf(rows, reading)).filter((bars) => bars.length > 0);
  if (groups.length === 0) return null;
  let y = MARGIN + TITLE_HEIGHT;
  const parts = groups.map((bars) => {
    const part = toGroup(bars, y, (row) => row.goal !== null || row.variant === first);
    y += HEADING_HEIGHT + bars.length * BAR.step + GROUP_GAP;
    return part;
  });
  return toSvg(question, parts, y - GROUP_GAP + MARGIN);
}

/** One bar for a variant, however many goals it has there. */
function barsOf(rows: readonly Row[], reading: string): readonly Row[] {
  const bars = new Map<string, Row>();
  for (const row of rows) {
    if (row.reading === reading && !bars.has(row.variant)) bars.set(row.variant, row);
  }
  return [...bars.values()];
}

function toGroup(bars: readonly Row[], top: number, isOurs: (row: Row) => boolean): string {
  const most = Math.max(...bars.map(({ value }) => value), Number.MIN_VALUE);
  const heading = `<text class="heading" x="${MARGIN}" y="${top + 12}">${escaped(bars[0]?.reading ?? "")}</text>`;
  const lines = bars.map((row, place) => toBar(row, top + HEADING_HEIGHT + place * BAR.step, most, isOurs(row)));
  return [heading, ...lines].map((line) => `  ${line}`).join("\n");
}

function toBar(row: Row, y: number, most: number, isOurs: boolean): string {
  const width = Math.max(1, Math.round((row.value / most) * BAR.width));
  const text = `y="${y + BAR.height - 4}"`;
  const figures = [figure(row), row.ratio === null ? "" : `${times(row.ratio)} ${row.against ?? ""}`];
  return [
    `<text class="label" x="${BAR.left - 8}" ${text}>${escaped(row.variant)}</text>`,
    `<rect class="${isOurs ? "ours" : "other"}" x="${BAR.left}" y="${y}" width="${width}" height="${BAR.height}"/>`,
    `<text x="${BAR.left + width + 8}" ${text}>${escaped(figures.filter((each) => each !== "").join(" · "))}</text>`,
  ].join("");
}

/** "12,000/s", "4.2 kB" */
function figure({ value, unit }: Row): string {
  return unit.startsWith("1/") ? `${readable(value)}${unit.slice(1)}` : `${readable(value)} ${unit}`.trimEnd();
}

function toSvg(title: string, parts: readonly string[], height: number): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="ui-sans-serif, system-ui, sans-serif" role="img">
  <title>${escaped(title)}</title>
  <style>${STYLE}</style>
  <rect class="card" width="${WIDTH}" height="${height}" rx="8"/>
  <text class="title" x="${MARGIN}" y="${MARGIN + 16}">${escaped(title)}</text>
${parts.join("\n")}
</svg>
`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
