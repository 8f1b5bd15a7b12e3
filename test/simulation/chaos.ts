/** Faults at random, from the seed; everything done is undone by `end`. */
import type { Random } from "../../src/index.js";
import { seededRandom } from "../../src/testing/index.js";
import { isActive, isLiving, type SimulatedProcess, type SimulatedTree } from "./simulated-tree.js";

const LONGEST_MS = 15_000;

export class Chaos {
  readonly log: string[] = [];
  readonly #tree: SimulatedTree;
  readonly #random: Random;
  readonly #undo = new Set<() => void>();
  #isOver = false;

  constructor(tree: SimulatedTree) {
    this.#tree = tree;
    this.#random = seededRandom(tree.plan.seed * 3 + 3);
    const random = this.#random;
    tree.network.setFaults({
      drop: random() * 0.2,
      duplicate: random() * 0.1,
      minDelayMs: 1,
      maxDelayMs: 5 + random() * 295,
      reorder: random() < 0.5,
    });
  }

  /** Does one harm, for a while: mostly short, sometimes longer than what anybody takes for alive. */
  step(): void {
    const random = this.#random;
    const { paths } = this.#tree.plan;
    const path = paths[Math.floor(random() * paths.length)] as string;
    const forMs = 100 + random() ** 3 * LONGEST_MS;
    const choice = random();
    if (choice < 0.33) this.#kill(path, forMs);
    else if (choice < 0.5) this.#pause(path, forMs);
    else if (choice < 0.67) this.#disconnect(path, forMs);
    else if (choice < 0.83) this.#partition(path, forMs);
    else this.#rest(path, forMs);
  }

  /** Ends all faults now: who is dead is started again, who is paused continues, the network is good. */
  end(): void {
    this.#isOver = true;
    for (const undo of this.#undo) undo();
    this.#tree.network.heal();
    this.#tree.network.setFaults({});
    this.#tree.revive();
    this.#note("over");
  }

  #note(what: string): void {
    this.log.push(`${Math.round(this.#tree.nowMs)} ${what}`);
    this.#tree.journal.note(`chaos: ${what}`);
  }

  #later(forMs: number, act: () => void): void {
    const once = (): void => {
      if (this.#undo.delete(once)) act();
    };
    this.#undo.add(once);
    this.#tree.clock.setTimeout(once, forMs);
  }

  #active(path: string): SimulatedProcess | undefined {
    return this.#tree.claimants(path).findLast(isActive);
  }

  #kill(path: string, forMs: number): void {
    const process = this.#tree.holder(path);
    if (process === undefined) return;
    this.#note(`kill ${process.name} for ${Math.round(forMs)}`);
    this.#tree.kill(process);
    this.#later(forMs, () => {
      if (this.#tree.claimants(path).length === 0) this.#tree.spawn(path);
    });
  }

  #pause(path: string, forMs: number): void {
    const process = this.#active(path);
    if (process === undefined) return;
    this.#note(`pause ${process.name} for ${Math.round(forMs)}`);
    this.#later(forMs, this.#tree.pause(process));
  }

  #disconnect(path: string, forMs: number): void {
    const process = this.#active(path);
    if (process === undefined) return;
    this.#note(`disconnect ${process.name} for ${Math.round(forMs)}`);
    process.host.disconnect();
    this.#later(forMs, () => process.host.reconnect());
  }

  #partition(path: string, forMs: number): void {
    const isInside = (process: SimulatedProcess): boolean => `${process.path}.`.startsWith(`${path}.`);
    const inside = this.#tree.living().filter(isInside);
    const outside = this.#tree.living().filter((process) => !isInside(process));
    const [here, there] = [inside, outside].map((processes) => processes.map(({ name }) => name)) as [
      string[],
      string[],
    ];
    const choice = this.#random();
    this.#note(`partition below ${path} for ${Math.round(forMs)}: ${choice.toFixed(2)}`);
    if (choice < 0.5) this.#tree.network.partition(here, there);
    else if (choice < 0.75) this.#tree.network.cut(here, there);
    else this.#tree.network.cut(there, here);
    this.#later(forMs, () => this.#tree.network.heal());
  }

  /** The rarer ones. */
  #rest(path: string, forMs: number): void {
    const choice = this.#random();
    if (choice < 0.3) this.#rival(path);
    else if (choice < 0.4) this.#feud(path);
    else if (choice < 0.6) this.#redeploy(path, forMs);
    else if (choice < 0.7) this.#shutdown(path, forMs);
    else if (choice < 0.8) this.#active(path)?.node.fail("the test says so");
    else if (choice < 0.9) this.#active(path)?.node.recover();
    else this.#blackout(forMs);
  }

  /** A second process claims the path: a deployment that starts the new one before it ends the old one. */
  #rival(path: string): void {
    if (this.#isOver || this.#tree.holder(path) === undefined) return;
    this.#note(`rival at ${path}`);
    this.#tree.spawn(path);
  }

  /** Two deployments of one path, each of which starts again when it is fenced. */
  #feud(path: string): void {
    const process = this.#tree.holder(path);
    if (this.#isOver || process === undefined || path === "t") return;
    this.#note(`feud at ${path}`);
    let left = 6;
    const join = (): void => {
      if (this.#isOver || left-- === 0 || this.#tree.claimants(path).length > 2) return;
      const rival = this.#tree.spawn(path);
      rival.node.on("node.ended", ({ reason }) => {
        if (reason === "fenced" || reason === "duplicatePath") this.#tree.clock.setTimeout(join, 300);
      });
    };
    join();
    join();
  }

  #redeploy(path: string, forMs: number): void {
    const process = this.#active(path);
    if (process === undefined) return;
    this.#note(`redeploy ${process.name}`);
    process.isDismissed = true;
    this.#endWithin(process, 2_000, process.node.stop({ timeoutMs: 2_000 }));
    this.#later(forMs, () => {
      if (this.#tree.claimants(path).length === 0) this.#tree.spawn(path);
    });
  }

  #shutdown(path: string, forMs: number): void {
    const process = this.#active(path);
    if (process === undefined) return;
    this.#note(`shut down below ${process.name}`);
    process.isDismissed = true;
    this.#endWithin(process, 3_000, process.node.shutdownTree({ timeoutMs: 3_000 }));
    this.#later(forMs, () => this.#tree.revive());
  }

  /** Whoever ends in order does so by its deadline. */
  #endWithin(process: SimulatedProcess, timeoutMs: number, ended: Promise<void>): void {
    const atMs = this.#tree.nowMs;
    void ended.then(() => {
      const lateMs = this.#tree.nowMs - atMs - timeoutMs - pausedMs(process, atMs, this.#tree.nowMs);
      if (lateMs > 200) this.#tree.journal.violated(`${process.name} ended ${lateMs} ms after its deadline`);
      if (isLiving(process)) this.#tree.journal.violated(`${process.name} has stopped, but lives`);
    });
  }

  /** The server is gone: everybody is disconnected at once. */
  #blackout(forMs: number): void {
    const living = this.#tree.living();
    this.#note(`blackout for ${Math.round(forMs)}`);
    for (const { host } of living) host.disconnect();
    this.#later(forMs, () => {
      for (const { host } of living) host.reconnect();
    });
  }
}

/** How long a process stood still within a span of time. */
export function pausedMs({ pauses }: SimulatedProcess, fromMs: number, untilMs: number): number {
  let totalMs = 0;
  for (const [start, end] of pauses) totalMs += Math.max(0, Math.min(end, untilMs) - Math.max(start, fromMs));
  return totalMs;
}
