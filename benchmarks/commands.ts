/**
 * A command to another process beside the plain `request()` of the same NATS client, both with the same object packed by
 * msgpackr and echoed. `request()` comes twice: as the client has it by default, and without the stack trace that it
 * otherwise takes for each request, which is how our own transport connects.
 *
 * Two floors, which know no deadline, no validation and no failure: what the client allows at best with a publish for each
 * message (one subscription for all answers, and a Map of who waits), and with a publish for each 64 of them. Moleculer is
 * the peer, over the same server.
 */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { createNode } from "fractal-tree";
import { connectNats } from "fractal-tree/nats";
import { pack, unpack } from "msgpackr";
import { startNatsServer } from "../test/support/nats-server.js";
import type { Bench, BenchOptions, Goal, Measure } from "./bench.js";
import { closing, forkProgram } from "./child-process.js";
import { Batches } from "./batches.js";
import { type Call, drive, type Load } from "./commands-load.js";
import { PAYLOAD } from "./payload.js";
import { createBroker, installPeers } from "./peers/moleculer.js";

const CANDIDATE = "node.command()";
const BASELINE = "request()";
const SINGLY = "publish, one inbox";
const BATCHED = "publish of batches, one inbox";
const MOLECULER = "Moleculer";

const LOADS: readonly Load[] = [
  ...[1, 16, 128, 1_024].map((inFlight) => ({ label: `${inFlight} in flight`, inFlight, isStaggered: false })),
  { label: "128 staggered", inFlight: 128, isStaggered: true },
];

export const commands: Bench = {
  name: "commands",
  question: "What does a command cost beside request() of the same NATS client?",
  runs: 25,
  warmUps: 10,
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
      floor: `${BATCHED}, ${load}, rate`,
    })),
  ];
  const noWorse: Goal = { of: "ratio", is: "<=", limit: 1 };
  return {
    [`${CANDIDATE}, 1 in flight, p50`]: noWorse,
    ...Object.fromEntries([
      rate("16 in flight", [2]),
      rate("128 in flight", [5], [3, MOLECULER]),
      rate("1024 in flight", [7], [3, MOLECULER]),
      rate("128 staggered", [4], [3, MOLECULER]),
    ]),
    ...Object.fromEntries(LOADS.map(({ label }) => [`${CANDIDATE}, ${label}, p99`, noWorse])),
  };
}

async function stage(options: BenchOptions, measure: Measure): Promise<void> {
  if (options.peers) await installPeers();
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
  await using peer = options.peers ? await moleculerCall(servers) : null;
  const calls = {
    [CANDIDATE]: () => node.command("worker", "echo", PAYLOAD),
    [BASELINE]: requestCall(plain),
    "request(), no traces": requestCall(lean),
    [SINGLY]: singlyCall(lean),
    [BATCHED]: batchedCall(lean),
    ...(peer !== null && { [MOLECULER]: peer.call }),
  };
  await measure(
    LOADS.flatMap((load) =>
      Object.entries(calls).map(([variant, call]) => {
        return { variant, measure: () => drive(call, load, options.operations) };
      }),
    ),
  );
}

function requestCall(connection: NatsConnection): Call {
  return async () => unpack((await connection.request("bench.echo", pack(PAYLOAD), { timeout: 30_000 })).data);
}

function singlyCall(connection: NatsConnection): Call {
  const waiting = new Map<string, (data: Uint8Array) => void>();
  const prefix = `${connection.info?.client_id ?? 0}.floor.`;
  let count = 0;
  connection.subscribe(`${prefix}*`, {
    callback: (_, { subject, data }) => {
      waiting.get(subject)?.(data);
      waiting.delete(subject);
    },
  });
  return async () => {
    const reply = `${prefix}${++count}`;
    const answer = new Promise<Uint8Array>((resolve) => waiting.set(reply, resolve));
    connection.publish("bench.echo", pack(PAYLOAD), { reply });
    return unpack(await answer);
  };
}

/** Waits for the end of the turn of the event loop, or for a full batch. */
function batchedCall(connection: NatsConnection): Call {
  const waiting = new Map<string, (output: unknown) => void>();
  const reply = `${connection.info?.client_id ?? 0}.batches`;
  const calls = new Batches((batch) => connection.publish("bench.batch", pack(batch), { reply }));
  let count = 0;
  connection.subscribe(reply, {
    callback: (_, { data }) => {
      for (const [id, output] of unpack(data) as readonly [string, unknown][]) {
        waiting.get(id)?.(output);
        waiting.delete(id);
      }
    },
  });
  return () => {
    const id = `c-${++count}`;
    calls.add([id, "echo", PAYLOAD]);
    return new Promise((resolve) => waiting.set(id, resolve));
  };
}

async function moleculerCall(servers: string): Promise<{ readonly call: Call } & AsyncDisposable> {
  const worker = forkProgram(new URL("peers/moleculer-worker.ts", import.meta.url), { servers });
  await worker.message();
  const broker = createBroker(servers, "caller");
  await broker.start();
  await broker.waitForServices("worker");
  const end = async (): Promise<void> => {
    await broker.stop();
    await worker.kill();
  };
  return { call: () => broker.call("worker.echo", PAYLOAD), [Symbol.asyncDispose]: end };
}
