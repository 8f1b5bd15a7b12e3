/** What may travel arrives as it was sent; what may not is refused at the call, with its place. */
import { isDeepStrictEqual } from "node:util";
import * as fc from "fast-check";
import { Packr } from "msgpackr";
import { describe, expect, it } from "vitest";
import { UnsupportedPayloadError } from "../../src/errors.js";
import { decodeValue } from "../../src/protocol/payload-decoder.js";
import { decodePayload, encodeKept, encodePayload, UNDEFINED_PAYLOAD } from "../../src/protocol/payload.js";
import { UNREADABLE } from "../../src/protocol/reader.js";
import { isWellFormed } from "../../src/protocol/well-formed.js";
import { plain } from "./arbitraries.js";

function travel(value: unknown): unknown {
  return decodePayload(new Uint8Array(encodePayload(value, "input")), "input");
}

/** Names that objects, decoders or promises treat specially. */
const STRANGE_NAMES = [
  "constructor",
  "toJSON",
  "toString",
  "valueOf",
  "hasOwnProperty",
  "prototype",
  "length",
  "then",
  "size",
  "get",
  "write",
  "",
  "0",
  "-1",
  "4294967295",
  "a.b",
  "ünï",
];

const anyText = fc.oneof(
  fc.string(),
  fc.string({ unit: "binary" }),
  fc.constantFrom("x".repeat(300), "é".repeat(70_000)),
);
const anyName = fc.oneof(fc.string({ unit: "binary", maxLength: 40 }), fc.constantFrom(...STRANGE_NAMES));
const anyNumber = fc.oneof(
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom(0, -0, 2 ** 32, -(2 ** 31), 2 ** 53, 2 ** 63, 1e308, 5e-324),
);
const anyBigint = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n });
const anyDate = fc.oneof(
  fc.date({ noInvalidDate: true }),
  fc.date({ noInvalidDate: true, min: new Date("1900-01-01"), max: new Date("2600-01-01") }),
);

const anyLeaf = fc.oneof(
  fc.constantFrom(null, true, false),
  anyNumber,
  anyText,
  anyBigint,
  anyDate,
  fc.uint8Array({ maxLength: 300 }),
);

const { value: anyValue } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    anyLeaf,
    fc.array(tie("value"), { maxLength: 20 }),
    fc.dictionary(
      anyName.filter((name) => name !== "__proto__"),
      fc.oneof(tie("value"), fc.constant(undefined)),
      { maxKeys: 20 },
    ),
  ),
}));

