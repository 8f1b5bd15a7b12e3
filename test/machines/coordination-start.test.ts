/** How a node starts: the rules out of DISCONNECTED and CONNECTING, and the init budget. */
import { describe, expect, it } from "vitest";
import {
  BOTH_FAILED,
  BOTH_READY,
  changed,
  CHILD,
  cleanedUp,
  CRITICAL_FAILED,
  CRITICAL_MISSING,
  FAULT,
  INIT_TIMEOUT,
  NOBODY_READY,
  NONE,
  ONE_READY,
  RECOVERY,
  requested,
  RETRY_DELAY,
  SHUTDOWN,
  UPLINK_LOST,
  UPLINK_OPENED,
  walk,
} from "./coordination-kit.js";
import { checkRows, type Row, ten } from "./coordination-rows.js";

describe("DISCONNECTED", () => {
  checkRows([
    {
      why: "called",
      from: "DISCONNECTED",
      by: requested(NOBODY_READY),
      to: "CONNECTING",
      effects: ["effect.callChildren"],
    },
    {
      why: "without children it is complete at once, and says so after calling",
      from: "DISCONNECTED",
      by: requested(NONE),
      to: "SYNCHRONIZED",
      effects: ["effect.callChildren", "effect.reportUp"],
    },
    {
      why: "a critical child that already failed",
      from: "DISCONNECTED",
      by: requested(CRITICAL_FAILED),
      to: "FAILED",
      effects: ["effect.callChildren", "effect.cleanUp"],
    },
    {
      why: "asked to recover, it tries at once",
      from: "DISCONNECTED",
      by: RECOVERY,
      to: "DISCONNECTED",
      effects: ["effect.retry"],
    },
    { why: "no retry was allowed", from: "DISCONNECTED", by: RETRY_DELAY, to: "DISCONNECTED" },
    { why: "nothing to shut down", from: "DISCONNECTED", by: SHUTDOWN, to: "DISCONNECTED" },
    ...[changed(BOTH_READY), UPLINK_OPENED, UPLINK_LOST, FAULT, cleanedUp(5), INIT_TIMEOUT].map((by): Row => ({
      why: "not its matter",
      from: "DISCONNECTED",
      by,
      to: "DISCONNECTED",
    })),
  ]);
});

describe("CONNECTING → SYNCHRONIZED: all children ready", () => {
  checkRows([
    {
      why: "all are ready",
      from: "CONNECTING",
      by: changed(BOTH_READY),
      to: "SYNCHRONIZED",
      effects: ["effect.reportUp"],
    },
    { why: "one is missing", from: "CONNECTING", by: changed(ONE_READY), to: "CONNECTING" },
    { why: "a failed child may come yet", from: "CONNECTING", by: changed(BOTH_FAILED), to: "CONNECTING" },
    { why: "a critical child is missing", from: "CONNECTING", by: changed(CRITICAL_MISSING), to: "CONNECTING" },
    {
      why: "a critical child is missing, however many others may be",
      from: "CONNECTING",
      by: changed(CRITICAL_MISSING),
      to: "CONNECTING",
      input: { thresholds: { degraded: { count: 2 }, failed: { fraction: 1 } } },
    },
    {
      why: "one may be missing",
      from: "CONNECTING",
      by: changed(ONE_READY),
      to: "SYNCHRONIZED",
      effects: ["effect.reportUp"],
      input: { thresholds: { degraded: { count: 2 }, failed: { fraction: 1 } } },
    },
    {
      why: "fewer than a fifth are missing",
      from: "CONNECTING",
      by: changed(ten(1)),
      to: "SYNCHRONIZED",
      effects: ["effect.reportUp"],
      input: { thresholds: { degraded: { fraction: 0.2 }, failed: { fraction: 1 } } },
    },
    {
      why: "a fifth is missing",
      from: "CONNECTING",
      by: changed(ten(2)),
      to: "CONNECTING",
      input: { thresholds: { degraded: { fraction: 0.2 }, failed: { fraction: 1 } } },
    },
    {
      why: "all are ready but the parent is gone",
      from: "CONNECTING",
      by: changed(BOTH_READY),
      to: "CONNECTING",
      way: [requested(NOBODY_READY), UPLINK_LOST],
    },
    {
      why: "the parent is back and all are ready",
      from: "CONNECTING",
      by: UPLINK_OPENED,
      to: "SYNCHRONIZED",
      effects: ["effect.reportUp"],
      way: [requested(NOBODY_READY), UPLINK_LOST, changed(BOTH_READY)],
    },
    {
      why: "a root needs no parent",
      from: "CONNECTING",
      by: changed(BOTH_READY),
      to: "SYNCHRONIZED",
      effects: ["effect.reportUp"],
      way: [requested(NOBODY_READY), UPLINK_LOST],
      input: { hasUplink: false },
    },
  ]);
});

