/**
 * What an executor knows of calls: which it has seen, and what became of those that ended.
 *
 * Ids of calls are the boot id of whoever made them, their source, and a count. Of each source the highest count is
 * remembered: what is above it was never seen, which nearly always spares a look into tables that are large and cold. Ids of
 * any other form, and of one source too many, are never called new.
 *
 * Calls of one source that follow each other and end alike, as those do that return nothing, are kept as one run: of ten
 * thousand nodes that answer each command to all, each would keep thousands of outcomes.
 */
import type { Outcome } from "./call.js";
import { callCountIn } from "./call-ids.js";
import { OutcomeCache } from "./outcome-cache.js";

/** Characters of a boot id. */
const SOURCE_LENGTH = 12;
const SOURCES_MAX = 16;
const NO_OTHERS: readonly Source[] = [];

interface Source {
  readonly id: string;
  /** Of its counts. */
  readonly highest: number;
}

/** The latest id that was read, and what it says: thousands of nodes of a process hear of the same one. */
let latestId = "";
/** -1 for an id of another form, which has no source: that of the one before stays. */
let latestCount = -1;
let latestSource = "";

function read(id: string): void {
  if (id === latestId) return;
  latestId = id;
  latestCount = callCountIn(id, SOURCE_LENGTH);
  const isOfLatest = latestCount === -1 || (latestSource !== "" && id.startsWith(latestSource));
  if (!isOfLatest) latestSource = id.slice(0, SOURCE_LENGTH);
}

export class KnownCalls {
  /** The latest source is at hand; the others wait, with what was noted of them. */
  #source = "";
  #highest = -1;
  /** How the calls of the latest run ended, which are of the latest source; null while there is none. */
  #outcome: Outcome | null = null;
  #first = 0;
  #last = -1;
  /** So many calls more may be added to it. */
  #room = 0;
  /** What ended before. */
  readonly #cache: OutcomeCache;
  #others = NO_OTHERS;

  /** Keeps at most `outcomesMax` outcomes and about `bytesMax` bytes of them. */
  constructor(outcomesMax: number, bytesMax: number) {
    this.#cache = new OutcomeCache(outcomesMax, bytesMax);
  }

  /** Notes an id; returns true if it was certainly not noted before. */
  add(id: string): boolean {
    read(id);
    if (latestCount === -1 || (latestSource !== this.#source && !this.#turnTo(latestSource))) return false;
    if (latestCount <= this.#highest) return false;
    this.#highest = latestCount;
    return true;
  }

  /** How a call ended; undefined if it has not, or that is forgotten. */
  outcomeOf(id: string): Outcome | undefined {
    read(id);
    const isInRun = latestSource === this.#source && latestCount >= this.#first && latestCount <= this.#last;
    return isInRun ? (this.#outcome ?? undefined) : this.#cache.get(id);
  }

  /** Keeps the outcome of an id of which it holds none. */
  ended(id: string, outcome: Outcome): void {
    read(id);
    const isNext = latestCount === this.#last + 1 && latestSource === this.#source;
    if (isNext && outcome === this.#outcome && this.#room > 0) {
      this.#last = latestCount;
      this.#room--;
    } else this.#begin(id, outcome);
  }

  #begin(id: string, outcome: Outcome): void {
    this.#endRun();
    if (latestCount === -1 || latestSource !== this.#source) return this.#cache.set(id, outcome);
    this.#room = this.#cache.roomFor(outcome) - 1;
    this.#outcome = outcome;
    this.#first = this.#last = latestCount;
  }

  #endRun(): void {
    if (this.#outcome !== null) this.#cache.setRun(this.#source, this.#first, this.#last, this.#outcome);
    this.#outcome = null;
    this.#first = 0;
    this.#last = -1;
  }

  /** Makes a source the latest; returns false if there are too many. */
  #turnTo(id: string): boolean {
    const known = this.#others.find((each) => each.id === id);
    if (known === undefined && this.#others.length >= SOURCES_MAX - 1) return false;
    this.#endRun();
    const latest = { id: this.#source, highest: this.#highest };
    if (this.#source !== "") this.#others = [...this.#others.filter((each) => each !== known), latest];
    this.#source = id;
    this.#highest = known?.highest ?? -1;
    return true;
  }
}
