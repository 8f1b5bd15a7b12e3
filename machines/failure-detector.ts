/**
 * φ-accrual failure detection inverted to one timeout per peer, as in Orleans: instead of asking a ticker how suspicious
 * a peer is, compute when it will become so.
 *
 * Every beat promises when the next one comes, so what is learned is the *lateness* beyond that promise. An adaptive
 * interval therefore never poisons the history. Anything heard is life; earliness counts as lateness zero.
 *
 *   timeout = promised + clamp(mean + 5.226 σ, pause, 4 · pause) · (1 + local health)
 *
 * 5.226 σ is φ = 8, one false suspicion in 10^8 beats if lateness were normal. Sources: Hayashibara et al., "The φ Accrual
 * Failure Detector", 2004; Dadgar et al., "Lifeguard", 2018; Orleans PR #10510.
 */
const PHI_8_SIGMA = 5.226;

/** Weight of the newest sample: about the last fifty beats count. */
const SMOOTHING = 0.04;

/** A habit of less, in milliseconds and their squares, is none: what fades by a factor never ends otherwise. */
const HABIT_MIN = 0.001;

const PAUSE_FACTOR_MAX = 4;

/** Lateness after which a peer is asked for a sign of life, in pauses: a lost beat must not look like a stall. */
const OVERDUE_PAUSES = 0.25;
/** Time between two questions at most, milliseconds: that of a first retransmission. */
const PROBE_INTERVAL_MS = 200;

export interface DetectorOptions {
  /** Lateness beyond the promise that is always forgiven before suspicion, milliseconds. */
  readonly pauseMs: number;
  /** Silence after which a suspect is declared dead, milliseconds: the longest stall that is forgiven. */
  readonly deadMs: number;
}

/** What is known of one peer's beats. Mutable on purpose: there is one for each link, updated at each message. */
export interface Detector {
  lastHeardMs: number;
  promisedMs: number;
  /** It has no habit of being late: mean and variance are 0. */
  isPunctual: boolean;
  meanLatenessMs: number;
  varianceMs2: number;
}

export type Verdict = "alive" | "suspect" | "dead";

export function createDetector(nowMs: number, promisedMs: number): Detector {
  return { lastHeardMs: nowMs, promisedMs, isPunctual: true, meanLatenessMs: 0, varianceMs2: 0 };
}

/**
 * Notes that the peer was heard. The silence that ended a suspicion is no habit and is not learned.
 */
export function heard(detector: Detector, nowMs: number, options: DetectorOptions): void {
  const latenessMs = Math.max(0, nowMs - detector.lastHeardMs - detector.promisedMs);
  detector.lastHeardMs = nowMs;
  // As it is nearly always: V8 keeps fractions in places of their own, which of thousands of links no cache holds.
  const isNothingNew = latenessMs === 0 && detector.isPunctual;
  if (latenessMs <= options.pauseMs && !isNothingNew) learn(detector, latenessMs);
}

function learn(detector: Detector, latenessMs: number): void {
  const deviation = latenessMs - detector.meanLatenessMs;
  const meanMs = detector.meanLatenessMs + SMOOTHING * deviation;
  const varianceMs2 = (1 - SMOOTHING) * (detector.varianceMs2 + SMOOTHING * deviation * deviation);
  detector.isPunctual = meanMs < HABIT_MIN && varianceMs2 < HABIT_MIN;
  detector.meanLatenessMs = detector.isPunctual ? 0 : meanMs;
  detector.varianceMs2 = detector.isPunctual ? 0 : varianceMs2;
}

/** Notes the peer's promise for its next beat; nobody can promise away its death. */
export function promise(detector: Detector, nextInMs: number, options: DetectorOptions): void {
  detector.promisedMs = Math.min(nextInMs, options.deadMs);
}

/** Forgives all silence so far: after an own outage nobody is judged by it. */
export function forgive(detector: Detector, nowMs: number): void {
  detector.lastHeardMs = nowMs;
}

/** Silence after which the peer is asked for a sign of life, milliseconds; earlier than suspicion. */
export function overdueAfterMs(detector: Detector, options: DetectorOptions): number {
  return detector.promisedMs + OVERDUE_PAUSES * options.pauseMs;
}

/** Time between two questions to a silent peer, milliseconds. */
export function probeIntervalMs(heartbeatMinMs: number): number {
  return Math.min(PROBE_INTERVAL_MS, heartbeatMinMs);
}

/**
 * Takes time off the silence during which we stood still ourselves: we neither asked nor could hear an answer. Otherwise
 * a stall of ours that begins where one of the peer's ends is one long silence.
 */
export function excuse(detector: Detector, nowMs: number, stalledMs: number): void {
  detector.lastHeardMs = Math.min(nowMs, detector.lastHeardMs + stalledMs);
}

/** Silence after which the peer is suspect, milliseconds. `localHealth` is 0 (well) to 7. */
export function suspectAfterMs(detector: Detector, options: DetectorOptions, localHealth: number): number {
  const habit = detector.meanLatenessMs + PHI_8_SIGMA * Math.sqrt(detector.varianceMs2);
  const pause = Math.min(Math.max(habit, options.pauseMs), PAUSE_FACTOR_MAX * options.pauseMs);
  return detector.promisedMs + pause * (1 + localHealth);
}

/** Silence after which the peer is dead, milliseconds; never before it was suspect. */
export function deadAfterMs(detector: Detector, options: DetectorOptions, localHealth: number): number {
  return Math.max(options.deadMs, suspectAfterMs(detector, options, localHealth) + options.pauseMs);
}

/**
 * The longest stall of a peer that is forgiven, milliseconds, also when a fifth of all messages is lost: it is heard
 * a promise before the stall at the latest, or, if that beat is lost, answers a question within a pause; and it is heard
 * within another pause after the stall. docs/failure-detection.md says how sure that is.
 */
export function forgivenStallMs(heartbeatMaxMs: number, options: DetectorOptions): number {
  return Math.max(0, options.deadMs - heartbeatMaxMs - 2 * options.pauseMs);
}

export function judge(detector: Detector, nowMs: number, options: DetectorOptions, localHealth: number): Verdict {
  const silenceMs = nowMs - detector.lastHeardMs;
  if (silenceMs < suspectAfterMs(detector, options, localHealth)) return "alive";
  return silenceMs < deadAfterMs(detector, options, localHealth) ? "suspect" : "dead";
}

/** Children below this number say nothing about ourselves. */
const MASS_SILENCE_PEERS_MIN = 4;

/**
 * When more than half of at least four remote peers fall silent at once, the likelier cause is on our side.
 */
export function isMassSilence(silent: number, total: number): boolean {
  return total >= MASS_SILENCE_PEERS_MIN && silent * 2 > total;
}
