/**
 * What processes and the driver write into their journals: one JSON object a line. Lines are written synchronously, so
 * that whatever a process did is known even if it is killed in the same turn.
 */
import { closeSync, openSync, readdirSync, readSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";

import type { StartedBy } from "./plan.js";

export type CallKind = "command" | "fanOut" | "request";

/** What somebody asked a handler to do. */
export interface Work {
  /** Unique for each call; the targets of one fan-out share it. */
  readonly value: string;
  readonly forMs: number;
  readonly throws: boolean;
}

/** What a handler returns. */
export interface WorkDone {
  readonly value: string;
  readonly by: string;
  readonly path: string;
}

/** The shared document: who published it, and the how manieth of its documents it is. */
export interface SharedDocument {
  readonly by: string;
  readonly count: number;
}

export interface Issued {
  readonly type: "issued";
  readonly kind: CallKind;
  readonly value: string;
  /** Full paths of those who are to run it; empty if whoever is ready is to run it, or an ancestor. */
  readonly targets: readonly string[];
  readonly timeoutMs: number;
  readonly idempotent: boolean;
  readonly throws: boolean;
  readonly cancellable: boolean;
  /** Made when all was well: it must complete. */
  readonly probe: boolean;
}

export interface Outcome {
  readonly type: "outcome";
  readonly value: string;
  /** Whose outcome it is; null for a request. */
  readonly target: string | null;
  readonly status: string;
  /** Of the error; empty when it completed. */
  readonly code: string;
  readonly message: string;
  /** Who ran it, as the result says. */
  readonly by: string | null;
}

export interface LinkChange {
  readonly type: "link";
  readonly id: string;
  readonly from: string;
  readonly state: string;
  readonly epoch: string;
}

/** A handler began, or came to its end. */
export interface Run {
  readonly value: string;
  readonly commandId: string;
  readonly epoch: string;
}

export type Event =
  /** `owner` is the process that started it as its child, and that it must not outlive; null if there is none. */
  | { readonly type: "start"; readonly pid: number; readonly owner: number | null; readonly startedBy: StartedBy }
  | {
      readonly type: "state";
      readonly from: string;
      readonly state: string;
      readonly reasons: readonly string[];
      readonly failure: string | null;
    }
  | { readonly type: "epoch"; readonly epoch: string }
  | LinkChange
  | Issued
  | Outcome
  | ({ readonly type: "began" } & Run)
  | ({ readonly type: "finished" } & Run)
  /** The caller waits for nothing more of this call. */
  | { readonly type: "settled"; readonly value: string }
  /** A call was refused because the node has ended. */
  | { readonly type: "refused"; readonly value: string; readonly code: string }
  | ({ readonly type: "published" } & SharedDocument)
  | ({ readonly type: "synced" } & SharedDocument)
  | {
      readonly type: "decided";
      readonly id: string;
      readonly decision: string;
      readonly reason: string;
      readonly exit: string | null;
      readonly generation: number;
      readonly attempt: number;
      readonly delayMs: number | null;
    }
  | { readonly type: "fenced"; readonly code: string; readonly message: string }
  | { readonly type: "leaving"; readonly how: "stop" | "shutdownTree"; readonly timeoutMs: number }
  | { readonly type: "ended"; readonly reason: string }
  /** What is under way, while nobody asks for anything. */
  | {
      readonly type: "rest";
      readonly running: number;
      readonly queued: number;
      readonly pending: number;
      readonly open: number;
    }
  | { readonly type: "uncaught"; readonly message: string }
  | DriverEvent;

/** What the driver does and sees. */
export type DriverEvent =
  | { readonly type: "phase"; readonly phase: Phase }
  | { readonly type: "fault"; readonly what: string; readonly target: string; readonly forMs: number }
  | { readonly type: "spawned"; readonly pid: number; readonly of: string; readonly why: string }
  | {
      readonly type: "exited";
      readonly pid: number;
      readonly of: string;
      readonly exit: number | string;
      readonly stderr: string;
    }
  | { readonly type: "stopped" | "continued" | "killed"; readonly pid: number; readonly of: string }
  /** Whether each path has one process that is SYNCHRONIZED; `tree` says what there is instead. */
  | {
      readonly type: "whole";
      readonly when: string;
      readonly tookMs: number;
      readonly isWhole: boolean;
      readonly tree: string;
    };

/**
 * What all processes do: `load` calls others, `quiet` calls nobody, `probe` calls everybody once; at `shutdown` the root
 * shuts the tree down.
 */
export type Phase = "load" | "quiet" | "probe" | "shutdown";

/** An event with who wrote it, and when. */
export type JournalRecord = Event & {
  /** On the clock that all processes of this machine share, milliseconds. */
  readonly atMs: number;
  readonly wallMs: number;
  /** `path#pid`, or `driver`. */
  readonly process: string;
};

/** A record of one type. */
export type RecordOf<Type extends Event["type"]> = Extract<JournalRecord, { readonly type: Type }>;

export const DRIVER = "driver";

/** Monotonic, and the same in all processes of this machine (CLOCK_MONOTONIC), milliseconds. */
export function sharedNowMs(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000;
}

const SUFFIX = ".jsonl";
const NEWLINE = 10;

export class JournalWriter {
  readonly #file: number;
  readonly #process: string;

  /** @throws if this process has a journal already: pids are used again after a while */
  constructor(folder: string, name: string) {
    this.#process = name;
    this.#file = openSync(join(folder, `${name}${SUFFIX}`), "wx");
  }

  write(event: Event): void {
    const record = { atMs: sharedNowMs(), wallMs: Date.now(), process: this.#process, ...event };
    writeSync(this.#file, `${JSON.stringify(record)}\n`);
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** Reads what was added to the journals of a folder since the last time. */
export class JournalReader {
  readonly #folder: string;
  readonly #offsets = new Map<string, number>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** New records of each journal in turn, in the order in which they were written. */
  read(): readonly JournalRecord[] {
    const names = readdirSync(this.#folder).filter((name) => name.endsWith(SUFFIX));
    return names.flatMap((name) => this.#readFile(name));
  }

  #readFile(name: string): readonly JournalRecord[] {
    const file = join(this.#folder, name);
    const from = this.#offsets.get(name) ?? 0;
    const bytes = readFrom(file, from, statSync(file).size - from);
    // A line may be under way.
    const length = bytes.lastIndexOf(NEWLINE) + 1;
    this.#offsets.set(name, from + length);
    return toRecords(bytes.toString("utf8", 0, length));
  }
}

function readFrom(file: string, from: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  if (length === 0) return bytes;
  const descriptor = openSync(file, "r");
  try {
    return bytes.subarray(0, readSync(descriptor, bytes, 0, length, from));
  } finally {
    closeSync(descriptor);
  }
}

function toRecords(text: string): readonly JournalRecord[] {
  const lines = text.split("\n").filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line) as JournalRecord);
}

/** All that was written, ordered by time; records of one process keep their order. */
export function readJournals(folder: string): readonly JournalRecord[] {
  return new JournalReader(folder).read().toSorted((a, b) => a.atMs - b.atMs);
}
