/** How a node runs: the rules between SYNCHRONIZED and DEGRADED and out of them. */
import { describe, expect, it } from "vitest";
import { degradedReasons } from "../../machines/coordination.js";
import {
  BOTH_FAILED,
  BOTH_READY,
  census,
  changed,
  CHILD,
  CRITICAL_FAILED,
  CRITICAL_MISSING,
  FAULT,
  INIT_TIMEOUT,
  NOBODY_READY,
  ONE_FAILED,
  ONE_READY,
  RECOVERY,
  RECOVERY_TIMEOUT,
  requested,
  ROOT,
  UPLINK_LOST,
  UPLINK_OPENED,
  walk,
} from "./coordination-kit.js";
import { checkRows, ten, WAY_TO } from "./coordination-rows.js";

describe("SYNCHRONIZED → DEGRADED: some children fail", () => {
  checkRows([
    { why: "one failed", from: "SYNCHRONIZED", by: changed(ONE_FAILED), to: "DEGRADED", effects: ["effect.reportUp"] },
    {
      why: "one is missing",
      from: "SYNCHRONIZED",
      by: changed(ONE_READY),
      to: "DEGRADED",
      effects: ["effect.reportUp"],
    },
    {
      why: "all are missing, none failed",
      from: "SYNCHRONIZED",
      by: changed(NOBODY_READY),
      to: "DEGRADED",
      effects: ["effect.reportUp"],
    },
    {
      why: "a critical one is missing",
      from: "SYNCHRONIZED",
      by: changed(CRITICAL_MISSING),
      to: "DEGRADED",
      effects: ["effect.reportUp"],
    },
    { why: "the parent is gone", from: "SYNCHRONIZED", by: UPLINK_LOST, to: "DEGRADED", effects: ["effect.reportUp"] },
    { why: "all are still there", from: "SYNCHRONIZED", by: changed(BOTH_READY), to: "SYNCHRONIZED" },
    { why: "nothing to recover", from: "SYNCHRONIZED", by: RECOVERY, to: "SYNCHRONIZED" },
    {
      why: "one may be missing",
      from: "SYNCHRONIZED",
      by: changed(ONE_FAILED),
      to: "SYNCHRONIZED",
      input: { thresholds: { degraded: { count: 2 }, failed: { fraction: 1 } } },
    },
    {
      why: "a third of ten are missing at four",
      from: "SYNCHRONIZED",
      by: changed(ten(4)),
      to: "DEGRADED",
      effects: ["effect.reportUp"],
      input: { thresholds: { degraded: { fraction: 1 / 3 }, failed: { fraction: 1 } } },
    },
  ]);
});

describe("SYNCHRONIZED → FAILED: critical failure", () => {
  checkRows([
    {
      why: "a critical child failed",
      from: "SYNCHRONIZED",
      by: changed(CRITICAL_FAILED),
      to: "FAILED",
      effects: ["effect.cleanUp"],
    },
    { why: "all failed", from: "SYNCHRONIZED", by: changed(BOTH_FAILED), to: "FAILED", effects: ["effect.cleanUp"] },
    { why: "an own error", from: "SYNCHRONIZED", by: FAULT, to: "FAILED", effects: ["effect.cleanUp"] },
    {
      why: "half of ten failed",
      from: "SYNCHRONIZED",
      by: changed(ten(5, 5)),
      to: "FAILED",
      effects: ["effect.cleanUp"],
      input: { thresholds: { degraded: { count: 1 }, failed: { fraction: 0.5 } } },
    },
    {
      why: "half of ten are missing, but only four failed",
      from: "SYNCHRONIZED",
      by: changed(ten(5, 4)),
      to: "DEGRADED",
      effects: ["effect.reportUp"],
      input: { thresholds: { degraded: { count: 1 }, failed: { fraction: 0.5 } } },
    },
  ]);
});

