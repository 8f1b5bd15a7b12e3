/** One row for each way in which an event meets a state, and the tests that rows become. */
import { expect, it } from "vitest";
import type { CoordinationEvent, CoordinationInput, CoordinationState } from "../../machines/coordination.js";
import type { ChildCounts } from "../../machines/thresholds.js";
import {
  BOTH_READY,
  census,
  changed,
  CHILD,
  FAULT,
  NOBODY_READY,
  ONE_READY,
  requested,
  walk,
} from "./coordination-kit.js";

/** Events that lead to each state. */
export const WAY_TO: Readonly<Record<CoordinationState, readonly CoordinationEvent[]>> = {
  DISCONNECTED: [],
  CONNECTING: [requested(NOBODY_READY)],
  SYNCHRONIZED: [requested(NOBODY_READY), changed(BOTH_READY)],
  DEGRADED: [requested(NOBODY_READY), changed(BOTH_READY), changed(ONE_READY)],
  FAILED: [requested(NOBODY_READY), FAULT],
};

export interface Row {
  readonly why: string;
  readonly from: CoordinationState;
  readonly by: CoordinationEvent;
  readonly to: CoordinationState;
  readonly effects?: readonly string[];
  readonly input?: Partial<CoordinationInput>;
  /** Walks from here instead of the usual way. */
  readonly way?: readonly CoordinationEvent[];
}

export function checkRows(rows: readonly Row[]): void {
  it.each(rows)("$from by $by.type is $to: $why", ({ from, by, to, effects = [], input, way = WAY_TO[from] }) => {
    const settings = { ...CHILD, ...input };
    expect(walk(settings, ...way).state).toBe(from);
    const after = walk(settings, ...way, by);
    expect(after.state).toBe(to);
    expect(after.effects).toEqual(effects);
    expect(after.entered.at(-1) ?? from).toBe(to);
  });
}

/** Ten children of which `missing` are not ready and `failed` of those failed. */
export function ten(missing: number, failed = 0): ChildCounts {
  return census({ expected: 10, ready: 10 - missing, failed });
}
