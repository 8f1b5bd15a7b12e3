/** How many unavailable children it takes: an absolute count, or a fraction in (0, 1] of the expected children. */
export type Threshold = { readonly count: number } | { readonly fraction: number };

/** When missing children degrade or fail a node. */
export interface Thresholds {
  /** Unavailable children that make the node DEGRADED. @default { count: 1 } */
  readonly degraded: Threshold;
  /** Failed children that make the node FAILED. @default { fraction: 1 } */
  readonly failed: Threshold;
}

/** A parent's census of its direct children. */
export interface ChildCounts {
  /** Children listed in advance or joined, without those that left for good. */
  readonly expected: number;
  /** Children whose session is open and whose subtree is SYNCHRONIZED or DEGRADED. */
  readonly ready: number;
  /** Children that died or reported failure; one that is starting, suspect or left in order is not a failure. */
  readonly failed: number;
  /** Critical children that died or reported failure. */
  readonly criticalFailed: number;
  /** Critical children that are not ready, whatever the reason. */
  readonly criticalUnavailable: number;
}

export const NO_CHILDREN: ChildCounts = { expected: 0, ready: 0, failed: 0, criticalFailed: 0, criticalUnavailable: 0 };

/** Whether `missing` of `expected` children reach the threshold. No children never reach it. */
export function reaches(threshold: Threshold, missing: number, expected: number): boolean {
  if (expected === 0 || missing === 0) return false;
  if ("count" in threshold) return missing >= threshold.count;
  return missing / expected >= threshold.fraction;
}

/** So few are missing that the node counts as complete. */
export function isComplete(counts: ChildCounts, thresholds: Thresholds): boolean {
  const missing = counts.expected - counts.ready;
  return counts.criticalUnavailable === 0 && !reaches(thresholds.degraded, missing, counts.expected);
}

/** So many failed, or a critical one did, that the node cannot go on. */
export function isFailure(counts: ChildCounts, thresholds: Thresholds): boolean {
  return counts.criticalFailed > 0 || reaches(thresholds.failed, counts.failed, counts.expected);
}

/** At the end of initialization, whoever is not ready counts as failed: are there enough to start degraded? */
export function isEnough(counts: ChildCounts, thresholds: Thresholds): boolean {
  const missing = counts.expected - counts.ready;
  return counts.criticalUnavailable === 0 && !reaches(thresholds.failed, missing, counts.expected);
}
