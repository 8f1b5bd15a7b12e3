/**
 * Items by id in the order of their insertion, for many that come and go.
 *
 * A Map that held the items themselves would keep the dead ones alive: when V8 rehashes a Map that has grown old, the old
 * table stays behind with all that it refers to, until the next full collection. Under load that promotes a kilobyte for
 * each call. So the Map holds places, and the items stand in an array that never moves.
 *
 * Mostly there is one item or none: it stands alone, because a Map whose last entry goes is made anew by V8.
 */
export class Registry<Item> {
  /** The oldest one, if it came when there was no other. */
  #first: Item | null = null;
  #firstId = "";
  /** Counts those that stood alone. */
  #turn = 0;
  /** Those that came while there were others. */
  #others: Others<Item> | null = null;

  get size(): number {
    return (this.#first === null ? 0 : 1) + (this.#others?.size ?? 0);
  }

  get(id: string): Item | undefined {
    if (this.#first !== null && this.#firstId === id) return this.#first;
    return this.#others?.get(id);
  }

  /** Adds an item under an id that is not there. */
  add(id: string, item: Item): void {
    if (this.size > 0) return (this.#others ??= new Others()).add(id, item);
    this.#turn++;
    this.#first = item;
    this.#firstId = id;
  }

  /** Returns whether it was there. */
  delete(id: string): boolean {
    if (this.#first === null || this.#firstId !== id) return this.#others?.delete(id) === true;
    this.#first = null;
    this.#firstId = "";
    return true;
  }

  /** What is added or deleted meanwhile is seen as by a Map's iterator. */
  *values(): Generator<Item> {
    let turn = -1;
    // When all had gone, another one came to stand alone: it is older than those that came after it.
    while (turn !== this.#turn) {
      turn = this.#turn;
      if (this.#first !== null) yield this.#first;
      for (const item of this.#others?.values() ?? []) {
        if (turn !== this.#turn) break;
        yield item;
      }
    }
  }
}

/** The same for any number. */
class Others<Item> {
  readonly #places = new Map<string, number>();
  readonly #items: (Item | null)[] = [];
  readonly #free: number[] = [];

  get size(): number {
    return this.#places.size;
  }

  get(id: string): Item | undefined {
    const place = this.#places.get(id);
    return place === undefined ? undefined : (this.#items[place] as Item);
  }

  add(id: string, item: Item): void {
    const place = this.#free.pop() ?? this.#items.length;
    this.#places.set(id, place);
    this.#items[place] = item;
  }

  delete(id: string): boolean {
    const place = this.#places.get(id);
    if (place === undefined) return false;
    this.#places.delete(id);
    this.#items[place] = null;
    this.#free.push(place);
    if (this.#places.size === 0) this.#shrink();
    return true;
  }

  *values(): Generator<Item> {
    for (const place of this.#places.values()) yield this.#items[place] as Item;
  }

  /** A flood leaves nothing behind. */
  #shrink(): void {
    if (this.#items.length <= PLACES_KEPT) return;
    this.#items.length = 0;
    this.#free.length = 0;
  }
}

/** Places that an empty registry keeps. */
const PLACES_KEPT = 64;
