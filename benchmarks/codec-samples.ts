/** A message of every kind, as the runtime sends it; payloads are still values. */
import { seededRandom } from "fractal-tree/testing";
import { randomId } from "../src/health/clock.js";
import { LAYOUTS } from "../src/protocol/layouts.js";
import type { Message } from "../src/protocol/messages.js";
import { PAYLOAD } from "./payload.js";

const random = seededRandom(4);
const boot = (): string => randomId(random, 12);
const session = (): string => randomId(random, 8);
const call = (): string => randomId(random, 16);

const opening = () => ({ treeId: "acme", parentBoot: boot(), parentEpoch: [1_700_000_000_123, 4] });
const versions = { versionMin: 1, versionMax: 1 };
const failure = {
  status: 1,
  code: "COMMAND_FAILED",
  message: "there is no such order: A-1187",
  handlerCode: "NO_SUCH_ORDER",
};
const epoch = [1_700_000_000_123, 4, 2];

type Kind = Message["kind"];
type Fields<K extends Kind> = { [F in Exclude<keyof Extract<Message, { kind: K }>, "kind" | "seq">]: unknown };

const FIELDS: { readonly [K in Kind]: () => Fields<K> } = {
  "init.probe": () => ({ ...opening(), ...versions }),
  "init.open": () => ({
    ...opening(),
    childBoot: boot(),
    attempt: 1,
    session: session(),
    epoch,
    version: 1,
    broadcastSession: session(),
    broadcastSeq: 12,
    initBudgetMs: 30_000,
    nextInMs: 1_000,
    syncVersion: 3,
    owned: true,
  }),
  "command.run": () => ({
    commandId: call(),
    target: "",
    name: "reserve",
    input: PAYLOAD,
    deadlineMs: 30_000,
    idempotent: false,
    minSyncVersion: 3,
    meta: null,
  }),
  "command.cancel": () => ({ commandId: call() }),
  "command.reply": () => ({ requestId: call(), ...failure, output: PAYLOAD }),
  "sync.full": () => ({ version: 3, document: PAYLOAD }),
  "heartbeat.beat": () => ({ nextInMs: 5_000, localHealth: 0 }),
  "heartbeat.ack": () => ({}),
  "heartbeat.unsupported": () => ({ type: 12, unknownKind: 3 }),
  "heartbeat.acks": () => ({ acks: Array.from({ length: 64 }, (_, place) => [session(), 1_000 + place]).flat() }),
  "shutdown.stop": () => ({ remainingMs: 10_000, reason: "deployed anew" }),
  "shutdown.leaving": () => ({ reason: "deployed anew" }),
  "shutdown.fenced": () => ({ boot: boot(), epoch }),
  "shutdown.duplicate": () => ({ boot: boot() }),
  "ack.frame": () => ({}),
  "ack.shutdown": () => ({}),
  "status.report": () => ({
    nextInMs: 5_000,
    localHealth: 0,
    state: 2,
    reasons: 0,
    running: 16,
    queued: 120,
    nodes: 1_001,
    available: 1_000,
    syncVersion: 3,
    progress: 123_456,
  }),
  "status.progress": () => ({ commandId: call(), value: { done: 120, of: 4_000 } }),
  "status.leaving": () => ({ reason: "SIGTERM" }),
  "status.syncRequest": () => ({ version: 3 }),
  "status.request": () => ({ requestId: call(), name: "quota", input: PAYLOAD, deadlineMs: 30_000, meta: null }),
  "status.cancelRequest": () => ({ requestId: call() }),
  "status.data": () => ({ data: { temperature: 21.5, at: "ams" } }),
  "error.command": () => ({ commandId: call(), ...failure }),
  "error.fenced": () => ({ boot: boot(), epoch }),
  "error.unsupported": () => ({ type: 12, unknownKind: 3 }),
  "error.node": () => ({ reason: "its database is gone", dependencyDown: true }),
  "error.duplicate": () => ({ boot: boot() }),
  "ready.announce": () => ({
    treeId: "acme",
    childBoot: boot(),
    attempt: 1,
    epoch,
    parentEpoch: [1_700_000_000_123, 4],
    ...versions,
  }),
  "ready.subtree": () => ({ state: 2 }),
  "complete.command": () => ({ commandId: call(), output: PAYLOAD }),
  "complete.shutdown": () => ({}),
};

export interface Sample {
  readonly kind: Kind;
  readonly direction: "down" | "up";
  /** The field that holds a value here, and bytes when it travels. */
  readonly payloadField: string | null;
  /** As many messages as asked for, no two alike, with the fields in the order of the wire. */
  readonly messages: (count: number) => readonly Record<string, unknown>[];
}

export const SAMPLES: readonly Sample[] = (Object.keys(FIELDS) as readonly Kind[]).map((kind) => {
  const { direction, fields } = LAYOUTS[kind];
  const make = FIELDS[kind];
  return {
    kind,
    direction,
    payloadField: fields.find(([, type]) => type === "bin")?.[0] ?? null,
    messages: (count) => Array.from({ length: count }, (_, place) => ({ kind, seq: 1_000 + place, ...make() })),
  };
});
