/** Starts the processes of a run, starts again what has ended, as an operator would, and kills and stops them on demand. */
import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import type { JournalWriter } from "./records.js";
import { type ChaosSettings, toEnvironment } from "./settings.js";

const RESTART_MS = 500;
const STDERR_MAX = 4_000;

export interface OperatedProcess {
  readonly path: string;
  readonly pid: number;
  readonly name: string;
  /** Stands still. */
  isStopped: boolean;
  hasExited: boolean;
  /** Whether it was told to leave. */
  isDismissed: boolean;
  readonly child: ChildProcess;
}

const living = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of living) child.kill("SIGKILL");
});

export class Operator {
  readonly processes: OperatedProcess[] = [];
  /** Whether what ends is started again. */
  isRestarting = true;
  readonly #settings: ChaosSettings;
  readonly #journal: JournalWriter;
  /** Paths that stay without a process for a while. */
  readonly #vacant = new Set<string>();

  constructor(settings: ChaosSettings, journal: JournalWriter) {
    this.#settings = settings;
    this.#journal = journal;
  }

  /** Starts a process at a path; a living one there becomes its rival. */
  spawn(path: string, why: string): OperatedProcess {
    this.#vacant.delete(path);
    const child = spawn(process.execPath, [this.#settings.program, path], {
      stdio: ["ignore", "ignore", "pipe"],
      env: toEnvironment(this.#settings),
    });
    living.add(child);
    const pid = child.pid ?? 0;
    const name = `${path}#${pid}`;
    const spawned = { path, pid, name, isStopped: false, hasExited: false, isDismissed: false, child };
    this.processes.push(spawned);
    this.#journal.write({ type: "spawned", pid, of: name, why });
    this.#watch(spawned);
    return spawned;
  }

  living(): readonly OperatedProcess[] {
    return this.processes.filter(({ hasExited }) => !hasExited);
  }

  claimants(path: string): readonly OperatedProcess[] {
    return this.living().filter((each) => each.path === path);
  }

  /** Kills by SIGKILL; its path stays vacant until it is filled. */
  kill(victim: OperatedProcess): void {
    this.#vacant.add(victim.path);
    this.#journal.write({ type: "killed", pid: victim.pid, of: victim.name });
    victim.child.kill("SIGKILL");
  }

  /** Tells a process to leave in order; its path stays vacant until it is filled. */
  dismiss(leaver: OperatedProcess): void {
    this.#vacant.add(leaver.path);
    leaver.isDismissed = true;
    leaver.child.kill("SIGTERM");
  }

  stop(sleeper: OperatedProcess): void {
    if (sleeper.hasExited || sleeper.isStopped) return;
    sleeper.isStopped = true;
    // Noted before the fact here and after it below: the process stood still within the span at most.
    this.#journal.write({ type: "stopped", pid: sleeper.pid, of: sleeper.name });
    sleeper.child.kill("SIGSTOP");
  }

  continue(sleeper: OperatedProcess): void {
    if (sleeper.hasExited || !sleeper.isStopped) return;
    sleeper.isStopped = false;
    sleeper.child.kill("SIGCONT");
    this.#journal.write({ type: "continued", pid: sleeper.pid, of: sleeper.name });
  }

  /** From now on somebody is to hold the path: at once, or when who leaves has gone. */
  fill(path: string, why: string): void {
    this.#vacant.delete(path);
    if (this.claimants(path).length === 0) this.spawn(path, why);
  }

  /** Starts what nobody holds. */
  revive(why: string): void {
    for (const { path } of this.#settings.plan.nodes) this.fill(path, why);
  }

  /** Ends all processes at once. */
  async end(): Promise<void> {
    this.isRestarting = false;
    for (const { child } of this.living()) child.kill("SIGKILL");
    while (this.living().length > 0) await sleep(20);
  }

  #watch(spawned: OperatedProcess): void {
    const { child, path, pid, name } = spawned;
    let stderr = "";
    child.stderr?.on("data", (chunk: Buffer) => (stderr = `${stderr}${chunk.toString()}`.slice(-STDERR_MAX)));
    child.once("close", (code, signal) => {
      living.delete(child);
      spawned.hasExited = true;
      this.#journal.write({ type: "exited", pid, of: name, exit: signal ?? code ?? -1, stderr });
      setTimeout(() => this.#restart(path), RESTART_MS);
    });
  }

  #restart(path: string): void {
    if (!this.isRestarting || this.#vacant.has(path) || this.claimants(path).length > 0) return;
    this.spawn(path, "it had ended");
  }
}
