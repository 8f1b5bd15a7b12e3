/**
 * Items by id in the order of their insertion, for many that come and go.
 *
 * A Map that held the items themselves would keep the dead ones alive: when V8 rehashes a Map that has grown old, the old
 * table stays behind with all that it refers to, until the next full collection. Under load that promotes a kilobyte for
 * each call. So the Map holds places, and the items stand in an array that never moves.
 */
export class Registry<Item> {
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

  /** Adds an item under an id that is not there. */
  add(id: string, item: Item): void {
    const place = this.#free.pop() ?? this.#items.length;
    this.#places.set(id, place);
    this.#items[place] = item;
  }

  /** Returns whether it was there. */
  delete(id: string): boolean {
    const place = this.#places.get(id);
    if (place === undefined) return false;
    this.#places.delete(id);
    this.#items[place] = null;
    this.#free.push(place);
    if (this.#places.size === 0) this.#shrink();
    return true;
  }

  /** What is added or deleted meanwhile is seen as by a Map's iterator. */
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
