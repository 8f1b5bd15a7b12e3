/** Faults at random, from the tree's seed; everything done is undone by `end`. */
import type { SimulatedTree } from "./simulated-tree.js";

export class Chaos {
  readonly log: string[] = [];
  readonly #tree: SimulatedTree;
  #undo: (() => void)[] = [];
  #isOver = false;

  constructor(tree: SimulatedTree) {
    this.#tree = tree;
    const { random } = tree;
    tree.network.setFaults({
      drop: random() * 0.2,
      duplicate: random() * 0.1,
      minDelayMs: 1,
      maxDelayMs: 5 + random() * 295,
      reorder: random() < 0.5,
    });
  }

  /** Does one harm, for a while. */
  step(): void {
    const { random, plan } = this.#tree;
    const path = plan.paths[Math.floor(random() * plan.paths.length)] as string;
    const choice = random();
    const forMs = 200 + random() * 5_000;
    if (choice < 0.35) this.#kill(path, forMs);
    else if (choice < 0.55) this.#pause(path, forMs);
    else if (choice < 0.75) this.#disconnect(path, forMs);
    else if (choice < 0.95) this.#partition(path, forMs);
    else this.#rival(path);
  }

  /** Ends all faults now: who is dead is started again, who is paused continues, the network is good. */
  end(): void {
    this.#isOver = true;
    for (const undo of this.#undo) undo();
    this.#undo = [];
    this.#tree.network.heal();
    this.#tree.network.setFaults({});
    this.#tree.revive();
  }

  #note(what: string): void {
    this.log.push(`${Math.round(this.#tree.clock.now())} ${what}`);
  }

  #later(forMs: number, undo: () => void): void {
    let isDone = false;
    const once = (): void => {
      if (isDone) return;
      isDone = true;
      undo();
    };
    this.#undo.push(once);
    this.#tree.clock.setTimeout(once, forMs);
  }

  #kill(path: string, forMs: number): void {
    this.#note(`kill ${path} for ${Math.round(forMs)}`);
    this.#tree.kill(path);
    const killed = this.#tree.at(path);
    this.#later(forMs, () => {
      if (this.#tree.at(path) === killed) this.#tree.spawn(path);
    });
  }

  #pause(path: string, forMs: number): void {
    this.#note(`pause ${path} for ${Math.round(forMs)}`);
    this.#later(forMs, this.#tree.pause(path));
  }

  #disconnect(path: string, forMs: number): void {
    this.#note(`disconnect ${path} for ${Math.round(forMs)}`);
    const { host } = this.#tree.at(path);
    host.disconnect();
    this.#later(forMs, () => host.reconnect());
  }

  #partition(path: string, forMs: number): void {
    this.#note(`partition below ${path} for ${Math.round(forMs)}`);
    const inside = this.#tree.all.filter((process) => `${process.path}.`.startsWith(`${path}.`));
    const outside = this.#tree.all.filter((process) => !inside.includes(process));
    const names = (processes: typeof inside): string[] => processes.map(({ host }) => host.name);
    if (this.#tree.random() < 0.5) this.#tree.network.partition(names(inside), names(outside));
    else this.#tree.network.cut(names(inside), names(outside));
    this.#later(forMs, () => this.#tree.network.heal());
  }

  /** A second process claims the path; the newer one is to win. */
  #rival(path: string): void {
    if (this.#isOver || path === this.#tree.rootPath) return;
    this.#note(`rival at ${path}`);
    this.#tree.spawn(path);
  }
}
