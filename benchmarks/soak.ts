/**
 * Half of what two processes can exchange at most, over NATS, for long: whether memory and latency stay as they were, and
 * nothing is lost. The time is cut into thirty slices, after one that warms up; each ends with a line of what was seen.
 */
import { createNode } from "fractal-tree";
import { connectNats } from "fractal-tree/nats";
import { startNatsServer } from "../test/support/nats-server.js";
import type { Bench, BenchOptions, Goal, Measure, Reading } from "./bench.js";
import { closing, forkProgram, type Program } from "./child-process.js";
import { heapBytes } from "./overload-heap.js";
import { Load, type Tally, type WorkerReport } from "./overload-load.js";
import { median, quantile } from "./rows.js";

const MINUTES = 30;
const SLICES = 30;
/** The greatest rate is sought with so many commands in flight. */
const CALLERS = 1_024;
const PEAK_SECONDS = 5;
const SHARE = 0.5;
/** Latencies of one slice that are kept, chosen at random. */
const SAMPLES_MAX = 1 << 16;
/** Handlers that answer at once. */
const WORK = { concurrency: 256, waitMs: 0, computeMs: 0 };

const atMost = (limit: number): Goal => ({ of: "value", is: "<=", limit });

export const soak: Bench = {
  name: "soak",
  question: "Do memory and latency stay flat for long at half of the peak rate, and is nothing lost?",
  runs: 1,
  warmsUp: false,
  baseline: null,
  goals: {
    "lost commands": atMost(0),
    "refused commands": atMost(0),
    "commands run more than once": atMost(0),
    "heap of the caller, last third of first": atMost(1.1),
    "heap of the worker, last third of first": atMost(1.1),
    "p50, last third of first": atMost(1.1),
    "p99, last third of first": atMost(1.2),
  },
  chart: [
    "heap of the caller, last third of first",
    "heap of the worker, last third of first",
    "p50, last third of first",
  ],
  notes: ["Thirds are compared by the medians of their slices; one slice before them warms up."],
  isLong: true,
  stage,
};

/** What was seen in one slice of the time. */
interface Slice {
  readonly callerBytes: number;
  readonly workerBytes: number;
  readonly rate: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

async function stage({ minutes }: BenchOptions, measure: Measure): Promise<void> {
  await measure([{ variant: "", measure: () => measureSoak((minutes ?? MINUTES) * 60) }]);
}

async function measureSoak(seconds: number): Promise<readonly Reading[]> {
  await using server = await startNatsServer();
  const servers = server.url;
  await using worker = forkProgram(new URL("overload-worker.ts", import.meta.url), { servers, ...WORK });
  await using transport = closing(await connectNats({ servers, tree: "bench" }));
  await using node = createNode({ path: "bench", transport, children: [{ id: "worker" }] });
  await node.start();
  await worker.message();
  await node.until("SYNCHRONIZED", { timeoutMs: 10_000 });
  const load = new Load(node, "worker");
  await load.capacity(CALLERS, PEAK_SECONDS);
  const peak = await load.capacity(CALLERS, PEAK_SECONDS);
  const slicer = new Slicer(worker, (seconds * 1_000) / SLICES);
  const warmUpSeconds = seconds / SLICES;
  const onCompleted = (durationMs: number): void => slicer.note(durationMs);
  const tally = await load.offer({ rate: peak * SHARE, seconds: seconds + warmUpSeconds, onCompleted });
  const slices = await slicer.end();
  const { repeated } = (await worker.ask({})) as WorkerReport;
  return [{ case: "peak rate", unit: "1/s", value: peak }, ...ofTally(tally, repeated), ...ofSlices(slices.slice(1))];
}

/** Cuts the time into slices and tells of each as it ends. */
class Slicer {
  readonly #worker: Program;
  readonly #sliceMs: number;
  readonly #timer: NodeJS.Timeout;
  readonly #slices: Slice[] = [];
  // Outside the heap that is measured.
  readonly #samples = new Float64Array(SAMPLES_MAX);
  #completed = 0;
  #busy: Promise<void> = Promise.resolve();

