/**
 * A network in virtual time: hosts that lose, double, delay and reorder messages, partitions, outages, pauses and deaths,
 * all from one seed.
 *
 * Each host is one simulated process: its own clock view and its own transport. What happens to one does not touch the
 * others, except through messages.
 */
import type { Clock, Random } from "../health/clock.js";
import { InvalidOptionError } from "../errors.js";
import type { SimulatedClock } from "./simulated-clock.js";
import { nearPatternsOf, patternsOf } from "../transport/subscriptions.js";
import { SimulatedHost } from "./simulated-host.js";

/** What may happen to a message between two hosts. */
export interface NetworkFaults {
  /** Probability that a message is lost. @default 0 */
  readonly drop?: number;
  /** Probability that a message arrives twice. @default 0 */
  readonly duplicate?: number;
  /** Shortest time on the way, milliseconds. @default 1 */
  readonly minDelayMs?: number;
  /** Longest time on the way, milliseconds. @default 5 */
  readonly maxDelayMs?: number;
  /** Whether messages may overtake each other; otherwise those of one pair of hosts keep their order. @default false */
  readonly reorder?: boolean;
}

export interface NetworkOptions {
  readonly clock: SimulatedClock;
  readonly random: Random;
  /** @default none, 1 to 5 ms on the way */
  readonly faults?: NetworkFaults;
  /** @default "sim" */
  readonly tree?: string;
  /** Bytes. @default 1 MiB */
  readonly maxPayloadBytes?: number;
}

export interface SimulatedHostOptions {
  /** How much the host's wall clock is ahead of the simulation's, milliseconds; negative when behind. @default 0 */
  readonly wallSkewMs?: number;
  /** How fast the host's clock runs: 1.01 is one percent fast. @default 1 */
  readonly clockRate?: number;
}

export interface NetworkStats {
  sent: number;
  delivered: number;
  dropped: number;
  duplicated: number;
}

interface Message {
  /** What the receiver subscribed to. */
  readonly pattern: string;
  readonly subject: string;
  readonly payload: Uint8Array;
}

const NO_FAULTS: Required<NetworkFaults> = { drop: 0, duplicate: 0, minDelayMs: 1, maxDelayMs: 5, reorder: false };

export class SimulatedNetwork {
  readonly stats: NetworkStats = { sent: 0, delivered: 0, dropped: 0, duplicated: 0 };
  readonly #options: NetworkOptions;
  /** Who listens, by subject or pattern. */
  readonly #listening = new Map<string, Set<SimulatedHost>>();
  /** How often hosts listen to patterns that end in `>`: mostly nobody does. */
  #tails = 0;
  /** Ordered pairs of hosts between which nothing gets through. */
  readonly #cuts = new Set<string>();
  /** What is kept back, by the name of a host. */
  readonly #holds = new Map<string, (() => void)[]>();
  /** When the last message of each ordered pair arrives, to keep their order. */
  readonly #lastArrivalMs = new Map<string, number>();
  #faults: Required<NetworkFaults>;

  constructor(options: NetworkOptions) {
    this.#options = options;
    this.#faults = resolveFaults(options.faults ?? {});
  }

  /** Replaces all faults; messages on the way are not affected. */
  setFaults(faults: NetworkFaults): void {
    this.#faults = resolveFaults(faults);
  }

  /** Adds a host: one simulated process. The name of a dead one can be given again. */
  host(name: string, { wallSkewMs = 0, clockRate = 1 }: SimulatedHostOptions = {}): SimulatedHost {
    const { clock, random, tree = "sim", maxPayloadBytes = 1_048_576 } = this.#options;
    const host = new SimulatedHost({
      name,
      clock,
      random,
      tree,
      maxPayloadBytes,
      wallSkewMs,
      clockRate,
      send: (subject, payload) => this.#send(host, subject, payload),
      listens: (subject, isListening) => this.#listens(host, subject, isListening),
    });
    return host;
  }

  /** Cuts the hosts of `from` off from those of `to`, in this direction only. */
  cut(from: readonly string[], to: readonly string[]): void {
    for (const a of from) for (const b of to) this.#cuts.add(pair(a, b));
  }