describe("DEGRADED → SYNCHRONIZED: failed children recover", () => {
  const uplinkLost = [requested(BOTH_READY), UPLINK_LOST];
  checkRows([
    {
      why: "all are back",
      from: "DEGRADED",
      by: changed(BOTH_READY),
      to: "SYNCHRONIZED",
      effects: ["effect.reportUp"],
    },
    { why: "one is still missing", from: "DEGRADED", by: changed(ONE_FAILED), to: "DEGRADED" },
    {
      why: "the missing one left for good",
      from: "DEGRADED",
      by: changed(census({ expected: 1, ready: 1 })),
      to: "SYNCHRONIZED",
      effects: ["effect.reportUp"],
    },
    {
      why: "the parent is back",
      from: "DEGRADED",
      by: UPLINK_OPENED,
      to: "SYNCHRONIZED",
      effects: ["effect.reportUp"],
      way: uplinkLost,
    },
    {
      why: "the children are fine, the parent is gone",
      from: "DEGRADED",
      by: changed(BOTH_READY),
      to: "DEGRADED",
      way: uplinkLost,
    },
    {
      why: "the parent is back, a child is not",
      from: "DEGRADED",
      by: UPLINK_OPENED,
      to: "DEGRADED",
      way: [...uplinkLost, changed(ONE_READY)],
    },
    { why: "now the parent is gone, too", from: "DEGRADED", by: UPLINK_LOST, to: "DEGRADED" },
    {
      why: "asked to recover, it calls the children again",
      from: "DEGRADED",
      by: RECOVERY,
      to: "DEGRADED",
      effects: ["effect.callChildren"],
    },
  ]);
});

describe("DEGRADED → FAILED: too many failures", () => {
  checkRows([
    {
      why: "the last one failed",
      from: "DEGRADED",
      by: changed(BOTH_FAILED),
      to: "FAILED",
      effects: ["effect.cleanUp"],
    },
    {
      why: "a critical one failed",
      from: "DEGRADED",
      by: changed(CRITICAL_FAILED),
      to: "FAILED",
      effects: ["effect.cleanUp"],
    },
    { why: "an own error", from: "DEGRADED", by: FAULT, to: "FAILED", effects: ["effect.cleanUp"] },
    { why: "recovery may take for ever", from: "DEGRADED", by: RECOVERY_TIMEOUT, to: "DEGRADED" },
    {
      why: "recovery took too long",
      from: "DEGRADED",
      by: RECOVERY_TIMEOUT,
      to: "FAILED",
      effects: ["effect.cleanUp"],
      input: { recoveryTimeoutMs: 700 },
    },
  ]);

  it("counts the recovery time from when it became DEGRADED", () => {
    const input = { ...CHILD, recoveryTimeoutMs: 700 };
    expect(walk(input, ...WAY_TO.DEGRADED).timers).toEqual({ recoveryTimeout: 700 });
    expect(walk(input, ...WAY_TO.DEGRADED, changed(BOTH_READY)).timers).toEqual({});
    expect(walk(input, ...WAY_TO.DEGRADED, RECOVERY_TIMEOUT).context.failure).toBe("recovery timed out");
  });
});

describe("degradedReasons", () => {
  it.each([
    ["children", ["children"], [requested(ONE_READY), INIT_TIMEOUT], CHILD],
    ["the parent", ["uplink"], [requested(BOTH_READY), UPLINK_LOST], CHILD],
    ["both", ["children", "uplink"], [requested(BOTH_READY), UPLINK_LOST, changed(ONE_READY)], CHILD],
    ["a critical child", ["children"], [requested(BOTH_READY), changed(CRITICAL_MISSING)], CHILD],
    ["nothing", [], [requested(BOTH_READY)], CHILD],
    ["nothing for a root without uplink", [], [requested(BOTH_READY), UPLINK_LOST], ROOT],
  ])("names %s", (_, reasons, events, input) => {
    expect(degradedReasons(walk(input, ...events).context)).toEqual(reasons);
  });
});
