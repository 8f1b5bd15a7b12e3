/** Floods at one link of a live tree: the same message a great many times, each time a little different. */
import type { Message } from "../../src/protocol/messages.js";
import type { Knowledge } from "./knowledge.js";
import { said } from "./speech.js";

export interface Flood {
  readonly what: string;
  /** Without namespace and tree. */
  readonly subject: string;
  /** Whose link to its parent it is about. */
  readonly path: string;
  readonly bytes: (n: number, known: Knowledge) => Uint8Array;
}

type Kind = Message["kind"];
type Fields = (n: number, known: Knowledge) => Readonly<Record<string, unknown>>;

const UP = "up.shop.a";
const DOWN = "down.shop.a";

/** A message of the session that is open now. */
function spoken(what: string, subject: string, kind: Kind, fields: Fields): Flood {
  const path = subject.slice(subject.indexOf(".") + 1);
  return { what, subject, path, bytes: (n, known) => said(known.session, kind, fields(n, known)) };
}

/** A message outside sessions. */
function shouted(what: string, subject: string, kind: Kind, fields: Fields): Flood {
  return { what, subject, path: "shop.a", bytes: (n, known) => said("", kind, fields(n, known)) };
}

const idle = { name: "idle", deadlineMs: 1_000 };

export const FLOODS: readonly Flood[] = [
  { what: "bytes", subject: UP, path: "shop.a", bytes: (n) => Uint8Array.of(n, n >> 8, n >> 16, 0xc1) },
  { what: "sessions that nobody has", subject: UP, path: "shop.a", bytes: (n) => said(`session ${n}`, "ack.frame") },
  { what: "a parent's old sessions", subject: DOWN, path: "shop.a", bytes: (n) => said(`old ${n}`, "heartbeat.ack") },
  shouted("rival children", UP, "ready.announce", (n) => ({ childBoot: `boot ${n}`, attempt: 1 })),
  shouted("rival parents", DOWN, "init.probe", (n) => ({ parentBoot: `boot ${n}`, parentEpoch: [n] })),
  shouted("newer parents", DOWN, "init.probe", (n) => ({ parentBoot: `boot ${n}`, parentEpoch: [2 ** 42 + n] })),
  shouted("offers to others", DOWN, "init.open", (n, { parentBoot, parentEpoch }) => {
    return { parentBoot, parentEpoch, childBoot: `boot ${n}`, attempt: n };
  }),
  shouted("fencings of others", DOWN, "shutdown.fenced", (n) => ({ boot: `boot ${n}`, epoch: [2 ** 42] })),
  spoken("unknown answers", UP, "complete.command", (n) => ({ commandId: `id ${n}` })),
  spoken("unknown progress", UP, "status.progress", (n) => ({ commandId: `id ${n}` })),
  spoken("requests", UP, "status.request", (n) => ({ requestId: `id ${n}`, name: "count" })),
  spoken("requests that nobody serves", UP, "status.request", (n) => ({ requestId: `id ${n}`, name: `name ${n}` })),
  spoken("requests to pass on", "up.shop.a.x", "status.request", (n) => ({ requestId: `id ${n}`, name: "count" })),
  spoken("requests given up", UP, "status.cancelRequest", (n) => ({ requestId: `gone ${n}` })),
  spoken("reports", UP, "status.report", (n) => ({ state: 2, running: n, nodes: 2, available: 2, syncVersion: 1 })),
  spoken("data", UP, "status.data", () => ({})),
  spoken("numbers far ahead", UP, "status.data", (n) => ({ seq: 10 + n })),
  spoken("commands", DOWN, "command.run", (n) => ({ commandId: `id ${n}`, name: "count" })),
  spoken("commands that never end", DOWN, "command.run", (n) => ({ ...idle, commandId: `idle ${n}` })),
  spoken("commands that nobody serves", DOWN, "command.run", (n) => ({ commandId: `id ${n}`, name: `name ${n}` })),
  spoken("commands to nobody", DOWN, "command.run", (n) => ({ ...idle, commandId: `to ${n}`, target: `ghost${n}` })),
  spoken("commands that wait for a document", DOWN, "command.run", (n) => ({
    ...idle,
    commandId: `waits ${n}`,
    minSyncVersion: 1_000 + n,
  })),
  spoken("commands given up", DOWN, "command.cancel", (n) => ({ commandId: `gone ${n}` })),
  spoken("unknown replies", DOWN, "command.reply", (n) => ({ requestId: `id ${n}` })),
  {
    ...shouted("children", UP, "ready.announce", (n) => ({ childBoot: `boot ${n}`, attempt: 1 })),
    subject: "up.shop.*",
  },
];

/** Where message `n` of a flood goes: each of an id of its own, if it says so. */
export function subjectOf({ subject }: Flood, n: number): string {
  return `ft.local.${subject.replace("*", `ghost${n}`)}`;
}
