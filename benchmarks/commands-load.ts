/** How the benchmark `commands` calls: in a closed loop, or with user code that awaits between the calls. */
import { seededRandom } from "fractal-tree/testing";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Reading } from "./bench.js";
import { quantile } from "./rows.js";

export type Call = () => Promise<unknown>;

export interface Load {
  /** "128 in flight" */
  readonly label: string;
  /** Callers, each of which calls again once it was answered. */
  readonly inFlight: number;
  /** Whether each caller does something else before it calls again. */
  readonly isStaggered: boolean;
}

/** Most turns that user code takes between two calls. */
const TURNS_MAX = 3;
/** The same draws for everybody who is compared. */
const SEED = 4;

/** How long it is called, unless a number of calls is given. */
const MEASURED_MS = 400;
/** And before that, unmeasured. */
const SETTLING_MS = 300;

export async function drive(call: Call, load: Load, operations: number | null): Promise<readonly Reading[]> {
  // Whoever had to wait for the others finds neither caches nor all of its memory as it left them.
  if (operations === null) await take(call, load, { operations: null, durationMs: SETTLING_MS });
  return await take(call, load, { operations, durationMs: MEASURED_MS });
}

interface Extent {
  /** Null to go by time. */
  readonly operations: number | null;
  readonly durationMs: number;
}

async function take(call: Call, load: Load, { operations, durationMs }: Extent): Promise<readonly Reading[]> {
  const latenciesMs: number[] = [];
  const userCode = load.isStaggered ? staggering() : null;
  const startedAtMs = performance.now();
  let begun = 0;
  const goesOn = (): boolean =>
    operations === null ? performance.now() - startedAtMs < durationMs : begun < operations;
  const caller = async (): Promise<void> => {
    while (goesOn()) {
      const place = begun++;
      const calledAtMs = performance.now();
      await call();
      latenciesMs.push(performance.now() - calledAtMs);
      if (userCode !== null) await userCode(place);
    }
  };
  await Promise.all(Array.from({ length: load.inFlight }, caller));
  const seconds = (performance.now() - startedAtMs) / 1_000;
  return [
    { case: `${load.label}, rate`, unit: "1/s", value: latenciesMs.length / seconds },
    { case: `${load.label}, p50`, unit: "µs", value: quantile(latenciesMs, 0.5) * 1_000 },
    { case: `${load.label}, p99`, unit: "µs", value: quantile(latenciesMs, 0.99) * 1_000 },
  ];
}

/** Alternately up to three promises, and up to three turns of the event loop. */
function staggering(): (place: number) => Promise<void> {
  const random = seededRandom(SEED);
  return async (place) => {
    const turns = Math.floor(random() * (TURNS_MAX + 1));
    for (let turn = 0; turn < turns; turn++) await (place % 2 === 0 ? null : nextTurn());
  };
}
