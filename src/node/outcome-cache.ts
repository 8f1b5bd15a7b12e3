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
  #young = new Generation<Kept>();
  #old = new Generation<Kept>();

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
    const { size, bytes: held } = this.#young;
    if (size >= Math.ceil(this.#entriesMax / 2) || held + bytes > this.#bytesMax / 2) this.#age();
    this.#young.add(id, outcome, bytes);
  }

  #age(): void {
    this.#old = this.#young;
    this.#young = new Generation();
  }
}

/** Put under their ids only when somebody asks: nearly all outcomes are never asked for. */
class Generation<Kept> {
  bytes = 0;
  /** Each behind its id: one array of both is in fewer places that no cache holds. */
  readonly #outcomes: (string | Kept)[] = [];
  readonly #byId = new Map<string, Kept>();

  get size(): number {
    return this.#outcomes.length / 2;
  }

  add(id: string, outcome: Kept, bytes: number): void {
    this.#outcomes.push(id, outcome);
    this.bytes += bytes;
  }

  get(id: string): Kept | undefined {
    for (let i = 2 * this.#byId.size; i < this.#outcomes.length; i += 2) {
      this.#byId.set(this.#outcomes[i] as string, this.#outcomes[i + 1] as Kept);
    }
    return this.#byId.get(id);
  }
}
