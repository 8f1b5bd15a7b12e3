/** One timeout for many points in time. */
import { expect, test } from "vitest";
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
