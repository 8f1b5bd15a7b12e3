/** What the benchmark `heartbeats` counts, in virtual time: the promise that traffic replaces beats, and the rule compared with. */
import { expect, test } from "vitest";
import { FixedBeats } from "../../benchmarks/heartbeats-fixed.js";
import { World, type WorldOptions } from "../../benchmarks/heartbeats-world.js";

async function signsPerMinute(options: Partial<WorldOptions>): Promise<number> {
  const world = new World({ seed: 1, commandEveryMs: null, drop: 0, ...options });
  await world.settle();
  return world.signsPerMinute(1);
}

test("settled quiet links carry a sign of life about every heartbeat.maxMs", async () => {
  const signs = await signsPerMinute({});
  expect(signs).toBeGreaterThan(29);
  expect(signs).toBeLessThan(35);
});

test("links on which commands flow carry none", async () => {
  expect(await signsPerMinute({ commandEveryMs: 1_000 })).toBe(0);
});

test("a fixed interval is chosen so that deaths are noticed as soon, and the shorter the more beats may be lost", () => {
  const [strict, patient] = [new FixedBeats(1, 3_000), new FixedBeats(3, 3_000)];
  // One interval, the pause of a second, and what the looks take.
  expect(strict.intervalMs).toBeGreaterThan(1_800);
  expect(strict.intervalMs).toBeLessThan(2_000);
  expect(patient.intervalMs).toBeLessThan(strict.intervalMs / 2.5);
  expect(patient.signsPerMinute).toBeCloseTo(60_000 / patient.intervalMs);
  expect(strict.falseSuspicionsPerHour(0.05)).toBeGreaterThan(100 * patient.falseSuspicionsPerHour(0.05));
});
