/** Ids of calls, different for each call of each process: the boot id of the process, and a count. */
import { SHORT_TEXT, shortText } from "../protocol/short-text.js";

/** In the order of their codes, so that later ids come later in the alphabet too. */
const DIGITS = Buffer.from("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
const BASE = DIGITS.length;
const DIGITS_MIN = 4;
/** Of counts that are read: they stay safe integers. */
const DIGITS_MAX = 8;
/** By the code of a digit; -1 for what is none. */
const VALUES = Int8Array.from({ length: 0x80 }, (_, code) => DIGITS.indexOf(code));

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

/** The count in an id that has so many characters before it; -1 where it is not as `CallIds` writes it. */
export function callCountIn(id: string, sourceLength: number): number {
  const digits = id.length - sourceLength;
  if (digits < DIGITS_MIN || digits > DIGITS_MAX) return -1;
  let count = 0;
  for (let at = sourceLength; at < id.length; at++) {
    const value = VALUES[id.charCodeAt(at)] ?? -1;
    if (value === -1) return -1;
    count = count * BASE + value;
  }
  const isPadded = digits > DIGITS_MIN && count < BASE ** (digits - 1);
  return isPadded ? -1 : count;
}

/** The id with this count. */
export function callIdOf(source: string, count: number): string {
  return new CallIds(source, count).next();
}
