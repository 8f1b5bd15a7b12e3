/**
 * A command to another process beside the plain `request()` of the same NATS client, both with the same object packed by
 * msgpackr and echoed. `request()` comes twice: as the client has it by default, and without the stack trace that it
 * otherwise takes for each request, which is how our own transport connects.
 */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { createNode, type Node } from "fractal-tree";
import { connectNats } from "fractal-tree/nats";
import { pack, unpack } from "msgpackr";
import { startNatsServer } from "../test/support/nats-server.js";
import type { Bench, BenchOptions, Measure, Reading, Subject } from "./bench.js";
import { closing, forkProgram } from "./child-process.js";
import { quantile } from "./rows.js";

const CANDIDATE = "node.command()";
const BASELINE = "request()";

/** Calls under way at a time; 1 is one after the other. */
const LEVELS = [1, 16, 128, 1_024] as const;
const SEQUENTIAL_OPERATIONS = 2_000;
const PIPELINED_OPERATIONS = 24_000;

/** 200 bytes when packed. */
const PAYLOAD = {
  sku: "A-1187",
  quantity: 12,
  price: 19.95,
  urgent: false,
  tags: ["fragile", "cold", "eu-west"],
  address: { street: "12 Harbour Lane", city: "Rotterdam", zip: "3011 AA" },
  note: "x".repeat(59),
};

export const commands: Bench = {
  name: "commands",
  question: "What does a command cost beside request() of the same NATS client?",
  runs: 7,
  warmsUp: true,
  baseline: BASELINE,
  // What a prototype without validation and faults reached: not met yet, and said so.
  goals: {
    [`${CANDIDATE}, 1 in flight, p50`]: { of: "ratio", is: "<=", limit: 1 },
    [`${CANDIDATE}, 16 in flight, rate`]: { of: "ratio", is: ">=", limit: 2 },
    [`${CANDIDATE}, 128 in flight, rate`]: { of: "ratio", is: ">=", limit: 5 },
    [`${CANDIDATE}, 1024 in flight, rate`]: { of: "ratio", is: ">=", limit: 7 },
  },
  chart: LEVELS.map((level) => `${level} in flight, rate`),
  stage,
};

async function stage(options: BenchOptions, measure: Measure): Promise<void> {
  await using server = await startNatsServer();
  const servers = server.url;
  await using worker = forkProgram(new URL("commands-worker.ts", import.meta.url), { servers });
  await using transport = closing(await connectNats({ servers, tree: "bench" }));
  await using plain = closing(await connect({ servers }));
  await using lean = closing(await connect({ servers, noAsyncTraces: true }));
  await using node = createNode({ path: "bench", transport, children: [{ id: "worker" }] });
  await node.start();
  await worker.message();
  await node.until("SYNCHRONIZED", { timeoutMs: 10_000 });
  const calls = {
    [CANDIDATE]: commandCall(node),
    [BASELINE]: requestCall(plain),
    "request(), no traces": requestCall(lean),
  };
  await measure(LEVELS.flatMap((level) => Object.entries(calls).map((call) => toSubject(call, level, options))));
}

type Call = () => Promise<unknown>;

function commandCall(node: Node): Call {
  return () => node.command("worker", "echo", PAYLOAD);
}

function requestCall(connection: NatsConnection): Call {
  return async () => unpack((await connection.request("bench.echo", pack(PAYLOAD), { timeout: 30_000 })).data);
}

function toSubject([variant, call]: [string, Call], inFlight: number, { operations }: BenchOptions): Subject {
  const count = operations ?? (inFlight === 1 ? SEQUENTIAL_OPERATIONS : PIPELINED_OPERATIONS);
  return { variant, measure: () => drive(call, inFlight, count) };
}

/** A closed loop: `inFlight` callers, each of which calls again once it was answered. */
async function drive(call: Call, inFlight: number, operations: number): Promise<readonly Reading[]> {
  const latencies = new Float64Array(operations);
  let next = 0;
  const caller = async (): Promise<void> => {
    while (next < operations) {
      const place = next++;
      const startedAtMs = performance.now();
      await call();
      latencies[place] = performance.now() - startedAtMs;
    }
  };
  const startedAtMs = performance.now();
  await Promise.all(Array.from({ length: inFlight }, caller));
  const seconds = (performance.now() - startedAtMs) / 1_000;
  const q = inFlight === 1 ? 0.5 : 0.99;
  return [
    { case: `${inFlight} in flight, rate`, unit: "1/s", value: operations / seconds },
    { case: `${inFlight} in flight, p${q * 100}`, unit: "µs", value: quantile(latencies, q) * 1_000 },
  ];
}
