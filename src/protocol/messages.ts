/**
 * The ten COORD_* messages and their kinds. `docs/protocol.md` is the normative text; this file is its types.
 *
 * Field order on the wire is the order of the layouts in `layouts.ts`.
 */
import type { Epoch } from "../../machines/epoch.js";

/** Versions that this implementation speaks. */
export const PROTOCOL_VERSION_MIN = 1;
export const PROTOCOL_VERSION_MAX = 1;

/** Message types: down 1 to 5, up 6 to 10. */
export const Type = {
  INIT: 1,
  COMMAND: 2,
  SYNC: 3,
  HEARTBEAT: 4,
  SHUTDOWN: 5,
  ACK: 6,
  STATUS: 7,
  ERROR: 8,
  READY: 9,
  COMPLETE: 10,
} as const;

/** User headers that travel with a command, for example a `traceparent`. */
export type Meta = Readonly<Record<string, string>>;

interface Sequenced {
  /** Above 0: place in the unicast sequence. Below 0: place in the broadcast sequence. 0: unsequenced. */
  seq: number;
}

// Down

/** A starting parent calls whoever is there; also sent to one child whose session it does not know. */
export interface InitProbe extends Sequenced {
  readonly kind: "init.probe";
  readonly treeId: string;
  readonly parentBoot: string;
  readonly parentEpoch: Epoch;
  readonly versionMin: number;
  readonly versionMax: number;
}

/** Opens a session; the answer to one attempt of READY.announce. */
export interface InitOpen extends Sequenced {
  readonly kind: "init.open";
  readonly treeId: string;
  readonly parentBoot: string;
  readonly parentEpoch: Epoch;
  /** The boot id that this grant is for: another process at the same path ignores it. */
  readonly childBoot: string;
  readonly attempt: number;
  readonly session: string;
  /** The child's epoch for as long as it lives. */
  readonly epoch: Epoch;
  readonly version: number;
  readonly broadcastSession: string;
  /** The broadcast sequence starts after this number. */
  readonly broadcastSeq: number;
  readonly initBudgetMs: number;
  readonly nextInMs: number;
  readonly syncVersion: number;
  /** The parent starts it again when it ends: it does not recover by itself. */
  readonly owned: boolean;
}

export interface CommandRun extends Sequenced {
  readonly kind: "command.run";
  readonly commandId: string;
  /** Path below the receiver, or empty for the receiver itself. */
  readonly target: string;
  readonly name: string;
  readonly input: Uint8Array;
  /** Time left, milliseconds, recomputed at every hop. */
  readonly deadlineMs: number;
  readonly idempotent: boolean;
  readonly minSyncVersion: number;
  readonly meta: Meta | null;
}

export interface CommandCancel extends Sequenced {
  readonly kind: "command.cancel";
  readonly commandId: string;
}

/** The answer to STATUS.request. */
export interface CommandReply extends Sequenced {
  readonly kind: "command.reply";
  readonly requestId: string;
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly handlerCode: string;
  readonly output: Uint8Array;
}

export interface SyncFull extends Sequenced {
  readonly kind: "sync.full";
  readonly version: number;
  readonly document: Uint8Array;
}

export interface HeartbeatBeat extends Sequenced {
  readonly kind: "heartbeat.beat";
  /** Promise of the next sign of life, milliseconds. */
  readonly nextInMs: number;
  readonly localHealth: number;
}

/** Carries nothing but the frame's header: acknowledgement and credit. */
export interface HeartbeatAck extends Sequenced {
  readonly kind: "heartbeat.ack";
}

/** Acknowledges many children at once. */
export interface HeartbeatAcks extends Sequenced {
  readonly kind: "heartbeat.acks";
  /** Sessions, each before the number that a frame of it would acknowledge. */
  readonly acks: readonly (string | number)[];
}

export interface HeartbeatUnsupported extends Sequenced {
  readonly kind: "heartbeat.unsupported";
  readonly type: number;
  readonly unknownKind: number;
}

/** Stop this subtree. */
export interface ShutdownStop extends Sequenced {
  readonly kind: "shutdown.stop";
  readonly remainingMs: number;
  readonly reason: string;
}

/** The parent goes; children of others follow their orphan policy. */
export interface ShutdownLeaving extends Sequenced {
  readonly kind: "shutdown.leaving";
  readonly reason: string;
}

/** The process with this boot id was superseded. */
export interface ShutdownFenced extends Sequenced {
  readonly kind: "shutdown.fenced";
  readonly boot: string;
  readonly epoch: Epoch;
}

/** The process with this boot id is refused: too many takeovers of its path. */
export interface ShutdownDuplicate extends Sequenced {
  readonly kind: "shutdown.duplicate";
  readonly boot: string;
}

// Up

export interface AckFrame extends Sequenced {
  readonly kind: "ack.frame";
}

export interface AckShutdown extends Sequenced {
  readonly kind: "ack.shutdown";
}

/** How the sender and its subtree are, and its promise of the next sign of life. */
export interface StatusReport extends Sequenced {
  readonly kind: "status.report";
  readonly nextInMs: number;
  readonly localHealth: number;
  /** Index in `STATES`. */
  readonly state: number;
  /** Bits: 1 children, 2 uplink. */
  readonly reasons: number;
  /** Handlers running. */
  readonly running: number;
  /** Commands queued. */
  readonly queued: number;
  /** Nodes of the subtree, the sender included. */
  readonly nodes: number;
  /** Of those, SYNCHRONIZED or DEGRADED. */
  readonly available: number;
  readonly syncVersion: number;
  /** Grows with each call that ended, and with each step that the node itself reported. */
  readonly progress: number;
}

