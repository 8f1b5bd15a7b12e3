/**
 * One command after the other down a chain of nodes, answered by the node 1, 2, 4 or 6 levels below. Each level should
 * cost what the first one costs. Over NATS every level is a process of its own. A floor: the same processes pass a plain
 * request of the client on to the next one, and nothing else.
 */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { createNode, memoryTransport, type Node } from "fractal-tree";
import { connectNats } from "fractal-tree/nats";
import { startNatsServer } from "../test/support/nats-server.js";
import type { Bench, BenchOptions, Goal, Measure, Reading } from "./bench.js";
import { closing, forkProgram, together } from "./child-process.js";
import { PAYLOAD } from "./payload.js";
import { quantile } from "./rows.js";

const DEPTHS = [1, 2, 4, 6] as const;
const LEVELS = Math.max(...DEPTHS);
const TRANSPORTS = ["memory", "NATS"] as const;
const PLAIN = "plain request()";
const WAYS = [...TRANSPORTS, PLAIN] as const;
type Way = (typeof WAYS)[number];
const OPERATIONS = { memory: 2_000, NATS: 400, [PLAIN]: 400 };
/** Commands to one depth before it is the next one's turn. */
const BLOCK = 50;

export const deep: Bench = {
  name: "deep",
  question: "What does a command cost that goes through several levels?",
  runs: 5,
  warmUps: 2,
  baseline: variantOf(1),
  goals: goals(),
  chart: WAYS.flatMap((way) => [`${way}, p50`, perLevel(way)]),
  notes: [
    "One command at a time; over NATS each level is a process of its own.",
    "Plain requests are the floor: what a level of them costs more in a deep chain is what many processes on few cores cost.",
  ],
  stage,
};

function goals(): Bench["goals"] {
  const linear: Goal = { of: "ratio", is: "<=", limit: 1.2 };
  const deeper = DEPTHS.filter((depth) => depth > 1).map(variantOf);
  const overNats = (depth: string): Goal => ({ ...linear, floor: `${depth}, ${perLevel(PLAIN)}` });
  return Object.fromEntries(
    deeper.flatMap((depth) => [
      [`${depth}, ${perLevel("memory")}`, linear],
      [`${depth}, ${perLevel("NATS")}`, overNats(depth)],
    ]),
  );
}

function variantOf(depth: number): string {
  return depth === 1 ? "1 level" : `${depth} levels`;
}

function perLevel(transport: string): string {
  return `${transport}, p50 for each level`;
}

async function stage({ operations }: BenchOptions, measure: Measure): Promise<void> {
  await using memory = await memoryChain();
  await using nats = await natsChain();
  const calls: Calls = { memory: commandTo(memory), NATS: commandTo(nats), [PLAIN]: requestTo(nats.plain) };
  let latencies: Latencies = new Map();
  await measure(
    DEPTHS.map((depth) => ({
      variant: variantOf(depth),
      measure: async () => {
        // The first subject of a run measures all depths, block by block in turn.
        if (depth === DEPTHS[0]) latencies = await measureAll(calls, operations);
        return WAYS.flatMap((way) => toReadings(way, depth, latencies));
      },
    })),
  );
}

/** Microseconds by way and depth. */
type Latencies = ReadonlyMap<string, readonly number[]>;
/** How to have a level answer. */
type Calls = Readonly<Record<Way, (depth: number) => Promise<unknown>>>;

function commandTo({ root }: Chain): (depth: number) => Promise<unknown> {
  return (depth) => root.command(pathDown(depth), "echo", PAYLOAD);
}

/** Each level passes it on until it has gone so deep. */
function requestTo(plain: NatsConnection): (depth: number) => Promise<unknown> {
  return async (depth) => {
    const { data } = await plain.request("plain.1", JSON.stringify({ depth, input: PAYLOAD }), { timeout: 10_000 });
    return JSON.parse(Buffer.from(data).toString()) as unknown;
  };
}

async function measureAll(calls: Calls, operations: number | null): Promise<Latencies> {
  const latencies = new Map<string, number[]>();
  for (const way of WAYS) {
    for (let done = 0; done < (operations ?? OPERATIONS[way]); done += BLOCK) {
      for (const depth of DEPTHS) {
        const key = keyOf(way, depth);
        const taken = await block(() => calls[way](depth));
        latencies.set(key, [...(latencies.get(key) ?? []), ...taken]);
      }
    }
  }
  return latencies;
}

async function block(call: () => Promise<unknown>): Promise<readonly number[]> {
  const taken: number[] = [];
  for (let n = 0; n < BLOCK; n++) {
    const startedAtMs = performance.now();
    await call();
    taken.push((performance.now() - startedAtMs) * 1_000);
  }
  return taken;
}

function toReadings(way: Way, depth: number, latencies: Latencies): readonly Reading[] {
  const p50 = quantile(latencies.get(keyOf(way, depth)) ?? [], 0.5);
  return [
    { case: `${way}, p50`, unit: "µs", value: p50 },
    { case: perLevel(way), unit: "µs", value: p50 / depth },
  ];
}

function keyOf(way: Way, depth: number): string {
  return `${way} ${depth}`;
}

/** "n1.n2.n3" */
function pathDown(depth: number): string {
  return Array.from({ length: depth }, (_, place) => `n${place + 1}`).join(".");
}

interface Level {
  readonly path: string;
  readonly children: readonly string[];
}

/** Below the root. */
const BELOW: readonly Level[] = Array.from({ length: LEVELS }, (_, place) => {
  const depth = place + 1;
  return { path: `bench.${pathDown(depth)}`, children: depth < LEVELS ? [`n${depth + 1}`] : [] };
});

const ROOT = { path: "bench", children: [{ id: "n1" }] };

interface Chain extends AsyncDisposable {
  readonly root: Node;
}

async function memoryChain(): Promise<Chain> {
  const transport = memoryTransport();
  const commands = { echo: (input: unknown) => input };
  const root = createNode({ ...ROOT, transport });
  const below = BELOW.map(({ path, children }) => {
    return createNode({ path, transport, commands, children: children.map((id) => ({ id })) });
  });
  await Promise.all([root, ...below].map((node) => node.start()));
  await root.until("SYNCHRONIZED", { timeoutMs: 10_000 });
  return { root, ...together(...below, root) };
}

interface NatsChain extends Chain {
  readonly plain: NatsConnection;
}

async function natsChain(): Promise<NatsChain> {
  const server = await startNatsServer();
  const servers = server.url;
  const module = new URL("deep-worker.ts", import.meta.url);
  const programs = BELOW.map((level, place) => forkProgram(module, { servers, place: place + 1, ...level }));
  const transport = closing(await connectNats({ servers, tree: "bench" }));
  const root = createNode({ ...ROOT, transport });
  await Promise.all([root.start(), ...programs.map((program) => program.message())]);
  await root.until("SYNCHRONIZED", { timeoutMs: 30_000 });
  const plain = await connect({ servers });
  return { root, plain, ...together(server, transport, ...programs, closing(plain), root) };
}
