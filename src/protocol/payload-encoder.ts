/**
 * Payloads to bytes: each value is checked where it is written, in one walk.
 *
 * msgpackr needs a walk of its own for what it would send as something else, and would still be slower. Of the values that
 * JSON does not have, it encodes the dates and the bigints.
 */
import { packr } from "./msgpack.js";
import { packedName } from "./packed-name.js";
import { DEPTH_MAX } from "./well-formed.js";
import { Writer } from "./writer.js";

/** Levels of a payload; one less than the check on arrival allows. */
const PAYLOAD_DEPTH_MAX = DEPTH_MAX - 1;

const INT64_MIN = -(2n ** 63n);
const UINT64_MAX = 2n ** 64n - 1n;

/** What keeps a value from travelling. */
export interface Fault {
  /** Where in the value: ".a[1]"; empty for the value itself. */
  readonly place: string;
  readonly rule: string;
}

/** Its payloads share slabs: it is for such as live about equally long. */
export class PayloadEncoder {
  readonly #writer = new Writer();
  #isWriting = false;

  /** The bytes of a value, or the first fault in it. */
  encode(value: unknown): Uint8Array | Fault {
    // A getter of the value may send something itself.
    if (this.#isWriting) return new PayloadEncoder().encode(value);
    this.#isWriting = true;
    try {
      return write(this.#writer, value, 0) ?? this.#writer.take();
    } finally {
      this.#writer.discard();
      this.#isWriting = false;
    }
  }
}

function fault(rule: string): Fault {
  return { place: "", rule };
}

/** Returns the first fault; its place is put together on the way back, because nearly all values have none. */
function write(writer: Writer, value: unknown, depth: number): Fault | null {
  switch (typeof value) {
    case "string":
      return writeText(writer, value);
    case "number":
      if (!Number.isFinite(value)) return fault(`is ${value}, which is no JSON number`);
      writer.number(value);
      return null;
    case "boolean":
      writer.bool(value);
      return null;
    case "object":
      return writeObject(writer, value, depth);
    case "bigint":
      if (value < INT64_MIN || value > UINT64_MAX) return fault("exceeds 64 bits");
      writer.raw(packr.pack(value));
      return null;
    default:
      return fault(`is of type ${typeof value}, which cannot travel`);
  }
}

function writeText(writer: Writer, value: string): Fault | null {
  if (writer.ascii(value)) return null;
  const isAscii = writer.utf8(value) === value.length;
  return isAscii || value.isWellFormed() ? null : fault("is a string with a lone surrogate");
}

function writeObject(writer: Writer, value: object | null, depth: number): Fault | null {
  if (value === null) {
    writer.nil();
    return null;
  }
  const isList = Array.isArray(value);
  const prototype: unknown = isList ? null : Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return writeInstance(writer, value);
  if (depth >= PAYLOAD_DEPTH_MAX) return fault(`is nested deeper than ${PAYLOAD_DEPTH_MAX} levels or refers to itself`);
  return isList ? writeList(writer, value, depth) : writeMap(writer, value as Record<string, unknown>, depth);
}

function writeInstance(writer: Writer, value: object): Fault | null {
  if (value instanceof Uint8Array) {
    writer.bin(value);
    return null;
  }
  if (value instanceof Date && !Number.isNaN(value.getTime())) {
    writer.raw(packr.pack(value));
    return null;
  }
  if (value instanceof Date) return fault("is an invalid Date");
  const { constructor } = Object.getPrototypeOf(value) as { constructor?: { name?: string } };
  return fault(`is an instance of ${constructor?.name ?? "a class"}; send a plain object instead`);
}

function writeList(writer: Writer, values: readonly unknown[], depth: number): Fault | null {
  const { length } = values;
  writer.list(length);
  for (let i = 0; i < length; i++) {
    const found = write(writer, values[i], depth + 1);
    if (found !== null) return { ...found, place: `[${i}]${found.place}` };
  }
  return null;
}

function writeMap(writer: Writer, record: Record<string, unknown>, depth: number): Fault | null {
  const opened = writer.openMap();
  let entries = 0;
  // Inherited ones come too, though they do not travel: this is several times faster than a list of the own ones, and V8
  // knows here what this old form of the question comes to; of `Object.hasOwn` it does not.
  for (const key in record) {
    if (!Object.prototype.hasOwnProperty.call(record, key)) continue;
    const value = record[key];
    const found = writeEntry(writer, key, value, depth);
    if (found !== null) return found;
    if (value !== undefined) entries++;
  }
  writer.closeMap(opened, entries);
  return null;
}

/** What is undefined is left out, as JSON does it. */
function writeEntry(writer: Writer, key: string, value: unknown, depth: number): Fault | null {
  if (key === "__proto__") return { place: `.${key}`, rule: "is a reserved property name" };
  if (value === undefined) return null;
  if (!writeName(writer, key)) return fault("has a property name with a lone surrogate");
  const found = write(writer, value, depth + 1);
  return found === null ? null : { ...found, place: `.${key}${found.place}` };
}

function writeName(writer: Writer, name: string): boolean {
  const packed = packedName(name);
  if (packed === null) return writeText(writer, name) === null;
  writer.name(packed);
  return true;
}
