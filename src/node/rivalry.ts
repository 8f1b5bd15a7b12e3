/**
 * What a node does when it learns that a newer parent was seen at its path.
 *
 * Y1. A root that only starts outranks whoever was there before: its clock may be behind.
 * Y2. Whoever a child refuses, because it obeys the newer parent, is superseded.
 * Y3. Roots that took their epochs from the clock within one millisecond share them. A child of one then refuses the
 *     other, which raises its epoch by a random amount; of two that do so, the greater one counts. A root with a store
 *     asks that instead: it would grant the same number to another one later.
 * Y4. What an announcement says of a newer parent may be out of date. If that parent lives, some child of it refuses us
 *     when asked. If none does for as long as silence takes to mean death, it is dead, and its children must not be
 *     lost: a root outranks it; any other node was superseded at some time, and ends so that it can be started anew.
 * Y5. Started anew under the same parent it would be older again: the parent hears that a newer one of its own path has
 *     granted that epoch, and the parent's parent, up to the root, which outranks it.
 */
import { compareEpochs, type Epoch } from "../../machines/epoch.js";
import type { NodeCore } from "./core.js";
import type { EpochStore } from "./options.js";
import { storedEpoch } from "./stored-epoch.js";

export interface RivalryPort {
  readonly core: NodeCore;
  readonly isRoot: boolean;
  /** Whether a child has used a session of ours, so that we are known as the parent. */
  readonly isEstablished: boolean;
  /** Asks whoever is there to announce itself, or to refuse us. */
  probe(): void;
  superseded(epoch: Epoch): void;
  /** Tells our parent that one with this epoch was seen at its path. */
  tellParent(epoch: Epoch): void;
}

/** Rivals that outrank the same epoch must not meet again. */
const RAISE_SPREAD = 1_000;

export class Rivalry {
  readonly #port: RivalryPort;
  #newest: Epoch = [];
  #isWaiting = false;
  #isAsking = false;

  constructor(port: RivalryPort) {
    this.#port = port;
  }

  /** A child names a newer parent; `isCertain` when it obeys it. Returns whether our epoch was raised above that. */
  seen(epoch: Epoch, isCertain: boolean): boolean {
    if (this.#port.isRoot && !this.#port.isEstablished) return this.#outrank(epoch);
    if (!isCertain) this.#doubt(epoch);
    else if (compareEpochs(epoch, this.#port.core.epoch) > 0) this.#giveWay(epoch);
    else if (this.#port.isRoot) this.#outrank(epoch);
    return false;
  }

  #doubt(epoch: Epoch): void {
    const { core } = this.#port;
    if (compareEpochs(epoch, this.#newest) > 0) this.#newest = epoch;
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    this.#port.probe();
    this.#port.tellParent(this.#newest.slice(0, -1));
    core.wait(() => this.#decide(), core.options.failureDetector.deadMs);
  }

  #decide(): void {
    const { core, isRoot } = this.#port;
    this.#isWaiting = false;
    if (core.isOver || compareEpochs(this.#newest, core.epoch) <= 0) return;
    if (isRoot) this.#outrank(this.#newest);
    else this.#giveWay(this.#newest);
  }

  #giveWay(epoch: Epoch): void {
    this.#port.tellParent(epoch.slice(0, -1));
    this.#port.superseded(epoch);
  }

  /** Returns whether our epoch is above that one now; a store is asked for it. */
  #outrank(epoch: Epoch): boolean {
    const { epochStore, random } = this.#port.core.options;
    const above = (epoch[0] ?? 0) + 1;
    if (epochStore === null) this.#raise(above + Math.floor(random() * RAISE_SPREAD));
    else if (!this.#isAsking) void this.#ask(epochStore, above);
    return epochStore === null;
  }

  /** Never rejects: whoever names the newer parent does so again. */
  async #ask(store: EpochStore, above: number): Promise<void> {
    const { core } = this.#port;
    this.#isAsking = true;
    try {
      const given = await storedEpoch(store, core.path, above);
      if (!core.isOver) this.#raise(given);
    } catch (error) {
      const fields = { event: "epoch.notRaised", path: core.path, error };
      core.log.error(
        fields,
        "the epoch store gave no epoch above that of a newer root: its children are not taken over",
      );
    }
    this.#isAsking = false;
  }

  #raise(to: number): void {
    const { core } = this.#port;
    if (to <= (core.epoch[0] ?? 0)) return;
    core.epoch = Object.freeze([to]);
    this.#port.probe();
  }
}
