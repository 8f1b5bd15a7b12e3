/**
 * Outcomes by call id, so that a duplicate is answered and not run again.
 *
 * Two generations: when the young one holds half of what is allowed, the old one is dropped and they change places. So
 * at least the latest half is retained, and nothing is ever deleted one by one (a Map that is emptied at its front while
 * it is filled at its end grows slow in V8).
 */
import type { Outcome } from "./call.js";
import { callIdOf } from "./call-ids.js";

/** What an entry costs besides its output, bytes. */
const ENTRY_BYTES = 256;

/** Four for each run: the source of its ids, its first and its last count, and the outcome; -1 where the source is the id. */
type Runs<Kept> = (string | number | Kept)[];

const NONE: readonly never[] = [];

export class OutcomeCache<Kept extends Outcome = Outcome> {
  readonly #halfEntries: number;
  readonly #halfBytes: number;
  #young: Runs<Kept> = [];
  #youngEntries = 0;
  #youngBytes = 0;
  #old: Readonly<Runs<Kept>> = NONE;
  /** Made only when somebody asks: nearly all outcomes are never asked for. */
  #index: Index<Kept> | null = null;

  /** Keeps at most `entriesMax` outcomes and about `bytesMax` bytes of them. */
  constructor(entriesMax: number, bytesMax: number) {
    this.#halfEntries = Math.ceil(entriesMax / 2);
    this.#halfBytes = bytesMax / 2;
  }

  get(id: string): Kept | undefined {
    this.#index ??= new Index(this.#old, this.#young);
    return this.#index.get(id);
  }

  /** Keeps the outcome of an id that it holds nothing of. */
  set(id: string, outcome: Kept): void {
    this.roomFor(outcome);
    this.setRun(id, -1, -1, outcome);
  }

  /** How many outcomes like this one the young generation can take, at least 1; a new one begins where it can take none. */
  roomFor(outcome: Kept): number {
    const room = this.#roomFor(outcome);
    if (room >= 1) return room;
    this.#age();
    return Math.max(1, this.#roomFor(outcome));
  }

  /** Keeps the outcome of all ids of a source from one count to another. There must be room for them. */
  setRun(source: string, first: number, last: number, outcome: Kept): void {
    this.#young.push(source, first, last, outcome);
    this.#youngEntries += last - first + 1;
    this.#youngBytes += (last - first + 1) * bytesOf(outcome);
  }

  #roomFor(outcome: Kept): number {
    const byBytes = Math.floor((this.#halfBytes - this.#youngBytes) / bytesOf(outcome));
    return Math.min(this.#halfEntries - this.#youngEntries, byBytes);
  }

  #age(): void {
    this.#old = this.#young;
    this.#young = [];
    this.#youngEntries = 0;
    this.#youngBytes = 0;
    this.#index = null;
  }
}

function bytesOf({ output }: Outcome): number {
  return output.length + ENTRY_BYTES;
}

/** Outcomes by their ids. */
class Index<Kept> {
  readonly #byId = new Map<string, Kept>();
  readonly #growing: Readonly<Runs<Kept>>;
  /** So much of the growing list is in the map. */
  #known = 0;

  constructor(old: Readonly<Runs<Kept>>, growing: Readonly<Runs<Kept>>) {
    this.#growing = growing;
    for (let at = 0; at < old.length; at += 4) this.#note(old, at);
  }

  get(id: string): Kept | undefined {
    for (; this.#known < this.#growing.length; this.#known += 4) this.#note(this.#growing, this.#known);
    return this.#byId.get(id);
  }

  #note(runs: Readonly<Runs<Kept>>, at: number): void {
    const [source, first, last, outcome] = runs.slice(at, at + 4) as [string, number, number, Kept];
    if (first === -1) this.#byId.set(source, outcome);
    else for (let count = first; count <= last; count++) this.#byId.set(callIdOf(source, count), outcome);
  }
}
