/**
 * Writes `docs/machines.md` from the machines themselves, so that the pictures cannot lie.
 *
 * `npm run docs:machines` writes it; with `-- --check` it only compares and exits 1 when the file is stale.
 */
import { readFileSync, writeFileSync } from "node:fs";
import type { AnyStateMachine } from "xstate";
import { commandMachine } from "../machines/command.js";
import { coordinationMachine } from "../machines/coordination.js";
import { linkMachine } from "../machines/link.js";
import { supervisedChildMachine } from "../machines/supervised-child.js";

const FILE = new URL("machines.md", import.meta.url);

const MACHINES: readonly (readonly [file: string, machine: AnyStateMachine])[] = [
  ["machines/coordination.ts", coordinationMachine],
  ["machines/link.ts", linkMachine],
  ["machines/command.ts", commandMachine],
  ["machines/supervised-child.ts", supervisedChildMachine],
];

type StateNode = AnyStateMachine["root"];

/** One arrow of a statechart; `to` is null when it changes no state. */
interface Row {
  readonly from: string;
  readonly event: string;
  readonly guard: string | null;
  readonly actions: readonly string[];
  readonly to: string | null;
}

/** What is read of XState's transitions: their types know neither `delay` nor the keys of targets. */
interface Definition {
  readonly eventType: string;
  readonly delay?: string | number;
  readonly guard?: unknown;
  readonly actions: readonly unknown[];
  readonly target: readonly { readonly key: string }[] | undefined;
}

/** In the order in which XState tries them: eventless first, then by event, candidates in turn. */
function rowsOf(node: StateNode): readonly Row[] {
  const definitions = [...(node.always ?? []), ...[...node.transitions.values()].flat()];
  return definitions.map((definition) => toRow(node.key, definition as unknown as Definition));
}

function toRow(from: string, definition: Definition): Row {
  return {
    from,
    event: eventOf(definition),
    guard: definition.guard === undefined ? null : nameOf(definition.guard),
    actions: definition.actions.map(nameOf),
    to: definition.target?.[0]?.key ?? null,
  };
}

function eventOf(definition: Definition): string {
  if (definition.delay !== undefined) return `after ${definition.delay}`;
  return definition.eventType === "" ? "always" : definition.eventType;
}

function nameOf(reference: unknown): string {
  if (typeof reference === "string") return reference;
  if (typeof reference === "object" && reference !== null && "type" in reference) return String(reference.type);
  throw new Error("a guard or action without a name cannot be documented: name it in setup()");
}

/** Entry actions without the timers that XState adds for delayed transitions. */
function entryActions(node: StateNode): readonly string[] {
  return node.entry.filter((action) => !isTimer(action)).map(nameOf);
}

function isTimer(action: unknown): boolean {
  return typeof action === "function" && "delay" in action && action.delay !== undefined;
}

function initialKey(machine: AnyStateMachine): string | undefined {
  return machine.root.initial.target[0]?.key;
}

// The picture

function picture(machine: AnyStateMachine, nodes: readonly StateNode[]): string {
  const lines = nodes.flatMap(entryLines);
  lines.push(`[*] --> ${initialKey(machine)}`);
  for (const [arrow, labels] of arrowsOf(nodes)) lines.push(`${arrow} : ${labels.join("<br/>")}`);
  for (const node of nodes) if (node.type === "final") lines.push(`${node.key} --> [*]`);
  return ["```mermaid", "stateDiagram-v2", ...lines.map((line) => `  ${line}`), "```"].join("\n");
}

/** A state with entry actions becomes a box of two compartments: the name and the actions. */
function entryLines(node: StateNode): readonly string[] {
  const actions = entryActions(node);
  return actions.length === 0 ? [] : [`${node.key} : ${node.key}`, `${node.key} : entry / ${actions.join(", ")}`];
}

/** One arrow for each pair of states, or parallel arrows would cover each other's labels. */
function arrowsOf(nodes: readonly StateNode[]): ReadonlyMap<string, readonly string[]> {
  const arrows = new Map<string, string[]>();
  for (const row of nodes.flatMap(rowsOf)) {
    if (row.to === null) continue;
    const arrow = `${row.from} --> ${row.to}`;
    arrows.set(arrow, [...(arrows.get(arrow) ?? []), labelOf(row)]);
  }
  return arrows;
}

