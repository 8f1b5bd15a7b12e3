/** What is shot: bytes, frames that were on the wire and were changed, and messages that are valid and wrong. */
import * as fc from "fast-check";
import type { Epoch } from "../../machines/epoch.js";
import { encodeFrame } from "../../src/protocol/codec.js";
import { LAYOUTS } from "../../src/protocol/layouts.js";
import type { Message } from "../../src/protocol/messages.js";
import { encodePayload } from "../../src/protocol/payload.js";
import { anyFrame, type Direction, type KnownFrame } from "../protocol/arbitraries.js";
import { BLIND, type Knowledge, knowledgeOf, type Sent } from "./knowledge.js";

/** Something that is published at the tree. */
export interface Shot {
  readonly aim: (range: Range) => Aimed;
  /** For fast-check's report; what was fired is in the error's message. */
  readonly toString: () => string;
}

/** What is shot at: its subjects, and what was on the wire. */
export interface Range {
  readonly subjects: readonly string[];
  readonly wire: readonly Sent[];
}

export interface Aimed {
  readonly subject: string;
  readonly bytes: Uint8Array;
}

/** Position in a list of any length: 0 is its end, where the present is. */
const anyPlace = fc.nat(2 ** 20);
const fromEnd = <T>(list: readonly T[], place: number): T | undefined => list[list.length - 1 - (place % list.length)];
const anySubject = fc.nat(6);
const pick = <T>(list: readonly T[], index: number): T => list[index % list.length] as T;

// Bytes

export const anyBytesShot: fc.Arbitrary<Shot> = fc
  .record({ subject: anySubject, bytes: fc.uint8Array({ maxLength: 80 }) })
  .map(({ subject, bytes }) => ({
    aim: ({ subjects }) => ({ subject: pick(subjects, subject), bytes }),
    toString: () => `bytes ${Buffer.from(bytes).toString("hex")} at ${subject}`,
  }));

// Frames of the wire

/** A frame that was on the wire is sent again: by its own sender's subject, or on any. */
function replay(change: fc.Arbitrary<Change>, elsewhere: boolean): fc.Arbitrary<Shot> {
  const to = elsewhere ? fc.option(anySubject, { freq: 1 }) : fc.constant(null);
  return fc.record({ place: anyPlace, other: anyPlace, change, to }).map(({ place, other, change: by, to: at }) => ({
    aim: ({ wire, subjects }) => {
      const source = fromEnd(wire, place) as Sent;
      const bytes = by.apply(source.payload, (fromEnd(wire, other) as Sent).payload);
      return { subject: at === null ? source.subject : pick(subjects, at), bytes };
    },
    toString: () => `the frame ${place} before the last, ${by.name}, at ${at ?? "its subject"}`,
  }));
}

interface Change {
  readonly name: string;
  readonly apply: (bytes: Uint8Array, other: Uint8Array) => Uint8Array;
}

const unchanged: Change = { name: "unchanged", apply: (bytes) => bytes };

const anyFlip = fc.array(anyPlace, { minLength: 1, maxLength: 6 }).map((bits) => ({
  name: `bits ${bits.join()} turned`,
  apply: (bytes: Uint8Array) => {
    const turned = Uint8Array.from(bytes);
    for (const bit of bits) {
      const at = (bit >> 3) % turned.length;
      turned[at] = (turned[at] ?? 0) ^ (1 << (bit & 7));
    }
    return turned;
  },
}));

const anyCut = anyPlace.map((place) => ({
  name: `cut at ${place}`,
  apply: (bytes: Uint8Array) => bytes.slice(0, place % bytes.length),
}));

const anySplice = fc.tuple(anyPlace, anyPlace).map(([here, there]) => ({
  name: `spliced at ${here} with another from ${there}`,
  apply: (bytes: Uint8Array, other: Uint8Array) =>
    Buffer.concat([bytes.slice(0, here % bytes.length), other.slice(there % other.length)]),
}));

const anyInsertion = fc.tuple(anyPlace, fc.uint8Array({ minLength: 1, maxLength: 8 })).map(([place, added]) => ({
  name: `${Buffer.from(added).toString("hex")} put in at ${place}`,
  apply: (bytes: Uint8Array) => {
    const at = place % bytes.length;
    return Buffer.concat([bytes.slice(0, at), added, bytes.slice(at)]);
  },
}));

/** Of any age, in any order, on any subject. */
export const anyReplay = replay(fc.constant(unchanged), true);
export const anyMutation = replay(fc.oneof(anyFlip, anyCut, anySplice, anyInsertion), true);

// Valid messages

/** What decides where a value is one that means something to the receiver. */
const anyDice = fc.array(fc.nat(7), { minLength: 8, maxLength: 40 });

interface Speech {
  readonly frame: KnownFrame;
  readonly dice: readonly number[];
  readonly subject: string;
  readonly path: string;
}

