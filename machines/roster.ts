/** The children of a supervisor in order: who is to start, who is to stop, and whose turn it is. */
import type { Strategy } from "./child-spec.js";
import { isActive, type SupervisedChild, type SupervisedEvent, supervisedChildTable } from "./supervised-child.js";

export class Roster {
  /** In the order of declaration. */
  readonly #children = new Map<string, SupervisedChild>();
  readonly #isSequential: boolean;
  /** Wanted, but no incarnation lives. */
  readonly #toStart = new Set<SupervisedChild>();
  /** Alive, but to end. */
  readonly #toStop = new Set<SupervisedChild>();
  #stopping = 0;
  /** Nothing is started. */
  isHalted = true;

  constructor(strategy: Strategy) {
    this.#isSequential = strategy !== "one_for_one";
  }

  get size(): number {
    return this.#children.size;
  }

  get(id: string): SupervisedChild | undefined {
    return this.#children.get(id);
  }

  has({ plan }: SupervisedChild): boolean {
    return this.#children.has(plan.id);
  }

  all(): Iterable<SupervisedChild> {
    return this.#children.values();
  }

  /** Wanted, but not alive. */
  waiting(): Iterable<SupervisedChild> {
    return this.#toStart;
  }

  add(child: SupervisedChild): void {
    this.#children.set(child.plan.id, child);
    this.sort(child);
  }

  forget(child: SupervisedChild): void {
    this.#children.delete(child.plan.id);
    this.#toStart.delete(child);
    this.#toStop.delete(child);
  }

  /** Takes the lifecycle's transition, if there is one. */
  apply(child: SupervisedChild, event: SupervisedEvent["type"]): void {
    const next = supervisedChildTable[child.state][event];
    if (next === undefined) return;
    this.#stopping += Number(next === "stopping") - Number(child.state === "stopping");
    child.state = next;
    this.sort(child);
  }

  /** Looks again whether the child is to start or to stop. */
  sort(child: SupervisedChild): void {
    const isStop = isActive(child) && child.state !== "stopping" && (!child.wanted || child.cycling);
    if (isStop) this.#toStop.add(child);
    else this.#toStop.delete(child);
    if (child.wanted && !isActive(child) && !this.isHalted) this.#toStart.add(child);
    else this.#toStart.delete(child);
  }

  /**
   * Whose turn it is to stop: all at once, or the last one, each when the one after it is gone. Without an order only the
   * changed child counts, if there is one: ten thousand are not looked at for each.
   */
  turnsToStop(changed?: SupervisedChild): readonly SupervisedChild[] {
    if (this.#toStop.size === 0) return [];
    if (changed !== undefined && !this.#isSequential) return this.#toStop.has(changed) ? [changed] : [];
    const turns: SupervisedChild[] = [];
    for (const child of Array.from(this.#children.values()).toReversed()) {
      const isTurn = this.#toStop.has(child);
      if (isTurn) turns.push(child);
      if (this.#isSequential && !child.plan.isDynamic && (isTurn || child.state === "stopping")) break;
    }
    return turns;
  }

  /** Whose turn it is to start: all at once, or the first one, each when the one before it is ready. */
  turnsToStart(changed?: SupervisedChild): readonly SupervisedChild[] {
    if (this.isHalted || this.#toStart.size === 0) return [];
    if (changed !== undefined && !this.#isSequential) return this.#toStart.has(changed) ? [changed] : [];
    if (!this.#isSequential) return Array.from(this.#toStart);
    if (this.#stopping + this.#toStop.size > 0) return [];
    for (const child of this.#children.values()) {
      if (this.#toStart.has(child)) return [child];
      if (child.wanted && child.state !== "running") return [];
    }
    return [];
  }
}
