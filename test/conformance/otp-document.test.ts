/** The differences that tests show and those that docs/otp.md explains are the same. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const folder = new URL("./", import.meta.url);
const sources = readdirSync(folder).filter((name) => name.endsWith(".test.ts") && !name.startsWith("otp-document"));
const text = sources.map((name) => readFileSync(new URL(name, folder), "utf8").replaceAll("\\'", "'")).join("\n");
const document = readFileSync(new URL("../../docs/otp.md", import.meta.url), "utf8");

/** All first quotations after this. */
const quoted = (pattern: RegExp, where: string): readonly string[] =>
  Array.from(new Set(Array.from(where.matchAll(pattern), ([, quotation]) => quotation ?? ""))).toSorted();

test("each sentence from which a test differs is explained in docs/otp.md, and the other way round", () => {
  const shown = quoted(/differs: "([^"]+)"/g, text);
  expect(shown.length).toBeGreaterThan(20);
  expect(quoted(/^\| "([^"]+)"/gm, document)).toEqual(shown);
});

test("every test that differs quotes what it differs from", () => {
  expect(text.match(/["'`]differs: (?!")/g)).toBeNull();
});