function labelOf(row: Row): string {
  const guard = row.guard === null ? "" : ` [${row.guard}]`;
  const actions = row.actions.length === 0 ? "" : ` / ${row.actions.join(", ")}`;
  return row.event + guard + actions;
}

// The tables

function stateTable(machine: AnyStateMachine, nodes: readonly StateNode[]): string {
  const rows = nodes.map((node) => [code(node.key), roleOf(machine, node), node.description ?? ""]);
  return table(["State", "Type", "Meaning"], rows);
}

function roleOf(machine: AnyStateMachine, node: StateNode): string {
  if (node.key === initialKey(machine)) return "initial";
  return node.type === "final" ? "final" : "";
}

/** Columns that are empty for the whole machine are left out. */
function transitionTable(nodes: readonly StateNode[]): string {
  const rows = nodes.flatMap(rowsOf);
  const all = ["From", "Event", "Guard", "Actions", "To"];
  const cells = rows.map((row) => [
    code(row.from),
    row.event.includes(".") ? code(row.event) : row.event,
    row.guard === null ? "" : code(row.guard),
    row.actions.map(code).join(", "),
    row.to === null ? "stays" : code(row.to),
  ]);
  const used = all.map((_, column) => cells.some((row) => row[column] !== ""));
  const keep = (row: readonly string[]) => row.filter((_, column) => used[column]);
  return table(keep(all), cells.map(keep));
}

/** What each action does, read from its implementation; empty for a machine without actions. */
function actionTable(machine: AnyStateMachine): string {
  const actions = Object.entries(machine.implementations.actions) as [string, object][];
  if (actions.length === 0) return "";
  const rows = actions.map(([name, action]) => [code(name), effectOf(action)]);
  return `\n\n${table(["Action", "What it does"], rows)}`;
}

function effectOf(action: object): string {
  if ("delay" in action && "event" in action) return `raises ${code(emittedBy(action.event).type)} after a delay`;
  if ("sendId" in action) return `cancels the delayed ${code(action.sendId as string)}`;
  if ("event" in action) return `emits ${code(emittedBy(action.event).type)}`;
  if ("assignment" in action)
    return `sets ${Object.keys(action.assignment as object)
      .map(code)
      .join(", ")}`;
  throw new Error("an action that neither emits, assigns nor raises acts, which machines must not");
}

/** An emitted event that depends on parameters is a function of them; its type does not depend. */
function emittedBy(event: unknown): { readonly type: string } {
  return (typeof event === "function" ? event({}, {}) : event) as { readonly type: string };
}

function code(text: string): string {
  return `\`${text}\``;
}

/** A Markdown table padded the way the formatter pads it. */
function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((_, column) => Math.max(3, ...[header, ...rows].map((row) => cell(row, column).length)));
  const line = (row: readonly string[]) =>
    `| ${widths.map((width, column) => cell(row, column).padEnd(width)).join(" | ")} |`;
  return [line(header), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}

function cell(row: readonly string[], column: number): string {
  return row[column] ?? "";
}

// The document

const INTRODUCTION = `# Machines

<!-- Generated by \`npm run docs:machines\`. Do not edit: change the machine and run it again. -->

The statecharts that decide what the runtime does, drawn from the very objects that run. An arrow reads
\`event [guard] / actions\`; several lines on one arrow are several transitions between the same two states.
\`always\` marks an eventless transition, tried after every event; \`after x\` one that is taken when the state was not
left for the delay \`x\`. Of several candidates the first whose guard holds is taken, in the order of the table.
Transitions that change no state are in the tables only.`;

function section(file: string, machine: AnyStateMachine): string {
  const nodes = Object.values<StateNode>(machine.states);
  return `## ${machine.id}

${machine.root.description ?? ""} Source: [\`${file}\`](../${file}).

${picture(machine, nodes)}

${stateTable(machine, nodes)}

${transitionTable(nodes)}${actionTable(machine)}`;
}

function render(): string {
  return `${[INTRODUCTION, ...MACHINES.map(([file, machine]) => section(file, machine))].join("\n\n")}\n`;
}

function readExisting(): string {
  try {
    return readFileSync(FILE, "utf8");
  } catch {
    return "";
  }
}

const text = render();
if (!process.argv.includes("--check")) {
  writeFileSync(FILE, text);
} else if (readExisting() !== text) {
  console.error(
    "docs/machines.md is stale: the machines have changed. Run `npm run docs:machines` and commit the file.",
  );
  process.exitCode = 1;
}
