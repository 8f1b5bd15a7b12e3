import { describe, expect, it } from "vitest";
import { seededRandom, SimulatedClock } from "../../src/testing/index.js";

describe("SimulatedClock", () => {
  it("runs what is due in order of time, then of arming", async () => {
    const clock = new SimulatedClock();
    const order: string[] = [];
    clock.setTimeout(() => order.push("late"), 20);
    clock.setTimeout(() => order.push("early, first"), 10);
    clock.setTimeout(() => order.push("early, second"), 10);
    clock.defer(() => order.push("deferred"));
    await clock.advance(30);
    expect(order).toEqual(["deferred", "early, first", "early, second", "late"]);
    expect(clock.now()).toBe(30);
  });

  it("keeps the order among many timeouts", async () => {
    const clock = new SimulatedClock();
    const random = seededRandom(3);
    const fired: number[] = [];
    for (let i = 0; i < 2_000; i++) clock.setTimeout(() => fired.push(clock.now()), Math.floor(random() * 500));
    await clock.advance(500);
    expect(fired).toHaveLength(2_000);
    expect(fired).toEqual(fired.toSorted((a, b) => a - b));
  });

  it("does not run what was cleared, not even from within the same instant", async () => {
    const clock = new SimulatedClock();
    let ran = 0;
    const second = { timer: null as object | null };
    clock.setTimeout(() => clock.clearTimeout(second.timer as object), 5);
    second.timer = clock.setTimeout(() => ran++, 5);
    await clock.advance(10);
    expect(ran).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it("lets promise reactions run before time moves on", async () => {
    const clock = new SimulatedClock();
    const seen: number[] = [];
    const waits = async (): Promise<void> => {
      for (let i = 0; i < 20; i++) await Promise.resolve();
      seen.push(clock.now());
    };
    clock.setTimeout(() => void waits(), 10);
    clock.setTimeout(() => {}, 11);
    await clock.advance(20);
    expect(seen).toEqual([10]);
  });

  it("stops when the condition holds, and gives up in time", async () => {
    const clock = new SimulatedClock();
    let done = false;
    clock.setTimeout(() => (done = true), 100);
    expect(await clock.runUntil(() => done, { withinMs: 50 })).toBe(false);
    expect(await clock.runUntil(() => done, { withinMs: 100 })).toBe(true);
    expect(clock.now()).toBe(100);
  });

  it("tells wall-clock time from its start", async () => {
    const clock = new SimulatedClock({ wallStartMs: 5_000 });
    await clock.advance(7);
    expect(clock.wallNow()).toBe(5_007);
  });
});

it("seededRandom depends on the seed alone and stays in [0, 1)", () => {
  const draw = (seed: number): number[] => Array.from({ length: 1_000 }, seededRandom(seed));
  expect(draw(1)).toEqual(draw(1));
  expect(draw(1)).not.toEqual(draw(2));
  expect(draw(3).every((value) => value >= 0 && value < 1)).toBe(true);
});
