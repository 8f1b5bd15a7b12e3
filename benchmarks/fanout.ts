/**
 * One command to all children of trees of four widths, one after the other: how many children complete it in a second. In
 * memory all nodes share one process; over NATS the children live in two others, which have one connection each.
 */
import { connectNats } from "fractal-tree/nats";
import { startNatsServer } from "../test/support/nats-server.js";
import type { Bench, BenchOptions, Goal, Measure, Reading, Subject } from "./bench.js";
import { closing, forkProgram, type Program } from "./child-process.js";
import { measureWidths, MODES, startRoots, untilReady, WIDTHS } from "./fanout-drive.js";

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
  warmsUp: true,
  baseline: null,
  goals: goals(),
  chart: WIDTHS.map((width) => `${width} children, completions`),
  notes: ["Each child answers with a message of its own, also where one broadcast asked all of them."],
  stage,
};

function goals(): Readonly<Record<string, Goal>> {
  const all: Record<string, Goal> = {};
  for (const [transport, limit] of Object.entries(RATES)) {
    for (const mode of Object.keys(MODES)) {
      for (const [place, width] of WIDTHS.entries()) {
        const label = `${transport}, ${mode}`;
        if (width >= WIDE_MIN) all[`${label}, ${width} children, completions`] = { of: "value", is: ">=", limit };
        const against = `cost of each, ${width} children against ${WIDTHS[place - 1]}`;
        if (place > 0) all[`${label}, ${against}`] = { of: "value", is: "<=", limit: 1 };
      }
    }
  }
  return all;
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
  await measure([
    ...toSubjects(MEMORY, async (idempotent) => (await inMemory.ask({ idempotent })) as readonly Reading[]),
    ...toSubjects(NATS, (idempotent) => measureWidths(roots, idempotent, operations)),
  ]);
  await Promise.all(roots.map((root) => root.stop()));
}

function forkWorker(servers: string, first: number): Program {
  return forkProgram(new URL("fanout-worker.ts", import.meta.url), { servers, first, of: WORKERS });
}

function toSubjects(name: string, measure: (idempotent: boolean) => Promise<readonly Reading[]>): readonly Subject[] {
  return Object.entries(MODES).map(([mode, idempotent]) => {
    return { variant: `${name}, ${mode}`, measure: () => measure(idempotent) };
  });
}
