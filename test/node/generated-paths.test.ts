/**
 * Every path that @xstate/graph derives from the coordination machine, driven by real causes against real nodes in
 * virtual time: after each step the node is where the machine says.
 */
import { describe, expect, it } from "vitest";
import { Coverage, drive } from "./paths/drive.js";
import type { Style, Timing } from "./paths/family.js";
import { CHILD_IDS, pathsByEvents, simplePaths } from "./paths/model.js";
import { simulatedStage } from "./paths/stage.js";

const TIMING: Timing = {
  heartbeat: { minMs: 200, maxMs: 400 },
  failureDetector: { pauseMs: 200, deadMs: 1_000 },
  initTimeoutMs: 15_000,
  recoveryTimeoutMs: 20_000,
  cleanupTimeoutMs: 6_000,
  retryMs: 6_000,
  patienceMs: 3_000,
  settleMs: 50,
};

const PLAIN: Style = { loss: "silence", failure: "report" };

const STYLES: readonly Style[] = [
  PLAIN,
  { loss: "death", failure: "report" },
  { loss: "leave", failure: "report" },
  { loss: "silence", failure: "death" },
];

const SHORTEST = pathsByEvents();
/** Eleven thousand paths, which take minutes: for whoever changes the machine or the runtime. */
const SIMPLE = process.env["GENERATED_PATHS"] === "all" ? simplePaths() : [];
const PLAYS = [
  ...STYLES.flatMap((style) => SHORTEST.map((path) => ({ path, style }))),
  ...SIMPLE.map((path, index) => ({ path, style: STYLES[index % STYLES.length] ?? PLAIN })),
];
const BATCH = 100;
const BATCHES = Array.from({ length: Math.ceil(PLAYS.length / BATCH) }, (_, index) => index * BATCH);

const coverage = new Coverage();

describe("a real node follows the coordination machine", () => {
  it.each(BATCHES)("along generated paths, from number %i", async (first) => {
    const plays = PLAYS.slice(first, first + BATCH);
    const before = coverage.paths;
    for (const [place, { path, style }] of plays.entries()) {
      const stage = simulatedStage(first + place, CHILD_IDS);
      await drive(path, { stage, timing: TIMING, style, coverage });
    }
    expect(coverage.paths).toBe(before + plays.length);
  });

  it("which cover every state and transition", () => {
    console.log(
      `in memory: ${SHORTEST.length} shortest paths in ${STYLES.length} styles, ${SIMPLE.length} simple ones`,
    );
    console.log(coverage.summary);
    expect(coverage.missing).toEqual([]);
    expect(coverage.states.size).toBe(5);
  });
});
