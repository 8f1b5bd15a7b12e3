/**
 * Messages to bytes and back, beside JSON. Ours is what the runtime does: payload, frame, and on arrival all of the
 * validation. JSON is the same message as an object, as JSON is sent, with nothing checked on arrival. Two floors: JSON
 * without the names of fields and with no message made of what arrived, and the payload alone through msgpackr, neither
 * checked nor put into a message: no more can be reached with it.
 */
import { Packr } from "msgpackr";
import { decodeFrame, encodeFrame } from "../src/protocol/codec.js";
import { LAYOUTS } from "../src/protocol/layouts.js";
import type { Message } from "../src/protocol/messages.js";
import { decodePayload, encodePayload } from "../src/protocol/payload.js";
import type { Bench, BenchOptions, Goal, Measure, Reading, Subject } from "./bench.js";
import { forkProgram } from "./child-process.js";
import { type Sample, SAMPLES } from "./codec-samples.js";

const OURS = "fractal-tree";
const BASELINE = "JSON";
const ARRAYS = "JSON of arrays";
const UNCHECKED = "msgpackr, payload alone";
const VARIANTS = [OURS, BASELINE, ARRAYS, UNCHECKED] as const;

/** What a message carries decides what its codec can reach. */
const WITHOUT = "without a payload";
const WITH = "with a payload";
const CLASSES: readonly (readonly [name: string, has: (sample: Sample) => boolean])[] = [
  [WITHOUT, ({ payloadField }) => payloadField === null],
  [WITH, ({ payloadField }) => payloadField !== null],
];

/** Messages a frame. */
const BATCHES = [1, 64] as const;
/** Messages of one attempt with one kind. */
const MESSAGES = 2_560;
/** The best of so many counts: what disturbs an attempt makes it slower, never faster. */
const ATTEMPTS = 16;
/** Those that every command consists of. */
const HOT = ["command.run", "complete.command"];

const HEADER = { version: 1, session: "q3JkT0aZ", ack: 1_021, broadcastAck: 12, credit: 4_096 };

/** Encodes always the same frame. */
interface Coder {
  readonly encode: () => Uint8Array;
  readonly decode: (bytes: Uint8Array) => unknown;
}

export interface Figures {
  readonly variant: string;
  /** "command.run, alone" */
  readonly of: string;
  /** To encode and decode one message. */
  readonly nanoseconds: number;
  /** Of one message on the wire, with its part of the frame. */
  readonly bytes: number;
}

type Measured = ReadonlyMap<string, Cost>;
type Cost = Pick<Figures, "nanoseconds" | "bytes">;

export const codec: Bench = {
  name: "codec",
  question: "What does it cost to encode and decode a message, and how long is it, beside JSON?",
  runs: 11,
  warmUps: 1,
  baseline: BASELINE,
  goals: goals(),
  chart: HOT.flatMap((kind) => BATCHES.map((batch) => timeOf(kind, batch))),
  notes: [
    "Encoding and decoding of one message, with its payload and its part of the frame.",
    "Ours validates everything that arrives; JSON checks nothing. JSON of arrays is a floor: no names of fields, and no message made of what arrived. So is msgpackr for the payload alone, unchecked: what is left of it is the message around the payload and the checks.",
  ],
  stage,
};

function goals(): Bench["goals"] {
  const faster: Goal = { of: "value", is: ">=", limit: 1.7 };
  const shorter: Goal = { of: "value", is: "<=", limit: 0.99 };
  const fasterToo: Goal = { of: "ratio", is: "<=", limit: 0.588 };
  const beside = (goal: Goal, row: string): [string, Goal] => [
    `${OURS}, ${row}`,
    { ...goal, floor: `${UNCHECKED}, ${row}` },
  ];
  return Object.fromEntries(
    BATCHES.flatMap((batch): [string, Goal][] => [
      [`${OURS}, ${leastGain(batch, WITHOUT)}`, faster],
      beside(faster, leastGain(batch, WITH)),
      [`${OURS}, ${mostBytes(batch)}`, shorter],
      ...HOT.map((kind) => beside(fasterToo, timeOf(kind, batch))),
    ]),
  );
}

