/** What happened in one run, and a digest of it: the same seed must give the same one. */
export interface HandlerRun {
  readonly id: string;
  /** Tells apart what users wanted done, whatever ids it was done under. */
  readonly value: number;
  readonly path: string;
  /** Which process ran it. */
  readonly process: number;
  readonly epoch: string;
  hasEnded: boolean;
}

/** What must hold at every step; see docs/testing.md. */
export type Invariant =
  | "one-live-epoch"
  | "no-stale-effect"
  | "one-outcome"
  | "runs-once"
  | "restart-budget"
  | "nothing-outlives"
  | "shutdown-deadline"
  | "heals"
  | "sync-before-run"
  | "no-false-death"
  | "no-late-verdict"
  | "strategy"
  | "ends-clean"
  | "rests"
  | "no-uncaught";

export interface Violation {
  readonly invariant: Invariant;
  readonly what: string;
  /** Virtual time, milliseconds. */
  readonly atMs: number;
}

export class Journal {
  /** What was violated. */
  readonly broken: Violation[] = [];
  /** Handlers started, by the value of their input. */
  readonly runs = new Map<number, HandlerRun[]>();
  readonly #now: () => number;
  /** Written out only if somebody reads them. */
  readonly #notes: { readonly atMs: number; readonly event: string }[] = [];

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Everything that happened, for a report of what broke. */
  get events(): readonly string[] {
    return this.#notes.map(({ atMs, event }) => `${atMs.toFixed(3)} ${event}`);
  }

  /** FNV-1a of all events. */
  get digest(): string {
    let digest = 0x811c9dc5;
    for (const event of this.events) {
      for (let i = 0; i < event.length; i++) digest = Math.imul(digest ^ event.charCodeAt(i), 0x01000193);
    }
    return (digest >>> 0).toString(16);
  }

  note(event: string): void {
    this.#notes.push({ atMs: this.#now(), event });
  }

  violated(invariant: Invariant, what: string): void {
    const atMs = this.#now();
    this.note(`BROKEN ${invariant}: ${what}`);
    this.broken.push({ invariant, what, atMs });
  }

  ran(run: HandlerRun): void {
    this.note(`run ${run.value} as ${run.id} at ${run.path}#${run.process}`);
    const runs = this.runs.get(run.value);
    if (runs === undefined) this.runs.set(run.value, [run]);
    else runs.push(run);
  }

  runsOf(value: number): readonly HandlerRun[] {
    return this.runs.get(value) ?? [];
  }
}
