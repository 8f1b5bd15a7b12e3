/**
 * Writes the MessagePack types that envelopes and payloads are made of. An object encoder would need every message as an
 * array first, and look at the type of each of its values; the layouts know both.
 *
 * What is taken is a view of a slab that is never written to again, as Node's own pool does it: whoever keeps a little for
 * long keeps a slab, and copies it instead.
 */
import { type PackedName, PADDING_BYTES } from "./packed-name.js";

const SLAB_BYTES = 16_384;
const NOTHING = Buffer.alloc(0);
/** All that is a byte long, as null, true, and small numbers are: an array costs more than a hundred. */
const ONE_BYTE = Array.from({ length: 0x100 }, (_, byte) => Uint8Array.of(byte));
/** What a header or number takes at most, bytes. */
const HEADER_BYTES = 9;
const SHORT_TEXT = 31;
/** Characters up to which a text of ASCII is copied one by one: a call into the runtime costs as much as these. */
const COPIED_TEXT = 28;
/** Characters up to which room for their longest form is made, so that the runtime need not be asked for their length. */
const ROOMY_TEXT = 1_024;
/** A character takes so many bytes at most; two, where it takes four. */
export const TEXT_BYTES_MAX = 3;
const SHORT_MAP = 0x0f;

export class Writer {
  readonly #slabBytes: number;
  #bytes: Buffer = NOTHING;
  /** The same bytes, for what is written in words. */
  #view: DataView = new DataView(NOTHING.buffer);
  /** What the bytes lie in; asking them for it is a call into the runtime. */
  #memory: ArrayBufferLike = NOTHING.buffer;
  /** Where that begins which was not taken yet. */
  #start = 0;
  #at = 0;

  constructor(slabBytes = SLAB_BYTES) {
    this.#slabBytes = slabBytes;
  }

  /** What was written since the last call. */
  take(): Uint8Array {
    if (this.#at === this.#start + 1) return this.#takeByte();
    const taken = new Uint8Array(this.#memory, this.#start, this.#at - this.#start);
    this.#start = this.#at;
    // The next one, which may be small and kept for long, is not to hold what a large one needed.
    if (this.#bytes.length > this.#slabBytes) this.#release();
    return taken;
  }

  #takeByte(): Uint8Array {
    this.#at = this.#start;
    return ONE_BYTE[this.#bytes[this.#start] as number] as Uint8Array;
  }

  /** Forgets what was written since. */
  discard(): void {
    this.#at = this.#start;
  }

  #release(): void {
    this.#use(NOTHING);
    this.#start = this.#at = 0;
  }

  list(length: number): void {
    this.#reserve(HEADER_BYTES);
    if (length <= 0x0f) this.#bytes[this.#at++] = 0x90 | length;
    else if (length <= 0xffff) this.#header(0xdc, length, 2);
    else this.#header(0xdd, length, 4);
  }

  nil(): void {
    this.#reserve(1);
    this.#bytes[this.#at++] = 0xc0;
  }

  bool(value: boolean): void {
    this.#reserve(1);
    this.#bytes[this.#at++] = value ? 0xc3 : 0xc2;
  }

  /** A safe integer. Beyond 32 bits it travels as a double, which every decoder reads as a plain number. */
  int(value: number): void {
    this.#reserve(HEADER_BYTES);
    if (value >= 0 && value <= 0xffff_ffff) this.#uint(value);
    else if (value < 0 && value >= -0x8000_0000) this.#negative(value);
    else this.#double(value);
  }

  /** Any finite number: what `int` does, and a double for whatever has a fraction. */
  number(value: number): void {
    if (Number.isInteger(value)) return this.int(value);
    this.#reserve(HEADER_BYTES);
    this.#double(value);
  }

  text(value: string): void {
    if (!this.ascii(value)) this.utf8(value);
  }

  name(name: PackedName): void {
    this.#reserve(name.length + PADDING_BYTES);
    name.writeTo(this.#view, this.#at);
    this.#at += name.length;
  }

  /** Begins a map whose entries are written next; `closeMap` needs what it returns. */
  openMap(): number {
    this.#reserve(HEADER_BYTES);
    return this.#at++ - this.#start;
  }

  closeMap(opened: number, entries: number): void {
    if (entries <= SHORT_MAP) this.#bytes[this.#start + opened] = 0x80 | entries;
    else this.#closeLongMap(opened, entries);
  }

  bin(value: Uint8Array): void {
    const length = lengthOf(value);
    this.#reserve(HEADER_BYTES + length);
    if (length <= 0xff) this.#header(0xc4, length, 1);
    else if (length <= 0xffff) this.#header(0xc5, length, 2);
    else this.#header(0xc6, length, 4);
    this.#bytes.set(value, this.#at);
    this.#at += length;
  }

  /** One value that is encoded already. */
  raw(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
  }

  #uint(value: number): void {
    if (value <= 0x7f) this.#bytes[this.#at++] = value;
    else if (value <= 0xff) this.#header(0xcc, value, 1);
    else if (value <= 0xffff) this.#header(0xcd, value, 2);
    else this.#header(0xce, value, 4);
  }

  #negative(value: number): void {
    if (value >= -0x20) this.#bytes[this.#at++] = value & 0xff;
    else if (value >= -0x80) this.#header(0xd0, value & 0xff, 1);
    else if (value >= -0x8000) this.#header(0xd1, value & 0xffff, 2);
    else this.#header(0xd2, value >>> 0, 4);
  }

  #double(value: number): void {
    this.#bytes[this.#at] = 0xcb;
    this.#view.setFloat64(this.#at + 1, value);
    this.#at += HEADER_BYTES;
  }

