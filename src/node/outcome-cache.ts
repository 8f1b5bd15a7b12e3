/**
 * Outcomes by call id, so that a duplicate is answered and not run again.
 *
 * Two generations: when the young one holds half of what is allowed, the old one is dropped and they change places. So
 * at least the latest half is retained, and nothing is ever deleted one by one (a Map that is emptied at its front while
 * it is filled at its end grows slow in V8).
 */
import type { Outcome } from "./call.js";

/** What an entry costs besides its output, bytes. */
const ENTRY_BYTES = 256;

const NONE: readonly never[] = [];

export class OutcomeCache<Kept extends Outcome = Outcome> {
  readonly #entriesMax: number;
  readonly #bytesMax: number;
  /** Each behind its id: one array of both is in fewer places that no cache holds. */
  #young: (string | Kept)[] = [];
  #youngBytes = 0;
  #old: readonly (string | Kept)[] = NONE;
  /** Made only when somebody asks: nearly all outcomes are never asked for. */
  #index: Index<Kept> | null = null;

  /** Keeps at most `entriesMax` outcomes and about `bytesMax` bytes of them. */
  constructor(entriesMax: number, bytesMax: number) {
    this.#entriesMax = entriesMax;
    this.#bytesMax = bytesMax;
  }

  get(id: string): Kept | undefined {
    this.#index ??= new Index(this.#old, this.#young);
    return this.#index.get(id);
  }

  /** Keeps the outcome of an id that it holds nothing of. */
  set(id: string, outcome: Kept): void {
    const bytes = outcome.output.length + ENTRY_BYTES;
    const isFull = this.#young.length >= 2 * Math.ceil(this.#entriesMax / 2);
    if (isFull || this.#youngBytes + bytes > this.#bytesMax / 2) this.#age();
    this.#young.push(id, outcome);
    this.#youngBytes += bytes;
  }

  #age(): void {
    this.#old = this.#young;
    this.#young = [];
    this.#youngBytes = 0;
    this.#index = null;
  }
}

/** Outcomes by their ids. */
class Index<Kept> {
  readonly #byId = new Map<string, Kept>();
  readonly #growing: readonly (string | Kept)[];
  /** So much of the growing list is in the map. */
  #known = 0;

  constructor(old: readonly (string | Kept)[], growing: readonly (string | Kept)[]) {
    this.#growing = growing;
    for (let at = 0; at < old.length; at += 2) this.#note(old, at);
  }

  get(id: string): Kept | undefined {
    for (; this.#known < this.#growing.length; this.#known += 2) this.#note(this.#growing, this.#known);
    return this.#byId.get(id);
  }

  #note(list: readonly (string | Kept)[], at: number): void {
    this.#byId.set(list[at] as string, list[at + 1] as Kept);
  }
}
