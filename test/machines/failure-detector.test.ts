/** When a silent peer becomes suspect and dead, and what its history may and may not change. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  createDetector,
  deadAfterMs,
  type Detector,
  type DetectorOptions,
  excuse,
  forgive,
  heard,
  isMassSilence,
  judge,
  overdueAfterMs,
  probeIntervalMs,
  promise,
  suspectAfterMs,
  type Verdict,
} from "../../machines/failure-detector.js";
import { growInterval } from "../../machines/heartbeat-interval.js";
import { LOCAL_HEALTH_MAX } from "../../machines/local-health.js";

const OPTIONS: DetectorOptions = { pauseMs: 500, deadMs: 8_000 };
const INTERVAL_MS = 1_000;

/** A detector that heard beats at these times, each promising the next after `INTERVAL_MS`. */
function beaten(...times: readonly number[]): Detector {
  const detector = createDetector(0, INTERVAL_MS);
  for (const nowMs of times) beat(detector, nowMs, INTERVAL_MS);
  return detector;
}

function beat(detector: Detector, nowMs: number, nextInMs: number): void {
  heard(detector, nowMs, OPTIONS);
  promise(detector, nextInMs, OPTIONS);
}

/** Beats of which each comes this much later than promised. */
function late(...latenesses: readonly number[]): Detector {
  const times: number[] = [];
  for (const latenessMs of latenesses) times.push((times.at(-1) ?? 0) + INTERVAL_MS + latenessMs);
  return beaten(...times);
}

describe("a punctual peer", () => {
  it.each<[number, Verdict]>([
    [0, "alive"],
    [1_000, "alive"],
    [1_499, "alive"],
    [1_500, "suspect"],
    [7_999, "suspect"],
    [8_000, "dead"],
    [1e12, "dead"],
  ])("silent for %i ms is %s", (silenceMs, verdict) => {
    expect(judge(beaten(1_000, 2_000), 2_000 + silenceMs, OPTIONS, 0)).toBe(verdict);
  });

  it("cannot promise away its death", () => {
    const detector = createDetector(0, INTERVAL_MS);
    beat(detector, 1_000, Number.MAX_SAFE_INTEGER);
    expect(judge(detector, 1_000 + 2 * OPTIONS.deadMs, OPTIONS, 0)).toBe("dead");
  });

  it("is judged from the last time it was heard, not from its last beat", () => {
    const detector = beaten(1_000);
    heard(detector, 1_900, OPTIONS);
    expect(judge(detector, 3_399, OPTIONS, 0)).toBe("alive");
    expect(judge(detector, 3_400, OPTIONS, 0)).toBe("suspect");
  });

  it("is forgiven the silence of our own outage", () => {
    const detector = beaten(1_000);
    expect(judge(detector, 60_000, OPTIONS, 0)).toBe("dead");
    forgive(detector, 60_000);
    expect(judge(detector, 61_499, OPTIONS, 0)).toBe("alive");
    expect(suspectAfterMs(detector, OPTIONS, 0)).toBe(1_500);
  });
});

