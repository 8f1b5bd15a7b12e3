/**
 * A command to another process beside the plain `request()` of the same NATS client, both with the same object packed by
 * msgpackr and echoed. `request()` comes twice: as the client has it by default, and without the stack trace that it
 * otherwise takes for each request, which is how our own transport connects.
 *
 * Two floors, which know no deadline, no validation and no failure: what the client allows at best with a publish for each
 * message (one subscription for all answers, and a Map of who waits), and with a publish for each 64 of them. Moleculer is
 * the peer, over the same server. Each has a process that calls and one that answers to itself, as a user would have it: what
 * V8 makes of the code that several share depends on all of them.
 */
import { startNatsServer } from "../test/support/nats-server.js";
import type { Bench, BenchOptions, Goal, Measure, Reading, Subject } from "./bench.js";
import { forkProgram, type Program, together } from "./child-process.js";
import { BASELINE, CANDIDATE, CONTESTANTS, FLOOR, PEER } from "./commands-contestants.js";
import type { Load } from "./commands-load.js";
import { installPeers } from "./peers/moleculer.js";

const LOADS: readonly Load[] = [
  ...[1, 16, 128, 1_024].map((inFlight) => ({ label: `${inFlight} in flight`, inFlight, isStaggered: false })),
  { label: "128 staggered", inFlight: 128, isStaggered: true },
];

export const commands: Bench = {
  name: "commands",
  question: "What does a command cost beside request() of the same NATS client?",
  runs: 15,
  warmUps: 6,
  baseline: BASELINE,
  goals: goals(),
  chart: LOADS.map(({ label }) => `${label}, rate`),
  notes: [
    "`publish, one inbox`: one subscription for all answers and a Map of who waits, with no deadline, validation or failure. `publish of batches` does so with one publish for 64 calls, and is the floor of the goals.",
    "`staggered`: callers await up to three promises or up to three turns of the event loop between two commands, the same draws for all.",
    "Moleculer uses JSON, the faster one of its serializers.",
  ],
  stage,
};

function goals(): Bench["goals"] {
  const rate = (load: string, ...limits: readonly (readonly [least: number, against?: string])[]): [string, Goal[]] => [
    `${CANDIDATE}, ${load}, rate`,
    limits.map(([limit, against = BASELINE]) => ({
      of: "ratio",
      is: ">=",
      limit,
      ...(against !== BASELINE && { against }),
      floor: `${FLOOR}, ${load}, rate`,
    })),
  ];
  const noWorse: Goal = { of: "ratio", is: "<=", limit: 1 };
  return {
    [`${CANDIDATE}, 1 in flight, p50`]: noWorse,
    ...Object.fromEntries([
      rate("16 in flight", [2]),
      rate("128 in flight", [5], [3, PEER]),
      rate("1024 in flight", [7], [3, PEER]),
      rate("128 staggered", [4], [3, PEER]),
    ]),
    ...Object.fromEntries(LOADS.map(({ label }) => [`${CANDIDATE}, ${label}, p99`, noWorse])),
  };
}

async function stage({ operations, peers }: BenchOptions, measure: Measure): Promise<void> {
  if (peers) await installPeers();
  await using server = await startNatsServer();
  const variants = [...CONTESTANTS.keys()].filter((variant) => peers || variant !== PEER);
  const workers = await Promise.all(variants.map((variant) => begin(server.url, variant, false)));
  const callers = await Promise.all(variants.map((variant) => begin(server.url, variant, true)));
  await using _ = together(...workers, ...callers);
  const subjectsOf = (load: Load): readonly Subject[] =>
    variants.map((variant, i) => ({
      variant,
      measure: async () => (await callers[i]?.ask({ load, operations })) as readonly Reading[],
    }));
  await measure(LOADS.flatMap(subjectsOf));
}

async function begin(servers: string, variant: string, calls: boolean): Promise<Program> {
  const program = forkProgram(new URL("commands-process.ts", import.meta.url), { servers, variant, calls });
  await program.message();
  return program;
}
