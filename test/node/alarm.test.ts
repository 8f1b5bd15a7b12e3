/** One timeout for many points in time. */
import { expect, test, vi } from "vitest";
import type { Clock } from "../../src/health/clock.js";
import { Alarm } from "../../src/node/alarm.js";

/** Time that the test moves; deferred callbacks wait for the end of a turn. */
class Hand implements Clock {
  nowMs = 0;
  #timeouts: { readonly callback: () => void; readonly atMs: number }[] = [];
  #deferred: (() => void)[] = [];

  now = (): number => this.nowMs;
  wallNow = (): number => this.nowMs;
  defer = (callback: () => void): void => void this.#deferred.push(callback);
  setTimeout = (callback: () => void, delayMs: number): object => {
    const timer = { callback, atMs: this.nowMs + delayMs };
    this.#timeouts.push(timer);
    return timer;
  };
  clearTimeout = (timer: object): void => void (this.#timeouts = this.#timeouts.filter((each) => each !== timer));

  /** Timeouts that were armed and neither fired nor were cleared. */
  get pending(): number {
    return this.#timeouts.length;
  }

  /** The event loop comes back at that time: first to timers, then to what was deferred before. */
  turn(nowMs: number): void {
    this.nowMs = nowMs;
    const due = this.#timeouts.filter(({ atMs }) => atMs <= nowMs);
    this.#timeouts = this.#timeouts.filter(({ atMs }) => atMs > nowMs);
    for (const { callback } of due) callback();
    const deferred = this.#deferred;
    this.#deferred = [];
    for (const callback of deferred) callback();
  }
}

function alarmOf(clock: Clock, next: readonly number[] = []) {
  const woken: number[] = [];
  const wake = (nowMs: number): number => {
    woken.push(nowMs);
    return next[woken.length - 1] ?? Infinity;
  };
  return { alarm: new Alarm({ clock, wake }), woken };
}

test("wakes at the earliest time, and then when it was told to", () => {
  const clock = new Hand();
  const { alarm, woken } = alarmOf(clock, [250]);
  alarm.coverUntil(200);
  alarm.coverUntil(100);
  alarm.coverUntil(300);
  for (const atMs of [99, 100, 200, 250, 300]) clock.turn(atMs);
  expect(woken).toEqual([100, 250]);
});

test("late, it lets what has arrived be read first: two turns of the event loop", () => {
  const clock = new Hand();
  const { alarm, woken } = alarmOf(clock);
  alarm.coverUntil(100);
  for (const atMs of [500, 501]) clock.turn(atMs);
  expect(woken).toEqual([501]);
});

test("late and stopped meanwhile, it does not wake", () => {
  const clock = new Hand();
  const { alarm, woken } = alarmOf(clock);
  alarm.coverUntil(100);
  clock.turn(500);
  alarm.stop();
  for (const atMs of [501, 502]) clock.turn(atMs);
  expect(woken).toEqual([]);
});

test("late and armed for an earlier time meanwhile, it wakes once for both", () => {
  const clock = new Hand();
  const { alarm, woken } = alarmOf(clock);
  alarm.coverUntil(100);
  clock.turn(500);
  alarm.coverUntil(50);
  for (const atMs of [501, 502, 503]) clock.turn(atMs);
  expect(woken).toHaveLength(1);
});

test("alarms for the same millisecond share a timeout, and are stopped alone", () => {
  const clock = new Hand();
  const [first, second, third] = [alarmOf(clock), alarmOf(clock), alarmOf(clock, [100])] as const;
  for (const { alarm } of [first, second, third]) alarm.coverUntil(100);
  expect(clock.pending).toBe(1);
  second.alarm.stop();
  second.alarm.stop();
  clock.turn(100);
  expect([first.woken, second.woken, third.woken]).toEqual([[100], [], [100]]);
  clock.turn(101);
  expect(third.woken).toEqual([100, 101]);
  expect(clock.pending).toBe(0);
});

test("the last one that is stopped leaves no timeout", () => {
  const clock = new Hand();
  const alarms = [alarmOf(clock).alarm, alarmOf(clock).alarm];
  for (const alarm of alarms) alarm.coverUntil(100);
  for (const alarm of alarms) alarm.stop();
  expect(clock.pending).toBe(0);
  alarms[0]?.coverUntil(100);
  expect(clock.pending).toBe(1);
});

test("one that is stopped by another of the same millisecond does not wake, and one that throws keeps none from waking", () => {
  const clock = new Hand();
  const victim = alarmOf(clock);
  const thrown: (() => void)[] = [];
  vi.stubGlobal("queueMicrotask", (act: () => void) => thrown.push(act));
  const wake = (): never => {
    victim.alarm.stop();
    throw new Error("a bug");
  };
  const other = alarmOf(clock);
  for (const alarm of [new Alarm({ clock, wake }), victim.alarm, other.alarm]) alarm.coverUntil(10);
  clock.turn(10);
  vi.unstubAllGlobals();
  expect([victim.woken, other.woken]).toEqual([[], [10]]);
  expect(thrown[0]).toThrow("a bug");
});
