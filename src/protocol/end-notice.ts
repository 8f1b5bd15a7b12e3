/**
 * The notice that a node has ended, for whoever watches it: outside the sessions of parent and child, one MessagePack
 * array a message.
 *
 *   notice [version, epoch, kind, reason, speaker, ageMs, session, broadcastSession, …]
 *
 * Decoding validates everything and never throws. Elements after the known ones are ignored.
 */
import { Packr } from "msgpackr";
import type { ExitKind } from "../../machines/child-spec.js";
import type { Epoch } from "../../machines/epoch.js";
import { isEpoch, isId, isText, isUint } from "./fields.js";
import { isWellFormed } from "./well-formed.js";

export interface EndNotice {
  /** The incarnation that ended; never empty. */
  readonly epoch: Epoch;
  readonly kind: ExitKind;
  /** For people and logs. */
  readonly reason: string;
  /** Who says so: the node itself, its parent who knows it, or its parent who concludes it from silence. */
  readonly speaker: EndSpeaker;
  /** Time since the end, milliseconds: a notice is repeated. */
  readonly ageMs: number;
  /** The latest session of the node with its parent that the speaker knows; empty for none. */
  readonly session: string;
  /** The session of what the node told all its children; empty when the speaker does not know it. */
  readonly broadcastSession: string;
}

export type EndSpeaker = (typeof END_SPEAKERS)[number];

/** `kind` and `speaker` on the wire are places in these lists. */
const END_KINDS = ["normal", "shutdown", "failed", "dependencyDown"] as const satisfies readonly ExitKind[];
export const END_SPEAKERS = ["node", "parent", "silence"] as const;

const NOTICE_VERSION = 1;

/** Characters of a reason that are sent; errors' messages can be long. */
const REASON_LENGTH_MAX = 1_000;

/** Largest notice that is read, bytes: an epoch and a reason of the greatest length. */
const NOTICE_BYTES_MAX = 16_384;

const packr = new Packr({ useRecords: false, mapsAsObjects: true, int64AsType: "auto", useToJSON: false } as object);

export function encodeEndNotice(notice: EndNotice): Uint8Array {
  const { epoch, kind, reason, speaker, ageMs, session, broadcastSession } = notice;
  const head = [NOTICE_VERSION, epoch, END_KINDS.indexOf(kind), reason.slice(0, REASON_LENGTH_MAX)];
  const age = Math.max(0, Math.round(ageMs));
  return packr.pack([...head, END_SPEAKERS.indexOf(speaker), age, session, broadcastSession]);
}

/** What the bytes say, or null when they are no notice that this version understands. */
export function decodeEndNotice(bytes: Uint8Array): EndNotice | null {
  if (bytes.length > NOTICE_BYTES_MAX || !isWellFormed(bytes, { allowTimestamps: false })) return null;
  try {
    return readNotice(packr.unpack(bytes));
  } catch {
    return null;
  }
}

function readNotice(value: unknown): EndNotice | null {
  if (!Array.isArray(value) || value.length < 8) return null;
  const [version, epoch, kindIndex, reason, speakerIndex, ageMs, session, broadcastSession] = value as unknown[];
  const kind = isUint(kindIndex) ? END_KINDS[kindIndex] : undefined;
  const speaker = isUint(speakerIndex) ? END_SPEAKERS[speakerIndex] : undefined;
  if (!isUint(version) || version < 1 || kind === undefined || speaker === undefined) return null;
  if (!isEpoch(epoch) || epoch.length === 0 || !isText(reason) || !isUint(ageMs)) return null;
  if (!isId(session) || !isId(broadcastSession)) return null;
  return { epoch, kind, reason, speaker, ageMs, session, broadcastSession };
}
