/**
 * Reads the MessagePack types that envelopes and payloads are made of, and checks each value while it reads it: nothing is
 * built of what will be refused, and nothing is allocated for what a length only claims.
 */
import { NAME_BYTES_MAX } from "./packed-name.js";
import { SHORT_TEXT, shortText } from "./short-text.js";
import { survey } from "./well-formed.js";

/** Thrown for whatever does not fit, and caught by the codec; one for all, because its place is of no interest. */
export const UNREADABLE = new Error("unreadable");

const ENVELOPES = { allowTimestamps: false };

const NOTHING = new Uint8Array(0);

const double = new DataView(new ArrayBuffer(8));

export class Reader {
  #bytes: Uint8Array = NOTHING;
  /** What the bytes lie in, once somebody needs it: asking them for it is a call into the runtime. */
  #memory: ArrayBufferLike | null = null;
  #at = 0;
  /** Elements that may still be claimed in all: each takes a byte. Nested claims would add up to a multiple otherwise. */
  #elementsMax = 0;

  /** Begins anew with other bytes; `close` is to follow. */
  open(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.#memory = null;
    this.#at = 0;
    this.#elementsMax = bytes.length;
  }

  /** Lets go of the bytes, which are part of a message. */
  close(): void {
    this.open(NOTHING);
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** The header of an array; its elements follow, each at least one byte long. */
  list(): number {
    const length = this.#containerLength(0x90, 0xdc);
    this.#claim(length);
    return length;
  }

  bool(): boolean {
    const type = this.#byte();
    if (type !== 0xc2 && type !== 0xc3) throw UNREADABLE;
    return type === 0xc3;
  }

  /** An integer from 0 to 2^53 - 1. */
  uint(): number {
    const small = this.#bytes[this.#at] as number;
    if (small <= 0x7f) {
      this.#at++;
      return small;
    }
    const value = this.int();
    if (value < 0) throw UNREADABLE;
    return value;
  }

  /** A safe integer in any form: other languages choose others than we do. */
  int(): number {
    const type = this.#byte();
    if (type <= 0x7f) return type;
    if (type >= 0xe0) return type - 0x100;
    const value = this.#number(type);
    if (!Number.isSafeInteger(value)) throw UNREADABLE;
    return value;
  }

  /** A text of at most `lengthMax` characters, which are at least 31. */
  text(lengthMax: number): string {
    const type = this.#bytes[this.#at] as number;
    if ((type & 0xe0) === 0xa0) return this.fixText(type & 0x1f);
    const length = this.#textLength();
    // A character takes three bytes at most; two of them, where it takes four.
    if (length > lengthMax * 3) throw UNREADABLE;
    const text = this.#textOf(length);
    if (text.length > lengthMax) throw UNREADABLE;
    return text;
  }

  /** A text whose length `peek` has told. */
  fixText(length: number): string {
    this.#at++;
    return this.#textOf(length);
  }

  /** A view into the bytes. */
  bin(): Uint8Array {
    const type = this.#byte();
    if (type < 0xc4 || type > 0xc6) throw UNREADABLE;
    const length = this.#big(type === 0xc4 ? 1 : type === 0xc5 ? 2 : 4);
    if (length > this.#bytes.length - this.#at) throw UNREADABLE;
    const start = this.#at;
    this.#at += length;
    this.#memory ??= this.#bytes.buffer;
    return new Uint8Array(this.#memory, this.#bytes.byteOffset + start, length);
  }

  /** The type byte of the next value, which is not passed. */
  peek(): number {
    if (this.#at >= this.#bytes.length) throw UNREADABLE;
    return this.#bytes[this.#at] as number;
  }

  /** A number of at most 32 bits, or a floating one. */
  number(): number {
    const type = this.#byte();
    if (type <= 0x7f) return type;
    return type >= 0xe0 ? type - 0x100 : this.#number(type);
  }

  /** The header of a map; its entries follow, each at least two bytes long. */
  map(): number {
    const entries = this.#containerLength(0x80, 0xde);
    this.#claim(2 * entries);
    return entries;
  }

  /** Passes the next value if these are its bytes. */
  is(value: Uint8Array): boolean {
    const bytes = this.#bytes;
    const start = this.#at;
    const { length } = value;
    for (let i = 0; i < length; i++) if (bytes[start + i] !== value[i]) return false;
    this.#at = start + length;
    return true;
  }

  /** A number made of the next value, if that is a text of at most 31 bytes; -1 if it is not. The value is not passed. */
  hash(): number {
    const bytes = this.#bytes;
    const length = (bytes[this.#at] as number) - 0xa0;
    if (length < 0 || length > NAME_BYTES_MAX || length >= bytes.length - this.#at) return -1;
    let hash = length;
    const end = this.#at + length;
    for (let at = this.#at + 1; at <= end; at++) hash = (Math.imul(hash, 31) + (bytes[at] as number)) | 0;
    return (hash ^ (hash >>> 15)) & 0x7fff_ffff;
  }

  /** A copy of the bytes of the next value, which is a text of at most 31 bytes and not passed. */
  copyShortText(): Uint8Array {
    const end = this.#at + 1 + ((this.#bytes[this.#at] as number) & 0x1f);
    return new Uint8Array(this.#bytes.subarray(this.#at, end));
  }

  /** The bytes of one value of any type. */
  raw(): Uint8Array {
    const start = this.#at;
    this.skip();
    return this.#bytes.subarray(start, this.#at);
  }

  /** Passes one value of any type, as long as it is what it claims. */
  skip(): void {
    this.#at = survey(this.#bytes, this.#at, ENVELOPES).end;
    if (this.#at === -1) throw UNREADABLE;
  }

  /** Whether the next value is nil, which is passed. */
  nil(): boolean {
    const isNil = this.#bytes[this.#at] === 0xc0;
    if (isNil) this.#at++;
    return isNil;
  }

  #claim(elements: number): void {
    this.#elementsMax -= elements;
    if (elements > this.#bytes.length - this.#at || this.#elementsMax < 0) throw UNREADABLE;
  }

  #byte(): number {
    if (this.#at >= this.#bytes.length) throw UNREADABLE;
    return this.#bytes[this.#at++] as number;
  }

  /** The length that the header of an array or map tells: in its own byte, or behind the type `wide` or the one after it. */
  #containerLength(fixed: number, wide: number): number {
    const type = this.#byte();
    if ((type & 0xf0) === fixed) return type & 0x0f;
    if (type === wide) return this.#big(2);
    if (type === wide + 1) return this.#big(4);
    throw UNREADABLE;
  }

  #textLength(): number {
    const type = this.#byte();
    if (type >= 0xa0 && type <= 0xbf) return type & 0x1f;
    if (type < 0xd9 || type > 0xdb) throw UNREADABLE;
    return this.#big(type === 0xd9 ? 1 : type === 0xda ? 2 : 4);
  }

  #number(type: number): number {
    switch (type) {
      case 0xcc:
        return this.#big(1);
      case 0xcd:
        return this.#big(2);
      case 0xce:
        return this.#big(4);
      case 0xd0:
        return (this.#big(1) << 24) >> 24;
      case 0xd1:
        return (this.#big(2) << 16) >> 16;
      case 0xd2:
        return this.#big(4) | 0;
      default:
        return this.#longNumber(type);
    }
  }

  #longNumber(type: number): number {
    double.setUint32(0, this.#big(4));
    if (type !== 0xca) double.setUint32(4, this.#big(4));
    switch (type) {
      case 0xca:
        return double.getFloat32(0);
      case 0xcb:
        return double.getFloat64(0);
      case 0xcf:
        return Number(double.getBigUint64(0));
      case 0xd3:
        return Number(double.getBigInt64(0));
      default:
        throw UNREADABLE;
    }
  }

  /** A big-endian number of `size` bytes. */
  #big(size: 1 | 2 | 4): number {
    const end = this.#at + size;
    if (end > this.#bytes.length) throw UNREADABLE;
    let value = 0;
    while (this.#at < end) value = value * 256 + (this.#bytes[this.#at++] as number);
    return value;
  }

  #textOf(length: number): string {
    if (length > this.#bytes.length - this.#at) throw UNREADABLE;
    const start = this.#at;
    this.#at += length;
    if (length <= SHORT_TEXT && this.#isAscii(start, this.#at)) return shortText(this.#bytes, start, length);
    return decodeText(this.#bytes, start, this.#at);
  }

  #isAscii(start: number, end: number): boolean {
    const bytes = this.#bytes;
    for (let i = start; i < end; i++) if ((bytes[i] as number) > 0x7f) return false;
    return true;
  }
}

type Slice = (this: Uint8Array, start: number, end: number) => string;

/** What `toString` of a Buffer calls, where there is such a method: it takes any bytes, and a Buffer costs as much as a text. */
const { utf8Slice } = Buffer.prototype as { readonly utf8Slice?: Slice };

function decodeText(bytes: Uint8Array, start: number, end: number): string {
  if (utf8Slice !== undefined) return utf8Slice.call(bytes, start, end);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8", start, end);
}