describe("history", () => {
  it("of lateness widens the pause, up to four times", () => {
    const steady = suspectAfterMs(late(...Array.from({ length: 200 }, () => 450)), OPTIONS, 0);
    const wild = suspectAfterMs(late(...Array.from({ length: 200 }, (_, i) => (i % 2) * 500)), OPTIONS, 0);
    expect(steady).toBe(1_500);
    expect(wild).toBeGreaterThan(2_000);
    expect(wild).toBeLessThanOrEqual(INTERVAL_MS + 4 * OPTIONS.pauseMs);
  });

  it("does not learn a stall", () => {
    const detector = late(20, 30, 10);
    const before = { ...detector };
    heard(detector, detector.lastHeardMs + INTERVAL_MS + OPTIONS.pauseMs + 1, OPTIONS);
    expect(detector).toEqual({ ...before, lastHeardMs: before.lastHeardMs + 1_501 });
  });

  it("takes earliness for no lateness: traffic between beats teaches nothing but life", () => {
    const detector = beaten(1_000);
    for (let nowMs = 1_001; nowMs < 2_000; nowMs++) heard(detector, nowMs, OPTIONS);
    expect(detector).toMatchObject({ lastHeardMs: 1_999, meanLatenessMs: 0, varianceMs2: 0 });
  });

  it("loses a habit of lateness by beats in time, and has none in the end", () => {
    const detector = late(20, 30, 10);
    const before = detector.meanLatenessMs;
    for (let n = 1; n <= 50; n++) beat(detector, detector.lastHeardMs + INTERVAL_MS, INTERVAL_MS);
    expect(detector.meanLatenessMs).toBeCloseTo(before * 0.96 ** 50, 9);
    for (let n = 1; n <= 400; n++) beat(detector, detector.lastHeardMs + INTERVAL_MS, INTERVAL_MS);
    expect(detector).toMatchObject({ isPunctual: true, meanLatenessMs: 0, varianceMs2: 0 });
  });

  it("is not poisoned by an adaptive interval: only lateness beyond the promise counts", () => {
    const detector = createDetector(0, INTERVAL_MS);
    let nowMs = 0;
    let intervalMs = INTERVAL_MS;
    for (let i = 0; i < 50; i++) {
      nowMs += intervalMs;
      intervalMs = i % 20 === 19 ? INTERVAL_MS : growInterval(intervalMs, { minMs: INTERVAL_MS, maxMs: 7_000 });
      beat(detector, nowMs, intervalMs);
    }
    expect(detector).toMatchObject({ meanLatenessMs: 0, varianceMs2: 0 });
    expect(suspectAfterMs(detector, OPTIONS, 0)).toBe(intervalMs + OPTIONS.pauseMs);
  });
});

describe("local health", () => {
  it("widens the pause, not the promise", () => {
    const times = Array.from({ length: 8 }, (_, health) => suspectAfterMs(beaten(), OPTIONS, health));
    expect(times).toEqual([1_500, 2_000, 2_500, 3_000, 3_500, 4_000, 4_500, 5_000]);
  });

  it("delays death no further than suspicion needs", () => {
    expect(deadAfterMs(beaten(), OPTIONS, LOCAL_HEALTH_MAX)).toBe(8_000);
    expect(deadAfterMs(beaten(), { pauseMs: 2_000, deadMs: 8_000 }, LOCAL_HEALTH_MAX)).toBe(1_000 + 16_000 + 2_000);
  });
});

describe("a judge that stood still", () => {
  it("takes that time off the silence", () => {
    const detector = beaten(1_000);
    excuse(detector, 12_000, 6_000);
    expect(judge(detector, 12_000, OPTIONS, 0)).toBe("suspect");
    expect(judge(detector, 7_000 + OPTIONS.deadMs, OPTIONS, 0)).toBe("dead");
  });

  it("never takes off more than there was", () => {
    const detector = beaten(1_000);
    excuse(detector, 2_000, 60_000);
    expect(detector.lastHeardMs).toBe(2_000);
  });
});

describe("questions", () => {
  it("begin a quarter of a pause after the promise", () => {
    expect(overdueAfterMs(beaten(1_000, 2_000), OPTIONS)).toBe(INTERVAL_MS + 125);
  });

  it.each([
    [500, 200],
    [200, 200],
    [50, 50],
  ])("come, with beats of at least %i ms, each %i ms", (heartbeatMinMs, intervalMs) => {
    expect(probeIntervalMs(heartbeatMinMs)).toBe(intervalMs);
  });
});

describe("mass silence", () => {
  it.each([
    [3, 3, false],
    [2, 4, false],
    [3, 4, true],
    [4, 4, true],
    [5, 10, false],
    [6, 10, true],
    [0, 0, false],
  ])("of %i of %i peers is %s", (silent, total, mass) => {
    expect(isMassSilence(silent, total)).toBe(mass);
  });
});

/** A detector with this history of gaps between messages and promises for the next. */
function live(history: readonly { gap: number; nextInMs: number }[], options: DetectorOptions): Detector {
  const detector = createDetector(0, INTERVAL_MS);
  let nowMs = 0;
  for (const { gap, nextInMs } of history) {
    nowMs = Math.max(-1e300, Math.min(1e300, nowMs + gap));
    heard(detector, nowMs, options);
    promise(detector, nextInMs, options);
  }
  return detector;
}

