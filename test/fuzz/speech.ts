/** Frames of one message each, with whatever its kind needs and a test does not care about. */
import { encodeFrame } from "../../src/protocol/codec.js";
import { type FieldType, LAYOUTS } from "../../src/protocol/layouts.js";
import type { Message } from "../../src/protocol/messages.js";
import { encodePayload } from "../../src/protocol/payload.js";

const INPUT = encodePayload("said", "input");

const ANY: Readonly<Record<FieldType, unknown>> = {
  uint: 0,
  bool: false,
  id: "",
  text: "",
  target: "",
  epoch: [],
  acks: [],
  bin: INPUT,
  meta: null,
};

const SAID = { treeId: "local", version: 1, versionMin: 1, versionMax: 1, nextInMs: 500, deadlineMs: 3_600_000 };

type Fields = Readonly<Record<string, unknown>>;

/** In a session, or outside any (""). */
export function said(session: string, kind: Message["kind"], fields: Fields = {}): Uint8Array {
  const given: Fields = { seq: 0, ...SAID, ...fields };
  const all = LAYOUTS[kind].fields.map(([name, type]) => [name, given[name] ?? ANY[type]] as const);
  const message = { kind, seq: given["seq"], ...Object.fromEntries(all) } as unknown as Message;
  return encodeFrame({ version: 1, session, ack: 0, broadcastAck: 0, credit: 0, messages: [message] });
}