/** Subject, without namespace and tree; the node at the lower end of its link; direction. */
const VOICES: readonly (readonly [subject: string, path: string, direction: Direction])[] = [
  ["up.shop.a", "shop.a", "up"],
  ["down.shop.a", "shop.a", "down"],
  ["all.shop", "shop.a", "down"],
  ["up.shop.a.x", "shop.a.x", "up"],
  ["down.shop.a.x", "shop.a.x", "down"],
  ["all.shop.a", "shop.a.x", "down"],
  ["up.shop.a.ghost", "shop.a.ghost", "up"],
];

const anySpeech: fc.Arbitrary<Speech> = fc.oneof(
  ...VOICES.map(([subject, path, direction]) =>
    fc.record({
      frame: anyFrame(direction, 4),
      dice: anyDice,
      subject: fc.constant(`ft.local.${subject}`),
      path: fc.constant(path),
    }),
  ),
);

/** By one who knows no id. */
export const anyOutsiderShot: fc.Arbitrary<Shot> = anySpeech.map((speech) => ({
  aim: () => ({ subject: speech.subject, bytes: encodeFrame(resolve(speech, BLIND)) }),
  toString: () => `an outsider at ${speech.subject}`,
}));

/** By one who has read everything on the wire. */
export const anyInsiderShot: fc.Arbitrary<Shot> = anySpeech.map((speech) => ({
  aim: ({ wire }) => {
    const { subject, path } = speech;
    return { subject, bytes: encodeFrame(resolve(speech, knowledgeOf(wire, subject, path))) };
  },
  toString: () => `an insider at ${speech.subject}`,
}));

type Die = () => number;

function resolve({ frame, dice, subject }: Speech, known: Knowledge): KnownFrame {
  let thrown = 0;
  const die: Die = () => dice[thrown++ % dice.length] ?? 0;
  const live = subject.includes(".all.") ? known.broadcastSession : known.session;
  const session = pick([live, live, live, "", "", known.formerSession, frame.session, live], die());
  const messages = frame.messages.map((message) => fit(message, known, die));
  return {
    ...frame,
    version: 1,
    session,
    ack: pick([0, 0, 0, 0, known.seq, frame.ack, 1, 0], die()),
    broadcastAck: pick([0, known.broadcastSeq, frame.broadcastAck, 0], die()),
    credit: pick([0, 1_024, frame.credit, 0], die()),
    messages,
  };
}

function fit(message: Message, known: Knowledge, die: Die): Message {
  const seqs = [0, 0, 0, known.seq + 1, known.seq + 2, -known.broadcastSeq - 1, message.seq, 0];
  const fields = LAYOUTS[message.kind].fields.map(([name]) => {
    const value = (message as unknown as Record<string, unknown>)[name];
    // Of epochs an outsider claims low ones as a child: that a child's claims are believed is documented.
    if (known === BLIND && message.kind === "ready.announce" && name.endsWith("poch")) return [name, [die()]] as const;
    // How long it may take to stop is the parent's to say, be it a thousand years: the test waits for seconds.
    if (name === "remainingMs") return [name, (value as number) % REMAINING_MAX_MS] as const;
    const choices = choicesOf(name, known);
    return [name, choices === undefined ? value : pick([...choices, value], die())] as const;
  });
  return { kind: message.kind, seq: pick(seqs, die()), ...Object.fromEntries(fields) } as unknown as Message;
}

const REMAINING_MAX_MS = 2_000;
const above = (epoch: Epoch): Epoch => [(epoch[0] ?? 0) + 5, ...epoch.slice(1)];
const COUNT = encodePayload("shot", "input");

function choicesOf(name: string, known: Knowledge): readonly unknown[] | undefined {
  const { parentBoot, childBoot, parentEpoch, epoch, attempt, session, ids } = known;
  const choices: Readonly<Record<string, readonly unknown[]>> = {
    treeId: ["local", "local", "local"],
    parentBoot: [parentBoot, "another"],
    childBoot: [childBoot, childBoot, "another"],
    boot: [childBoot, parentBoot],
    parentEpoch: [parentEpoch, above(parentEpoch), []],
    epoch: [epoch, above(epoch), []],
    attempt: [attempt, attempt + 1],
    session: [session, "new"],
    broadcastSession: [known.broadcastSession],
    commandId: [ids.at(-1) ?? "", ids.at(-3) ?? "", "shot"],
    requestId: [ids.at(-1) ?? "", ids.at(-3) ?? "", "shot"],
    name: ["count", "idle"],
    target: ["", "x"],
    input: [COUNT],
    deadlineMs: [1_000, 0],
    nextInMs: [0, 500],
    version: [1],
    versionMin: [1],
    versionMax: [1],
    minSyncVersion: [0],
    state: [0, 2, 4],
  };
  return choices[name];
}

// Salvos

export interface Volley {
  readonly shots: readonly Shot[];
  /** Virtual time after the shots, milliseconds. */
  readonly pauseMs: number;
}

export function anySalvo(shot: fc.Arbitrary<Shot>): fc.Arbitrary<readonly Volley[]> {
  const pauseMs = fc.oneof(fc.constant(0), fc.nat(30), fc.nat(1_500));
  return fc.array(fc.record({ shots: fc.array(shot, { minLength: 1, maxLength: 8 }), pauseMs }), {
    minLength: 1,
    maxLength: 10,
  });
}
