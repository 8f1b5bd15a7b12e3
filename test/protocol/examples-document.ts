/** Reads `docs/protocol.md`: the layouts and examples of all kinds, and its tables. */
import { existsSync, readFileSync } from "node:fs";
import { LAYOUTS } from "../../src/protocol/layouts.js";
import type { Message } from "../../src/protocol/messages.js";
import type { KnownFrame } from "./arbitraries.js";

/** Rows of one table, cells without code marks. */
export type Rows = readonly (readonly string[])[];

/** What the document says of one kind. */
export interface KindSection {
  readonly kind: string;
  /** The line below the heading: numbers, direction, sequence. */
  readonly summary: string;
  /** The table of fields: place, name, type, unit, meaning; empty when there are none. */
  readonly fields: Rows;
  readonly examples: readonly Example[];
}

export interface Example {
  readonly value: KnownFrame;
  readonly bytes: Uint8Array;
}

const FILE = new URL("../../docs/protocol.md", import.meta.url);
const TEXT = readFileSync(FILE, "utf8");

export function kindSections(): readonly KindSection[] {
  const [, ...sections] = TEXT.split(/^#### (?=`)/m);
  return sections.map((section) => toSection(section.split(/^#{2,4} /m)[0] ?? ""));
}

function toSection(text: string): KindSection {
  const [heading = "", summary = ""] = text.split(/\n+/);
  return {
    kind: plain(heading),
    summary,
    fields: tablesOf(text)[0]?.slice(1) ?? [],
    examples: examplesOf(text, "frame", "hex"),
  };
}

/** Examples that other encoders may write: they are only decoded. */
export function foreignExamples(): readonly Example[] {
  return examplesOf(TEXT, "frame same", "hex any");
}

/** Values in blocks of one kind of fence, each with the bytes in the following block of the other. */
function examplesOf(text: string, valueFence: string, bytesFence: string): readonly Example[] {
  const values = blocksOf(text, valueFence);
  const bytes = blocksOf(text, bytesFence);
  if (values.length !== bytes.length) throw new Error(`${values.length} values, ${bytes.length} blocks of bytes`);
  return values.map((value, i) => ({ value: toFrame(value), bytes: toBytes(bytes[i] ?? "") }));
}

function blocksOf(text: string, fence: string): readonly string[] {
  return Array.from(
    text.matchAll(new RegExp(`^\`\`\`${fence}\\n([\\s\\S]*?)^\`\`\`$`, "gm")),
    ([, block = ""]) => block,
  );
}

/** Bytes are written as hexadecimal text, in values as in blocks; there with a comment behind each line. */
function toBytes(hex: string): Uint8Array {
  const digits = hex.replaceAll(/#.*$/gm, "").replaceAll(/\s/g, "");
  if (!/^(?:[0-9a-f]{2})*$/.test(digits)) throw new Error(`not hexadecimal: ${digits}`);
  return new Uint8Array(Buffer.from(digits, "hex"));
}

function toFrame(json: string): KnownFrame {
  const frame = JSON.parse(json) as KnownFrame;
  return { ...frame, messages: frame.messages.map(withBytes) };
}

function withBytes(message: Message): Message {
  const record = message as unknown as Record<string, string>;
  const fields = LAYOUTS[message.kind].fields.filter(([, type]) => type === "bin");
  return { ...message, ...Object.fromEntries(fields.map(([name]) => [name, toBytes(record[name] ?? "?")])) };
}

/** The rows of the table whose first column has this heading and which comes `nth`. */
export function table(heading: string, nth = 0): Rows {
  const found = tablesOf(TEXT).filter((rows) => rows[0]?.[0] === heading)[nth];
  if (found === undefined) throw new Error(`there is no table ${nth} of ${heading}`);
  return found.slice(1);
}

/** All tables, with their headings as the first row. */
function tablesOf(text: string): readonly Rows[] {
  const blocks = text.match(/(?:^\|.*\n)+/gm) ?? [];
  return blocks.map((block) => {
    const [heading = [], , ...rows] = block.trimEnd().split("\n").map(cellsOf);
    return [heading, ...rows];
  });
}

function cellsOf(line: string): readonly string[] {
  return line.slice(1, -1).split("|").map(plain);
}

function plain(cell: string): string {
  return cell.trim().replace(/^`(.*)`$/, "$1");
}

/** Links to headings and files that do not exist. */
export function deadLinks(): readonly string[] {
  const headings = new Set(Array.from(TEXT.matchAll(/^#{2,4} (.*)$/gm), ([, heading = ""]) => `#${slugOf(heading)}`));
  const links = Array.from(TEXT.matchAll(/\]\(([^)]+)\)/g), ([, link = ""]) => link);
  return links.filter((link) => !headings.has(link) && !existsSync(new URL(link.replace(/#.*/, ""), FILE)));
}

/** As GitHub makes it. */
function slugOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\w\s-]/g, "")
    .replaceAll(" ", "-");
}