/** What is promised to arrive. */
function arrival(value: unknown): unknown {
  if (Object.is(value, -0)) return 0;
  if (typeof value !== "object" || value === null || value instanceof Date || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(arrival);
  const present = Object.entries(value).filter(([, each]) => each !== undefined);
  return Object.fromEntries(present.map(([name, each]) => [name, arrival(each)]));
}

describe("an allowed payload", () => {
  it("arrives as it was sent", () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        // Not toStrictEqual: it takes a property named constructor for the class.
        expect(isDeepStrictEqual(travel(value), arrival(value))).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });

  it.each<[string, unknown, unknown]>([
    ["undefined", undefined, undefined],
    ["null", null, null],
    ["-0 as 0", -0, 0],
    ["an integer beyond 32 bits", 2 ** 40, 2 ** 40],
    ["a bigint as bigint, however small", 5n, 5n],
    ["the smallest bigint", -(2n ** 63n), -(2n ** 63n)],
    ["the largest bigint", 2n ** 64n - 1n, 2n ** 64n - 1n],
    ["a Date", new Date(1_763_696_095_123), new Date(1_763_696_095_123)],
    ["a Date before 1970", new Date(-1), new Date(-1)],
    ["the first Date", new Date(-8.64e15), new Date(-8.64e15)],
    ["the last Date", new Date(8.64e15), new Date(8.64e15)],
    ["a Buffer as Uint8Array", Buffer.from([1, 2]), new Uint8Array([1, 2])],
    ["an object without prototype as a plain one", Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
    ["an object without undefined properties", { a: 1, b: undefined, c: { d: undefined } }, { a: 1, c: {} }],
    ["an object of undefined properties only", { a: undefined }, {}],
    ["a name that serializers look for", { toJSON: "x", constructor: "y" }, { toJSON: "x", constructor: "y" }],
    ["the deepest nesting", nested(127), nested(127)],
  ])("may be %s", (_, value, arrived) => {
    expect(travel(value)).toStrictEqual(arrived);
  });

  it("is a copy: bytes that arrive are not views of the message", () => {
    const bytes = new Uint8Array(encodePayload({ a: new Uint8Array([1, 2, 3]), b: [new Uint8Array([4])] }, "input"));
    const value = decodePayload(bytes, "input") as { a: Uint8Array; b: Uint8Array[] };
    bytes.fill(0);
    expect(value).toStrictEqual({ a: new Uint8Array([1, 2, 3]), b: [new Uint8Array([4])] });
  });

  it("takes no bytes for undefined and is untouched by later ones", () => {
    expect(UNDEFINED_PAYLOAD.length).toBe(0);
    const first = encodePayload({ a: "first" }, "input");
    const before = new Uint8Array(first);
    for (let i = 0; i < 2_000; i++) encodePayload({ a: "later".repeat(20) }, "input");
    expect(new Uint8Array(first)).toEqual(before);
  });
});

const packr = new Packr({ useRecords: false, mapsAsObjects: true, useToJSON: false });

describe("msgpackr and we", () => {
  it("understand what the other one sends", () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        const bytes = encodePayload(value, "input");
        expect(isDeepStrictEqual(plain(packr.unpack(bytes)), arrival(value))).toBe(true);
        expect(isDeepStrictEqual(decodePayload(packr.pack(arrival(value)), "input"), arrival(value))).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it("read the same bytes as the same value, whichever form their numbers and lengths have", () => {
    fc.assert(
      fc.property(anyMessagePack(), (bytes) => {
        const value = unlessUnreadable(() => decodeValue(bytes));
        if (value === UNREADABLE) return;
        expect(isWellFormed(bytes, { allowTimestamps: true })).toBe(true);
        expect(isDeepStrictEqual(value, plain(packr.unpack(bytes)))).toBe(true);
      }),
      { numRuns: 3_000 },
    );
  });
});

function unlessUnreadable(decode: () => unknown): unknown {
  try {
    return decode();
  } catch (error) {
    if (error === UNREADABLE) return UNREADABLE;
    throw error;
  }
}

/** Bytes that are a value more often than not: headers of every type with few bytes or values behind them. */
function anyMessagePack(): fc.Arbitrary<Uint8Array> {
  const small = fc.integer({ min: 0, max: 4 });
  const text = fc.constantFrom([0xa1, 0x61], [0xa1, 0x62], [0xd9, 1, 0x61], [0xa2, 0xc3, 0xa9], [0xa2, 0xff, 0x61]);
  const number = fc.oneof(
    fc.integer({ min: 0, max: 0xff }).map((byte) => [byte]),
    fc
      .tuple(fc.integer({ min: 0xca, max: 0xd3 }), fc.uint8Array({ maxLength: 8 }))
      .map(([type, rest]) => [type, ...rest]),
  );
  const { value } = fc.letrec<{ value: readonly number[]; map: readonly number[] }>((tie) => ({
    value: fc.oneof({ depthSize: "small" }, text, number, tie("map")),
    map: fc
      .tuple(
        fc.constantFrom(0x80, 0x90, 0xdc, 0xdd, 0xde, 0xdf),
        small,
        fc.array(fc.oneof(text, tie("value")), { maxLength: 8 }),
      )
      .map(([type, length, inside]) => [...lengthHeader(type, length), ...inside.flat()]),
  }));
  return value.map((bytes) => Uint8Array.from(bytes));
}

function lengthHeader(type: number, length: number): readonly number[] {
  if (type < 0xa0) return [type | length];
  return type === 0xdc || type === 0xde ? [type, 0, length] : [type, 0, 0, 0, length];
}

describe("objects that resemble each other", () => {
  const anyField = fc.constantFrom("a", "b", "c", "d", "0", "é", "constructor", "x".repeat(32));
  const anyObject = fc.dictionary(anyField, fc.oneof(anyNumber, fc.string()), {
    maxKeys: 6,
  });

  it("arrive each as it was sent, with its own properties in their order", () => {
    fc.assert(
      fc.property(fc.array(anyObject, { maxLength: 10 }), (objects) => {
        for (const each of objects) {
          expect(JSON.stringify(travel(each))).toBe(JSON.stringify(each));
          expect(travel(each)).not.toBe(travel(each));
        }
      }),
    );
  });

  it.each([
    ["a name that looks like another one's bytes", { a: 1, é: 2 }, { a: 1, "Ã©": 1 }],
    [
      "a name whose length runs into a value",
      { id: 1, k: Array(30).fill(0) },
      { id: 1, [`kÜ\0\u001e${"\0".repeat(29)}`]: 7 },
    ],
    ["a name whose length looks like none", { id: 1, "": 0 }, { id: 1, [`\0${"x".repeat(31)}`]: 7 }],
  ])("are not taken for each other because of %s", (_, value, other) => {
    for (const each of [value, other, value, other, value]) expect(travel(each)).toStrictEqual(each);
  });

  it("are read as msgpackr reads them, whatever came before", () => {
    const strange = fc.constantFrom(
      "a",
      "k",
      "",
      "é",
      "Ã©",
      "ÿ",
      "\0",
      "x".repeat(31),
      "x".repeat(32),
      `k${"\0".repeat(40)}`,
    );
    const object = fc
      .uniqueArray(strange, { maxLength: 4 })
      .map((keys) => Object.fromEntries(keys.map((key, i) => [key, i])));
    const bytes = fc.oneof(
      object.map((each) => new Uint8Array(packr.pack(each))),
      anyMessagePack(),
    );
    fc.assert(
      fc.property(fc.array(bytes, { maxLength: 12 }), (messages) => {
        for (const message of messages) {
          const value = unlessUnreadable(() => decodeValue(message));
          if (value === UNREADABLE) continue;
          expect(isDeepStrictEqual(value, plain(packr.unpack(message)))).toBe(true);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it("may be of many kinds that begin alike", () => {
    for (let round = 0; round < 30; round++) {
      const values = [
        { type: "a", [`f${round}`]: 1 },
        { type: "b", g: 2 },
        { type: "c" },
        { type: "b", g: 2, h: round },
      ];
      for (const each of values) expect(travel(each)).toStrictEqual(each);
    }
  });

  it("may have more names in all than are kept", () => {
    const names = Array.from({ length: 3_000 }, (_, i) => `name${i % 2_500}`);
    for (const name of names) expect(travel({ [name]: 1, id: 2 })).toStrictEqual({ [name]: 1, id: 2 });
  });

  it("share nothing: a user may change what arrived", () => {
    const first = travel({ a: 1, b: 2 }) as Record<string, unknown>;
    Object.assign(first, { a: "changed", c: 3 });
    delete first["b"];
    expect(travel({ a: 1, b: 2 })).toStrictEqual({ a: 1, b: 2 });
  });

  it("may begin with a name twice on the wire: the last one counts", () => {
    const twice = Uint8Array.from([0x82, 0xa1, 0x61, 1, 0xa1, 0x61, 2]);
    expect(decodePayload(twice, "input")).toStrictEqual({ a: 2 });
    expect(decodePayload(twice, "input")).toStrictEqual({ a: 2 });
    expect(travel({ a: 1, b: 2 })).toStrictEqual({ a: 1, b: 2 });
  });
});

it.each([15, 16, 0xffff, 0x1_0000])("carries %i properties, and as many values", (count) => {
  const fields = Object.fromEntries(Array.from({ length: count }, (_, i) => [`f${i}`, i]));
  expect(isDeepStrictEqual(travel({ before: "x", fields, after: "y" }), { before: "x", fields, after: "y" })).toBe(
    true,
  );
  expect(isDeepStrictEqual(travel([Object.values(fields), 1]), [Object.values(fields), 1])).toBe(true);
});

it.each([0, 28, 29, 31, 32, 63, 64, 255, 256, 1_024, 1_025, 0xffff, 0x1_0000])(
  "carries texts of %i characters of one, two and three bytes",
  (length) => {
    for (const character of ["x", "é", "漢"]) {
      const text = character.repeat(length);
      expect(travel({ [text]: text })).toStrictEqual({ [text]: text });
    }
  },
);

it("that is kept for long shares no memory with those that pass", () => {
  const slabs = new Set(Array.from({ length: 1_000 }, (_, i) => encodePayload({ passing: i }, "input").buffer));
  const kept = Array.from({ length: 1_000 }, (_, i) => encodeKept({ kept: i }, "result"));
  for (const { buffer } of kept) expect(slabs.has(buffer)).toBe(false);
  expect(kept.map((bytes) => decodePayload(bytes, "result"))).toEqual(kept.map((_, i) => ({ kept: i })));
  expect(() => encodeKept(Symbol("s"), "result")).toThrow("result is of type symbol");
  expect(encodeKept("x".repeat(100_000), "result").length).toBe(100_005);
  expect(encodeKept("small", "result").buffer.byteLength).toBeLessThanOrEqual(16_384);
});

it("says of a subclass what it is, and not what it says", () => {
  class Boastful extends Uint8Array {
    override get length(): number {
      return 4_000;
    }
  }
  class Talking extends Date {
    override toJSON(): string {
      return "not a date";
    }
  }
  expect(travel(new Boastful(4))).toStrictEqual(new Uint8Array(4));
  expect(travel(new Talking(5))).toStrictEqual(new Date(5));
});

describe("a getter of a payload", () => {
  it("may send something itself", () => {
    let inner: unknown;
    const value = {
      before: "x".repeat(40),
      get at() {
        inner = travel({ within: "y".repeat(50) });
        return "z";
      },
    };
    expect(travel(value)).toStrictEqual({ before: "x".repeat(40), at: "z" });
    expect(inner).toStrictEqual({ within: "y".repeat(50) });
  });

  it("may throw: the next payload is whole", () => {
    const value = {
      a: 1,
      get b() {
        throw new RangeError("not now");
      },
    };
    expect(() => encodePayload([value], "input")).toThrow(RangeError);
    expect(travel([{ c: 2 }])).toStrictEqual([{ c: 2 }]);
  });
});

/** Arrays within each other, `levels` deep. */
function nested(levels: number, leaf: unknown = 0): unknown {
  let value = leaf;
  for (let i = 0; i < levels; i++) value = [value];
  return value;
}

class Order {
  readonly sku = "A1";
}

const REFUSED: readonly (readonly [name: string, value: unknown, rule: RegExp])[] = [
  ["a Map", new Map(), /instance of Map/],
  ["a Set", new Set(), /instance of Set/],
  ["a function", () => {}, /type function/],
  ["a class", Order, /type function/],
  ["a symbol", Symbol("s"), /type symbol/],
  ["a class instance", new Order(), /instance of Order/],
  ["an Error", new Error("e"), /instance of Error/],
  ["a RegExp", /x/, /instance of RegExp/],
  ["a Promise", Promise.resolve(), /instance of Promise/],
  ["a URL", new URL("http://a"), /instance of URL/],
  ["another typed array", new Float64Array(1), /instance of Float64Array/],
  ["an ArrayBuffer", new ArrayBuffer(1), /instance of ArrayBuffer/],
  ["a boxed number", Object(1), /instance of Number/],
  ["an object made from another", Object.create({ a: 1 }), /instance of Object/],
  ["NaN", Number.NaN, /is NaN/],
  ["Infinity", Infinity, /is Infinity/],
  ["-Infinity", -Infinity, /is -Infinity/],
  ["a lone high surrogate", "a\uD800b", /lone surrogate/],
  ["a lone low surrogate", "\uDC00", /lone surrogate/],
  ["a name with a lone surrogate", { "\uD800": 1 }, /name with a lone surrogate/],
  ["an invalid Date", new Date(Number.NaN), /invalid Date/],
  ["a bigint above 64 bits", 2n ** 64n, /exceeds 64 bits/],
  ["a bigint below 64 bits", -(2n ** 63n) - 1n, /exceeds 64 bits/],
];

function refusal(value: unknown): UnsupportedPayloadError {
  try {
    encodePayload(value, "input");
  } catch (error) {
    if (error instanceof UnsupportedPayloadError) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

describe("a refused payload", () => {
  it.each(REFUSED)("is %s, as a whole", (_, value, rule) => {
    expect(refusal(value)).toMatchObject({ code: "UNSUPPORTED_PAYLOAD", field: "input" });
    expect(refusal(value).message).toMatch(rule);
  });

  it.each(REFUSED)("is %s, anywhere, and is named by its place", (_, value, rule) => {
    expect(refusal({ ok: 1, order: { lines: [{}, { at: value }] } }).field).toBe("input.order.lines[1].at");
    expect(refusal([[], [0, value]]).message).toMatch(rule);
    expect(refusal([[], [0, value]]).field).toBe("input[1][1]");
  });

  it.each<[string, unknown, string]>([
    ["undefined in an array", { list: [1, undefined] }, "input.list[1]"],
    ["a hole in an array", { list: Array(2) }, "input.list[0]"],
    ["__proto__ as a name", JSON.parse('{"a":[{"__proto__":1}]}'), "input.a[0].__proto__"],
    ["the first of several", { a: 1, b: Symbol("b"), c: new Map() }, "input.b"],
  ])("is one with %s", (_, value, field) => {
    expect(refusal(value).field).toBe(field);
  });

  it("is one that refers to itself", () => {
    const cycle: Record<string, unknown> = { name: "a" };
    cycle["self"] = cycle;
    expect(refusal({ cycle }).field).toBe(`input.cycle${".self".repeat(126)}`);
    expect(refusal(cycle).message).toContain("nested deeper than 127 levels or refers to itself");
  });

  it("is one that is nested too deeply", () => {
    expect(refusal(nested(128)).field).toBe(`input${"[0]".repeat(127)}`);
  });

  it("is named by its place wherever that is", () => {
    const anyStep = fc.oneof(fc.nat(5), fc.stringMatching(/^[a-z]{1,5}$/));
    fc.assert(
      fc.property(fc.array(anyStep, { maxLength: 20 }), fc.constantFrom(...REFUSED), (steps, [, value]) => {
        const whole = steps.reduceRight<unknown>(around, value);
        const place = steps.map((step) => (typeof step === "number" ? `[${step}]` : `.${step}`)).join("");
        expect(refusal(whole).field).toBe(`input${place}`);
      }),
    );
  });
});

// Somebody's polyfill: it does not travel, and must not keep what does from travelling.
it("minds no property that every object inherits", () => {
  const everyone: object = Object.getPrototypeOf({});
  Object.assign(everyone, { polyfill: () => {} });
  try {
    expect(JSON.stringify(decodePayload(encodePayload({ a: [{ b: 1 }] }, "input"), "input"))).toBe('{"a":[{"b":1}]}');
  } finally {
    Reflect.deleteProperty(everyone, "polyfill");
  }
});

/** Puts a value at a step into a structure of otherwise allowed ones. */
function around(value: unknown, step: number | string): unknown {
  if (typeof step === "string") return { before: [new Uint8Array(1)], [step]: value };
  return [...Array.from({ length: step }, () => ({ ok: 1n })), value];
}

describe("decodePayload", () => {
  it.each([
    ["the reserved byte", [0xc1]],
    ["a truncated text", [0xa5, 0x61]],
    ["two values", [1, 2]],
    ["another extension", [0xd4, 1, 0]],
    ["msgpackr's records", [0xd4, 0x72, 0x40, 0x90]],
    ["a key that is a list", [0x81, 0x91, 0x80, 0xc0]],
  ])("refuses %s", (_, bytes) => {
    expect(() => decodePayload(Uint8Array.from(bytes), "output")).toThrow(UnsupportedPayloadError);
    expect(() => decodePayload(Uint8Array.from(bytes), "output")).toThrow(
      "output is not a well-formed MessagePack payload",
    );
  });
});
