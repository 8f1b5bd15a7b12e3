/** What is sent together: all of one turn of the event loop, in batches of 64 at most. */
const BATCH_MAX = 64;

export class Batches<Item> {
  readonly #send: (batch: readonly Item[]) => void;
  #waiting: Item[] = [];
  #isScheduled = false;

  constructor(send: (batch: readonly Item[]) => void) {
    this.#send = send;
  }

  add(item: Item): void {
    this.#waiting.push(item);
    if (this.#waiting.length >= BATCH_MAX) this.#flush();
    else this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      if (this.#waiting.length > 0) this.#flush();
    });
  }

  #flush(): void {
    const batch = this.#waiting;
    this.#waiting = [];
    this.#send(batch);
  }
}
