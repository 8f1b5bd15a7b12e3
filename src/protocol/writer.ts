/**
 * Writes the MessagePack types that envelopes are made of. An object encoder would need every message as an array first,
 * and look at the type of each of its values; the layouts know both.
 */
const START_BYTES = 65_536;
/** What a header or number takes at most, bytes. */
const HEADER_BYTES = 9;
const SHORT_TEXT = 31;

export class Writer {
  #bytes = Buffer.allocUnsafeSlow(START_BYTES);
  #at = 0;

  /** What was written since the last call, as bytes of their own. */
  take(): Uint8Array {
    const taken = Buffer.from(this.#bytes.subarray(0, this.#at));
    this.#at = 0;
    return taken;
  }

  /** Forgets what was written since. */
  discard(): void {
    this.#at = 0;
  }

  list(length: number): void {
    this.#reserve(HEADER_BYTES);
    if (length <= 0x0f) this.#bytes[this.#at++] = 0x90 | length;
    else this.#header(0xdc, length, 2);
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

  text(value: string): void {
    this.#reserve(HEADER_BYTES + value.length * 3);
    if (value.length > SHORT_TEXT || !this.#ascii(value)) this.#utf8(value);
  }

  bin(value: Uint8Array): void {
    const { length } = value;
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
    this.#at = this.#bytes.writeDoubleBE(value, this.#at + 1);
  }

  /** A type byte and a big-endian number of `size` bytes. */
  #header(type: number, value: number, size: number): void {
    this.#bytes[this.#at++] = type;
    if (size === 4) this.#bytes[this.#at++] = value >>> 24;
    if (size === 4) this.#bytes[this.#at++] = value >>> 16;
    if (size >= 2) this.#bytes[this.#at++] = value >>> 8;
    this.#bytes[this.#at++] = value;
  }

  /** Writes a short text of one byte for each character; returns false, without a trace, if it has others. */
  #ascii(value: string): boolean {
    const bytes = this.#bytes;
    const { length } = value;
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

  #utf8(value: string): void {
    const length = Buffer.byteLength(value);
    if (length <= SHORT_TEXT) this.#bytes[this.#at++] = 0xa0 | length;
    else if (length <= 0xff) this.#header(0xd9, length, 1);
    else if (length <= 0xffff) this.#header(0xda, length, 2);
    else this.#header(0xdb, length, 4);
    this.#at += this.#bytes.write(value, this.#at, length, "utf8");
  }

  #reserve(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    larger.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = larger;
  }
}
