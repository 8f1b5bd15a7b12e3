/**
 * Ids, names and other short texts, without a call into the runtime for each: for each length one that makes a text of so
 * many characters at once. To cut off what is too long would cost as much as the text, and to put it together of parts more.
 */

/** Characters of the longest. */
export const SHORT_TEXT = 16;

/** A text of at most sixteen characters, from as many bytes of ASCII. */
export function shortText(b: Uint8Array, at: number, length: number): string {
  const { fromCharCode } = String;
  // oxfmt-ignore
  switch (length) {
    case 0: return "";
    case 1: return fromCharCode(b[at] as number);
    case 2: return fromCharCode(b[at] as number, b[at + 1] as number);
    case 3: return fromCharCode(b[at] as number, b[at + 1] as number, b[at + 2] as number);
    case 4: return fromCharCode(b[at] as number, b[at + 1] as number, b[at + 2] as number, b[at + 3] as number);
    case 5: return fromCharCode(
      b[at] as number, b[at + 1] as number, b[at + 2] as number, b[at + 3] as number,
      b[at + 4] as number,
    );
    case 6: return fromCharCode(
      b[at] as number, b[at + 1] as number, b[at + 2] as number, b[at + 3] as number,
      b[at + 4] as number, b[at + 5] as number,
    );
    case 7: return fromCharCode(
      b[at] as number, b[at + 1] as number, b[at + 2] as number, b[at + 3] as number,
      b[at + 4] as number, b[at + 5] as number, b[at + 6] as number,
    );
    case 8: return fromCharCode(
      b[at] as number, b[at + 1] as number, b[at + 2] as number, b[at + 3] as number,
      b[at + 4] as number, b[at + 5] as number, b[at + 6] as number, b[at + 7] as number,
    );
    case 9: return fromCharCode(
      b[at] as number, b[at + 1] as number, b[at + 2] as number, b[at + 3] as number,
      b[at + 4] as number, b[at + 5] as number, b[at + 6] as number, b[at + 7] as number,
      b[at + 8] as number,
    );
    case 10: return fromCharCode(
      b[at] as number, b[at + 1] as number, b[at + 2] as number, b[at + 3] as number,
      b[at + 4] as number, b[at + 5] as number, b[at + 6] as number, b[at + 7] as number,
      b[at + 8] as number, b[at + 9] as number,
    );
    case 11: return fromCharCode(
      b[at] as number, b[at + 1] as number, b[at + 2] as number, b[at + 3] as number,
      b[at + 4] as number, b[at + 5] as number, b[at + 6] as number, b[at + 7] as number,
      b[at + 8] as number, b[at + 9] as number, b[at + 10] as number,
    );
    case 12: return fromCharCode(
      b[at] as number, b[at + 1] as number, b[at + 2] as number, b[at + 3] as number,
      b[at + 4] as number, b[at + 5] as number, b[at + 6] as number, b[at + 7] as number,
      b[at + 8] as number, b[at + 9] as number, b[at + 10] as number, b[at + 11] as number,
    );
    case 13: return fromCharCode(
      b[at] as number, b[at + 1] as number, b[at + 2] as number, b[at + 3] as number,
      b[at + 4] as number, b[at + 5] as number, b[at + 6] as number, b[at + 7] as number,
      b[at + 8] as number, b[at + 9] as number, b[at + 10] as number, b[at + 11] as number,
      b[at + 12] as number,
    );
    case 14: return fromCharCode(
      b[at] as number, b[at + 1] as number, b[at + 2] as number, b[at + 3] as number,
      b[at + 4] as number, b[at + 5] as number, b[at + 6] as number, b[at + 7] as number,
      b[at + 8] as number, b[at + 9] as number, b[at + 10] as number, b[at + 11] as number,
      b[at + 12] as number, b[at + 13] as number,
    );
    case 15: return fromCharCode(
      b[at] as number, b[at + 1] as number, b[at + 2] as number, b[at + 3] as number,
      b[at + 4] as number, b[at + 5] as number, b[at + 6] as number, b[at + 7] as number,
      b[at + 8] as number, b[at + 9] as number, b[at + 10] as number, b[at + 11] as number,
      b[at + 12] as number, b[at + 13] as number, b[at + 14] as number,
    );
    default: return fromCharCode(
      b[at] as number, b[at + 1] as number, b[at + 2] as number, b[at + 3] as number,
      b[at + 4] as number, b[at + 5] as number, b[at + 6] as number, b[at + 7] as number,
      b[at + 8] as number, b[at + 9] as number, b[at + 10] as number, b[at + 11] as number,
      b[at + 12] as number, b[at + 13] as number, b[at + 14] as number, b[at + 15] as number,
    );
  }
}
