/** What somebody knows of the link between two nodes who has read every frame on the wire. */
import type { Epoch } from "../../machines/epoch.js";
import type { InitOpen, Message } from "../../src/protocol/messages.js";
import type { Publication } from "../node/kit.js";

/** What was on the wire. */
export type Sent = Pick<Publication, "subject" | "payload" | "frame">;

export interface Knowledge {
  readonly session: string;
  readonly broadcastSession: string;
  readonly formerSession: string;
  readonly parentBoot: string;
  readonly childBoot: string;
  readonly parentEpoch: Epoch;
  readonly epoch: Epoch;
  readonly attempt: number;
  /** Latest sequence number on the subject. */
  readonly seq: number;
  readonly broadcastSeq: number;
  /** Of calls, the latest last. */
  readonly ids: readonly string[];
}

const NOTHING: Knowledge = {
  session: "nobody",
  broadcastSession: "nobody",
  formerSession: "nobody",
  parentBoot: "nobody",
  childBoot: "nobody",
  parentEpoch: [1],
  epoch: [1],
  attempt: 1,
  seq: 0,
  broadcastSeq: 0,
  ids: ["nobody"],
};

const IDS_KEPT = 20;

/** Who hears nothing knows what is public: names, not ids. */
export const BLIND = NOTHING;

/** What is known of the link to the node at `path`, for one who speaks on `subject`. */
export function knowledgeOf(wire: readonly Sent[], subject: string, path: string): Knowledge {
  let known = NOTHING;
  const ids: string[] = [];
  for (const { subject: at, frame } of wire) {
    for (const message of frame?.messages ?? []) {
      if (message.kind === "unknown") continue;
      if (at.endsWith(`.down.${path}`) && message.kind === "init.open") known = { ...known, ...opened(message, known) };
      if (at === subject && message.seq > known.seq) known = { ...known, seq: message.seq };
      if (at === subject && -message.seq > known.broadcastSeq) known = { ...known, broadcastSeq: -message.seq };
      const id = idIn(message);
      if (id !== undefined) ids.push(id);
    }
  }
  return { ...known, ids: ids.length > 0 ? ids.slice(-IDS_KEPT) : known.ids };
}

function opened(message: InitOpen, before: Knowledge): Partial<Knowledge> {
  const { session, broadcastSession, parentBoot, childBoot, parentEpoch, epoch, attempt } = message;
  const formerSession = before.session;
  const seq = session === before.session ? before.seq : 0;
  return { session, broadcastSession, formerSession, parentBoot, childBoot, parentEpoch, epoch, attempt, seq };
}

function idIn(message: Message): string | undefined {
  if ("commandId" in message) return message.commandId;
  return "requestId" in message ? message.requestId : undefined;
}
