/**
 * One chaos run: real processes over a cluster of real servers, under load and faults, then quiet, then an ordered end;
 * after that the journals are checked.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startNatsCluster } from "../support/nats-cluster.js";
import { checkHistory } from "./checks.js";
import { Faults } from "./faults.js";
import { type History, toHistory, type Violation } from "./history.js";
import { Monitor } from "./monitor.js";
import { Operator } from "./operator.js";
import { type Pace, planChaos } from "./plan.js";
import { buildProgram } from "./program.js";
import { DRIVER, JournalWriter, type Phase, readJournals, sharedNowMs } from "./records.js";
import type { ChaosSettings } from "./settings.js";

export interface ChaosOptions {
  readonly seed: number;
  /** How long there are faults, milliseconds. */
  readonly forMs: number;
  readonly pace: Pace;
  readonly middles: number;
  /** Below each of these. */
  readonly leaves: number;
  /** Keep the journals although every rule held. */
  readonly keeps: boolean;
  /** Told what happens every few seconds. */
  readonly tell: (line: string) => void;
}

export interface ChaosResult {
  readonly history: History;
  readonly violations: readonly Violation[];
  /** How many faults of each kind. */
  readonly faults: ReadonlyMap<string, number>;
  /** From the end of the faults until the tree was SYNCHRONIZED, milliseconds. */
  readonly recoveryMs: number;
  /** Where the journals are; they are removed if every rule held, unless they were to be kept. */
  readonly folder: string;
}

const START_MS = 30_000;
const POLL_MS = 200;
const TELL_MS = 3_000;
const REST_MS = 1_000;
/** All processes have noticed the phase, and probed, and journalled that nothing is under way. */
const PROBE_BEGINS_MS = 1_000;
const PROBE_MS = 6_000;

export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const folder = await mkdtemp(join(tmpdir(), "fractal-tree-chaos-"));
  await using program = await buildProgram();
  await using cluster = await startNatsCluster();
  const plan = planChaos(options);
  const phaseFile = join(folder, "phase");
  const shared = { folder, phaseFile, driverPid: process.pid };
  const settings: ChaosSettings = { plan, servers: cluster.urls, program: program.file, ...shared };
  const journal = new JournalWriter(folder, DRIVER);
  const operator = new Operator(settings, journal);
  const monitor = new Monitor({ folder, plan, operator });
  const faults = new Faults({ plan, operator, cluster, journal });
  const run = new Run({ options, settings, journal, operator, monitor, faults });
  let recoveryMs = 0;
  try {
    recoveryMs = await run.all();
  } finally {
    await operator.end();
    journal.close();
  }
  const history = toHistory(plan, readJournals(folder));
  const violations = checkHistory(history);
  if (violations.length === 0 && !options.keeps) await rm(folder, { recursive: true });
  return { history, violations, faults: faults.counts, recoveryMs, folder };
}

interface Parts {
  readonly options: ChaosOptions;
  readonly settings: ChaosSettings;
  readonly journal: JournalWriter;
  readonly operator: Operator;
  readonly monitor: Monitor;
  readonly faults: Faults;
}

class Run {
  readonly #parts: Parts;
  readonly #startedAtMs = sharedNowMs();
  #toldAtMs = -Infinity;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Returns how long recovery took, milliseconds. */
  async all(): Promise<number> {
    const { operator, settings } = this.#parts;
    const { recoveryMs, deadMs, suspicionMs, callMs } = settings.plan.times;
    await this.#enter("load");
    operator.revive("the beginning");
    await this.#untilWhole("at the beginning", START_MS);
    await this.#harm();
    const tookMs = await this.#untilWhole("after the faults", recoveryMs);
    await this.#enter("quiet");
    // A silence that began during the faults may be noticed only now.
    await this.#wait(deadMs + suspicionMs);
    await this.#untilSettled(callMs);
    await this.#untilWhole("at rest", 0);
    await this.#enter("probe");
    await this.#wait(PROBE_BEGINS_MS);
    await this.#untilSettled(PROBE_MS);
    await this.#shutdown();
    return tookMs;
  }

  async #harm(): Promise<void> {
    const { faults, options } = this.#parts;
    for (const untilMs = sharedNowMs() + options.forMs; sharedNowMs() < untilMs;) {
      await this.#wait(Math.min(faults.nextInMs(), untilMs - sharedNowMs()));
      faults.step();
    }
    await faults.end();
    this.#tell("the faults are over", { now: true });
  }

  async #shutdown(): Promise<void> {
    const { operator, settings } = this.#parts;
    const { shutdownMs, slackMs } = settings.plan.times;
    operator.isRestarting = false;
    await this.#enter("shutdown");
    const untilMs = sharedNowMs() + shutdownMs + slackMs * 2;
    while (operator.living().length > 0 && sharedNowMs() < untilMs) await this.#wait(POLL_MS);
  }

  /** Until the calls of all who live have ended, and they said so. */
  async #untilSettled(withinMs: number): Promise<void> {
    const { monitor } = this.#parts;
    const untilMs = sharedNowMs() + withinMs;
    while (monitor.open > 0 && sharedNowMs() < untilMs) await this.#wait(POLL_MS);
    await this.#wait(REST_MS);
  }

  /** Journals whether the tree is whole within a time, and how long it took. */
  async #untilWhole(when: string, withinMs: number): Promise<number> {
    const { monitor, journal } = this.#parts;
    const fromMs = sharedNowMs();
    monitor.look();
    while (!monitor.isWhole() && sharedNowMs() < fromMs + withinMs) await this.#wait(POLL_MS);
    const isWhole = monitor.isWhole();
    const tookMs = Math.round(sharedNowMs() - fromMs);
    journal.write({ type: "whole", when, tookMs, isWhole, tree: isWhole ? "whole" : monitor.describe() });
    this.#tell(`${when}: ${isWhole ? "SYNCHRONIZED" : monitor.describe()} after ${tookMs} ms`, { now: true });
    return tookMs;
  }

  async #enter(phase: Phase): Promise<void> {
    const { settings, journal } = this.#parts;
    await writeFile(settings.phaseFile, phase);
    journal.write({ type: "phase", phase });
  }

  async #wait(forMs: number): Promise<void> {
    for (const untilMs = sharedNowMs() + forMs; sharedNowMs() < untilMs;) {
      await sleep(Math.min(POLL_MS, Math.max(1, untilMs - sharedNowMs())));
      this.#parts.monitor.look();
      this.#tell(this.#parts.faults.latest);
    }
  }

  #tell(what: string, { now = false } = {}): void {
    const { monitor, operator, faults, options } = this.#parts;
    const nowMs = sharedNowMs();
    if (!now && nowMs < this.#toldAtMs + TELL_MS) return;
    this.#toldAtMs = nowMs;
    const living = operator.living();
    const stopped = living.filter(({ isStopped }) => isStopped).length;
    const seconds = Math.round((nowMs - this.#startedAtMs) / 1_000);
    options.tell(
      `${seconds} s: ${living.length} alive (${stopped} stopped), ${monitor.synchronized} SYNCHRONIZED, ${faults.serversUp} servers, ` +
        `${monitor.completed} completed of ${monitor.issued} calls; ${what}`,
    );
  }
}
