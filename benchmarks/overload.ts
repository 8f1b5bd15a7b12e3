/**
 * Ten times as many commands as a child in another process can run, for a minute, over NATS: once a child whose handlers
 * wait, so that its concurrency is the bound, and once one whose handlers compute, so that its processor is.
 */
import { createNode } from "fractal-tree";
import { connectNats } from "fractal-tree/nats";
import { startNatsServer } from "../test/support/nats-server.js";
import type { Bench, BenchOptions, Goal, Measure, Reading } from "./bench.js";
import { closing, forkProgram } from "./child-process.js";
import { heapBytes } from "./heap.js";
import { Load, type Tally, type WorkerReport } from "./overload-load.js";
import { quantile } from "./rows.js";

interface Work {
  readonly concurrency: number;
  readonly waitMs: number;
  readonly computeMs: number;
}

const WORK: Readonly<Record<string, Work>> = {
  "waiting handlers": { concurrency: 32, waitMs: 16, computeMs: 0 },
  "computing handlers": { concurrency: 32, waitMs: 0, computeMs: 0.5 },
};

const TIMES = 10;
const MINUTES = 1;
const CAPACITY_SECONDS = 3;
const CALLERS = 256;
/** The defaults of a node. */
const LINK_QUEUE_MAX = 4_096;
const QUEUE_MAX = 1_024;

export const overload: Bench = {
  name: "overload",
  question: "What becomes of a child that is offered ten times what it can do, for a minute?",
  runs: 1,
  warmUps: 0,
  baseline: null,
  goals: Object.assign({}, ...Object.keys(WORK).map(goalsOf)) as Readonly<Record<string, Goal>>,
  chart: ["completed, of its capacity", "p99 of accepted commands, last third, of the first"],
  notes: [
    "A command is accepted unless it is refused with OVERLOADED at once. The longest way of an accepted one leads through the caller's queue (4,096), the child's (1,024) and its concurrency: their sum over the rate is the bound of latency.",
  ],
  stage,
};

function goalsOf(variant: string): Readonly<Record<string, Goal>> {
  const atMost = (limit: number): Goal => ({ of: "value", is: "<=", limit });
  const atLeast = (limit: number): Goal => ({ of: "value", is: ">=", limit });
  const goals: Record<string, Goal> = {
    "offered, of its capacity": atLeast(TIMES * 0.9),
    "completed, of its capacity": atLeast(0.8),
    "shed with OVERLOADED": atLeast(1),
    "accepted and lost": atMost(0),
    "run more than once": atMost(0),
    "sessions lost": atMost(0),
    "most pending, of the queues' limits": atMost(1),
    "p99 of accepted commands, of its bound": atMost(1.2),
    "p99 of accepted commands, last third, of the first": atMost(1.2),
    "heap of the caller, growth": atMost(32),
    "heap of the worker, growth": atMost(32),
  };
  return Object.fromEntries(Object.entries(goals).map(([name, goal]) => [`${variant}, ${name}`, goal]));
}

async function stage({ operations, minutes }: BenchOptions, measure: Measure): Promise<void> {
  const seconds = operations ?? (minutes ?? MINUTES) * 60;
  await measure(
    Object.entries(WORK).map(([variant, work]) => ({ variant, measure: () => measureOverload(work, seconds) })),
  );
}

async function measureOverload(work: Work, seconds: number): Promise<readonly Reading[]> {
  await using server = await startNatsServer();
  const servers = server.url;
  await using worker = forkProgram(new URL("overload-worker.ts", import.meta.url), {
    servers,
    queueMax: QUEUE_MAX,
    ...work,
  });
  await using transport = closing(await connectNats({ servers, tree: "bench" }));
  await using node = createNode({ path: "bench", transport, children: [{ id: "worker" }] });
  await node.start();
  await worker.message();
  await node.until("SYNCHRONIZED", { timeoutMs: 10_000 });
  const load = new Load(node, "worker");
  await load.capacity(CALLERS, CAPACITY_SECONDS);
  const capacity = await load.capacity(CALLERS, CAPACITY_SECONDS);
  const before = { worker: (await worker.ask({})) as WorkerReport, heapBytes: heapBytes() };
  const changes: string[] = [];
  node.on("child.changed", ({ state }) => void changes.push(state));
  const latenciesMs: number[] = [];
  const onCompleted = (durationMs: number): void => void latenciesMs.push(durationMs);
  const tally = await load.offer({ rate: TIMES * capacity, seconds, onCompleted });
  const after = { worker: (await worker.ask({})) as WorkerReport, heapBytes: heapBytes() };
  return [
    ...toReadings(work, capacity, tally, latenciesMs),
    { case: "run more than once", unit: "", value: after.worker.repeated },
    { case: "suspicions of the worker", unit: "", value: changes.filter((state) => state === "suspect").length },
    {
      case: "sessions lost",
      unit: "",
      value: changes.filter((state) => state === "dead" || state === "opening").length,
    },
    { case: "heap of the caller, growth", unit: "MiB", value: mebibytes(after.heapBytes - before.heapBytes) },
    {
      case: "heap of the worker, growth",
      unit: "MiB",
      value: mebibytes(after.worker.heapBytes - before.worker.heapBytes),
    },
  ];
}

function mebibytes(bytes: number): number {
  return bytes / 2 ** 20;
}

function toReadings(
  { concurrency }: Work,
  capacity: number,
  { offered, seconds, completed, completedMeanwhile, shed, mostPending }: Tally,
  latenciesMs: readonly number[],
): readonly Reading[] {
  const rate = completedMeanwhile / seconds;
  const pendingMax = LINK_QUEUE_MAX + QUEUE_MAX + concurrency;
  const p99Ms = quantile(latenciesMs, 0.99);
  const third = Math.floor(latenciesMs.length / 3);
  const lastMs = quantile(latenciesMs.slice(-third), 0.99);
  return [
    { case: "capacity", unit: "1/s", value: capacity },
    { case: "offered, of its capacity", unit: "×", value: offered / seconds / capacity },
    { case: "completed, of its capacity", unit: "×", value: rate / capacity },
    { case: "shed with OVERLOADED", unit: "", value: shed },
    { case: "accepted and lost", unit: "", value: offered - shed - completed },
    { case: "most pending, of the queues' limits", unit: "×", value: mostPending / pendingMax },
    { case: "p50 of accepted commands", unit: "ms", value: quantile(latenciesMs, 0.5) },
    { case: "p99 of accepted commands", unit: "ms", value: p99Ms },
    { case: "p99 of accepted commands, of its bound", unit: "×", value: (p99Ms * rate) / 1_000 / pendingMax },
    {
      case: "p99 of accepted commands, last third, of the first",
      unit: "×",
      value: lastMs / quantile(latenciesMs.slice(0, third), 0.99),
    },
  ];
}
