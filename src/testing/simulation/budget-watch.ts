/** Watches that no supervisor restarts more often than it was told to, by counting its decisions anew. */
import type { SupervisionEvent } from "../../node/events.js";
import type { SimulatedProcess } from "./process.js";
import type { SimulatedTree } from "./simulated-tree.js";

/** Restarts that come of a sibling, or of a new beginning, are part of another one. */
const UNCOUNTED: ReadonlySet<string> = new Set(["a sibling failed", "the supervisor started anew"]);

/** The same bounds as the runtime's defaults, written down again. */
const CHILD_INTENSITY = 3;
const SUPERVISOR_INTENSITY_MIN = 10;
const PERIOD_MS = 30_000;

export function watchBudgets(tree: SimulatedTree): void {
  tree.spawned.push((process) => new BudgetWatch(tree, process));
}

class BudgetWatch {
  readonly #tree: SimulatedTree;
  readonly #process: SimulatedProcess;
  #restarts: { readonly id: string; readonly atMs: number }[] = [];

  constructor(tree: SimulatedTree, process: SimulatedProcess) {
    this.#tree = tree;
    this.#process = process;
    process.node.on("supervision.decided", (event) => this.#decided(event));
    process.node.on("state.changed", ({ state }) => {
      // Another attempt begins with a clean count.
      if (state === "CONNECTING") this.#restarts = [];
    });
  }

  #decided({ id, decision, exit, reason, atMs }: SupervisionEvent): void {
    if (decision === "cooling") this.#restarts = [];
    // Forgotten with its declaration.
    if (decision === "finished" || decision === "terminated") this.#forget(id);
    if (decision !== "restarting" || exit === "dependencyDown" || UNCOUNTED.has(reason)) return;
    const { supervision } = this.#tree.plan.byPath.get(this.#process.path) ?? {};
    const { periodMs = PERIOD_MS, childIntensity = CHILD_INTENSITY } = supervision ?? {};
    const declared = this.#process.node.whichChildren().filter(({ remote }) => !remote).length;
    const intensity = supervision?.intensity ?? Math.max(SUPERVISOR_INTENSITY_MIN, declared);
    this.#restarts = this.#restarts.filter((restart) => atMs - restart.atMs <= periodMs);
    this.#restarts.push({ id, atMs });
    const ofChild = this.#restarts.filter((restart) => restart.id === id).length;
    if (ofChild > childIntensity) this.#violated(`${id} ${ofChild} times`);
    if (this.#restarts.length > intensity) this.#violated(`children ${this.#restarts.length} times`);
  }

  /** A child of the same id that is declared anew has a count of its own; the supervisor's goes on. */
  #forget(id: string): void {
    this.#restarts = this.#restarts.map((restart) =>
      restart.id === id ? { ...restart, id: `${id} before` } : restart,
    );
  }

  #violated(what: string): void {
    this.#tree.journal.violated("restart-budget", `${this.#process.name} restarted ${what} within its period`);
  }
}
