/** Objects are the same whether they were copied or made by a function of their kind, and names are never code. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ObjectMaker } from "../../src/protocol/object-maker.js";

/** More than are copied. */
const USES = 300;

/** Names that would do something else than name a property if they stood in code as they are. */
const TREACHEROUS = [
  'a"',
  "a\\",
  '": globalThis.broken = 1, "b',
  "`${globalThis.broken = 1}`",
  "[globalThis.broken = 1]",
  "*/ /*",
  "\u2028",
  "\u2029",
  "\n",
  "\0",
  "\ud800",
  "...values",
  "get a",
];
const USUAL = ["a", "b", "", "0", "17", "-1", "1e3", "constructor", "toString", "length", "ünï"];

const anyName = fc.oneof(fc.constantFrom(...TREACHEROUS, ...USUAL), fc.string({ unit: "binary" }));
const anyNames = fc.array(anyName, { minLength: 1, maxLength: 8 }).filter((names) => !names.includes("__proto__"));
const anyValue = fc.oneof(fc.integer(), fc.double(), fc.string(), fc.constantFrom(null, true, undefined), fc.bigInt());

function assigned(names: readonly string[], values: readonly unknown[]): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const [i, name] of names.entries()) fields[name] = values[i];
  return fields;
}

describe("an object of known names", () => {
  it("has all values, in the order of the names, at its first use and long after", () => {
    const anyUses = anyNames.chain((names) => {
      const anyValues = fc.array(anyValue, { minLength: names.length, maxLength: names.length });
      return fc.tuple(fc.constant(names), fc.array(anyValues, { minLength: 1, maxLength: 4 }));
    });
    fc.assert(
      fc.property(anyUses, ([names, rows]) => {
        const maker = new ObjectMaker(names);
        for (let use = 0; use < USES; use++) {
          const values = rows[use % rows.length] as readonly unknown[];
          const made = maker.make(values);
          if (use > rows.length && use < USES - rows.length) continue;
          expect(made).toStrictEqual(assigned(names, values));
          expect(Object.keys(made)).toEqual(Object.keys(assigned(names, values)));
          expect(Object.getPrototypeOf(made)).toBe(Object.prototype);
        }
      }),
      { numRuns: 300 },
    );
    expect(globalThis).not.toHaveProperty("broken");
  });

  it("is made anew each time", () => {
    const maker = new ObjectMaker(["a", "b"]);
    const made = Array.from({ length: USES }, (_, i) => maker.make([i, { i }]));
    for (const each of made) Object.assign(each, { a: "changed", c: 1 });
    expect(maker.make([1, 2])).toStrictEqual({ a: 1, b: 2 });
    expect(new Set(made).size).toBe(USES);
  });

  it("may be of more kinds than functions are kept for", () => {
    for (let kind = 0; kind < 700; kind++) {
      const maker = new ObjectMaker([`name ${kind}`]);
      for (let use = 0; use < USES; use++) maker.make([use]);
      expect(maker.make([kind])).toStrictEqual({ [`name ${kind}`]: kind });
    }
  });

  it("is copied where a program may not make code of texts", async () => {
    const module = new URL("../../dist/src/protocol/object-maker.js", import.meta.url);
    const program = `
      import { ObjectMaker } from ${JSON.stringify(module.href)};
      let refused = false;
      try { new Function("return 1"); } catch { refused = true; }
      const maker = new ObjectMaker(["a", "b"]);
      for (let use = 0; use < ${USES}; use++) maker.make([use, "x"]);
      console.log(JSON.stringify({ refused, made: maker.make([1, 2]) }));`;
    const flags = ["--disallow-code-generation-from-strings", "--input-type=module", "--eval", program];
    const { stdout } = await promisify(execFile)(process.execPath, flags);
    expect(JSON.parse(stdout)).toEqual({ refused: true, made: { a: 1, b: 2 } });
  });
});
