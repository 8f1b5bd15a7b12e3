/**
 * Watches that nobody is declared dead who could have been heard: only a stall of its own that is longer than what is
 * forgiven, or a broken connection, makes a living child dead. The parent's own stalls are no excuse.
 */
import { forgivenStallMs } from "../../../machines/failure-detector.js";
import type { ChildChange, StateChange } from "../../node/events.js";
import { isLiving, pausedMs, type SimulatedProcess } from "./process.js";
import type { SimulatedTree } from "./simulated-tree.js";

export function watchFalseDeaths(tree: SimulatedTree): void {
  const { heartbeat, failureDetector } = tree.plan.options;
  const deadMs = failureDetector?.deadMs ?? 0;
  const forgivenMs = forgivenStallMs(heartbeat?.maxMs ?? 0, { deadMs, pauseMs: failureDetector?.pauseMs ?? 0 });
  const watch = new FalseDeathWatch(tree, { forgivenMs, windowMs: 2 * deadMs });
  if (forgivenMs > 0) tree.spawned.push((process) => watch.add(process));
}

class FalseDeathWatch {
  readonly #tree: SimulatedTree;
  readonly #forgivenMs: number;
  /** Time before a death in which what explains it has happened, milliseconds. */
  readonly #windowMs: number;
  /** Since when each process has had its parent's session all the time; Infinity while it has none. */
  readonly #attachedSinceMs = new Map<SimulatedProcess, number>();

  constructor(
    tree: SimulatedTree,
    { forgivenMs, windowMs }: { readonly forgivenMs: number; readonly windowMs: number },
  ) {
    this.#tree = tree;
    this.#forgivenMs = forgivenMs;
    this.#windowMs = windowMs;
  }

  add(process: SimulatedProcess): void {
    process.node.on("state.changed", (change) => this.#noteState(process, change));
    /** When each child was killed: its session ends with it. */
    const killedAtMs = new Map<string, number>();
    process.node.on("supervision.decided", ({ id, decision, atMs }) => {
      if (decision === "killed") killedAtMs.set(id, atMs);
    });
    process.node.on("child.changed", (change) => {
      const wasHeldAlive = change.from === "alive" || change.from === "suspect";
      const isDeath = change.state === "dead" && wasHeldAlive && killedAtMs.get(change.id) !== change.atMs;
      // A parent that failed closes all links: its state is known a moment later.
      if (isDeath) this.#tree.clock.defer(() => this.#judge(process, change));
    });
  }

  #noteState(process: SimulatedProcess, { state, reasons }: StateChange): void {
    const isAttached = state === "SYNCHRONIZED" || (state === "DEGRADED" && !reasons.includes("uplink"));
    const sinceMs = this.#attachedSinceMs.get(process) ?? Infinity;
    if (!isAttached) this.#attachedSinceMs.set(process, Infinity);
    else if (sinceMs === Infinity) this.#attachedSinceMs.set(process, this.#tree.nowMs);
  }

  #judge(parent: SimulatedProcess, { id, epoch }: ChildChange): void {
    const { node, path, name } = parent;
    if (!isLiving(parent) || (node.state !== "SYNCHRONIZED" && node.state !== "DEGRADED")) return;
    const isIt = (child: SimulatedProcess): boolean => child.path === `${path}.${id}` && child.node.epoch === epoch;
    const child = this.#tree.everyone().findLast(isIt);
    if (child === undefined || this.#isExplained(parent, child)) return;
    this.#tree.journal.violated(
      "no-false-death",
      `${name} declared ${child.name} dead, which lives and could be heard`,
    );
  }

  #isExplained(parent: SimulatedProcess, child: SimulatedProcess): boolean {
    const { nowMs } = this.#tree;
    const fromMs = nowMs - this.#windowMs;
    if ((this.#attachedSinceMs.get(child) ?? Infinity) > fromMs || child.isDismissed) return true;
    if (pausedMs(child, fromMs, nowMs) >= this.#forgivenMs) return true;
    const cuts = [...this.#tree.cutOffs, ...parent.cutOffs, ...child.cutOffs];
    return cuts.some(([cutMs, healedMs]) => cutMs <= nowMs && healedMs >= fromMs);
  }
}
