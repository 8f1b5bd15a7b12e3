/** How a node ends an attempt and begins the next: FAILED, retries, shutdown. */
import { describe, expect, it } from "vitest";
import {
  BOTH_READY,
  changed,
  CHILD,
  CLEANUP_TIMEOUT,
  cleanedUp,
  FAULT,
  NOBODY_READY,
  RECOVERY,
  requested,
  RETRY_DELAY,
  ROOT,
  SHUTDOWN,
  UPLINK_LOST,
  UPLINK_OPENED,
  walk,
} from "./coordination-kit.js";
import { checkRows, type Row, WAY_TO } from "./coordination-rows.js";

describe("FAILED → DISCONNECTED: after cleanup", () => {
  checkRows([
    { why: "cleaned up", from: "FAILED", by: cleanedUp(null), to: "DISCONNECTED" },
    { why: "cleanup does not report back", from: "FAILED", by: CLEANUP_TIMEOUT, to: "DISCONNECTED" },
    { why: "shut down", from: "FAILED", by: SHUTDOWN, to: "DISCONNECTED" },
    ...[requested(BOTH_READY), changed(BOTH_READY), UPLINK_OPENED, UPLINK_LOST, FAULT, RECOVERY].map((by): Row => ({
      why: "cleanup comes first",
      from: "FAILED",
      by,
      to: "FAILED",
    })),
  ]);

  it("waits for cleanup no longer than its timeout", () => {
    expect(walk(CHILD, ...WAY_TO.FAILED).timers).toEqual({ cleanupTimeout: 50 });
  });

  it("forgets the uplink", () => {
    for (const by of [cleanedUp(null), CLEANUP_TIMEOUT, SHUTDOWN]) {
      expect(walk(CHILD, ...WAY_TO.FAILED, by).context.uplinkOpen).toBe(false);
    }
  });
});

describe("the next attempt", () => {
  const failed = [...WAY_TO.FAILED, cleanedUp(250)];

  it("comes once, after the delay that cleanup reported", () => {
    expect(walk(ROOT, ...failed).timers).toEqual({ retryDelay: 250 });
    expect(walk(ROOT, ...failed, RETRY_DELAY).effects).toEqual(["effect.retry"]);
    expect(walk(ROOT, ...failed, RETRY_DELAY).context.retryInMs).toBeNull();
    expect(walk(ROOT, ...failed, RETRY_DELAY, RETRY_DELAY).effects).toEqual([]);
  });

  it("is made after as long again when cleanup did not report", () => {
    expect(walk(ROOT, ...WAY_TO.FAILED, CLEANUP_TIMEOUT, RETRY_DELAY).effects).toEqual(["effect.retry"]);
  });

  it("is not made when cleanup reported none", () => {
    expect(walk(ROOT, ...WAY_TO.FAILED, cleanedUp(null), RETRY_DELAY).effects).toEqual([]);
  });

  it("is not made twice when asked for before its time", () => {
    expect(walk(ROOT, ...failed, RECOVERY).effects).toEqual(["effect.retry"]);
    expect(walk(ROOT, ...failed, RECOVERY, RETRY_DELAY).effects).toEqual([]);
  });

  it("is dropped by a shutdown and by a request that comes first", () => {
    expect(walk(ROOT, ...failed, SHUTDOWN, RETRY_DELAY).effects).toEqual([]);
    expect(walk(ROOT, ...failed, requested(NOBODY_READY)).timers).toEqual({ initTimeout: 1_000 });
    expect(walk(ROOT, ...failed, requested(NOBODY_READY), SHUTDOWN, RETRY_DELAY).effects).toEqual([]);
  });
});

describe("shutdown", () => {
  it.each(Object.entries(WAY_TO))(
    "from %s leads to DISCONNECTED without effect or timer left but the idle one",
    (_, way) => {
      const after = walk(CHILD, ...way, SHUTDOWN);
      expect(after.state).toBe("DISCONNECTED");
      expect(after.effects).toEqual([]);
      expect(after.context.uplinkOpen).toBe(false);
      expect(after.context.retryInMs).toBeNull();
      expect(walk(CHILD, ...way, SHUTDOWN, RETRY_DELAY)).toMatchObject({ state: "DISCONNECTED", effects: [] });
    },
  );
});
