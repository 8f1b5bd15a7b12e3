/** Outcomes by call id, so that a duplicate is answered and not run again. Bounded by number and bytes, oldest out first. */
import type { Outcome } from "./call.js";

/** What an entry costs besides its output, bytes. */
const ENTRY_BYTES = 256;

export class OutcomeCache {
  readonly #outcomes = new Map<string, Outcome>();
  readonly #entriesMax: number;
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(entriesMax: number, bytesMax: number) {
    this.#entriesMax = entriesMax;
    this.#bytesMax = bytesMax;
  }

  get(id: string): Outcome | undefined {
    return this.#outcomes.get(id);
  }

  set(id: string, outcome: Outcome): void {
    if (this.#outcomes.has(id)) return;
    this.#outcomes.set(id, outcome);
    this.#bytes += outcome.output.length + ENTRY_BYTES;
    for (const [oldest, { output }] of this.#outcomes) {
      if (this.#outcomes.size <= this.#entriesMax && this.#bytes <= this.#bytesMax) return;
      this.#outcomes.delete(oldest);
      this.#bytes -= output.length + ENTRY_BYTES;
    }
  }
}
