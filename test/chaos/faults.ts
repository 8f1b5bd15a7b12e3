/** Faults at random, from the seed: at processes, at servers, and between servers. What is done is undone by `end`. */
import type { Random } from "fractal-tree";
import { seededRandom } from "fractal-tree/testing";
import type { NatsCluster } from "../support/nats-cluster.js";
import type { KnownProcess, Operator } from "./operator.js";
import type { ChaosPlan } from "./plan.js";
import type { JournalWriter } from "./records.js";

export interface FaultsPort {
  readonly plan: ChaosPlan;
  readonly operator: Operator;
  readonly cluster: NatsCluster;
  readonly journal: JournalWriter;
}

/** After it is taken for dead, a sleeper is replaced so much later, milliseconds. */
const REPLACEMENT_MS = 500;
const SHORTEST_MS = 100;
/** Too many at once would be one long outage. */
const VICTIMS_MAX_FRACTION = 0.4;

export class Faults {
  /** How many of each kind. */
  readonly counts = new Map<string, number>();
  /** What was done last. */
  latest = "";
  readonly #port: FaultsPort;
  readonly #random: Random;
  readonly #undo = new Set<() => void | Promise<void>>();
  /** What is being undone. */
  readonly #undoing = new Set<Promise<void>>();
  readonly #downServers = new Set<number>();
  #isPartitioned = false;
  #isOver = false;

  constructor(port: FaultsPort) {
    this.#port = port;
    this.#random = seededRandom(port.plan.seed * 3 + 3);
  }

  get serversUp(): number {
    return this.#port.cluster.servers.length - this.#downServers.size;
  }

  /** Milliseconds until the next step. */
  nextInMs(): number {
    return this.#port.plan.times.faultIntervalMs * (0.4 + this.#random() * 1.2);
  }

  /** Does one harm, for a while: mostly short, sometimes longer than what anybody takes for alive. */
  step(): void {
    const { plan } = this.#port;
    const random = this.#random;
    const { path } = plan.nodes[Math.floor(random() * plan.nodes.length)] ?? { path: "" };
    const forMs = SHORTEST_MS + random() ** 3 * plan.times.faultMs;
    const choice = random();
    if (choice < 0.3) this.#kill(path, forMs);
    else if (choice < 0.55) this.#stop(path, forMs);
    else if (choice < 0.65) this.#redeploy(path, forMs);
    else if (choice < 0.75) this.#rival(path);
    else if (choice < 0.88) this.#killServer(forMs);
    else if (choice < 0.91) this.#killServers(forMs);
    else if (choice < 0.94) this.#stopServer(forMs);
    else this.#partition(forMs);
  }

  /** Ends all faults now: who is dead is started again, who stands still continues, the servers are up and connected. */
  async end(): Promise<void> {
    this.#isOver = true;
    for (const undo of this.#undo) void this.#run(undo);
    await Promise.all(this.#undoing);
    this.#port.operator.revive("the faults are over");
    await this.#port.cluster.whole();
  }

  #note(what: string, target: string, forMs = 0): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
    this.latest = `${what} ${target}${forMs > 0 ? ` for ${Math.round(forMs)} ms` : ""}`;
    this.#port.journal.write({ type: "fault", what, target, forMs: Math.round(forMs) });
  }

  #later(forMs: number, act: () => void | Promise<void>): void {
    const once = (): void | Promise<void> => {
      if (this.#undo.delete(once)) return act();
    };
    this.#undo.add(once);
    setTimeout(() => this.#run(once), forMs);
  }

  async #run(undo: () => void | Promise<void>): Promise<void> {
    const undone = Promise.resolve(undo());
    this.#undoing.add(undone);
    await undone;
    this.#undoing.delete(undone);
  }

  /** The newest process of a path that can be harmed; none while many are harmed already. */
  #victim(path: string): KnownProcess | undefined {
    const { operator, plan } = this.#port;
    const isWell = (each: KnownProcess): boolean => !each.isStopped && !each.isDismissed;
    const vacant = plan.nodes.filter((node) => !operator.claimants(node.path).some(isWell)).length;
    if (vacant >= plan.nodes.length * VICTIMS_MAX_FRACTION) return undefined;
    return operator.claimants(path).findLast(isWell);
  }