describe("for any peer", () => {
  const anyOptions = fc.record({
    pauseMs: fc.integer({ min: 1, max: 600_000 }),
    deadMs: fc.integer({ min: 1, max: 3_600_000 }),
  });
  const anyHealth = fc.nat(LOCAL_HEALTH_MAX);
  /** Gaps may be negative, endless or absurd: a clock that jumps, a promise from a hostile peer. */
  const anyGap = fc.oneof(
    fc.integer({ min: -10_000, max: 100_000 }),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
  );
  const anyPromise = fc.oneof(fc.nat(60_000), fc.maxSafeNat());
  const anyHistory = fc.array(fc.record({ gap: anyGap, nextInMs: anyPromise }), { maxLength: 60 });
  const usualHistory = fc.array(fc.record({ gap: fc.nat(100_000), nextInMs: fc.nat(60_000) }), { maxLength: 60 });

  it("no number is ever lost", () => {
    fc.assert(
      fc.property(anyHistory, anyOptions, anyHealth, (history, options, health) => {
        const detector = live(history, options);
        const { isPunctual, ...numbers } = detector;
        for (const value of Object.values(numbers)) expect(Number.isFinite(value)).toBe(true);
        expect(isPunctual).toBe(numbers.meanLatenessMs === 0 && numbers.varianceMs2 === 0);
        expect(detector.varianceMs2).toBeGreaterThanOrEqual(0);
        expect(Number.isFinite(suspectAfterMs(detector, options, health))).toBe(true);
        expect(Number.isFinite(deadAfterMs(detector, options, health))).toBe(true);
      }),
    );
  });

  it("silence below the promise and the pause is never suspect", () => {
    fc.assert(
      fc.property(usualHistory, anyOptions, anyHealth, fc.double({ min: 0, max: 1, noNaN: true }), (...args) => {
        const [history, options, health, part] = args;
        const detector = live(history, options);
        const silenceMs = Math.floor(part * (detector.promisedMs + options.pauseMs - 1));
        expect(judge(detector, detector.lastHeardMs + silenceMs, options, health)).toBe("alive");
      }),
    );
  });

  it("suspicion comes before death, and neither is taken back by more silence", () => {
    const ORDER: readonly Verdict[] = ["alive", "suspect", "dead"];
    fc.assert(
      fc.property(usualHistory, anyOptions, anyHealth, (history, options, health) => {
        const detector = live(history, options);
        const [suspectMs, deadMs] = [suspectAfterMs(detector, options, health), deadAfterMs(detector, options, health)];
        expect(deadMs).toBeGreaterThanOrEqual(suspectMs + options.pauseMs);
        const silences = [0, suspectMs / 2, suspectMs - 1, suspectMs + 0.01, deadMs - 0.01, deadMs + 0.01, deadMs * 2];
        const verdicts = silences.map((ms) => judge(detector, detector.lastHeardMs + ms, options, health));
        expect(verdicts[3]).toBe("suspect");
        expect(verdicts[5]).toBe("dead");
        const ranks = verdicts.map((verdict) => ORDER.indexOf(verdict));
        expect(ranks).toEqual(ranks.toSorted((a, b) => a - b));
      }),
    );
  });

  it("death comes within bounds that the promise and the options set", () => {
    fc.assert(
      fc.property(usualHistory, anyOptions, anyHealth, (history, options, health) => {
        const detector = live(history, options);
        const suspectMaxMs = detector.promisedMs + 4 * options.pauseMs * (1 + health);
        expect(suspectAfterMs(detector, options, health)).toBeLessThanOrEqual(suspectMaxMs);
        const deadMaxMs = Math.max(options.deadMs, suspectMaxMs + options.pauseMs);
        expect(judge(detector, detector.lastHeardMs + deadMaxMs, options, health)).toBe("dead");
      }),
    );
  });

  it("there is a question before suspicion", () => {
    fc.assert(
      fc.property(usualHistory, anyOptions, anyHealth, (history, options, health) => {
        const detector = live(history, options);
        expect(overdueAfterMs(detector, options)).toBeLessThan(suspectAfterMs(detector, options, health));
      }),
    );
  });

  it("worse local health never judges sooner", () => {
    fc.assert(
      fc.property(usualHistory, anyOptions, fc.nat(LOCAL_HEALTH_MAX - 1), (history, options, health) => {
        const detector = live(history, options);
        const better = suspectAfterMs(detector, options, health);
        expect(suspectAfterMs(detector, options, health + 1)).toBeGreaterThanOrEqual(better + options.pauseMs);
      }),
    );
  });
});
