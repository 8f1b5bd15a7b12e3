/**
 * Heartbeats at a fixed interval, as most systems have them: a beat each interval in each direction of a link, whatever else
 * is said there; suspect is who was silent for some intervals and a pause. Nobody is asked before.
 */
import { seededRandom } from "fractal-tree/testing";
import { quantile } from "./rows.js";

/** As ours: the default of `failureDetector.pauseMs`, and how often silence is looked at while somebody is overdue. */
const PAUSE_MS = 1_000;
const LOOK_MS = 200;
const SAMPLES = 20_000;

export class FixedBeats {
  readonly intervalMs: number;
  readonly #missed: number;

  /** `missed` intervals of silence are suspect; the interval is the one whose 99th percentile of detection is as given. */
  constructor(missed: number, detectionP99Ms: number) {
    this.#missed = missed;
    let [low, high] = [1, detectionP99Ms];
    for (let step = 0; step < 40; step++) {
      const middle = (low + high) / 2;
      if (detectionP99(missed, middle) < detectionP99Ms) low = middle;
      else high = middle;
    }
    this.intervalMs = (low + high) / 2;
  }

  /** Per node: the beats of a child to its parent, and of a parent by one broadcast to all of its children. */
  get signsPerMinute(): number {
    return 60_000 / this.intervalMs;
  }

  /** Per child and hour, when messages are lost with a probability: so many beats in a row are lost. */
  falseSuspicionsPerHour(drop: number): number {
    return (drop ** this.#missed * (1 - drop) * 3_600_000) / this.intervalMs;
  }
}

/** A death comes at any moment after the last beat, and silence is looked at now and then. */
function detectionP99(missed: number, intervalMs: number): number {
  const random = seededRandom(1);
  const latencies = Array.from({ length: SAMPLES }, () => {
    return missed * intervalMs + PAUSE_MS + LOOK_MS * random() - intervalMs * random();
  });
  return quantile(latencies, 0.99);
}
