/**
 * A command to another process beside the plain `request()` of the same NATS client, both with the same object packed by
 * msgpackr and echoed. `request()` comes twice: as the client has it by default, and without the stack trace that it
 * otherwise takes for each request, which is how our own transport connects.
 *
 * The floor is what the client allows at best: a publish for each message, one subscription for all answers, and a Map of
 * who waits; it knows no deadline, no validation and no failure. Moleculer is the peer, over the same server.
 */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { createNode } from "fractal-tree";
import { connectNats } from "fractal-tree/nats";
import { pack, unpack } from "msgpackr";
import { startNatsServer } from "../test/support/nats-server.js";
import type { Bench, BenchOptions, Goal, Measure } from "./bench.js";
import { closing, forkProgram } from "./child-process.js";
import { type Call, drive, type Load } from "./commands-load.js";
import { PAYLOAD } from "./payload.js";
import { createBroker, installPeers } from "./peers/moleculer.js";

const CANDIDATE = "node.command()";
const BASELINE = "request()";
const FLOOR = "publish, one inbox";
const MOLECULER = "Moleculer";

const LOADS: readonly Load[] = [
  ...[1, 16, 128, 1_024].map((inFlight) => ({ label: `${inFlight} in flight`, inFlight, isStaggered: false })),
  { label: "128 staggered", inFlight: 128, isStaggered: true },
];

export const commands: Bench = {
  name: "commands",
  question: "What does a command cost beside request() of the same NATS client?",
  runs: 7,
  warmsUp: true,
  baseline: BASELINE,
  goals: goals(),
  chart: LOADS.map(({ label }) => `${label}, rate`),
  notes: [
    "`publish, one inbox` is the floor: one subscription for all answers and a Map of who waits, with no deadline, validation or failure.",
    "`staggered`: callers await up to three promises or up to three turns of the event loop between two commands, the same draws for all.",
    "Moleculer uses JSON, the faster one of its serializers.",
  ],
  stage,
};

function goals(): Bench["goals"] {
  const atLeast = (limit: number, against?: string): Goal => ({
    of: "ratio",
    is: ">=",
    limit,
    ...(against !== undefined && { against }),
  });
  const noWorse: Goal = { of: "ratio", is: "<=", limit: 1 };
  return {
    [`${CANDIDATE}, 1 in flight, p50`]: noWorse,
    [`${CANDIDATE}, 16 in flight, rate`]: atLeast(2),
    [`${CANDIDATE}, 128 in flight, rate`]: [atLeast(5), atLeast(3, MOLECULER)],
    [`${CANDIDATE}, 1024 in flight, rate`]: [atLeast(7), atLeast(3, MOLECULER)],
    [`${CANDIDATE}, 128 staggered, rate`]: [atLeast(4), atLeast(3, MOLECULER)],
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
    [FLOOR]: floorCall(lean),
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

function floorCall(connection: NatsConnection): Call {
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
