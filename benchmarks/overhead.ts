/**
 * What coordination adds to work: 16 leaves in four processes, each with one waiting task after the other, commanded from
 * a fifth process over NATS, beside the same functions in the same processes called directly. A floor: the same functions
 * as plain requests of the same client.
 */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { createNode, type Node } from "fractal-tree";
import { connectNats } from "fractal-tree/nats";
import { startNatsServer } from "../test/support/nats-server.js";
import type { Bench, BenchOptions, Measure, Reading } from "./bench.js";
import { closing, forkProgram, together } from "./child-process.js";

const LEAVES = 16;
const PROCESSES = 4;
const TREE = "as commands";
const BASELINE = "called directly";
const PLAIN = "as plain request()";
/** How long a task waits, and how many each leaf gets in turn. */
const TASKS = [
  { waitMs: 1, tasks: 300 },
  { waitMs: 10, tasks: 80 },
  { waitMs: 100, tasks: 15 },
] as const;
const LIMIT_MS = 120_000;

interface Means {
  readonly root: Node;
  readonly plain: NatsConnection;
}

const IDS = Array.from({ length: LEAVES }, (_, place) => `leaf${place}`);

export const overhead: Bench = {
  name: "overhead",
  question: "What does coordination add to tasks that wait 1, 10 or 100 ms, on 16 leaves in 4 processes?",
  runs: 5,
  warmUps: 1,
  baseline: BASELINE,
  goals: {
    [`${TREE}, ${caseOf(10)}`]: { of: "ratio", is: "<=", limit: 1.1, floor: `${PLAIN}, ${caseOf(10)}` },
    [`${TREE}, ${caseOf(100)}`]: { of: "ratio", is: "<=", limit: 1.02, floor: `${PLAIN}, ${caseOf(100)}` },
  },
  chart: TASKS.map(({ waitMs }) => caseOf(waitMs)),
  notes: [
    "Each leaf has one task at a time, so nothing hides the way there and back, which 16 leaves go at the same time.",
    "Plain requests are the floor: what they cost beyond direct calls is the way through the server and back.",
  ],
  stage,
};

function caseOf(waitMs: number): string {
  return `${waitMs} ms tasks, time for each`;
}

async function stage({ operations }: BenchOptions, measure: Measure): Promise<void> {
  await using server = await startNatsServer();
  const servers = server.url;
  await using leaves = forkLeaves(servers);
  await using transport = closing(await connectNats({ servers, tree: "bench" }));
  await using root = createNode({ path: "bench", transport, children: IDS.map((id) => ({ id })) });
  await Promise.all([root.start(), leaves.started()]);
  await root.until("SYNCHRONIZED", { timeoutMs: 10_000 });
  await using plain = closing(await connect({ servers }));
  const ways = { [TREE]: commanded, [BASELINE]: directly, [PLAIN]: requested };
  await measure(
    TASKS.flatMap(({ waitMs, tasks }) =>
      Object.entries(ways).map(([variant, way]) => {
        return {
          variant,
          measure: () => onAllLeaves(waitMs, (id) => way({ root, plain }, id, waitMs, operations ?? tasks)),
        };
      }),
    ),
  );
}

function forkLeaves(servers: string): AsyncDisposable & { started(): Promise<unknown> } {
  const module = new URL("overhead-worker.ts", import.meta.url);
  const programs = Array.from({ length: PROCESSES }, (_, place) => {
    const paths = IDS.filter((_id, leaf) => leaf % PROCESSES === place).map((id) => `bench.${id}`);
    return forkProgram(module, { servers, paths });
  });
  return { started: () => Promise.all(programs.map((program) => program.message())), ...together(...programs) };
}

/** `timed` answers how many milliseconds a task took on one leaf. */
async function onAllLeaves(waitMs: number, timed: (id: string) => Promise<number>): Promise<readonly Reading[]> {
  const times = await Promise.all(IDS.map(timed));
  return [{ case: caseOf(waitMs), unit: "ms", value: times.reduce((sum, each) => sum + each, 0) / times.length }];
}

function commanded({ root }: Means, id: string, waitMs: number, tasks: number): Promise<number> {
  return timeOfEach(tasks, () => root.command(id, "task", { waitMs }));
}

function requested({ plain }: Means, id: string, waitMs: number, tasks: number): Promise<number> {
  return timeOfEach(tasks, () => plain.request(`plain.bench.${id}`, JSON.stringify({ waitMs }), { timeout: LIMIT_MS }));
}

async function timeOfEach(tasks: number, task: () => Promise<unknown>): Promise<number> {
  const startedAtMs = performance.now();
  for (let n = 0; n < tasks; n++) await task();
  return (performance.now() - startedAtMs) / tasks;
}

function directly({ root }: Means, id: string, waitMs: number, tasks: number): Promise<number> {
  return root.command<number>(id, "directly", { waitMs, tasks }, { timeoutMs: LIMIT_MS });
}
