/**
 * Half of what two processes can exchange at most, over NATS, for long: whether memory and latency stay as they were, and
 * nothing is lost. The time is cut into thirty slices, after one that warms up; each ends with a line of what was seen, and
 * with plain requests between the same processes, one at a time: what they take longer is the host's.
 */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { createNode } from "fractal-tree";
import { connectNats } from "fractal-tree/nats";
import { startNatsServer } from "../test/support/nats-server.js";
import type { Bench, BenchOptions, Goal, Measure, Reading } from "./bench.js";
import { closing, forkProgram, type Program } from "./child-process.js";
import { heapBytes } from "./heap.js";
import { Load, type LoadOptions, PLAIN_SUBJECT, type Tally, type WorkerReport } from "./overload-load.js";
import { median, quantile } from "./rows.js";

const MINUTES = 30;
const SLICES = 30;
/** The greatest rate is sought with so many commands in flight. */
const CALLERS = 1_024;
const WARM_UP_SECONDS = 5;
/** A host's speed wavers: what it does for a few seconds is no rate that it can keep up. */
const PEAK_SECONDS = 60;
const SHARE = 0.5;
const REQUEST_SECONDS = 2;
/** Latencies of one slice that are kept, chosen at random. */
const SAMPLES_MAX = 1 << 16;
/** Of the worker, which grants as much credit: half a second of 262,144 a second. A host that stands still is no overload. */
const QUEUE_MAX = 131_072;
/** Handlers that answer at once. */
const WORK = { concurrency: 256, queueMax: QUEUE_MAX, waitMs: 0, computeMs: 0 };

const REQUEST = "request()";

const atMost = (limit: number): Goal => ({ of: "value", is: "<=", limit });
const trend = (of: string): string => `${of}, last third of first`;
const hostBound = (of: string, limit: number): Goal => ({ ...atMost(limit), floor: trend(`${REQUEST}, ${of}`) });

export const soak: Bench = {
  name: "soak",
  question: "Do memory and latency stay flat for long at half of the peak rate, and is nothing lost?",
  runs: 1,
  warmUps: 0,
  baseline: null,
  goals: {
    "lost commands": atMost(0),
    "refused commands": atMost(0),
    "commands run more than once": atMost(0),
    [trend("heap of the caller")]: atMost(1.1),
    [trend("heap of the worker")]: atMost(1.1),
    [trend("p50")]: hostBound("p50", 1.1),
    [trend("p99")]: hostBound("p99", 1.2),
  },
  chart: [trend("heap of the caller"), trend("heap of the worker"), trend("p50"), trend(`${REQUEST}, p50`)],
  notes: [
    "Queues hold half a second of the load: a host that stands still for a moment is no overload.",
    "Plain requests between the same processes, one at a time after each slice, are the floor of latency: what they take longer in the last third is the host's.",
    "Thirds are compared by the medians of their slices; one slice before them warms up.",
  ],
  isLong: true,
  stage,
};

/** What was seen in one slice of the time. */
interface Slice {
  readonly tally: Tally;
  /** Measured when all is answered: what was under way would hide what is left of it. */
  readonly callerBytes: number;
  readonly worker: WorkerReport;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly request: { readonly p50Ms: number; readonly p99Ms: number };
}

async function stage({ minutes }: BenchOptions, measure: Measure): Promise<void> {
  await measure([{ variant: "", measure: () => measureSoak((minutes ?? MINUTES) * 60) }]);
}

async function measureSoak(seconds: number): Promise<readonly Reading[]> {
  await using server = await startNatsServer();
  const servers = server.url;
  await using worker = forkProgram(new URL("overload-worker.ts", import.meta.url), { servers, ...WORK });
  await using transport = closing(await connectNats({ servers, tree: "bench" }));
  await using plain = closing(await connect({ servers }));
  await using node = createNode({ path: "bench", transport, children: [{ id: "worker" }] });
  await node.start();
  await worker.message();
  await node.until("SYNCHRONIZED", { timeoutMs: 10_000 });
  const load = new Load(node, "worker");
  await load.capacity(CALLERS, WARM_UP_SECONDS);
  const peak = await load.capacity(CALLERS, PEAK_SECONDS);
  const slices: Slice[] = [];
  for (let place = 0; place <= SLICES; place++) {
    const underLoad = await measureSlice(load, worker, { rate: peak * SHARE, seconds: seconds / SLICES });
    const slice = { ...underLoad, request: await measureRequests(plain) };
    tell(place, slice);
    if (place > 0) slices.push(slice);
  }
  return [{ case: "peak rate", unit: "1/s", value: peak }, ...toCounts(slices), ...toTrends(slices)];
}

