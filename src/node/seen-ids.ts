/**
 * Tells of most ids that they are new without a look into the tables of those that were seen, which are large and cold.
 *
 * Ids of calls are the boot id of whoever made them and a count. Of each boot id the highest count is remembered: what is
 * above it was never seen. Ids of any other form, and of one boot id too many, are never called new.
 */

/** Characters that ids of one source have in common. */
const PREFIX_LENGTH = 12;
/** Of the longest count that is compared, characters: seven bits each, in a safe integer. */
const COUNT_LENGTH_MAX = 7;
const SOURCES_MAX = 16;
const NO_OTHERS: readonly Source[] = [];

interface Source {
  readonly prefix: string;
  highest: number;
}

/** The latest of all: thousands of nodes of a process hear of the same sources, and compare the same text. */
let latestPrefix = "";

export class SeenIds {
  /** The latest source is at hand; the others wait here, with what was noted of them. */
  #others = NO_OTHERS;
  #prefix = "";
  #highest = -1;

  /** Notes an id; returns true if it was certainly not noted before. */
  add(id: string): boolean {
    const length = id.length - PREFIX_LENGTH;
    if (length < 1 || length > COUNT_LENGTH_MAX || !this.#isOfLatest(id)) return false;
    const rank = rankOf(id);
    if (rank <= this.#highest) return false;
    this.#highest = rank;
    return true;
  }

  #isOfLatest(id: string): boolean {
    return (this.#prefix !== "" && id.startsWith(this.#prefix)) || this.#turnTo(id.slice(0, PREFIX_LENGTH));
  }

  /** Makes a source the latest; returns false if there are too many. */
  #turnTo(prefix: string): boolean {
    const place = this.#others.findIndex((each) => each.prefix === prefix);
    if (place === -1 && this.#others.length >= SOURCES_MAX - 1) return false;
    const source = this.#others[place] ?? { prefix: shared(prefix), highest: -1 };
    const latest = { prefix: this.#prefix, highest: this.#highest };
    if (this.#prefix !== "") this.#others = [...this.#others.filter((each) => each !== source), latest];
    this.#prefix = source.prefix;
    this.#highest = source.highest;
    return true;
  }
}

function shared(prefix: string): string {
  if (latestPrefix !== prefix) latestPrefix = prefix;
  return latestPrefix;
}

/** Longer counts, and among equally long ones those that come later in the alphabet, are higher; -1 for what is no count. */
function rankOf(id: string): number {
  let rank = 0;
  for (let at = PREFIX_LENGTH; at < id.length; at++) {
    const code = id.charCodeAt(at);
    if (code > 0x7f) return -1;
    rank = rank * 0x80 + code;
  }
  return rank;
}
