/**
 * How other systems detect failures, with the parameters that they ship: not their code, but their rule over the same
 * network, clock and stalls. Each child's process beats; a detector in the parent's process counts and judges.
 *
 * Sources: Moleculer 0.14 `registry/discoverers/base.js` (beats each 10 s ± 0.5 s, checks each 30 s for 30 s of silence);
 * Pekko 1.x `PhiAccrualFailureDetector.scala` and the cluster's `reference.conf` (beats each 1 s, φ 8, at least 100 ms of
 * deviation, a pause of 3 s, a look each second; the split-brain resolver downs who was unreachable for 20 s).
 */
import type { Clock, Transport } from "fractal-tree";
import type { SimulatedHost } from "fractal-tree/testing";

export type Opinion = "alive" | "suspect" | "dead";

export interface DetectorPort {
  readonly clock: Clock;
  readonly transport: Transport;
  tell(detector: string, child: string, opinion: Opinion): void;
}

export interface Detector {
  /** Has a process beat for a child; whoever beat for it before is dead. */
  beat(child: string, host: SimulatedHost): void;
}

export const FIXED = "fixed 1 s / 5 s";
export const MOLECULER = "Moleculer 10 s / 30 s";
export const PEKKO = "Pekko φ 8";

/** What is known of one child. */
interface Judged {
  opinion: Opinion;
  lastMs: number;
  suspectSinceMs: number;
  intervals: number[];
}

interface Rule {
  readonly name: string;
  readonly intervalMs: number;
  readonly jitterMs: number;
  readonly lookMs: number;
  judge(child: Judged, nowMs: number): Opinion;
  heard?(child: Judged, nowMs: number): void;
}

/** Beats every so often, and a timer in the parent that looks who was not heard for too long. */
class RuleDetector implements Detector {
  readonly #rule: Rule;
  readonly #port: DetectorPort;
  readonly #judged = new Map<string, Judged>();

  constructor(rule: Rule, port: DetectorPort) {
    this.#rule = rule;
    this.#port = port;
    port.transport.subscribe(`${subjectOf(rule)}.*`, (_, subject) => this.#heard(subject.split(".").at(-1) ?? ""));
    this.#look();
  }

  beat(child: string, host: SimulatedHost): void {
    const { intervalMs, jitterMs } = this.#rule;
    const next = (): void => {
      host.transport.publish(`${subjectOf(this.#rule)}.${child}`, new Uint8Array(1));
      host.clock.setTimeout(next, intervalMs + (host.random() * 2 - 1) * jitterMs);
    };
    host.clock.setTimeout(next, host.random() * intervalMs);
  }

  #heard(child: string): void {
    const nowMs = this.#port.clock.now();
    const known = this.#judged.get(child) ?? { opinion: "alive", lastMs: nowMs, suspectSinceMs: 0, intervals: [] };
    this.#judged.set(child, known);
    this.#rule.heard?.(known, nowMs);
    known.lastMs = nowMs;
    this.#hold(child, known, "alive");
  }

  #look(): void {
    const nowMs = this.#port.clock.now();
    for (const [child, known] of this.#judged) {
      if (known.opinion !== "dead") this.#hold(child, known, this.#rule.judge(known, nowMs));
    }
    this.#port.clock.setTimeout(() => this.#look(), this.#rule.lookMs);
  }

  #hold(child: string, known: Judged, opinion: Opinion): void {
    if (known.opinion === opinion) return;
    if (known.opinion === "alive") known.suspectSinceMs = this.#port.clock.now();
    known.opinion = opinion;
    this.#port.tell(this.#rule.name, child, opinion);
  }
}

function subjectOf({ name }: Rule): string {
  return `others.${name.split(" ")[0]}`;
}

function fixed(name: string, intervalMs: number, jitterMs: number, timeoutMs: number, lookMs: number): Rule {
  const judge = ({ lastMs }: Judged, nowMs: number): Opinion => (nowMs - lastMs > timeoutMs ? "dead" : "alive");
  return { name, intervalMs, jitterMs, lookMs, judge };
}

const PHI_MAX = 8;
const SAMPLES_MAX = 1_000;
const DEVIATION_MIN_MS = 100;
const PAUSE_MS = 3_000;
const STABLE_AFTER_MS = 20_000;

const pekko: Rule = {
  name: PEKKO,
  intervalMs: 1_000,
  jitterMs: 0,
  lookMs: 1_000,
  heard: (known, nowMs) => {
    if (known.intervals.length === 0) known.intervals.push(750, 1_250);
    // The interval that ended an unavailability is not recorded.
    else if (known.opinion === "alive" && known.intervals.push(nowMs - known.lastMs) > SAMPLES_MAX)
      known.intervals.shift();
  },
  judge: (known, nowMs) => {
    if (phi(known, nowMs) < PHI_MAX) return "alive";
    return known.opinion === "suspect" && nowMs - known.suspectSinceMs >= STABLE_AFTER_MS ? "dead" : "suspect";
  },
};

function phi({ intervals, lastMs }: Judged, nowMs: number): number {
  const sum = intervals.reduce((total, each) => total + each, 0);
  const mean = sum / intervals.length;
  const squares = intervals.reduce((total, each) => total + (each - mean) ** 2, 0);
  const deviation = Math.max(Math.sqrt(squares / intervals.length), DEVIATION_MIN_MS);
  const y = (nowMs - lastMs - mean - PAUSE_MS) / deviation;
  const e = Math.exp(-y * (1.5976 + 0.070566 * y * y));
  return y > 0 ? -Math.log10(e / (1 + e)) : -Math.log10(1 - 1 / (1 + e));
}

const RULES: readonly Rule[] = [
  fixed(FIXED, 1_000, 0, 5_000, 1_000),
  fixed(MOLECULER, 10_000, 500, 30_000, 30_000),
  pekko,
];

export const DETECTORS = RULES.map(
  (rule) =>
    (port: DetectorPort): Detector =>
      new RuleDetector(rule, port),
);
