/**
 * Whom a command to all is for, and whether one broadcast can bring it to them.
 *
 * What was found out holds until something changes that could make it untrue: to look at each of ten thousand children takes
 * long, since the processor's caches hold none of them.
 */
import { forgetOldOffer } from "./admission.js";
import type { ChildLink } from "./child-link.js";
import { CommonCalls } from "./common-calls.js";
import type { NodeCore } from "./core.js";

export class Roster {
  readonly calls = new CommonCalls();
  readonly #core: NodeCore;
  readonly #links: () => Iterable<ChildLink>;
  #attached: readonly ChildLink[] | null = null;
  #openCount: number | null = null;
  /** Nobody else hears broadcasts; found out together with the calls' slack. */
  #isAlone = false;
  /** Somebody who had a session may still hear broadcasts, and no link tells of it any more. */
  #hasLostSight = false;

  constructor(core: NodeCore, links: () => Iterable<ChildLink>) {
    this.#core = core;
    this.#links = links;
  }

  /** Those whose subtree is ready. */
  get attached(): readonly ChildLink[] {
    return (this.#attached ??= [...this.#links()].filter(({ isAttached }) => isAttached));
  }

  /** How many have a session. */
  get openCount(): number {
    return (this.#openCount ??= [...this.#links()].filter(({ isOpen }) => isOpen).length);
  }

  /** A child came, went, got an offer, or its link or its calls are in another state. */
  changed(): void {
    this.#attached = null;
    this.#openCount = null;
    this.#isAlone = false;
    this.calls.slack = 0;
  }

  removed(link: ChildLink): void {
    this.#hasLostSight ||= link.isOverheard || link.isOpen;
    this.changed();
  }

  /**
   * Whether a broadcast reaches all attached children at once: each can take another call, and nobody is between an offer
   * and readiness. `alone` means nobody besides, such as a process that was taken for dead and does not know.
   */
  isReachable({ alone }: { readonly alone: boolean }): boolean {
    if (!this.#isKnownReachable(alone)) this.#look();
    return this.#isKnownReachable(alone);
  }

  #isKnownReachable(alone: boolean): boolean {
    return this.calls.slack > 0 && (this.#isAlone || !alone);
  }

  #look(): void {
    this.calls.slack = this.#leastSlack();
    this.#isAlone = !this.#hasLostSight && [...this.#links()].every(({ isOverheard }) => !isOverheard);
  }

  #leastSlack(): number {
    let least = Infinity;
    for (const link of this.#links()) {
      forgetOldOffer(link, this.#core);
      if (link.offer !== null || link.isOpen !== link.isAttached) return 0;
      if (link.isAttached) least = Math.min(least, link.calls.slack);
    }
    return least;
  }
}
