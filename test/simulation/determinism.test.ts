import { expect, it } from "vitest";
import { simulate } from "../../src/testing/index.js";

it("the same seed gives the same run, event for event", async () => {
  for (const seed of [1, 2, 3]) {
    const one = await simulate({ seed });
    const same = await simulate({ seed });
    expect(one.events.length).toBeGreaterThan(100);
    expect(same.events).toEqual(one.events);
    expect(same.digest).toBe(one.digest);
  }
});

it("another seed gives another run", async () => {
  const [one, other] = [await simulate({ seed: 4, faultsMs: 2_000 }), await simulate({ seed: 5, faultsMs: 2_000 })];
  expect(one.digest).not.toBe(other.digest);
});
