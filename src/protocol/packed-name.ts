/**
 * Names of properties as they travel. Programs send the same few kinds of objects again and again: a name is kept when it
 * comes for the second time, in words of four bytes, and is found where it is expected, after the name that it followed
 * the last time.
 */

/** Bytes of the longest text that has a header of one byte. */
export const NAME_BYTES_MAX = 31;
/** When there are more, all are forgotten. */
const NAMES_KEPT = 1_024;
const WORD_BYTES = 4;
/** Zeros that may be written behind a name, bytes. */
export const PADDING_BYTES = 3;

export class PackedName {
  /** Bytes in all. */
  readonly length: number;
  /** Big-endian; behind the text there are zeros. */
  readonly #words: readonly number[];

  /** `bytes` are the name's in UTF-8, at most 31. */
  constructor(bytes: Uint8Array) {
    this.length = bytes.length + 1;
    this.#words = toWords(Uint8Array.of(0xa0 | bytes.length, ...bytes));
  }

  /** Writes it, and up to three zeros behind it. */
  writeTo(view: DataView, at: number): void {
    const words = this.#words;
    for (let i = 0; i < words.length; i++) view.setInt32(at + WORD_BYTES * i, words[i] as number);
  }
}

/** A name that was met. */
interface Met {
  readonly name: string;
  packed: PackedName | null;
  /** The name that came after it the last time. */
  next: Met | null;
}

const START: Met = { name: "", packed: null, next: null };

const names = new Map<string, Met>();
let latest = START;

/** A name that came before, if it is short; null for any other one. */
export function packedName(name: string): PackedName | null {
  const { next } = latest;
  if (next === null || next.packed === null || next.name !== name) return meet(name);
  latest = next;
  return next.packed;
}

function meet(name: string): PackedName | null {
  if (name.length > NAME_BYTES_MAX) return null;
  const known = names.get(name);
  if (known !== undefined) known.packed ??= pack(name);
  const met = known ?? remember(name);
  latest.next = met;
  latest = met;
  return met.packed;
}

function remember(name: string): Met {
  if (names.size >= NAMES_KEPT) forget();
  const met = { name, packed: null, next: null };
  names.set(name, met);
  return met;
}

function forget(): void {
  names.clear();
  START.next = null;
  latest = START;
}

/** Null for what takes too many bytes, or is no text. */
function pack(name: string): PackedName | null {
  const bytes = Buffer.from(name);
  return bytes.length <= NAME_BYTES_MAX && name.isWellFormed() ? new PackedName(bytes) : null;
}

function toWords(bytes: Uint8Array): number[] {
  const words = Array.from({ length: Math.ceil(bytes.length / WORD_BYTES) }, () => 0);
  for (const [i, byte] of bytes.entries()) words[i >>> 2] = (words[i >>> 2] as number) | (byte << (24 - 8 * (i & 3)));
  return words;
}
