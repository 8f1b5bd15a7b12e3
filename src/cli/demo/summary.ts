/** What the demo tells at its end: for people, and as one JSON line. */
import { ROOT } from "./demo-tree.js";
import { formatBytes, formatCount, formatSeconds } from "./format.js";
import type { PlayResult } from "./play.js";
import type { NoteEntry, StateEntry, Timeline } from "./timeline.js";

const STATE_WIDTH = "SYNCHRONIZED".length;

/** Names of files shown where many may differ. */
const NAMES_MAX = 5;

/** The result is right, and the tree recovered without losing a leaf. */
export function isOk({ comparison, incident }: PlayResult): boolean {
  return comparison.isSame && incident.leaves.every(({ survived }) => survived);
}

/** One line. */
export function toJson(result: PlayResult): string {
  const { comparison, incident, files, bytes, retries, totalMs } = result;
  const { digest, plainDigest } = comparison;
  const { recoveryMs } = incident;
  const timeline = result.timeline.states().map(({ atMs, path, state }) => ({ atMs, path, state }));
  return JSON.stringify({
    ok: isOk(result),
    files,
    bytes,
    digest,
    plainDigest,
    retries,
    recoveryMs,
    totalMs,
    timeline,
  });
}

export function toText(result: PlayResult): string {
  const { description, folder, timeline } = result;
  return [
    `fractal-tree demo: a three-level tree ${description}, digested ${folder}`,
    "",
    "Timeline",
    ...timelineLines(timeline),
    "",
    "Summary",
    ...summaryRows(result).map(([name, value]) => `  ${name.padEnd(14)}${value}`),
  ].join("\n");
}

function timelineLines(timeline: Timeline): readonly string[] {
  const entries = timeline.all();
  const readyAtMs = entries.find((entry) => entry.path === ROOT && stateOf(entry) === "SYNCHRONIZED")?.atMs ?? 0;
  // Of the start, that of the root: thirteen times the same says no more.
  const shown = entries.filter(({ path, atMs }) => path === ROOT || atMs > readyAtMs);
  const width = Math.max(...shown.map(({ path }) => path.length));
  return shown.map((entry) => {
    const what = "note" in entry ? entry.note : `${entry.state.padEnd(STATE_WIDTH)}  ${entry.why}`;
    return `  ${formatSeconds(entry.atMs).padStart(8)}  ${entry.path.padEnd(width)}  ${what}`.trimEnd();
  });
}

function stateOf(entry: StateEntry | NoteEntry): string | null {
  return "state" in entry ? entry.state : null;
}

function summaryRows(result: PlayResult): readonly (readonly [name: string, value: string])[] {
  const { comparison, changedMeanwhile, incident, files, bytes, commands, retries, treeMs, plainMs, totalMs } = result;
  const { lost, doubled, differing, digest, plainDigest } = comparison;
  const counts = `${lost.length} lost, ${doubled.length} doubled, ${differing.length} different`;
  return [
    ["files", `${formatCount(files)} (${formatBytes(bytes)}): ${counts}`],
    ...nameRow("lost", lost),
    ...nameRow("doubled", doubled),
    ...nameRow("different", differing),
    ...nameRow("of these", changedMeanwhile, "changed by others while the demo ran: "),
    ["digest", digest],
    ["plain digest", `${plainDigest}, ${digest === plainDigest ? "the same" : "NOT the same"}`],
    ["commands", `${formatCount(commands)}, ${formatCount(retries)} retries`],
    ["recovery", `${formatSeconds(incident.recoveryMs)} from the kill until ${ROOT} was SYNCHRONIZED again`],
    ["killed node", `${incident.path}: epoch ${incident.epochs[0]} before, ${incident.epochs[1]} after`],
    ["its leaves", survivorsText(result)],
    ["time", `${formatSeconds(totalMs)}: tree ${formatSeconds(treeMs)}, plain digest ${formatSeconds(plainMs)}`],
    ["result", isOk(result) ? "ok" : "NOT ok"],
  ];
}

function nameRow(
  name: string,
  paths: readonly string[],
  intro = "",
): readonly (readonly [name: string, value: string])[] {
  if (paths.length === 0) return [];
  const more = paths.length > NAMES_MAX ? `, and ${paths.length - NAMES_MAX} more` : "";
  return [[name, intro + paths.slice(0, NAMES_MAX).join(", ") + more]];
}

function survivorsText({ incident: { leaves } }: PlayResult): string {
  const survivors = leaves.filter(({ survived }) => survived);
  const who = survivors.map(({ path, identity }) => `${path} (${identity})`).join(", ");
  return `${survivors.length} of ${leaves.length} survived and attached again: ${who}`;
}
