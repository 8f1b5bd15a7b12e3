/** The simulator finds bugs: a few known ones are switched on, each in a copy of the sources. `npm run simulate -- --mutations` tries all. */
import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { applyEdit } from "./mutations/mutation.js";
import { MUTATIONS, runMutation } from "./mutations/run-mutations.js";

/** Those that are noticed after a few seeds. */
const QUICK = ["ack-before-run", "epoch-reset-on-restart", "no-retransmission", "restart-after-shutdown"];

describe("the simulator notices", () => {
  it.each(QUICK)("%s", { timeout: 120_000 }, async (name) => {
    const mutation = MUTATIONS.find((each) => each.name === name);
    expect.assert(mutation !== undefined);
    const { caughtBy } = await runMutation(mutation, { jobs: 1 });
    expect(caughtBy?.broken).not.toEqual([]);
    expect(caughtBy?.seed).toBeLessThanOrEqual(mutation.withinSeeds);
  });
});

it("mutations have names of their own and say what is wrong", () => {
  expect(new Set(MUTATIONS.map(({ name }) => name)).size).toBe(MUTATIONS.length);
  expect(MUTATIONS.length).toBeGreaterThanOrEqual(16);
  expect(MUTATIONS.every(({ bug, edits }) => bug.length > 0 && edits.length > 0)).toBe(true);
});

it("mutations fit the sources as they are", async () => {
  for (const edit of MUTATIONS.flatMap(({ edits }) => edits)) {
    const text = await readFile(new URL(`../../${edit.file}`, import.meta.url), "utf8");
    expect(applyEdit(text, edit)).not.toBe(text);
  }
});

it("a mutation whose text is gone, or there twice, is refused", () => {
  const edit = { file: "a.ts", find: "b", replace: "c" };
  expect(applyEdit("abd", edit)).toBe("acd");
  expect(() => applyEdit("ad", edit)).toThrow("must occur exactly once in a.ts, but occurs 0 times");
  expect(() => applyEdit("abb", edit)).toThrow("occurs 2 times");
});