function frameOf(batch: number): string {
  return batch === 1 ? "alone" : `${batch} a frame`;
}

function timeOf(kind: string, batch: number): string {
  return `${kind}, ${frameOf(batch)}`;
}

function leastGain(batch: number, name: string): string {
  return `${frameOf(batch)}, JSON's time ÷ its own: least of the kinds ${name}`;
}

function meanGain(batch: number, name: string): string {
  return `${frameOf(batch)}, JSON's time ÷ its own: geometric mean of the kinds ${name}`;
}

function mostBytes(batch: number): string {
  return `${frameOf(batch)}, our bytes ÷ JSON's: most of all kinds`;
}

/** All are measured at once, so that they take turns kind by kind; the first subject of a run does it. */
async function stage({ operations }: BenchOptions, measure: Measure): Promise<void> {
  await using program = forkProgram(new URL("codec-process.ts", import.meta.url), {});
  await program.message();
  let measured: ReadonlyMap<string, Measured> = new Map();
  const readingsOf = (variant: string) => toReadings(measured.get(variant) ?? new Map());
  const first: Subject = {
    variant: OURS,
    measure: async () => {
      const figures = (await program.ask({ messages: operations ?? MESSAGES })) as readonly Figures[];
      measured = byVariant(figures);
      return [...readingsOf(OURS), ...comparison(measured)];
    },
  };
  const others = VARIANTS.slice(1).map((variant) => ({
    variant,
    measure: async () => [...readingsOf(variant), ...(variant === UNCHECKED ? floors(measured) : [])],
  }));
  await measure([first, ...others]);
}

function byVariant(figures: readonly Figures[]): ReadonlyMap<string, Measured> {
  const measured = new Map<string, Map<string, Cost>>(VARIANTS.map((variant) => [variant, new Map()]));
  for (const each of figures) measured.get(each.variant)?.set(each.of, each);
  return measured;
}

/** For the process that measures. */
export function measureAll(messages: number): readonly Figures[] {
  return SAMPLES.flatMap((sample) =>
    BATCHES.flatMap((batch) => {
      const costs = inTurn(codersOf(sample, batch), Math.ceil(messages / batch), batch);
      return Array.from(costs, ([variant, cost]) => ({ variant, of: timeOf(sample.kind, batch), ...cost }));
    }),
  );
}

function codersOf(sample: Sample, batch: number): ReadonlyMap<string, Coder> {
  const coders = new Map([
    [OURS, ourCoder(sample, batch)],
    [BASELINE, objectCoder(sample, batch)],
    [ARRAYS, arrayCoder(sample, batch)],
  ]);
  if (sample.payloadField !== null) coders.set(UNCHECKED, payloadCoder(sample, sample.payloadField, batch));
  return coders;
}

function ourCoder({ direction, payloadField: field, messages: make }: Sample, batch: number): Coder {
  const messages = make(batch);
  const payloads = field === null ? [] : messages.map((message) => message[field]);
  const frame = { ...HEADER, messages: messages as readonly unknown[] as readonly Message[] };
  return {
    encode: () => {
      if (field !== null) messages.forEach((each, i) => (each[field] = encodePayload(payloads[i], "input")));
      return encodeFrame(frame);
    },
    decode: (bytes) => {
      const decoded = decodeFrame(bytes, direction);
      if (decoded.kind !== "frame") throw new Error(decoded.reason);
      if (field === null) return decoded.frame;
      const arrived = decoded.frame.messages as readonly unknown[] as readonly Fields[];
      return arrived.map((each) => decodePayload(each[field] as Uint8Array, "input"));
    },
  };
}

type Fields = Readonly<Record<string, unknown>>;

