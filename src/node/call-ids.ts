/** Ids of calls, different for each call of each process: the boot id of the process, and a count. */
import { SHORT_TEXT, shortText } from "../protocol/short-text.js";

/** In the order of their codes, so that later ids come later in the alphabet too. */
const DIGITS = Buffer.from("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
const BASE = DIGITS.length;
const DIGITS_MIN = 4;

export class CallIds {
  readonly #boot: Uint8Array;
  /** The latest id: the boot id, then the digits of its count. */
  #codes: Uint8Array;
  #count: number;

  /** `boot` is the random id of one process; `count` is that of the first id. */
  constructor(boot: string, count = 0) {
    this.#boot = Buffer.from(boot);
    this.#codes = this.#blank(DIGITS_MIN);
    this.#count = count;
  }

  /**
   * With a boot id of twelve, sixteen characters for the first 14 million calls, because texts of that length are made, and
   * read, without a call into the runtime; some more afterwards.
   */
  next(): string {
    const count = this.#count++;
    while (!this.#write(count)) this.#codes = this.#blank(this.#codes.length - this.#boot.length + 1);
    const { length } = this.#codes;
    return length <= SHORT_TEXT ? shortText(this.#codes, 0, length) : String.fromCharCode(...this.#codes);
  }

  /** Returns false if there is no room for all digits. */
  #write(count: number): boolean {
    let rest = count;
    for (let at = this.#codes.length - 1; at >= this.#boot.length; at--) {
      this.#codes[at] = DIGITS[rest % BASE] as number;
      rest = Math.trunc(rest / BASE);
    }
    return rest === 0;
  }

  #blank(digits: number): Uint8Array {
    const codes = new Uint8Array(this.#boot.length + digits);
    codes.set(this.#boot);
    return codes;
  }
}
