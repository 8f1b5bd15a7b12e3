/**
 * Lifeguard's local health: 0 is well, each sign of own trouble adds one up to 7, each punctual tick takes one away.
 * All own timeouts about others are multiplied by (score + 1).
 *
 * Source: Dadgar, Phillips, Currey, "Lifeguard: Local Health Awareness for More Accurate Failure Detection", 2018.
 */
export const LOCAL_HEALTH_MAX = 7;

export function worsen(score: number): number {
  return Math.min(LOCAL_HEALTH_MAX, score + 1);
}

export function improve(score: number): number {
  return Math.max(0, score - 1);
}
