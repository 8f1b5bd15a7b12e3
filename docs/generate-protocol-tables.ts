/**
 * Writes the generated parts of `docs/protocol.md`: the table of all kinds, from the layouts, and below each example's
 * value its bytes, annotated. Everything else in that file is written by hand; `test/protocol/examples.test.ts` holds it
 * true.
 *
 * `npx tsx docs/generate-protocol-tables.ts` writes; with `--check` it only compares and exits 1 when the file is stale.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { Packr } from "msgpackr";
import { encodeFrame } from "../src/protocol/codec.js";
import { type FieldType, LAYOUTS, UNSEQUENCED } from "../src/protocol/layouts.js";
import { type Frame, type Message, Type } from "../src/protocol/messages.js";
import { decodePayload } from "../src/protocol/payload.js";

const FILE = new URL("protocol.md", import.meta.url);

const KINDS = Object.keys(LAYOUTS) as Message["kind"][];

type KnownFrame = Frame & { readonly messages: readonly Message[] };

// The table of kinds

function kindTable(): string {
  const rows = KINDS.map((kind) => {
    const { type, number, direction, fields } = LAYOUTS[kind];
    const names = fields.map(([name]) => name).join(", ");
    const sequenced = UNSEQUENCED.has(kind) ? "no" : "yes";
    return [`\`${kind}\``, `${type} ${typeName(type)}`, String(number), direction, sequenced, names];
  });
  return table(["Message", "Type", "Kind", "Direction", "Sequenced", "Fields"], rows);
}

function typeName(type: number): string {
  return Object.entries(Type).find(([, value]) => value === type)?.[0] ?? "";
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

// The bytes of an example

/** In examples a field of type bin is written as hexadecimal text. */
function toFrame(json: string): KnownFrame {
  const frame = JSON.parse(json) as KnownFrame;
  return { ...frame, messages: frame.messages.map(withBytes) };
}

function withBytes(message: Message): Message {
  const fields = LAYOUTS[message.kind].fields.filter(([, type]) => type === "bin").map(([name]) => name);
  const record = message as unknown as Record<string, string>;
  const bytes = fields.map((name) => [name, new Uint8Array(Buffer.from(record[name] ?? "", "hex"))]);
  return { ...message, ...Object.fromEntries(bytes) };
}

interface Part {
  readonly bytes: Uint8Array;
  readonly comment: string;
}

/** As the codec packs: the annotation is wrong otherwise, and `hexBlock` notices. */
const packr = new Packr({ useRecords: false, mapsAsObjects: true });

function partsOf({ version, session, ack, broadcastAck, credit, messages }: KnownFrame): readonly Part[] {
  const header = [version, session, ack, broadcastAck, credit];
  const names = ["version", "session", "ack", "broadcastAck", "credit"];
  const told = names.map((name, i) => `${name} ${JSON.stringify(header[i])}`).join(", ");
  return [
    { bytes: concat([arrayHeader(6), ...header.map(pack)]), comment: `frame of 6: ${told}` },
    {
      bytes: arrayHeader(messages.length),
      comment: messages.length === 1 ? "1 message" : `${messages.length} messages`,
    },
    ...messages.flatMap(messageParts),
  ];
}

function messageParts(message: Message): readonly Part[] {
  const { type, number, fields } = LAYOUTS[message.kind];
  const start = concat([arrayHeader(3 + fields.length), pack(type), pack(number), pack(message.seq)]);
  const told = `message of ${3 + fields.length}: type ${type} ${typeName(type)}, kind ${number}, seq ${message.seq}`;
  const values = message as unknown as Record<string, unknown>;
  return [
    { bytes: start, comment: told },
    ...fields.map(([name, field]) => ({ bytes: pack(values[name]), comment: `${name} ${tell(field, values[name])}` })),
  ];
}

function tell(type: FieldType, value: unknown): string {
  if (type !== "bin") return value === null ? "nil" : JSON.stringify(value);
  const bytes = value as Uint8Array;
  return bytes.length === 0 ? "(no bytes: undefined)" : `(bin) ${JSON.stringify(decodePayload(bytes, "example"))}`;
}

function pack(value: unknown): Uint8Array {
  return packr.pack(value);
}

function arrayHeader(length: number): Uint8Array {
  return length < 16 ? Uint8Array.of(0x90 + length) : Uint8Array.of(0xdc, length >> 8, length & 0xff);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts);
}

const LINE_BYTES = 16;
const COMMENT_COLUMN = LINE_BYTES * 3 + 1;

function hexBlock(json: string): string {
  const frame = toFrame(json);
  const parts = partsOf(frame);
  if (!Buffer.from(encodeFrame(frame)).equals(concat(parts.map(({ bytes }) => bytes)))) {
    throw new Error(`the annotation of this example is not what the codec writes: ${json}`);
  }
  return parts.flatMap(linesOf).join("\n");
}

function linesOf({ bytes, comment }: Part): readonly string[] {
  const pairs = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"));
  const lines: string[] = [];
  for (let i = 0; i < pairs.length; i += LINE_BYTES) lines.push(pairs.slice(i, i + LINE_BYTES).join(" "));
  return lines.map((line, i) => (i === 0 ? `${line.padEnd(COMMENT_COLUMN)}# ${comment}` : line));
}

// The document

const TABLE = /(<!-- kinds: generated -->\n)[\s\S]*?(<!-- end of kinds -->)/;
const EXAMPLE = /(```frame\n)([\s\S]*?)(```\n\n```hex\n)[\s\S]*?(```)/g;

function render(text: string): string {
  return text
    .replace(TABLE, (_, before: string, after: string) => `${before}\n${kindTable()}\n\n${after}`)
    .replaceAll(EXAMPLE, (_, open: string, json: string, between: string, close: string) =>
      [open, json, between, hexBlock(json), "\n", close].join(""),
    );
}

const before = readFileSync(FILE, "utf8");
const after = render(before);
if (!process.argv.includes("--check")) {
  writeFileSync(FILE, after);
} else if (before !== after) {
  console.error("docs/protocol.md is stale. Run `npx tsx docs/generate-protocol-tables.ts` and commit the file.");
  process.exitCode = 1;
}
