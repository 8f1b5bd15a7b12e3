/** A short chaos run, which needs a build: `npm run chaos -- --minutes 5` is the long one. */
import { expect, test } from "vitest";
import { explain, toReport, toText } from "../chaos/report.js";
import { runChaos } from "../chaos/run.js";

test(
  "a tree of processes keeps every rule over kills, stops, rivals and lost servers",
  { timeout: 120_000 },
  async () => {
    const told: string[] = [];
    const tell = (line: string): void => void told.push(line);
    const result = await runChaos({ seed: 7, forMs: 8_000, pace: "fast", middles: 2, leaves: 2, keeps: false, tell });
    const report = toReport(result);
    expect(result.violations.length, `${explain(result.violations)}\n${told.join("\n")}\n${toText(report)}`).toBe(0);
    // A run in which nothing happened would prove nothing.
    expect(Object.keys(report.faults).length).toBeGreaterThanOrEqual(3);
    expect(report.outcomes["command completed"]).toBeGreaterThan(50);
  },
);
