/**
 * The wire layout of every message: type, kind number, direction, and its fields in order. The codec, its validation and
 * the tables of `docs/protocol.md` all follow from here.
 */
import { type DownMessage, type Message, Type, type UpMessage } from "./messages.js";

/** How a field is checked when it arrives. */
export type FieldType =
  /** Integer 0 to 2^53 - 1. */
  | "uint"
  | "bool"
  /** 0 to 64 characters. */
  | "id"
  /** 0 to 4,096 characters. */
  | "text"
  /** Relative path or empty. */
  | "target"
  /** 0 to 32 unsigned integers. */
  | "epoch"
  /** 0 to 65,536 session ids, each before an unsigned integer. */
  | "acks"
  /** Opaque payload: MessagePack, or zero bytes for undefined. */
  | "bin"
  /** Map of text to text, at most 32 entries, or nil. */
  | "meta";

export interface Layout {
  readonly type: number;
  readonly number: number;
  readonly direction: "down" | "up";
  readonly fields: readonly (readonly [name: string, type: FieldType])[];
}

type Kind = Message["kind"];

const opening = [
  ["treeId", "id"],
  ["parentBoot", "id"],
  ["parentEpoch", "epoch"],
] as const;

const versions = [
  ["versionMin", "uint"],
  ["versionMax", "uint"],
] as const;

const failure = [
  ["status", "uint"],
  ["code", "id"],
  ["message", "text"],
  ["handlerCode", "text"],
] as const;

const fencing = [
  ["boot", "id"],
  ["epoch", "epoch"],
] as const;

const unsupported = [
  ["type", "uint"],
  ["unknownKind", "uint"],
] as const;

function down(type: number, number: number, fields: Layout["fields"] = []): Layout {
  return { type, number, direction: "down", fields };
}

function up(type: number, number: number, fields: Layout["fields"] = []): Layout {
  return { type, number, direction: "up", fields };
}

export const LAYOUTS: Readonly<Record<Kind, Layout>> = {
  "init.probe": down(Type.INIT, 0, [...opening, ...versions]),
  "init.open": down(Type.INIT, 1, [
    ...opening,
    ["childBoot", "id"],
    ["attempt", "uint"],
    ["session", "id"],
    ["epoch", "epoch"],
    ["version", "uint"],
    ["broadcastSession", "id"],
    ["broadcastSeq", "uint"],
    ["initBudgetMs", "uint"],
    ["nextInMs", "uint"],
    ["syncVersion", "uint"],
    ["owned", "bool"],
  ]),
  "command.run": down(Type.COMMAND, 0, [
    ["commandId", "id"],
    ["target", "target"],
    ["name", "id"],
    ["input", "bin"],
    ["deadlineMs", "uint"],
    ["idempotent", "bool"],
    ["minSyncVersion", "uint"],
    ["meta", "meta"],
  ]),
  "command.cancel": down(Type.COMMAND, 1, [["commandId", "id"]]),
  "command.reply": down(Type.COMMAND, 2, [["requestId", "id"], ...failure, ["output", "bin"]]),
  "sync.full": down(Type.SYNC, 0, [
    ["version", "uint"],
    ["document", "bin"],
  ]),
  "heartbeat.beat": down(Type.HEARTBEAT, 0, [
    ["nextInMs", "uint"],
    ["localHealth", "uint"],
  ]),
  "heartbeat.ack": down(Type.HEARTBEAT, 1),
  "heartbeat.unsupported": down(Type.HEARTBEAT, 2, unsupported),
  "heartbeat.acks": down(Type.HEARTBEAT, 3, [["acks", "acks"]]),
  "shutdown.stop": down(Type.SHUTDOWN, 0, [
    ["remainingMs", "uint"],
    ["reason", "text"],
  ]),
  "shutdown.leaving": down(Type.SHUTDOWN, 1, [["reason", "text"]]),
  "shutdown.fenced": down(Type.SHUTDOWN, 2, fencing),
  "shutdown.duplicate": down(Type.SHUTDOWN, 3, [["boot", "id"]]),
  "ack.frame": up(Type.ACK, 0),
  "ack.shutdown": up(Type.ACK, 1),
  "status.report": up(Type.STATUS, 0, [
    ["nextInMs", "uint"],
    ["localHealth", "uint"],
    ["state", "uint"],
    ["reasons", "uint"],
    ["running", "uint"],
    ["queued", "uint"],
    ["nodes", "uint"],
    ["available", "uint"],
    ["syncVersion", "uint"],
    ["progress", "uint"],
  ]),
  "status.progress": up(Type.STATUS, 1, [
    ["commandId", "id"],
    ["value", "bin"],
  ]),
  "status.leaving": up(Type.STATUS, 2, [["reason", "text"]]),
  "status.syncRequest": up(Type.STATUS, 3, [["version", "uint"]]),
  "status.request": up(Type.STATUS, 4, [
    ["requestId", "id"],
    ["name", "id"],
    ["input", "bin"],
    ["deadlineMs", "uint"],
    ["meta", "meta"],
  ]),
  "status.cancelRequest": up(Type.STATUS, 5, [["requestId", "id"]]),
  "status.data": up(Type.STATUS, 6, [["data", "bin"]]),
  "error.command": up(Type.ERROR, 0, [["commandId", "id"], ...failure]),
  "error.fenced": up(Type.ERROR, 1, fencing),
  "error.unsupported": up(Type.ERROR, 2, unsupported),
  "error.node": up(Type.ERROR, 3, [
    ["reason", "text"],
    ["dependencyDown", "bool"],
  ]),
  "error.duplicate": up(Type.ERROR, 4, [["boot", "id"]]),
  "ready.announce": up(Type.READY, 0, [
    ["treeId", "id"],
    ["childBoot", "id"],
    ["attempt", "uint"],
    ["epoch", "epoch"],
    ["parentEpoch", "epoch"],
    ...versions,
  ]),
  "ready.subtree": up(Type.READY, 1, [["state", "uint"]]),
  "complete.command": up(Type.COMPLETE, 0, [
    ["commandId", "id"],
    ["output", "bin"],
  ]),
  "complete.shutdown": up(Type.COMPLETE, 1),
};

/** Kinds that are sent once, may be lost, and must not wait behind a gap; all others are sequenced within a session. */
export const UNSEQUENCED: ReadonlySet<Kind> = new Set<Kind>([
  "init.probe",
  "init.open",
  "command.cancel",
  "heartbeat.beat",
  "heartbeat.ack",
  "heartbeat.unsupported",
  "heartbeat.acks",
  "shutdown.stop",
  "shutdown.leaving",
  "shutdown.fenced",
  "shutdown.duplicate",
  "ack.frame",
  "ack.shutdown",
  "status.report",
  "status.progress",
  "status.syncRequest",
  "status.cancelRequest",
  "error.fenced",
  "error.unsupported",
  "error.node",
  "error.duplicate",
  "ready.announce",
  "ready.subtree",
]);

/** Finds the kind that a type and kind number mean. */
export const KIND_BY_NUMBERS: ReadonlyMap<number, Kind> = new Map(
  Object.entries(LAYOUTS).map(([kind, layout]) => [layoutKey(layout.type, layout.number), kind as Kind]),
);

export function layoutKey(type: number, number: number): number {
  return type * 256 + number;
}

export function isDown(message: { readonly kind: string }): message is DownMessage {
  return LAYOUTS[message.kind as Kind]?.direction === "down";
}

export function isUp(message: { readonly kind: string }): message is UpMessage {
  return LAYOUTS[message.kind as Kind]?.direction === "up";
}