async function measureSlice(load: Load, worker: Program, options: LoadOptions): Promise<Omit<Slice, "request">> {
  const latencies = new Samples();
  const tally = await load.offer({ ...options, onCompleted: (durationMs) => latencies.add(durationMs) });
  const report = (await worker.ask({})) as WorkerReport;
  return { tally, callerBytes: heapBytes(), worker: report, p50Ms: latencies.at(0.5), p99Ms: latencies.at(0.99) };
}

async function measureRequests(plain: NatsConnection): Promise<Slice["request"]> {
  const latencies = new Samples();
  const untilMs = performance.now() + REQUEST_SECONDS * 1_000;
  for (let nowMs = performance.now(); nowMs < untilMs;) {
    await plain.request(PLAIN_SUBJECT);
    const calledAtMs = nowMs;
    nowMs = performance.now();
    latencies.add(nowMs - calledAtMs);
  }
  return { p50Ms: latencies.at(0.5), p99Ms: latencies.at(0.99) };
}

/** A number of values drawn from any number of them. */
class Samples {
  readonly #values = new Float64Array(SAMPLES_MAX);
  #added = 0;

  add(value: number): void {
    const place = this.#added++;
    if (place < SAMPLES_MAX) this.#values[place] = value;
    else if (Math.random() * this.#added < SAMPLES_MAX) this.#values[Math.floor(Math.random() * SAMPLES_MAX)] = value;
  }

  at(q: number): number {
    return quantile(this.#values.subarray(0, this.#added), q);
  }
}

function tell(place: number, { tally, callerBytes, worker, p50Ms, p99Ms, request }: Slice): void {
  const heaps = `${mebibytes(callerBytes).toFixed(2)} + ${mebibytes(worker.heapBytes).toFixed(2)} MiB`;
  const latency = `p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms, ${REQUEST} ${request.p50Ms.toFixed(3)} ms`;
  const counts = `${(tally.completedMeanwhile / tally.seconds).toFixed(0)}/s, ${lostIn(tally)} lost, ${tally.shed} refused`;
  console.error(`soak: ${place === 0 ? "warming up" : `${place} of ${SLICES}`}: ${heaps}, ${latency}, ${counts}`);
}

function lostIn({ offered, completed, shed }: Tally): number {
  return offered - completed - shed;
}

function toCounts(slices: readonly Slice[]): readonly Reading[] {
  const sum = (of: (tally: Tally) => number): number => slices.reduce((total, { tally }) => total + of(tally), 0);
  const repeated = slices.at(-1)?.worker.repeated ?? Number.NaN;
  const rate = sum(({ completedMeanwhile }) => completedMeanwhile) / sum(({ seconds }) => seconds);
  return [
    { case: "rate", unit: "1/s", value: rate },
    { case: "commands", unit: "", value: sum(({ offered }) => offered) },
    { case: "lost commands", unit: "", value: sum(lostIn) },
    { case: "refused commands", unit: "", value: sum(({ shed }) => shed) },
    { case: "commands run more than once", unit: "", value: repeated },
  ];
}

const TRENDS: readonly { readonly name: string; readonly unit: string; readonly of: (slice: Slice) => number }[] = [
  { name: "heap of the caller", unit: "MiB", of: ({ callerBytes }) => mebibytes(callerBytes) },
  { name: "heap of the worker", unit: "MiB", of: ({ worker }) => mebibytes(worker.heapBytes) },
  { name: "p50", unit: "ms", of: ({ p50Ms }) => p50Ms },
  { name: "p99", unit: "ms", of: ({ p99Ms }) => p99Ms },
  { name: `${REQUEST}, p50`, unit: "ms", of: ({ request }) => request.p50Ms },
  { name: `${REQUEST}, p99`, unit: "ms", of: ({ request }) => request.p99Ms },
];

function toTrends(slices: readonly Slice[]): readonly Reading[] {
  const third = Math.ceil(slices.length / 3);
  return TRENDS.flatMap(({ name, unit, of }) => {
    const values = slices.map(of);
    const [first, last] = [median(values.slice(0, third)), median(values.slice(-third))];
    return [
      { case: name, unit, value: median(values) },
      { case: `${name}, slope`, unit: `${unit} a slice`, value: slope(values) },
      { case: trend(name), unit: "×", value: last / first },
    ];
  });
}

/** Of the line through the values, at equal distances, with the least squares. */
function slope(values: readonly number[]): number {
  const middle = (values.length - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  let [covariance, variance] = [0, 0];
  for (const [place, value] of values.entries()) {
    covariance += (place - middle) * (value - mean);
    variance += (place - middle) ** 2;
  }
  return covariance / variance;
}

function mebibytes(bytes: number): number {
  return bytes / 2 ** 20;
}
