import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { TimingWheel } from "../../src/health/timing-wheel.js";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});

afterEach(() => {
  vi.useRealTimers();
});

/** Arms timeouts of these delays and returns when each fired. */
function arm(wheel: TimingWheel, ...delays: readonly number[]): Map<number, number> {
  const fired = new Map<number, number>();
  const startMs = performance.now();
  for (const delayMs of delays) wheel.add(() => fired.set(delayMs, performance.now() - startMs), delayMs);
  return fired;
}

describe("TimingWheel", () => {
  it("fires never early and at most two ticks late, beyond one turn of the wheel at most sixteen more", () => {
    const wheel = new TimingWheel();
    const delays = [0, 1, 9, 10, 11, 99, 1_000, 5_119, 5_120, 5_121, 12_345, 60_000];
    const fired = arm(wheel, ...delays);
    vi.advanceTimersByTime(61_000);
    for (const delayMs of delays) {
      const atMs = fired.get(delayMs) ?? -1;
      expect(atMs, `${delayMs}`).toBeGreaterThanOrEqual(delayMs);
      expect(atMs, `${delayMs}`).toBeLessThanOrEqual(delayMs + (delayMs > 5_120 ? 181 : 21));
    }
    expect(wheel.size).toBe(0);
  });

  it("is woken rarely by long timeouts, however many there are", () => {
    const wheel = new TimingWheel();
    arm(wheel, ...Array.from({ length: 2_000 }, (_, i) => 60_000 + 7 * i));
    const armed = vi.spyOn(globalThis, "setTimeout");
    vi.advanceTimersByTime(60_000);
    // Every tick would be 6,000 times.
    expect(armed.mock.calls.length).toBeLessThanOrEqual(60_000 / 160 + 1);
    armed.mockRestore();
  });

  it("leaves no native timer once everything fired or was cleared", () => {
    const wheel = new TimingWheel();
    const timer = wheel.add(() => {}, 50);
    wheel.add(() => {}, 20);
    vi.advanceTimersByTime(30);
    expect(vi.getTimerCount()).toBe(1);
    wheel.remove(timer);
    wheel.remove(timer);
    expect(vi.getTimerCount()).toBe(0);
    expect(wheel.size).toBe(0);
  });

  it("does not fire what an earlier callback of the same turn cleared", () => {
    const wheel = new TimingWheel();
    let fired = false;
    const second = { timer: null as object | null };
    wheel.add(() => wheel.remove(second.timer as object), 10);
    second.timer = wheel.add(() => (fired = true), 10);
    vi.advanceTimersByTime(50);
    expect(fired).toBe(false);
  });

  it("an earlier timeout armed later fires first", () => {
    const wheel = new TimingWheel();
    const fired = arm(wheel, 500, 50);
    vi.advanceTimersByTime(100);
    expect([...fired.keys()]).toEqual([50]);
  });

  it("after a long idle time new timeouts are as punctual as ever", () => {
    const wheel = new TimingWheel();
    vi.advanceTimersByTime(123_456);
    const fired = arm(wheel, 100);
    vi.advanceTimersByTime(130);
    expect(fired.get(100)).toBeLessThanOrEqual(121);
  });

  it("a callback that throws takes no other with it, and is not hidden", () => {
    const wheel = new TimingWheel();
    let fired = false;
    const thrown: (() => void)[] = [];
    vi.stubGlobal("queueMicrotask", (act: () => void) => thrown.push(act));
    wheel.add(() => {
      throw new Error("a bug");
    }, 10);
    wheel.add(() => (fired = true), 10);
    vi.advanceTimersByTime(50);
    vi.unstubAllGlobals();
    expect(fired).toBe(true);
    expect(thrown[0]).toThrow("a bug");
  });

  it("callbacks may arm again", () => {
    const wheel = new TimingWheel();
    let count = 0;
    const again = (): void => {
      if (++count < 100) wheel.add(again, 10);
    };
    wheel.add(again, 10);
    vi.advanceTimersByTime(2_500);
    expect(count).toBe(100);
  });
});
