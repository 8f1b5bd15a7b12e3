/**
 * Calls that wait to be sent again: as many for each child (or for the parent) as may wait for its credit. Otherwise a flood
 * of idempotent calls to a child that refuses them would pile up at the caller until their deadlines.
 */
import type { NodeCore } from "./core.js";
import { splitTarget } from "../protocol/path.js";

export class Retries {
  readonly #core: NodeCore;
  /** How many wait, by child; empty for the parent. */
  readonly #waiting = new Map<string, number>();

  constructor(core: NodeCore) {
    this.#core = core;
  }

  hasRoom(target: string): boolean {
    return (this.#waiting.get(splitTarget(target).childId) ?? 0) < this.#core.options.linkQueueMax;
  }

  /** Calls back after a time, or at once when the node ends first; the returned function forgets it. */
  wait(target: string, callback: () => void, delayMs: number): () => void {
    const { childId } = splitTarget(target);
    this.#count(childId, 1);
    let isWaiting = true;
    const end = (): void => {
      if (isWaiting) this.#count(childId, -1);
      isWaiting = false;
    };
    const forget = this.#core.wait(() => {
      end();
      callback();
    }, delayMs);
    return () => {
      end();
      forget();
    };
  }

  #count(childId: string, change: number): void {
    const waiting = (this.#waiting.get(childId) ?? 0) + change;
    if (waiting === 0) this.#waiting.delete(childId);
    else this.#waiting.set(childId, waiting);
  }
}
