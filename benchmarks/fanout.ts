/**
 * One command to all children of trees of four widths, one after the other: how many children complete it in a second. In
 * memory all nodes share one process; over NATS the children live in two others, which have one connection each. Beside
 * them a floor each: the same messages between plain listeners.
 */
import { connectNats } from "fractal-tree/nats";
import { startNatsServer } from "../test/support/nats-server.js";
import type { Bench, BenchOptions, Goal, Measure, Reading, Subject } from "./bench.js";
import { closing, forkProgram, type Program } from "./child-process.js";
import { floorAskers, measureFloor, measureWidths, MODES, startRoots, untilReady, WIDTHS } from "./fanout-drive.js";

const WORKERS = 2;
const MEMORY = "memory";
const NATS = "NATS";
/** A fan-out must be wide enough to be bound by its children, and not by one round trip. */
const WIDE_MIN = 1_000;
const RATES = { [MEMORY]: 400_000, [NATS]: 150_000 } as const;

export const fanout: Bench = {
  name: "fanout",
  question: "What does a command to all children cost for each of them?",
  runs: 5,
  warmUps: 2,
  baseline: null,
  goals: goals(),
  chart: WIDTHS.map((width) => `${width} children, completions`),
  notes: [
    "Each child answers with a message of its own, also where one broadcast asked all of them.",
    "Plain listeners are the floor: the same messages through the same codec and transport, each input decoded and each result encoded, and nothing looked up, ordered, remembered, timed or judged.",
  ],
  stage,
};

function goals(): Readonly<Record<string, Goal>> {
  const all: Record<string, Goal> = {};
  for (const [transport, limit] of Object.entries(RATES)) {
    for (const mode of Object.keys(MODES)) {
      for (const [place, width] of WIDTHS.entries()) {
        const label = `${transport}, ${mode}`;
        const completions = `${width} children, completions`;
        const floor = `${floorOf(transport, mode)}, ${completions}`;
        if (width >= WIDE_MIN) all[`${label}, ${completions}`] = { of: "value", is: ">=", limit, floor };
        const against = `cost of each, ${width} children against ${WIDTHS[place - 1]}`;
        const linear: Goal = { of: "value", is: "<=", limit: 1, floor: `${floorOf(transport, mode)}, ${against}` };
        if (place > 0) all[`${label}, ${against}`] = linear;
      }
    }
  }
  return all;
}

function floorOf(transport: string, mode: string): string {
  return `plain listeners, ${transport}, ${mode}`;
}

async function stage({ operations }: BenchOptions, measure: Measure): Promise<void> {
  await using server = await startNatsServer();
  const servers = server.url;
  await using transport = closing(await connectNats({ servers, tree: "bench" }));
  const roots = await startRoots(transport);
  await using first = forkWorker(servers, 0);
  await using second = forkWorker(servers, 1);
  await using inMemory = forkProgram(new URL("fanout-tree.ts", import.meta.url), { operations });
  await Promise.all([first.message(), second.message(), inMemory.message()]);
  await untilReady(roots);
  const askers = floorAskers(transport);
  const ask = async (idempotent: boolean, isFloor: boolean): Promise<readonly Reading[]> =>
    (await inMemory.ask({ idempotent, isFloor })) as readonly Reading[];
  await measure([
    ...toSubjects(MEMORY, ask),
    ...toSubjects(NATS, (idempotent, isFloor) =>
      isFloor ? measureFloor(askers, idempotent, operations) : measureWidths(roots, idempotent, operations),
    ),
  ]);
  await Promise.all(roots.map((root) => root.stop()));
}

function forkWorker(servers: string, first: number): Program {
  return forkProgram(new URL("fanout-worker.ts", import.meta.url), { servers, first, of: WORKERS });
}

type Measuring = (idempotent: boolean, isFloor: boolean) => Promise<readonly Reading[]>;

function toSubjects(name: string, measure: Measuring): readonly Subject[] {
  return Object.entries(MODES).flatMap(([mode, idempotent]) => [
    { variant: `${name}, ${mode}`, measure: () => measure(idempotent, false) },
    { variant: floorOf(name, mode), measure: () => measure(idempotent, true) },
  ]);
}
