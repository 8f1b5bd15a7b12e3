/** The process of the benchmarks `overload` and `soak` that runs the commands, and counts how often it ran each of them. */
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "@nats-io/transport-node";
import { createNode } from "fractal-tree";
import { connectNats } from "fractal-tree/nats";
import { answerParent, programInput, reportToParent } from "./child-process.js";
import { heapBytes } from "./heap.js";
import { PLAIN_SUBJECT, type WorkerReport } from "./overload-load.js";

const { servers, concurrency, queueMax, waitMs, computeMs } = programInput() as {
  readonly servers: string;
  readonly concurrency: number;
  readonly queueMax: number;
  readonly waitMs: number;
  readonly computeMs: number;
};

/** Commands are numbered; how often each was run. */
let runs = new Uint8Array(1 << 20);
let started = 0;
let repeated = 0;
let running = 0;
let mostRunning = 0;
let mostQueued = 0;

function note(number: number): void {
  if (number >= runs.length) {
    const more = new Uint8Array(runs.length * 2);
    more.set(runs);
    runs = more;
  }
  if (runs[number] === 0) started++;
  else repeated++;
  runs[number] = 1;
  mostQueued = Math.max(mostQueued, node.status.queued);
  mostRunning = Math.max(mostRunning, ++running);
}

/** Waits and computes as long as it was told. */
async function work({ number }: { readonly number: number }): Promise<number> {
  note(number);
  if (waitMs > 0) await sleep(waitMs);
  const untilMs = performance.now() + computeMs;
  while (performance.now() < untilMs);
  running--;
  return number;
}

const plain = await connect({ servers });
plain.subscribe(PLAIN_SUBJECT, { callback: (_error, request) => void request.respond() });
await plain.flush();
const transport = await connectNats({ servers, tree: "bench" });
const node = createNode({ path: "bench.worker", transport, concurrency, queueMax, commands: { work } });
await node.start();
await node.until("SYNCHRONIZED");
answerParent((): WorkerReport => {
  // What counts the runs is not the node's.
  return { started, repeated, mostRunning, mostQueued, heapBytes: heapBytes() };
});
reportToParent({ ready: true });