  #fillLater(path: string, forMs: number, why: string): void {
    this.#later(forMs, () => this.#port.operator.fill(path, why));
  }

  #kill(path: string, forMs: number): void {
    const victim = this.#victim(path);
    if (victim === undefined) return;
    this.#note("process killed", victim.name, forMs);
    this.#port.operator.kill(victim);
    this.#fillLater(path, forMs, "it was killed");
  }

  /** Whoever sleeps longer than silence may last is mostly replaced: woken, it must find itself fenced. */
  #stop(path: string, forMs: number): void {
    const { operator, plan } = this.#port;
    const sleeper = this.#victim(path);
    if (sleeper === undefined) return;
    const replacedAfterMs = plan.times.deadMs + REPLACEMENT_MS;
    // Children of a node are replaced by it.
    const isReplaced = this.#random() < 0.4 && !operator.isOwned(path);
    const sleepMs = isReplaced ? Math.max(forMs, replacedAfterMs + 2_000) : forMs;
    this.#note(isReplaced ? "process stopped and replaced" : "process stopped", sleeper.name, sleepMs);
    operator.stop(sleeper);
    this.#later(sleepMs, () => operator.continue(sleeper));
    if (isReplaced) this.#later(replacedAfterMs, () => this.#replace(sleeper));
  }

  #replace(sleeper: KnownProcess): void {
    const { operator } = this.#port;
    if (this.#isOver || sleeper.hasExited || operator.claimants(sleeper.path).length > 1) return;
    operator.spawn(sleeper.path, `${sleeper.name} stood still`);
  }

  #redeploy(path: string, forMs: number): void {
    const leaver = this.#victim(path);
    if (leaver === undefined) return;
    this.#note("process told to leave", leaver.name, forMs);
    this.#port.operator.dismiss(leaver);
    this.#fillLater(path, forMs, "it had left");
  }

  /** A deployment that starts the new process before it ends the old one. */
  #rival(path: string): void {
    if (this.#victim(path) === undefined) return;
    this.#note("rival started", path);
    this.#port.operator.spawn(path, "a rival");
  }

  #killServer(forMs: number): void {
    const index = Math.floor(this.#random() * this.#port.cluster.servers.length);
    if (this.#downServers.size > 0) return;
    this.#note("server killed", String(index), forMs);
    this.#down(index, forMs);
  }

  /** They come back one by one. */
  #killServers(forMs: number): void {
    if (this.#downServers.size > 0) return;
    this.#note("all servers killed", "all", forMs);
    for (const index of this.#port.cluster.servers.keys()) this.#down(index, forMs + this.#random() * 1_000);
  }

  #down(index: number, forMs: number): void {
    const server = this.#port.cluster.servers[index];
    this.#downServers.add(index);
    const killed = server?.kill();
    this.#later(forMs, async () => {
      await killed;
      await server?.restart();
      this.#downServers.delete(index);
    });
  }

  /** Its clients' connections stay open, and nothing moves on them. */
  #stopServer(forMs: number): void {
    const index = Math.floor(this.#random() * this.#port.cluster.servers.length);
    const server = this.#port.cluster.servers[index];
    if (this.#downServers.size > 0) return;
    this.#note("server stopped", String(index), forMs);
    this.#downServers.add(index);
    void server?.kill("SIGSTOP");
    this.#later(forMs, async () => {
      await server?.kill("SIGCONT");
      this.#downServers.delete(index);
    });
  }

  #partition(forMs: number): void {
    if (this.#isPartitioned) return;
    const index = Math.floor(this.#random() * this.#port.cluster.servers.length);
    const how = this.#random() < 0.5 ? "silent" : "broken";
    this.#note(`server cut off (${how})`, String(index), forMs);
    this.#isPartitioned = true;
    this.#port.cluster.isolate(index, how);
    this.#later(forMs, () => {
      this.#port.cluster.heal();
      this.#isPartitioned = false;
    });
  }
}
