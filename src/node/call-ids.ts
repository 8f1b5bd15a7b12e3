/** Ids of calls, different for each call of each process: the boot id of the process, and a count. */

/** In the order of their codes, so that later ids come later in the alphabet too. */
const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE = DIGITS.length;
const CODES: readonly number[] = Array.from(DIGITS, (digit) => digit.charCodeAt(0));

const BOOT_LENGTH = 12;
/** Counts that have four digits. */
const SHORT_COUNTS = BASE ** 4;

export class CallIds {
  readonly #boot: string;
  readonly #bootCodes: readonly number[];
  #count: number;

  /** `boot` is the random id of one process; `count` is that of the first id. */
  constructor(boot: string, count = 0) {
    this.#boot = boot;
    this.#bootCodes = Array.from(boot, (character) => character.charCodeAt(0));
    this.#count = count;
  }

  /**
   * Sixteen characters for the first 14 million calls, because texts of that length are read, and made, without a call
   * into the runtime; some more afterwards.
   */
  next(): string {
    const count = this.#count++;
    if (count >= SHORT_COUNTS || this.#boot.length !== BOOT_LENGTH) return this.#boot + digitsOf(count);
    return shortId(this.#bootCodes, count);
  }
}

/** In one step, because a text that is put together of two stays two until it is looked up. */
function shortId(boot: readonly number[], count: number): string {
  const high = Math.trunc(count / (BASE * BASE));
  const low = count % (BASE * BASE);
  // oxfmt-ignore
  return String.fromCharCode(
    boot[0] as number, boot[1] as number, boot[2] as number, boot[3] as number,
    boot[4] as number, boot[5] as number, boot[6] as number, boot[7] as number,
    boot[8] as number, boot[9] as number, boot[10] as number, boot[11] as number,
    codeOf(high / BASE), codeOf(high % BASE), codeOf(low / BASE), codeOf(low % BASE),
  );
}

function codeOf(digit: number): number {
  return CODES[Math.trunc(digit)] as number;
}

/** At least four. */
function digitsOf(count: number): string {
  let digits = "";
  for (let rest = count; rest > 0 || digits.length < 4; rest = Math.trunc(rest / BASE)) {
    digits = DIGITS.charAt(rest % BASE) + digits;
  }
  return digits;
}