describe("CONNECTING → FAILED: initialization timeout or error", () => {
  checkRows([
    { why: "nobody is ready", from: "CONNECTING", by: INIT_TIMEOUT, to: "FAILED", effects: ["effect.cleanUp"] },
    { why: "an own error", from: "CONNECTING", by: FAULT, to: "FAILED", effects: ["effect.cleanUp"] },
    {
      why: "a critical child failed",
      from: "CONNECTING",
      by: changed(CRITICAL_FAILED),
      to: "FAILED",
      effects: ["effect.cleanUp"],
    },
    {
      why: "a critical child is missing",
      from: "CONNECTING",
      by: INIT_TIMEOUT,
      to: "FAILED",
      effects: ["effect.cleanUp"],
      way: [requested(CRITICAL_MISSING)],
    },
    {
      why: "too few are ready",
      from: "CONNECTING",
      by: INIT_TIMEOUT,
      to: "FAILED",
      effects: ["effect.cleanUp"],
      way: [requested(ten(5))],
      input: { thresholds: { degraded: { count: 1 }, failed: { fraction: 0.5 } } },
    },
  ]);

  it.each([
    ["initialization timed out", [requested(NOBODY_READY), INIT_TIMEOUT]],
    ["disk full", [requested(NOBODY_READY), FAULT]],
    ["critical child failed", [requested(CRITICAL_FAILED)]],
    ["too many failures", [requested(BOTH_READY), changed(BOTH_FAILED)]],
    ["critical child failed", [requested(BOTH_READY), changed(CRITICAL_FAILED)]],
  ])("remembers why: %s", (failure, events) => {
    expect(walk(CHILD, ...events).context.failure).toBe(failure);
  });

  it("forgets why at the next attempt", () => {
    expect(walk(CHILD, requested(NOBODY_READY), FAULT, cleanedUp(5), requested(BOTH_READY)).context.failure).toBeNull();
  });
});

describe("CONNECTING → DEGRADED: initialization timeout with enough children", () => {
  checkRows([
    {
      why: "one of two is ready",
      from: "CONNECTING",
      by: INIT_TIMEOUT,
      to: "DEGRADED",
      effects: ["effect.reportUp"],
      way: [requested(ONE_READY)],
    },
    {
      why: "all are ready, but the parent is gone",
      from: "CONNECTING",
      by: INIT_TIMEOUT,
      to: "DEGRADED",
      effects: ["effect.reportUp"],
      way: [requested(NOBODY_READY), UPLINK_LOST, changed(BOTH_READY)],
    },
    {
      why: "four of ten are missing, five would be too many",
      from: "CONNECTING",
      by: INIT_TIMEOUT,
      to: "DEGRADED",
      effects: ["effect.reportUp"],
      way: [requested(ten(4))],
      input: { thresholds: { degraded: { count: 1 }, failed: { count: 5 } } },
    },
  ]);
});

it("tells every state entered, also those passed through, before the effects of each", () => {
  expect(walk(CHILD).entered).toEqual(["DISCONNECTED"]);
  expect(walk(CHILD, requested(NONE)).entered).toEqual(["CONNECTING", "SYNCHRONIZED"]);
});

describe("the init budget", () => {
  it.each([
    ["the own timeout without a parent's budget", 1_000, undefined, 1_000],
    ["the parent's budget when that is shorter", 1_000, 300, 300],
    ["the own timeout when that is shorter", 1_000, 5_000, 1_000],
    ["nothing when the parent has none left", 1_000, 0, 0],
  ])("is %s", (_, initTimeoutMs, budgetMs, expected) => {
    const { context, timers } = walk({ ...CHILD, initTimeoutMs }, requested(NOBODY_READY, budgetMs));
    expect(timers).toEqual({ initTimeout: expected });
    expect(context.initBudgetMs).toBe(expected);
  });

  it("of an earlier attempt does not bind the next", () => {
    const events = [requested(NOBODY_READY, 300), INIT_TIMEOUT, cleanedUp(5), requested(NOBODY_READY)];
    expect(walk(CHILD, ...events).timers).toEqual({ initTimeout: 1_000 });
  });
});
