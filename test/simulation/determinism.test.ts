import { expect, it } from "vitest";
import { runSeed } from "./run-seed.js";

it("the same seed gives the same run, event for event", async () => {
  for (const seed of [1, 2, 3]) {
    const one = await runSeed(seed);
    const same = await runSeed(seed);
    expect(one.events.length).toBeGreaterThan(500);
    expect(same.events).toEqual(one.events);
    expect(same.digest).toBe(one.digest);
  }
});

it("another seed gives another run", async () => {
  const [one, other] = [await runSeed(4, { chaosMs: 2_000 }), await runSeed(5, { chaosMs: 2_000 })];
  expect(one.digest).not.toBe(other.digest);
});
