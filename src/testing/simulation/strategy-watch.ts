/** Watches that one_for_all and rest_for_one begin anew with every sibling concerned: none goes on as it was. */
import type { SupervisionEvent } from "../../node/events.js";
import type { Node } from "../../node/node.js";
import type { SimulatedProcess } from "./process.js";
import type { SimulatedTree } from "./simulated-tree.js";

/** Restarts that are part of another one. */
const CONSEQUENCES: ReadonlySet<string> = new Set(["a sibling failed", "the supervisor started anew"]);

export function watchStrategies(tree: SimulatedTree): void {
  tree.spawned.push((process) => {
    const { strategy = "one_for_one" } = tree.plan.byPath.get(process.path)?.supervision ?? {};
    if (strategy !== "one_for_one") void new StrategyWatch(tree, process, strategy);
  });
}

class StrategyWatch {
  readonly #tree: SimulatedTree;
  readonly #process: SimulatedProcess;
  readonly #strategy: "one_for_all" | "rest_for_one";
  /** Which incarnation of each sibling is to end before a child starts again. */
  readonly #concerned = new Map<string, ReadonlyMap<string, number>>();

  constructor(tree: SimulatedTree, process: SimulatedProcess, strategy: "one_for_all" | "rest_for_one") {
    this.#tree = tree;
    this.#process = process;
    this.#strategy = strategy;
    process.node.on("supervision.decided", (event) => this.#decided(event));
  }

  #decided({ id, decision, reason }: SupervisionEvent): void {
    if (decision === "restarting" && !CONSEQUENCES.has(reason)) this.#concerned.set(id, this.#siblingsOf(id));
    if (decision !== "started") return;
    const concerned = this.#concerned.get(id);
    this.#concerned.delete(id);
    const living = runningOf(this.#process.node);
    for (const [sibling, generation] of concerned ?? []) {
      if (living.get(sibling) !== generation) continue;
      const what = `${this.#process.name} starts ${id} again while ${sibling} goes on, by ${this.#strategy}`;
      this.#tree.journal.violated("strategy", what);
    }
  }

  #siblingsOf(id: string): ReadonlyMap<string, number> {
    const running = runningOf(this.#process.node);
    const order = this.#process.node.whichChildren().map((child) => child.id);
    const isConcerned = (sibling: string): boolean =>
      sibling !== id && (this.#strategy === "one_for_all" || order.indexOf(sibling) > order.indexOf(id));
    return new Map([...running].filter(([sibling]) => isConcerned(sibling)));
  }
}

/** The incarnations that run. */
function runningOf(node: Node): ReadonlyMap<string, number> {
  const running = node.whichChildren().filter(({ remote, state }) => !remote && state === "running");
  return new Map(running.map(({ id, generation }) => [id, generation]));
}
