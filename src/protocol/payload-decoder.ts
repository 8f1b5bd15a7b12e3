/**
 * Bytes to payloads, for what JSON has and for binary: checked and built in one walk, several times faster than a check
 * and a decoder for everything. Whatever else there is, well-formed or not, is left to these.
 *
 * Programs send the same few kinds of objects again and again. So the names of properties are kept, and with the first
 * name of an object those that came after it: who meets them again only compares bytes, and makes an object with all of its
 * properties at once.
 */
import { type Fields, ObjectMaker } from "./object-maker.js";
import { Reader, UNREADABLE } from "./reader.js";
import { DEPTH_MAX } from "./well-formed.js";

/** A name that was met before. */
interface Name {
  readonly text: string;
  /** As it travels, if it is short: then it is compared with what may be the same. */
  readonly bytes: Uint8Array | null;
  /** Of an object whose first property it was. */
  shape: Shape | null;
  /** Objects that began with it since one had that shape. */
  misses: number;
}

interface Shape {
  readonly names: readonly Name[];
  readonly maker: ObjectMaker;
}

/** Of at most 31 bytes each; with their shapes they hold a few megabytes at most. */
const NAMES_KEPT = 1_024;
const SHORT_LIST = 4;
/** Properties of an object that is remembered. */
const SHAPE_MAX = 32;
/** After so many misses in a row, objects that begin with a name are taken to have nothing in common. */
const MISSES_MAX = 8;

const names: (Name | undefined)[] = Array.from({ length: NAMES_KEPT });

const reader = new Reader();

/** @throws UNREADABLE if it is no payload, or one with other types */
export function decodeValue(bytes: Uint8Array): unknown {
  reader.open(bytes);
  try {
    const value = read(1);
    if (!reader.isAtEnd) throw UNREADABLE;
    return value;
  } finally {
    reader.close();
  }
}

function read(depth: number): unknown {
  const type = reader.peek();
  if (type <= 0x7f || type >= 0xe0) return reader.number();
  if (type <= 0x8f) return readMap(depth);
  if (type <= 0x9f) return readList(depth);
  if (type <= 0xbf) return reader.fixText(type & 0x1f);
  return readLong(type, depth);
}

function readLong(type: number, depth: number): unknown {
  switch (type) {
    case 0xc0:
      reader.nil();
      return null;
    case 0xc2:
    case 0xc3:
      return reader.bool();
    case 0xc4:
    case 0xc5:
    case 0xc6:
      // A copy: the message is not the user's.
      return new Uint8Array(reader.bin());
    case 0xd9:
    case 0xda:
    case 0xdb:
      return reader.text(Infinity);
    case 0xdc:
    case 0xdd:
      return readList(depth);
    case 0xde:
    case 0xdf:
      return readMap(depth);
    case 0xcf:
    case 0xd3:
      // They arrive as bigints.
      throw UNREADABLE;
    default:
      return reader.number();
  }
}

function readList(depth: number): unknown[] {
  if (depth > DEPTH_MAX) throw UNREADABLE;
  const length = reader.list();
  if (length <= SHORT_LIST) return readShortList(length, depth + 1);
  const values: unknown[] = [];
  for (let i = 0; i < length; i++) values.push(read(depth + 1));
  return values;
}

/** As long as it is: one that grows begins with room for seventeen. */
function readShortList(length: number, depth: number): unknown[] {
  switch (length) {
    case 0:
      return [];
    case 1:
      return [read(depth)];
    case 2:
      return [read(depth), read(depth)];
    case 3:
      return [read(depth), read(depth), read(depth)];
    default:
      return [read(depth), read(depth), read(depth), read(depth)];
  }
}

function readMap(depth: number): Fields {
  if (depth > DEPTH_MAX) throw UNREADABLE;
  const entries = reader.map();
  if (entries === 0) return {};
  const first = readName();
  const { shape } = first;
  if (shape === null || shape.names.length !== entries) return readNewMap(first, entries, depth);
  return readKnownMap(first, shape, depth);
}

function readKnownMap(first: Name, { names: known, maker }: Shape, depth: number): Fields {
  const { length } = known;
  // oxlint-disable-next-line unicorn/no-new-array -- one that grows begins with room for seventeen
  const values = new Array<unknown>(length);
  for (let i = 0; i < length; i++) {
    const { bytes } = known[i] as Name;
    if (i > 0 && !reader.is(bytes as Uint8Array)) return readOtherMap(known.slice(0, i), values, length, depth);
    values[i] = read(depth + 1);
  }
  first.misses = 0;
  return maker.make(values);
}

function readNewMap(first: Name, entries: number, depth: number): Fields {
  const fields: Fields = {};
  const met = [first];
  fields[first.text] = read(depth + 1);
  return readRest(fields, met, entries, depth);
}

/** It began like one that is known. */
function readOtherMap(met: Name[], values: readonly unknown[], entries: number, depth: number): Fields {
  const fields: Fields = {};
  for (const [i, { text }] of met.entries()) fields[text] = values[i];
  return readRest(fields, met, entries, depth);
}

function readRest(fields: Fields, met: Name[], entries: number, depth: number): Fields {
  while (met.length < entries) {
    const name = readName();
    met.push(name);
    fields[name.text] = read(depth + 1);
  }
  remember(met);
  return fields;
}

/** A shape is replaced at every second miss, so that two kinds of objects that take turns do not displace each other. */
function remember(met: readonly Name[]): void {
  const [first] = met as readonly [Name];
  const isItsTurn = first.shape === null || first.misses % 2 === 1;
  if (first.misses >= MISSES_MAX) first.shape = null;
  else if (isItsTurn) first.shape = isRecurring(met) ? toShape(met) : null;
  first.misses++;
}

function isRecurring(met: readonly Name[]): boolean {
  return met.length <= SHAPE_MAX && met.every(({ bytes }) => bytes !== null);
}

function toShape(met: readonly Name[]): Shape {
  return { names: met, maker: new ObjectMaker(met.map(({ text }) => text)) };
}

function readName(): Name {
  const hash = reader.hash();
  if (hash === -1) return readNewName(false);
  const place = hash % NAMES_KEPT;
  const known = names[place];
  if (known !== undefined && reader.is(known.bytes as Uint8Array)) return known;
  return (names[place] = readNewName(true));
}

function readNewName(isShort: boolean): Name {
  const bytes = isShort ? reader.copyShortText() : null;
  return { text: readNameText(), bytes, shape: null, misses: 0 };
}

function readNameText(): string {
  const text = reader.text(Infinity);
  if (text === "__proto__") throw UNREADABLE;
  return text;
}