  /** A type byte and a big-endian number of `size` bytes. */
  #header(type: number, value: number, size: number): void {
    this.#bytes[this.#at++] = type;
    if (size === 4) this.#bytes[this.#at++] = value >>> 24;
    if (size === 4) this.#bytes[this.#at++] = value >>> 16;
    if (size >= 2) this.#bytes[this.#at++] = value >>> 8;
    this.#bytes[this.#at++] = value;
  }

  /** Writes a short text of one byte for each character; returns false, without a trace, if it is another one. */
  ascii(value: string): boolean {
    const { length } = value;
    if (length > COPIED_TEXT) return false;
    this.#reserve(HEADER_BYTES + length);
    const bytes = this.#bytes;
    let at = this.#at + 1;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code > 0x7f) return false;
      bytes[at++] = code;
    }
    bytes[this.#at] = 0xa0 | length;
    this.#at = at;
    return true;
  }

  /** Writes any text, and returns how many bytes it takes: as many as it has characters if all of these are ASCII. */
  utf8(value: string): number {
    const { length } = value;
    return length <= ROOMY_TEXT && this.#asciiAtOnce(value, length) ? length : this.#measured(value);
  }

  /** Writes a text where a byte for each character is expected; returns false, without a trace, if it takes more. */
  #asciiAtOnce(value: string, length: number): boolean {
    this.#reserve(HEADER_BYTES + length * TEXT_BYTES_MAX);
    const start = this.#at;
    this.#textHeader(length);
    const isAscii = this.#bytes.write(value, this.#at) === length;
    this.#at = isAscii ? this.#at + length : start;
    return isAscii;
  }

  #measured(value: string): number {
    const length = Buffer.byteLength(value);
    this.#reserve(HEADER_BYTES + length);
    this.#textHeader(length);
    this.#at += this.#bytes.write(value, this.#at, length, "utf8");
    return length;
  }

  #textHeader(length: number): void {
    if (length <= SHORT_TEXT) this.#bytes[this.#at++] = 0xa0 | length;
    else if (length <= 0xff) this.#header(0xd9, length, 1);
    else if (length <= 0xffff) this.#header(0xda, length, 2);
    else this.#header(0xdb, length, 4);
  }

  /** There was room for a short header only. */
  #closeLongMap(opened: number, entries: number): void {
    const size = entries <= 0xffff ? 2 : 4;
    this.#reserve(size);
    const end = this.#at + size;
    const at = this.#start + opened;
    this.#bytes.copyWithin(at + size, at, this.#at);
    this.#at = at;
    this.#header(size === 2 ? 0xde : 0xdf, entries, size);
    this.#at = end;
  }

  /** Makes room for so many bytes more: if need be on a new slab, with what was not taken yet. */
  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return;
    const written = this.#at - this.#start;
    const slab = Buffer.allocUnsafeSlow(Math.max(this.#slabBytes, 2 * (written + bytes)));
    slab.set(this.#bytes.subarray(this.#start, this.#at));
    this.#use(slab);
    this.#start = 0;
    this.#at = written;
  }

  #use(slab: Buffer): void {
    this.#bytes = slab;
    this.#memory = slab.buffer;
    this.#view = new DataView(slab.buffer, slab.byteOffset);
  }
}

const ownLength = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), "length");

/** How many bytes there are, whatever a subclass says: more would be somebody else's. */
function lengthOf(bytes: Uint8Array): number {
  return ownLength?.get?.call(bytes) as number;
}
