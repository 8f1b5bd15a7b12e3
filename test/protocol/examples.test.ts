/** `docs/protocol.md` says what the program does: layouts, examples byte for byte, constants and defaults. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { memoryTransport } from "../../src/index.js";
import { resolveNodeOptions } from "../../src/node/options.js";
import { decodeFrame, encodeFrame } from "../../src/protocol/codec.js";
import { LAYOUTS, UNSEQUENCED } from "../../src/protocol/layouts.js";
import { REASON_CHILDREN, REASON_UPLINK, STATES, STATUSES, Type } from "../../src/protocol/messages.js";
import { KINDS, plain } from "./arbitraries.js";
import { deadLinks, foreignExamples, kindSections, table } from "./examples-document.js";

const SECTIONS = kindSections();

/** Kinds that exist outside sessions only. */
const SESSIONLESS = new Set([
  "init.probe",
  "init.open",
  "ready.announce",
  "shutdown.fenced",
  "shutdown.duplicate",
  "error.fenced",
  "error.duplicate",
]);

function typeName(number: number): string | undefined {
  return Object.entries(Type).find(([, value]) => value === number)?.[0];
}

describe("the document", () => {
  it("has one section for each kind, in the order of the layouts", () => {
    expect(SECTIONS.map(({ kind }) => kind)).toEqual(KINDS);
  });

  it("lists all kinds in one table", () => {
    const rows = KINDS.map((kind) => {
      const { type, number, direction, fields } = LAYOUTS[kind];
      const sequenced = UNSEQUENCED.has(kind) ? "no" : "yes";
      const names = fields.map(([name]) => name).join(", ");
      return [kind, `${type} ${typeName(type)}`, String(number), direction, sequenced, names];
    });
    expect(table("Message")).toEqual(rows);
  });

  it("has a need for each of them", () => {
    const needs = table("Need")
      .map(([, messages]) => messages)
      .join(" ");
    for (const kind of KINDS) expect(needs.replaceAll("`", " ")).toContain(kind);
  });

  it("has no link that leads nowhere", () => {
    expect(deadLinks()).toEqual([]);
  });

  it("names the states, statuses and reasons that the program knows", () => {
    expect(table("Index", 0).map(([index, state]) => [index, state])).toEqual(
      STATES.map((state, i) => [String(i), state]),
    );
    expect(table("Index", 1).map(([index, status]) => [index, status])).toEqual(
      STATUSES.map((status, i) => [String(i), status]),
    );
    expect([REASON_CHILDREN, REASON_UPLINK]).toEqual([1, 2]);
  });

  it("explains every code that it names with a status", () => {
    const named = table("Index", 1).flatMap(([, , , codes = ""]) => codes.match(/[A-Z_]{2,}/g) ?? []);
    expect(table("Code").map(([code]) => code)).toEqual(expect.arrayContaining(named));
    expect(table("Code")).toHaveLength(named.length);
  });
});

describe.each(SECTIONS)("$kind", ({ kind, summary, fields, examples }) => {
  const known = KINDS.find((each) => each === kind);
  if (known === undefined) return;
  const layout = LAYOUTS[known];

  it("has the numbers, direction and sequence of its layout", () => {
    const direction = layout.direction === "down" ? "Down" : "Up";
    const sequenced = UNSEQUENCED.has(known) ? "Unsequenced" : "Sequenced";
    expect(summary).toBe(`Type ${layout.type}, kind ${layout.number}. ${direction}. ${sequenced}.`);
  });

  it("has the fields of its layout in order, each with its meaning", () => {
    const rows = layout.fields.map(([name, type], i) => [String(i + 3), name, type]);
    expect(fields.map(([place, name, type]) => [place, name, type])).toEqual(rows);
    for (const row of fields) expect(row[4]).not.toBe("");
    for (const [, name, , unit] of fields) expect(name?.endsWith("Ms")).toBe(unit === "ms");
  });

  it("has an example", () => {
    expect(examples.length).toBeGreaterThan(0);
    for (const { value } of examples) expect(value.messages[0]?.kind).toBe(kind);
  });

  it.each(examples)("has bytes that are the value", ({ value, bytes }) => {
    expect(plain(decodeFrame(bytes, layout.direction))).toEqual({ kind: "frame", frame: value });
  });

  it.each(examples)("has a value that is written as these bytes", ({ value, bytes }) => {
    expect(hex(encodeFrame(value))).toBe(hex(bytes));
  });

  it.each(examples)("has an example that keeps the rules of its place", ({ value }) => {
    expect(value.session === "").toBe(SESSIONLESS.has(kind));
    for (const { kind: each, seq } of value.messages) expect(seq === 0).toBe(UNSEQUENCED.has(each));
  });
});

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

it("another encoder's bytes are read as the same value", () => {
  expect(foreignExamples()).not.toEqual([]);
  for (const { value, bytes } of foreignExamples()) {
    expect(plain(decodeFrame(bytes, "down"))).toEqual({ kind: "frame", frame: value });
    expect(hex(encodeFrame(value))).not.toBe(hex(bytes));
  }
});

/** Numbers and objects that the program names in its modules, by name: one name can stand for several. */
function constants(): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const folder of ["machines", "src/node", "src/protocol"]) {
    const url = new URL(`../../${folder}/`, import.meta.url);
    for (const file of readdirSync(url).filter((name) => name.endsWith(".ts"))) {
      const source = readFileSync(new URL(file, url), "utf8");
      for (const [, name = "", value = ""] of source.matchAll(/^(?:export )?const ([A-Z0-9_]+) = (.*);$/gm)) {
        found.set(name, [...(found.get(name) ?? []), value.replaceAll(/(?<=\d)_(?=\d)/g, "")]);
      }
    }
  }
  return found;
}

describe("constants", () => {
  const known = constants();

  it.each([...table("Constant", 0), ...table("Constant", 1)])("%s is %s", (name = "", value) => {
    expect(known.get(name)).toContain(value);
  });
});

describe("defaults", () => {
  const options = resolveNodeOptions({ path: "shop", transport: memoryTransport() });

  it.each(table("Option"))("%s is %s", (name = "", value = "") => {
    const found = name.split(".").reduce<unknown>((holder, key) => Reflect.get(holder as object, key), options);
    expect(String(found)).toBe(value);
  });
});
