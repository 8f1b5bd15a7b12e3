/** The census of the children, kept up to date with each change instead of counted anew. */
import type { LinkState } from "../../machines/link.js";
import type { ChildCounts } from "../../machines/thresholds.js";

/** What the tally needs of a link. */
interface Counted {
  readonly state: LinkState;
  readonly critical: boolean;
  readonly listed: boolean;
  /** It has been ready since it came. */
  readonly proven: boolean;
  /** It is to be there. */
  readonly wanted: boolean;
}

export class ChildTally {
  #counts = { expected: 0, ready: 0, failed: 0, criticalFailed: 0, criticalUnavailable: 0 };

  get counts(): ChildCounts {
    return { ...this.#counts };
  }

  add(link: Counted): void {
    this.#count(link, link.state, 1);
  }

  change(link: Counted, from: LinkState): void {
    this.#count(link, from, -1);
    this.#count(link, link.state, 1);
  }

  remove(link: Counted): void {
    this.#count(link, link.state, -1);
  }

  #count(link: Counted, state: LinkState, by: 1 | -1): void {
    if (!link.wanted) return;
    // Who came by itself is missed only after it was ready, and not once it left in order.
    if (!link.listed && (state === "left" || (!link.proven && state !== "alive" && state !== "suspect"))) return;
    const ready = state === "alive";
    const failed = state === "dead" || state === "failed";
    this.#counts.expected += by;
    if (ready) this.#counts.ready += by;
    if (failed) this.#counts.failed += by;
    if (link.critical && failed) this.#counts.criticalFailed += by;
    if (link.critical && !ready) this.#counts.criticalUnavailable += by;
  }
}