  constructor(worker: Program, sliceMs: number) {
    this.#worker = worker;
    this.#sliceMs = sliceMs;
    this.#timer = setInterval(() => (this.#busy = this.#cut()), sliceMs);
  }

  note(durationMs: number): void {
    const place = this.#completed++;
    if (place < SAMPLES_MAX) this.#samples[place] = durationMs;
    else if (Math.random() * this.#completed < SAMPLES_MAX)
      this.#samples[Math.floor(Math.random() * SAMPLES_MAX)] = durationMs;
  }

  async end(): Promise<readonly Slice[]> {
    clearInterval(this.#timer);
    await this.#busy;
    return this.#slices;
  }

  async #cut(): Promise<void> {
    // Where nothing completed, everything took longer than the slice.
    const samples = this.#completed === 0 ? [this.#sliceMs] : this.#samples.slice(0, this.#completed);
    const rate = (this.#completed * 1_000) / this.#sliceMs;
    this.#completed = 0;
    const workerBytes = ((await this.#worker.ask({})) as WorkerReport).heapBytes;
    const slice = {
      callerBytes: heapBytes(),
      workerBytes,
      rate,
      p50Ms: quantile(samples, 0.5),
      p99Ms: quantile(samples, 0.99),
    };
    this.#slices.push(slice);
    tell(this.#slices.length - 1, slice);
  }
}

function tell(place: number, { callerBytes, workerBytes, rate, p50Ms, p99Ms }: Slice): void {
  const heaps = `${mebibytes(callerBytes).toFixed(2)} + ${mebibytes(workerBytes).toFixed(2)} MiB`;
  const latency = `p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms`;
  console.error(
    `soak: ${place === 0 ? "warming up" : `${place} of ${SLICES}`}: ${heaps}, ${rate.toFixed(0)}/s, ${latency}`,
  );
}

function ofTally({ offered, seconds, completed, shed }: Tally, repeated: number): readonly Reading[] {
  return [
    { case: "rate", unit: "1/s", value: offered / seconds },
    { case: "commands", unit: "", value: offered },
    { case: "lost commands", unit: "", value: offered - completed - shed },
    { case: "refused commands", unit: "", value: shed },
    { case: "commands run more than once", unit: "", value: repeated },
  ];
}

function ofSlices(slices: readonly Slice[]): readonly Reading[] {
  const third = Math.ceil(slices.length / 3);
  const [first, last] = [slices.slice(0, third), slices.slice(-third)];
  const medianOf = (some: readonly Slice[], key: keyof Slice): number => median(some.map((slice) => slice[key]));
  const ratio = (name: string, key: keyof Slice): Reading => {
    return { case: `${name}, last third of first`, unit: "×", value: medianOf(last, key) / medianOf(first, key) };
  };
  return [
    { case: "heap of the caller", unit: "MiB", value: mebibytes(medianOf(slices, "callerBytes")) },
    { case: "heap of the worker", unit: "MiB", value: mebibytes(medianOf(slices, "workerBytes")) },
    { case: "p50", unit: "ms", value: medianOf(slices, "p50Ms") },
    { case: "p99", unit: "ms", value: medianOf(slices, "p99Ms") },
    {
      case: "heap of the caller, slope",
      unit: "KiB a slice",
      value: slope(slices.map((at) => at.callerBytes)) / 1_024,
    },
    {
      case: "heap of the worker, slope",
      unit: "KiB a slice",
      value: slope(slices.map((at) => at.workerBytes)) / 1_024,
    },
    ratio("heap of the caller", "callerBytes"),
    ratio("heap of the worker", "workerBytes"),
    ratio("p50", "p50Ms"),
    ratio("p99", "p99Ms"),
  ];
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
