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

interface Source {
  readonly prefix: string;
  highest: number;
}

export class SeenIds {
  readonly #sources: Source[] = [];
  #latest: Source | null = null;

  /** Notes an id; returns true if it was certainly not noted before. */
  add(id: string): boolean {
    const length = id.length - PREFIX_LENGTH;
    if (length < 1 || length > COUNT_LENGTH_MAX) return false;
    const source = this.#sourceOf(id);
    if (source === null) return false;
    const rank = rankOf(id);
    if (rank <= source.highest) return false;
    source.highest = rank;
    return true;
  }

  #sourceOf(id: string): Source | null {
    if (this.#latest !== null && id.startsWith(this.#latest.prefix)) return this.#latest;
    const prefix = id.slice(0, PREFIX_LENGTH);
    const source = this.#sources.find((each) => each.prefix === prefix) ?? this.#newSource(prefix);
    if (source !== null) this.#latest = source;
    return source;
  }

  #newSource(prefix: string): Source | null {
    if (this.#sources.length >= SOURCES_MAX) return null;
    const source = { prefix, highest: -1 };
    this.#sources.push(source);
    return source;
  }
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
