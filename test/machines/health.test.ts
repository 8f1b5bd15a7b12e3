/** The small judgements around heartbeats: local health, the adaptive interval, and the end of a takeover loop. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { growInterval, type HeartbeatOptions, jitteredMs } from "../../machines/heartbeat-interval.js";
import { improve, LOCAL_HEALTH_MAX, worsen } from "../../machines/local-health.js";
import {
  isTakeoverAllowed,
  noteTakeover,
  TAKEOVER_WINDOW_MS,
  type TakeoverHistory,
  TAKEOVERS_MAX,
} from "../../machines/takeover-limit.js";

describe("local health", () => {
  it("moves by one between 0 and 7", () => {
    expect(Array.from({ length: 9 }, (_, i) => worsen(i))).toEqual([1, 2, 3, 4, 5, 6, 7, 7, 7]);
    expect(Array.from({ length: 9 }, (_, i) => improve(i))).toEqual([0, 0, 1, 2, 3, 4, 5, 6, 7]);
  });

  it("stays in its bounds whatever happens, and is well again after as many good ticks as it has bad points", () => {
    fc.assert(
      fc.property(fc.array(fc.boolean()), (punctual) => {
        let score = 0;
        for (const good of punctual) {
          score = good ? improve(score) : worsen(score);
          expect(score).toBeGreaterThanOrEqual(0);
          expect(score).toBeLessThanOrEqual(LOCAL_HEALTH_MAX);
        }
        for (let i = 0; i < LOCAL_HEALTH_MAX; i++) score = improve(score);
        expect(score).toBe(0);
      }),
    );
  });
});

describe("the heartbeat interval", () => {
  const options: HeartbeatOptions = { minMs: 1_000, maxMs: 5_000 };

  it("grows by a quarter up to the longest", () => {
    const intervals = [options.minMs];
    for (let i = 0; i < 9; i++) intervals.push(growInterval(intervals.at(-1) ?? 0, options));
    expect(intervals.slice(0, 4)).toEqual([1_000, 1_250, 1_562.5, 1_953.125]);
    expect(intervals.at(-1)).toBe(5_000);
    expect(growInterval(5_000, options)).toBe(5_000);
  });

  it("is jittered towards earlier only, by a tenth at most: a promise is never broken by jitter", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000_000 }), fc.double({ min: 0, max: 1, noNaN: true }), (ms, random) => {
        expect(jitteredMs(ms, random)).toBeLessThanOrEqual(ms);
        expect(jitteredMs(ms, random)).toBeGreaterThanOrEqual(Math.floor(ms * 0.9));
      }),
    );
    expect([0, 0.5, 1].map((random) => jitteredMs(1_000, random))).toEqual([1_000, 950, 900]);
  });
});

function after(...times: readonly number[]): TakeoverHistory {
  return times.reduce<TakeoverHistory>(noteTakeover, []);
}

describe("takeovers", () => {
  it("are allowed three times a minute", () => {
    expect(isTakeoverAllowed(after(), 0)).toBe(true);
    expect(isTakeoverAllowed(after(0, 1), 2)).toBe(true);
    expect(isTakeoverAllowed(after(0, 1, 2), 3)).toBe(false);
  });

  it("are forgotten when the minute is over", () => {
    expect(isTakeoverAllowed(after(0, 1, 2), TAKEOVER_WINDOW_MS - 1)).toBe(false);
    expect(isTakeoverAllowed(after(0, 1, 2), TAKEOVER_WINDOW_MS)).toBe(true);
    expect(after(0, 1, TAKEOVER_WINDOW_MS)).toEqual([1, TAKEOVER_WINDOW_MS]);
  });

  it("end: of any attempts within a minute no more than three go through, and the history stays short", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(30_000), { maxLength: 100 }), (gaps) => {
        let history: TakeoverHistory = [];
        let nowMs = 0;
        const taken: number[] = [];
        for (const gap of gaps) {
          nowMs += gap;
          if (!isTakeoverAllowed(history, nowMs)) continue;
          history = noteTakeover(history, nowMs);
          taken.push(nowMs);
          expect(history.length).toBeLessThanOrEqual(TAKEOVERS_MAX);
        }
        for (const [i, at] of taken.entries()) {
          const fourth = taken[i + TAKEOVERS_MAX];
          if (fourth !== undefined) expect(fourth - at).toBeGreaterThanOrEqual(TAKEOVER_WINDOW_MS);
        }
      }),
    );
  });
});
