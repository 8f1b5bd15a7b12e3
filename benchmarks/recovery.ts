/**
 * How long a crash goes unnoticed, and how long it takes to be whole again, with the default options. In memory a crash
 * is a node that from one moment on neither sends nor hears anything; over NATS it is a process that is killed.
 *
 * The parent has a second child that lives on, so that it is DEGRADED after the crash and not FAILED.
 */
import { createNode, memoryTransport, type Node, type Transport } from "fractal-tree";
import { connectNats } from "fractal-tree/nats";
import { setTimeout as sleep } from "node:timers/promises";
import { startNatsServer } from "../test/support/nats-server.js";
import type { Bench, BenchOptions, Measure, Reading, Subject } from "./bench.js";
import { closing, forkProgram } from "./child-process.js";
import { severable } from "./severable.js";

/** Long enough for a link to be past its opening, too short for its heartbeats to have slowed down. */
const YOUNG_MS = 2_000;
/** The heartbeat interval has grown to its maximum. */
const SETTLED_MS = 12_000;

/** A worker that is up, or coming up. */
interface Worker extends AsyncDisposable {
  /** Ends without a word. */
  crash(): Promise<void>;
  /** From its `start()` to SYNCHRONIZED, milliseconds. */
  readonly readyMs: Promise<number>;
}

type Spawn = () => Worker;

export const recovery: Bench = {
  name: "recovery",
  question: "How long does a crash go unnoticed, and how long does recovery take?",
  runs: 5,
  warmUps: 0,
  isLong: true,
  baseline: null,
  goals: {},
  chart: [
    "crash to DEGRADED, young link",
    "crash to DEGRADED, settled link",
    "crash to SYNCHRONIZED, respawned at once",
  ],
  stage,
};

async function stage(_options: BenchOptions, measure: Measure): Promise<void> {
  const memory = memoryTransport();
  await using server = await startNatsServer();
  const servers = server.url;
  await using nats = closing(await connectNats({ servers, tree: "bench" }));
  await measure([
    toSubject("memory", memory, () => memoryWorker(memory)),
    toSubject("NATS", nats, () => natsWorker(servers)),
  ]);
}

function toSubject(variant: string, transport: Transport, spawn: Spawn): Subject {
  return { variant, measure: () => measureCrashes(transport, spawn) };
}

async function measureCrashes(transport: Transport, spawn: Spawn): Promise<readonly Reading[]> {
  await using parent = createNode({ path: "bench", transport, children: [{ id: "worker" }, { id: "steady" }] });
  await using steady = createNode({ path: "bench.steady", transport });
  await Promise.all([parent.start(), steady.start()]);
  const first = spawn();
  await parent.until("SYNCHRONIZED", { timeoutMs: 30_000 });
  await sleep(YOUNG_MS);
  const young = await crashAndWait(parent, first, spawn);
  await sleep(SETTLED_MS);
  const settled = await crashAndWait(parent, young.worker, spawn);
  await sleep(YOUNG_MS);
  const atOnce = await crashAndReplace(parent, settled.worker, spawn);
  return [
    toReading("crash to DEGRADED, young link", young.detectedMs),
    toReading("crash to DEGRADED, settled link", settled.detectedMs),
    toReading("respawn to SYNCHRONIZED", settled.recoveredMs),
    toReading("… of it after the node's start()", settled.readyMs),
    toReading("crash to SYNCHRONIZED, respawned at once", atOnce),
  ];
}

function toReading(name: string, value: number): Reading {
  return { case: name, unit: "ms", value };
}

/** Crashes the worker, lets the parent notice it by itself, and starts another. */
async function crashAndWait(parent: Node, worker: Worker, spawn: Spawn) {
  const crashedAtMs = performance.now();
  await worker.crash();
  await parent.until("DEGRADED", { timeoutMs: 30_000 });
  const detectedMs = performance.now() - crashedAtMs;
  const spawnedAtMs = performance.now();
  const whole = wholeAgain(parent);
  const next = spawn();
  await whole;
  return { worker: next, detectedMs, recoveredMs: performance.now() - spawnedAtMs, readyMs: await next.readyMs };
}

async function crashAndReplace(parent: Node, worker: Worker, spawn: Spawn): Promise<number> {
  const crashedAtMs = performance.now();
  await worker.crash();
  const whole = wholeAgain(parent);
  await using next = spawn();
  await whole;
  const recoveredMs = performance.now() - crashedAtMs;
  await next.readyMs;
  return recoveredMs;
}

/** Resolves when another incarnation of the worker is ready and the parent SYNCHRONIZED. */
async function wholeAgain(parent: Node): Promise<void> {
  const former = parent.child("worker")?.epoch;
  for await (const { id, state, epoch } of parent.events("child.changed")) {
    if (id === "worker" && state === "alive" && epoch !== former) break;
  }
  await parent.until("SYNCHRONIZED", { timeoutMs: 30_000 });
}

function memoryWorker(memory: Transport): Worker {
  const { transport, sever } = severable(memory);
  const node = createNode({ path: "bench.worker", transport });
  const end = async (): Promise<void> => {
    sever();
    await node.stop({ timeoutMs: 10 });
  };
  return { crash: end, readyMs: readyMs(node), [Symbol.asyncDispose]: end };
}

async function readyMs(node: Node): Promise<number> {
  const startedAtMs = performance.now();
  await node.start();
  await node.until("SYNCHRONIZED", { timeoutMs: 30_000 });
  return performance.now() - startedAtMs;
}

function natsWorker(servers: string): Worker {
  const program = forkProgram(new URL("recovery-worker.ts", import.meta.url), { servers });
  const ready = program.message().then((message) => (message as { readonly readyMs: number }).readyMs);
  ready.catch(() => {});
  const crash = (): Promise<void> => program.kill();
  return { crash, readyMs: ready, [Symbol.asyncDispose]: crash };
}
