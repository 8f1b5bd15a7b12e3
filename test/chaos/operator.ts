/**
 * Knows all processes of a run, also those that nodes start as their children. Starts those that an operator has to start,
 * and again what has ended; kills and stops on demand.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { JournalWriter, RecordOf } from "./records.js";
import { type ChaosSettings, toEnvironment } from "./settings.js";

const RESTART_MS = 500;
const STDERR_MAX = 4_000;
const POLL_MS = 20;

export interface KnownProcess {
  readonly path: string;
  readonly pid: number;
  readonly name: string;
  /** Stands still. */
  isStopped: boolean;
  hasExited: boolean;
  /** Whether it was told to leave. */
  isDismissed: boolean;
  /** Null for what a node has started. */
  readonly child: ChildProcess | null;
}

const living = new Set<number>();
process.on("exit", () => {
  for (const pid of living) signal(pid, "SIGKILL");
});

export class Operator {
  /** Whether what ends is started again. */
  isRestarting = true;
  readonly #processes = new Map<string, KnownProcess>();
  readonly #settings: ChaosSettings;
  readonly #journal: JournalWriter;
  /** Paths that are left to others: those of children that their parents start, and those that stay vacant for a while. */
  readonly #owned: ReadonlySet<string>;
  readonly #vacant = new Set<string>();

  constructor(settings: ChaosSettings, journal: JournalWriter) {
    this.#settings = settings;
    this.#journal = journal;
    const owned = settings.plan.nodes.filter(({ startedBy }) => startedBy !== "operator");
    this.#owned = new Set(owned.map(({ path }) => path));
  }

  /** Starts a process at a path; a living one there becomes its rival. */
  spawn(path: string, why: string): KnownProcess {
    const child = spawn(process.execPath, [this.#settings.program, path], {
      stdio: ["ignore", "ignore", "pipe"],
      env: toEnvironment(this.#settings),
    });
    const spawned = this.#add(path, child.pid ?? 0, child);
    this.#journal.write({ type: "spawned", pid: spawned.pid, of: spawned.name, why });
    this.#watch(spawned, child);
    return spawned;
  }

  /** A process has told of its start: one that a node has started is new to us. */
  discovered({ process: name, pid }: RecordOf<"start">): void {
    if (this.#processes.has(name)) return;
    this.#add(name.slice(0, name.indexOf("#")), pid, null);
  }

  /** Notes who is gone of those that nodes have started. */
  look(): void {
    for (const known of this.living()) {
      if (known.child === null && !isRunning(known.pid)) this.#exited(known, "unknown", "");
    }
  }

  living(): readonly KnownProcess[] {
    return [...this.#processes.values()].filter(({ hasExited }) => !hasExited);
  }

  claimants(path: string): readonly KnownProcess[] {
    return this.living().filter((each) => each.path === path);
  }

  isOwned(path: string): boolean {
    return this.#owned.has(path);
  }

  /** Kills by SIGKILL; an operator's path stays vacant until it is filled. */
  kill(victim: KnownProcess): void {
    this.#vacant.add(victim.path);
    this.#journal.write({ type: "killed", pid: victim.pid, of: victim.name });
    signal(victim.pid, "SIGKILL");
  }

  /** Tells a process to leave in order; an operator's path stays vacant until it is filled. */
  dismiss(leaver: KnownProcess): void {
    this.#vacant.add(leaver.path);
    leaver.isDismissed = true;
    signal(leaver.pid, "SIGTERM");
  }

  stop(sleeper: KnownProcess): void {
    if (sleeper.hasExited || sleeper.isStopped) return;
    sleeper.isStopped = true;
    // Noted before the fact here and after it below: it stood still within the span at most.
    this.#journal.write({ type: "stopped", pid: sleeper.pid, of: sleeper.name });
    signal(sleeper.pid, "SIGSTOP");
  }

  continue(sleeper: KnownProcess): void {
    if (sleeper.hasExited || !sleeper.isStopped) return;
    sleeper.isStopped = false;
    signal(sleeper.pid, "SIGCONT");
    this.#journal.write({ type: "continued", pid: sleeper.pid, of: sleeper.name });
  }

  /** From now on somebody is to hold the path: at once, or when who leaves has gone. */
  fill(path: string, why: string): void {
    this.#vacant.delete(path);
    if (!this.isOwned(path) && this.claimants(path).length === 0) this.spawn(path, why);
  }

  /** Starts what nobody holds. */
  revive(why: string): void {
    for (const { path } of this.#settings.plan.nodes) this.fill(path, why);
  }

  /** Ends all processes at once. */
  async end(): Promise<void> {
    this.isRestarting = false;
    for (; this.living().length > 0; await sleep(POLL_MS)) {
      for (const { pid } of this.living()) signal(pid, "SIGKILL");
      this.look();
    }
  }

  #add(path: string, pid: number, child: ChildProcess | null): KnownProcess {
    const name = `${path}#${pid}`;
    const known = { path, pid, name, isStopped: false, hasExited: false, isDismissed: false, child };
    this.#processes.set(name, known);
    living.add(pid);
    return known;
  }

  #watch(spawned: KnownProcess, child: ChildProcess): void {
    let stderr = "";
    child.stderr?.on("data", (chunk: Buffer) => (stderr = `${stderr}${chunk.toString()}`.slice(-STDERR_MAX)));
    child.once("close", (code, endedBy) => this.#exited(spawned, endedBy ?? code ?? -1, stderr));
  }

  #exited(known: KnownProcess, exit: number | string, stderr: string): void {
    const { pid, name, path } = known;
    living.delete(pid);
    known.hasExited = true;
    this.#journal.write({ type: "exited", pid, of: name, exit, stderr });
    setTimeout(() => this.#restart(path), RESTART_MS);
  }

  #restart(path: string): void {
    if (this.isRestarting && !this.#vacant.has(path)) this.fill(path, "it had ended");
  }
}

/** A process that has exited already is no concern. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Whether a process that is not our child runs. Linux keeps the entry of one that nobody has waited for. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    if (process.platform !== "linux") return true;
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return !"ZX".includes(text.charAt(text.lastIndexOf(")") + 2));
  } catch {
    return false;
  }
}
