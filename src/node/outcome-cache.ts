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

export class OutcomeCache<Kept extends Outcome = Outcome> {
  readonly #entriesMax: number;
  readonly #bytesMax: number;
  #young = new Map<string, Kept>();
  #old = new Map<string, Kept>();
  #youngBytes = 0;

  /** Keeps at most `entriesMax` outcomes and about `bytesMax` bytes of them. */
  constructor(entriesMax: number, bytesMax: number) {
    this.#entriesMax = entriesMax;
    this.#bytesMax = bytesMax;
  }

  get(id: string): Kept | undefined {
    return this.#young.get(id) ?? this.#old.get(id);
  }

  /** Keeps the outcome of an id that it holds nothing of. */
  set(id: string, outcome: Kept): void {
    const bytes = outcome.output.length + ENTRY_BYTES;
    const isFull = this.#young.size >= Math.ceil(this.#entriesMax / 2) || this.#youngBytes + bytes > this.#bytesMax / 2;
    if (isFull) this.#age();
    this.#young.set(id, outcome);
    this.#youngBytes += bytes;
  }

  #age(): void {
    this.#old = this.#young;
    this.#young = new Map();
    this.#youngBytes = 0;
  }
}
