/**
 * A floor of the benchmark `nodes`: of as many leaves nothing but their XState actors, led from DISCONNECTED to SYNCHRONIZED
 * by the one event that a leaf gets, and the five frames of their start, written, published, delivered and read.
 */
import { memoryTransport } from "fractal-tree";
import { setTimeout as sleep } from "node:timers/promises";
import { realClock } from "../src/health/real-clock.js";
import { NO_CHILDREN } from "../machines/thresholds.js";
import { CoordinationRun } from "../src/node/coordination-run.js";
import { decodeFrame, encodeFrame } from "../src/protocol/codec.js";
import type { Message } from "../src/protocol/messages.js";
import type { Reading } from "./bench.js";
import { programInput, reportToParent } from "./child-process.js";
import { SAMPLES } from "./codec-samples.js";
import { heapBytes } from "./heap.js";

const { leaves } = programInput() as { readonly leaves: number };

const HEADER = { version: 1, session: "q3JkT0aZ", ack: 1, broadcastAck: 0, credit: 1_024 };
/** The frames that a leaf and its parent exchange until the leaf is ready, with their directions. */
const FRAMES = [
  ["up", ["ready.announce"]],
  ["down", ["init.open"]],
  ["down", ["init.probe"]],
  ["up", ["ready.subtree", "status.report"]],
  ["down", ["heartbeat.ack"]],
] as const;

function messagesOf(kinds: readonly string[]): readonly Message[] {
  return kinds.map((kind) => {
    const sample = SAMPLES.find((each) => each.kind === kind);
    if (sample === undefined) throw new Error(`no sample of ${kind}`);
    return sample.messages(1)[0] as unknown as Message;
  });
}

function createRuns(): readonly CoordinationRun[] {
  const thresholds = { degraded: { count: 1 }, failed: { fraction: 1 } };
  const times = { initTimeoutMs: 120_000, recoveryTimeoutMs: null, cleanupTimeoutMs: 5_000 };
  const input = { thresholds, ...times, hasUplink: true };
  const system = { clock: realClock, inspect: null };
  return Array.from({ length: leaves }, (_, i) => {
    return new CoordinationRun(`root.n${i}`, system, { ...input }, { emitted: () => {} });
  });
}

/** Every leaf's frames to a listener of its own. */
function exchange(): Promise<void> {
  const transport = memoryTransport();
  const frames = FRAMES.map(([direction, kinds]) => ({ direction, messages: messagesOf(kinds) }));
  let left = leaves * frames.length;
  return new Promise((resolve) => {
    for (let i = 0; i < leaves; i++) {
      for (const [place, { direction, messages }] of frames.entries()) {
        transport.subscribe(`floor.${place}.n${i}`, (payload) => {
          if (decodeFrame(payload, direction).kind !== "frame") throw new Error("malformed");
          if (--left === 0) resolve();
        });
        transport.publish(`floor.${place}.n${i}`, encodeFrame({ ...HEADER, messages }));
      }
    }
  });
}

async function measure(): Promise<readonly Reading[]> {
  const before = heapBytes();
  const startedAtMs = performance.now();
  const runs = createRuns();
  const createdMs = performance.now() - startedAtMs;
  for (const run of runs) run.start();
  for (const run of runs) run.send({ type: "coordination.requested", counts: NO_CHILDREN });
  const synchronizedMs = performance.now() - startedAtMs;
  await sleep(100);
  const heap = heapBytes() - before;
  const ready = runs.filter(({ state }) => state === "SYNCHRONIZED").length;
  const exchangeAtMs = performance.now();
  await exchange();
  const ms = synchronizedMs + performance.now() - exchangeAtMs;
  return [
    { case: "nodes SYNCHRONIZED", unit: "", value: ready },
    { case: "heap per leaf", unit: "B", value: heap / leaves },
    { case: "creation of the tree", unit: "ms", value: createdMs },
    { case: "creation to SYNCHRONIZED, the machine alone", unit: "ms", value: synchronizedMs },
    { case: "creation to SYNCHRONIZED", unit: "ms", value: ms },
    { case: "creation to SYNCHRONIZED, per leaf", unit: "µs", value: (ms * 1_000) / leaves },
  ];
}

reportToParent(await measure());