export interface StatusProgress extends Sequenced {
  readonly kind: "status.progress";
  readonly commandId: string;
  readonly value: Uint8Array;
}

export interface StatusLeaving extends Sequenced {
  readonly kind: "status.leaving";
  readonly reason: string;
}

export interface StatusSyncRequest extends Sequenced {
  readonly kind: "status.syncRequest";
  readonly version: number;
}

/** Asks the nearest ancestor that serves `name`. */
export interface StatusRequest extends Sequenced {
  readonly kind: "status.request";
  readonly requestId: string;
  readonly name: string;
  readonly input: Uint8Array;
  readonly deadlineMs: number;
  readonly meta: Meta | null;
}

export interface StatusCancelRequest extends Sequenced {
  readonly kind: "status.cancelRequest";
  readonly requestId: string;
}

/** Data of the child's own, for its parent. */
export interface StatusData extends Sequenced {
  readonly kind: "status.data";
  readonly data: Uint8Array;
}

export interface ErrorCommand extends Sequenced {
  readonly kind: "error.command";
  readonly commandId: string;
  /** Index in `STATUSES`. */
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly handlerCode: string;
}

/** The process with this boot id was superseded as a parent. */
export interface ErrorFenced extends Sequenced {
  readonly kind: "error.fenced";
  readonly boot: string;
  readonly epoch: Epoch;
}

export interface ErrorUnsupported extends Sequenced {
  readonly kind: "error.unsupported";
  readonly type: number;
  readonly unknownKind: number;
}

/** The sender is FAILED. */
export interface ErrorNode extends Sequenced {
  readonly kind: "error.node";
  readonly reason: string;
  /** It lacks something that is not its own fault. */
  readonly dependencyDown: boolean;
}

export interface ErrorDuplicate extends Sequenced {
  readonly kind: "error.duplicate";
  readonly boot: string;
}

export interface ReadyAnnounce extends Sequenced {
  readonly kind: "ready.announce";
  readonly treeId: string;
  readonly childBoot: string;
  /** Grows with each announcement of a boot; INIT.open repeats it. */
  readonly attempt: number;
  /** Empty for a process that was granted none yet. */
  readonly epoch: Epoch;
  /** Epoch of the last parent; empty when there was none. */
  readonly parentEpoch: Epoch;
  readonly versionMin: number;
  readonly versionMax: number;
}

export interface ReadySubtree extends Sequenced {
  readonly kind: "ready.subtree";
  readonly state: number;
}

export interface CompleteCommand extends Sequenced {
  readonly kind: "complete.command";
  readonly commandId: string;
  readonly output: Uint8Array;
}

export interface CompleteShutdown extends Sequenced {
  readonly kind: "complete.shutdown";
}

export type DownMessage =
  | InitProbe
  | InitOpen
  | CommandRun
  | CommandCancel
  | CommandReply
  | SyncFull
  | HeartbeatBeat
  | HeartbeatAck
  | HeartbeatAcks
  | HeartbeatUnsupported
  | ShutdownStop
  | ShutdownLeaving
  | ShutdownFenced
  | ShutdownDuplicate;

export type UpMessage =
  | AckFrame
  | AckShutdown
  | StatusReport
  | StatusProgress
  | StatusLeaving
  | StatusSyncRequest
  | StatusRequest
  | StatusCancelRequest
  | StatusData
  | ErrorCommand
  | ErrorFenced
  | ErrorUnsupported
  | ErrorNode
  | ErrorDuplicate
  | ReadyAnnounce
  | ReadySubtree
  | CompleteCommand
  | CompleteShutdown;

export type Message = DownMessage | UpMessage;

/** A message of a type or kind that this version does not know: answered with "unsupported", never an error. */
export interface UnknownMessage {
  readonly kind: "unknown";
  readonly seq: number;
  readonly type: number;
  readonly unknownKind: number;
}

/** One publish: what a turn of the event loop produced for one peer. */
export interface Frame {
  readonly version: number;
  /** Session id; on `all` the broadcast session id; empty before a session (INIT.probe, INIT.open, READY.announce, fencing). */
  readonly session: string;
  /** Every unicast sequence number up to this one was received. */
  readonly ack: number;
  /** Every broadcast sequence number up to this one was received; up frames only. */
  readonly broadcastAck: number;
  /** How many commands (or upward requests) of this session the sender of the frame takes in all. */
  readonly credit: number;
  readonly messages: readonly (Message | UnknownMessage)[];
}

/** `StatusReport.state` and `ReadySubtree.state`. */
export const STATES = ["DISCONNECTED", "CONNECTING", "SYNCHRONIZED", "DEGRADED", "FAILED"] as const;

/** `ErrorCommand.status` and `CommandReply.status`. */
export const STATUSES = ["completed", "failed", "cancelled", "timedOut", "notStarted", "unknown"] as const;

export const REASON_CHILDREN = 1;
export const REASON_UPLINK = 2;
