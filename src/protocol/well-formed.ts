/**
 * A structural check of MessagePack bytes before they are decoded.
 *
 * A decoder allocates what a length prefix claims: a few kilobytes of nested headers could ask for gigabytes. This walk
 * allocates nothing but a stack of at most `DEPTH_MAX` counters, and lets through only what this protocol uses.
 */
export const DEPTH_MAX = 128;

export interface WellFormedOptions {
  /** Timestamps are the only extension of payloads; envelopes have none. */
  readonly allowTimestamps: boolean;
}

/** What the walk found. */
export interface Survey {
  /** Where the value ends, or -1 when it is not allowed or its claimed lengths do not fit. */
  end: number;
  /** It holds binary somewhere. */
  hasBinary: boolean;
}

interface Cursor extends Survey {
  /** Bytes that follow the header and are no values of their own. */
  skip: number;
  /** Values inside this one. */
  children: number;
}

/** Whether `bytes` are exactly one value whose claimed lengths fit. */
export function isWellFormed(bytes: Uint8Array, options: WellFormedOptions): boolean {
  return survey(bytes, 0, options).end === bytes.length;
}

/** Walks over the value that begins at `start`. */
export function survey(bytes: Uint8Array, start: number, options: WellFormedOptions): Survey {
  const open: number[] = [];
  const cursor: Cursor = { skip: 0, children: 0, end: -1, hasBinary: false };
  let at = start;
  while (at < bytes.length) {
    const headerBytes = readHeader(bytes, at, cursor, options);
    at += headerBytes + cursor.skip;
    if (headerBytes === 0 || at > bytes.length || cursor.children > bytes.length - at) return cursor;
    if (cursor.children > 0) {
      if (open.push(cursor.children) > DEPTH_MAX) return cursor;
    } else if (closeValue(open)) {
      cursor.end = at;
      return cursor;
    }
  }
  return cursor;
}

/** One value ended; returns whether it was the outermost. */
function closeValue(open: number[]): boolean {
  while (open.length > 0) {
    const left = (open[open.length - 1] as number) - 1;
    open[open.length - 1] = left;
    if (left > 0) return false;
    open.pop();
  }
  return true;
}

/** Reads the header at `at` into `cursor` and returns its length, or 0 when the value is not allowed. */
function readHeader(bytes: Uint8Array, at: number, cursor: Cursor, options: WellFormedOptions): number {
  const byte = bytes[at] as number;
  cursor.skip = 0;
  cursor.children = 0;
  if (byte <= 0x7f || byte >= 0xe0) return 1;
  if (byte <= 0x8f) return contain(cursor, (byte & 0x0f) * 2, 1);
  if (byte <= 0x9f) return contain(cursor, byte & 0x0f, 1);
  if (byte <= 0xbf) return skip(cursor, byte & 0x1f, 1);
  return readLongHeader(bytes, at, byte, cursor, options);
}

/** Bytes of the value after the header for types of fixed size, by type byte. */
const FIXED_SIZES: Readonly<Record<number, number>> = {
  0xc0: 0,
  0xc2: 0,
  0xc3: 0,
  0xca: 4,
  0xcb: 8,
  0xcc: 1,
  0xcd: 2,
  0xce: 4,
  0xcf: 8,
  0xd0: 1,
  0xd1: 2,
  0xd2: 4,
  0xd3: 8,
};

const TIMESTAMP = 0xff;

function readLongHeader(
  bytes: Uint8Array,
  at: number,
  byte: number,
  cursor: Cursor,
  options: WellFormedOptions,
): number {
  const size = FIXED_SIZES[byte];
  if (size !== undefined) return skip(cursor, size, 1);
  switch (byte) {
    case 0xc4:
    case 0xc5:
    case 0xc6:
      cursor.hasBinary = true;
      return readSized(bytes, at, byte - 0xc4, cursor);
    case 0xd9:
    case 0xda:
    case 0xdb:
      return readSized(bytes, at, byte - 0xd9, cursor);
    case 0xdc:
      return contain(cursor, readUint(bytes, at, 2), 3);
    case 0xdd:
      return contain(cursor, readUint(bytes, at, 4), 5);
    case 0xde:
      return contain(cursor, readUint(bytes, at, 2) * 2, 3);
    case 0xdf:
      return contain(cursor, readUint(bytes, at, 4) * 2, 5);
    default:
      return options.allowTimestamps ? readTimestamp(bytes, at, byte, cursor) : 0;
  }
}

/** Text or binary with a length of 1, 2 or 4 bytes. */
function readSized(bytes: Uint8Array, at: number, sizeLog2: number, cursor: Cursor): number {
  const size = 1 << sizeLog2;
  return skip(cursor, readUint(bytes, at, size), 1 + size);
}

/** Timestamps are fixext 4, fixext 8 or ext 8 of 12 bytes, type -1. */
function readTimestamp(bytes: Uint8Array, at: number, byte: number, cursor: Cursor): number {
  if (byte === 0xd6 && bytes[at + 1] === TIMESTAMP) return skip(cursor, 4, 2);
  if (byte === 0xd7 && bytes[at + 1] === TIMESTAMP) return skip(cursor, 8, 2);
  if (byte === 0xc7 && bytes[at + 1] === 12 && bytes[at + 2] === TIMESTAMP) return skip(cursor, 12, 3);
  return 0;
}

function skip(cursor: Cursor, bytes: number, headerBytes: number): number {
  cursor.skip = bytes;
  return headerBytes;
}

function contain(cursor: Cursor, children: number, headerBytes: number): number {
  cursor.children = children;
  return headerBytes;
}

/** Big-endian length of `size` bytes after the type byte; past the end it reads as larger than any message. */
function readUint(bytes: Uint8Array, at: number, size: number): number {
  if (at + size >= bytes.length) return Number.MAX_SAFE_INTEGER / 4;
  let value = 0;
  for (let i = 1; i <= size; i++) value = value * 256 + (bytes[at + i] as number);
  return value;
}