function arrayCoder({ kind, messages: make }: Sample, batch: number): Coder {
  const messages = make(batch);
  const { type, number, fields } = LAYOUTS[kind];
  const toArray = (message: Fields): readonly unknown[] => {
    const array = [type, number, message["seq"]];
    for (const [name] of fields) array.push(message[name]);
    return array;
  };
  const { version, session, ack, broadcastAck, credit } = HEADER;
  return jsonCoder(() => [version, session, ack, broadcastAck, credit, messages.map(toArray)]);
}

function objectCoder({ messages: make }: Sample, batch: number): Coder {
  const frame = { ...HEADER, messages: make(batch) };
  return jsonCoder(() => frame);
}

const packr = new Packr({ useRecords: false });

function payloadCoder({ messages: make }: Sample, field: string, batch: number): Coder {
  const payloads = make(batch).map((message) => message[field]);
  return {
    encode: () => packr.pack(payloads),
    decode: (bytes) => packr.unpack(bytes) as unknown,
  };
}

function jsonCoder(frame: () => unknown): Coder {
  return {
    encode: () => Buffer.from(JSON.stringify(frame())),
    decode: (bytes) => JSON.parse((bytes as Buffer).toString()),
  };
}

function inTurn(coders: ReadonlyMap<string, Coder>, frames: number, batch: number): Measured {
  const best = new Map<string, number>();
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    for (const [variant, coder] of coders) {
      best.set(variant, Math.min(best.get(variant) ?? Infinity, nanosecondsOf(coder, frames)));
    }
  }
  const perMessage = [...coders].map(([variant, coder]): [string, Cost] => {
    const nanoseconds = (best.get(variant) ?? Number.NaN) / frames / batch;
    return [variant, { nanoseconds, bytes: coder.encode().length / batch }];
  });
  return new Map(perMessage);
}

function nanosecondsOf({ encode, decode }: Coder, frames: number): number {
  const startedAtMs = performance.now();
  for (let i = 0; i < frames; i++) decode(encode());
  return (performance.now() - startedAtMs) * 1e6;
}

function toReadings(measured: Measured): readonly Reading[] {
  return [...measured].flatMap(([name, { nanoseconds, bytes }]) => [
    { case: name, unit: "ns", value: nanoseconds },
    { case: `${name}, size`, unit: "B", value: bytes },
  ]);
}

function comparison(measured: ReadonlyMap<string, Measured>): readonly Reading[] {
  return BATCHES.flatMap((batch) => [
    ...CLASSES.flatMap(([name, has]) => gainsOf(OURS, measured, batch, name, SAMPLES.filter(has))),
    { case: mostBytes(batch), unit: "×", value: 1 / Math.min(...gainsIn("bytes", OURS, measured, batch, SAMPLES)) },
  ]);
}

/** What a goal for all kinds with a payload cannot exceed. */
function floors(measured: ReadonlyMap<string, Measured>): readonly Reading[] {
  const samples = SAMPLES.filter(({ payloadField }) => payloadField !== null);
  return BATCHES.flatMap((batch) => gainsOf(UNCHECKED, measured, batch, WITH, samples));
}

/** How many times faster than JSON a variant is with the kinds of one class. */
function gainsOf(
  variant: string,
  measured: ReadonlyMap<string, Measured>,
  batch: number,
  name: string,
  samples: readonly Sample[],
): readonly Reading[] {
  const gains = gainsIn("nanoseconds", variant, measured, batch, samples);
  const mean = Math.exp(gains.reduce((sum, gain) => sum + Math.log(gain), 0) / gains.length);
  return [
    { case: leastGain(batch, name), unit: "×", value: Math.min(...gains) },
    { case: meanGain(batch, name), unit: "×", value: mean },
  ];
}

function gainsIn(
  of: keyof Cost,
  variant: string,
  measured: ReadonlyMap<string, Measured>,
  batch: number,
  samples: readonly Sample[],
): readonly number[] {
  return samples.map(({ kind }) => {
    const [own, json] = [variant, BASELINE].map((each) => measured.get(each)?.get(timeOf(kind, batch))?.[of]);
    return (json ?? Number.NaN) / (own ?? Number.NaN);
  });
}
