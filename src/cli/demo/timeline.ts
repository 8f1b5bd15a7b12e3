/** Who was in which state when, with notes of what was done to them. */
import type { CoordinationState, StateChange } from "../../index.js";

export interface StateEntry {
  /** Since the start of the demo, milliseconds. */
  readonly atMs: number;
  readonly path: string;
  readonly state: CoordinationState;
  /** What to say of it besides. */
  readonly why: string;
}

export interface NoteEntry {
  readonly atMs: number;
  readonly path: string;
  readonly note: string;
}

/** Milliseconds since 1970 that never jump: comparable between the processes of one host. */
export function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

export class Timeline {
  readonly startedAtMs = nowMs();
  readonly #entries: (StateEntry | NoteEntry)[] = [];
  #isClosed = false;

  /** Milliseconds since the start. */
  elapsedMs(): number {
    return Math.round(nowMs() - this.startedAtMs);
  }

  entered({ path, state, reasons, failure }: StateChange, atMs = nowMs()): void {
    const why = failure ?? reasons.join(", ");
    this.#add({ atMs: Math.round(atMs - this.startedAtMs), path, state, why });
  }

  note(path: string, note: string): void {
    this.#add({ atMs: this.elapsedMs(), path, note });
  }

  /** Nothing that comes later is part of it. */
  close(): void {
    this.#isClosed = true;
  }

  /** By time: reports of other processes may arrive late. */
  all(): readonly (StateEntry | NoteEntry)[] {
    return this.#entries.toSorted((left, right) => left.atMs - right.atMs);
  }

  states(): readonly StateEntry[] {
    return this.all().filter((entry) => "state" in entry);
  }

  #add(entry: StateEntry | NoteEntry): void {
    if (!this.#isClosed) this.#entries.push(entry);
  }
}
