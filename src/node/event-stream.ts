/** Events as they happen, for `for await`: kept from the moment of the call on, up to a bound. */

/** Events that a slow consumer can fall behind before the oldest are dropped. */
const BUFFER_MAX = 1_024;

type Resolve<T> = (result: IteratorResult<T, undefined>) => void;

const DONE = { done: true, value: undefined } as const;

export class EventStream<T> implements AsyncIterableIterator<T, undefined> {
  readonly #buffer: T[] = [];
  /** Readers that wait for an event; empty while there is a buffer. */
  readonly #readers: Resolve<T>[] = [];
  readonly #onEnd: () => void;
  #isEnded = false;

  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  push(event: T): void {
    const reader = this.#readers.shift();
    if (reader !== undefined) reader({ done: false, value: event });
    else if (this.#buffer.push(event) > BUFFER_MAX) this.#buffer.shift();
  }

  /** No more events come; what is kept can still be read. */
  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#onEnd();
    for (const reader of this.#readers.splice(0)) reader(DONE);
  }

  next(): Promise<IteratorResult<T, undefined>> {
    if (this.#buffer.length > 0) return Promise.resolve({ done: false, value: this.#buffer.shift() as T });
    if (this.#isEnded) return Promise.resolve(DONE);
    return new Promise((resolve) => this.#readers.push(resolve));
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.#buffer.length = 0;
    this.end();
    return Promise.resolve(DONE);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