  /** Cuts two groups off from each other. */
  partition(some: readonly string[], others: readonly string[]): void {
    this.cut(some, others);
    this.cut(others, some);
  }

  /** Keeps back whatever a host sends or is sent; the returned function delivers all of it at once. */
  hold(name: string): () => void {
    const held: (() => void)[] = [];
    this.#holds.set(name, held);
    return () => {
      if (this.#holds.get(name) === held) this.#holds.delete(name);
      for (const deliver of held.splice(0)) deliver();
    };
  }

  /** Ends all cuts and partitions. */
  heal(): void {
    this.#cuts.clear();
  }

  #send(from: SimulatedHost, subject: string, payload: Uint8Array): void {
    this.stats.sent++;
    for (const pattern of this.#tails > 0 ? patternsOf(subject) : nearPatternsOf(subject)) {
      for (const to of this.#listening.get(pattern) ?? []) {
        if (to.isReachable) this.#carry(from, to, { pattern, subject, payload });
      }
    }
  }

  #listens(host: SimulatedHost, subject: string, isListening: boolean): void {
    let hosts = this.#listening.get(subject);
    if (hosts === undefined) this.#listening.set(subject, (hosts = new Set()));
    if (isListening) hosts.add(host);
    else hosts.delete(host);
    if (subject.endsWith(">")) this.#tails += isListening ? 1 : -1;
    if (hosts.size === 0) this.#listening.delete(subject);
  }

  #carry(from: SimulatedHost, to: SimulatedHost, message: Message): void {
    const { random } = this.#options;
    const isLocal = from === to;
    if (!isLocal && (this.#cuts.has(pair(from.name, to.name)) || random() < this.#faults.drop)) {
      this.stats.dropped++;
      return;
    }
    const copies = !isLocal && random() < this.#faults.duplicate ? 2 : 1;
    if (copies === 2) this.stats.duplicated++;
    for (let i = 0; i < copies; i++) this.#deliverLater(from, to, message);
  }

  #deliverLater(from: SimulatedHost, to: SimulatedHost, { pattern, subject, payload }: Message): void {
    const { clock } = this.#options;
    const arrivalMs = this.#arrivalMs(clock, from, to);
    const copy = new Uint8Array(payload);
    const arrive = (): void => {
      const held = this.#holds.get(to.name) ?? this.#holds.get(from.name);
      if (held !== undefined) held.push(arrive);
      else if (to.deliver(pattern, subject, copy)) this.stats.delivered++;
    };
    clock.setTimeout(arrive, arrivalMs - clock.now());
  }

  #arrivalMs(clock: Clock, from: SimulatedHost, to: SimulatedHost): number {
    if (from === to) return clock.now();
    const { minDelayMs, maxDelayMs, reorder } = this.#faults;
    const drawnMs = clock.now() + minDelayMs + this.#options.random() * (maxDelayMs - minDelayMs);
    const key = pair(from.name, to.name);
    const arrivalMs = reorder ? drawnMs : Math.max(drawnMs, this.#lastArrivalMs.get(key) ?? 0);
    this.#lastArrivalMs.set(key, arrivalMs);
    return arrivalMs;
  }
}

function pair(from: string, to: string): string {
  return `${from}→${to}`;
}

function resolveFaults(faults: NetworkFaults): Required<NetworkFaults> {
  const resolved = { ...NO_FAULTS, ...faults };
  for (const name of ["drop", "duplicate"] as const) {
    const value = resolved[name];
    if (!(value >= 0 && value <= 1)) throw new InvalidOptionError(`faults.${name}`, value, "a probability from 0 to 1");
  }
  const { minDelayMs, maxDelayMs } = resolved;
  if (!(minDelayMs >= 0)) throw new InvalidOptionError("faults.minDelayMs", minDelayMs, "a number >= 0");
  if (!(maxDelayMs >= minDelayMs)) throw new InvalidOptionError("faults.maxDelayMs", maxDelayMs, ">= minDelayMs");
  return resolved;
}
