/**
 * No false death: a thousand runs, each from its own seed, in which a fifth of all messages is lost and every process
 * stands still, again and again, for up to the stall that docs/failure-detection.md says is forgiven.
 *
 * `SEED=17` replays one run, `RUNS=20000` makes more of them.
 */
import { describe, expect, test } from "vitest";
import { createNode, type Node } from "../../src/index.js";
import { resolveNodeOptions } from "../../src/node/options.js";
import { seededRandom, SimulatedClock, type SimulatedHost, SimulatedNetwork } from "../../src/testing/index.js";
import { memoryTransport } from "../../src/transport/memory.js";

const LOSS = 0.2;
const IDS = ["a", "b", "c", "d"];
const RUN_MS = 60_000;
/** A process that stood still runs at least so long before it does again: shorter, and two stalls are one. */
const RUNNING_MIN_MS = 5_000;
const RUNNING_MAX_MS = 20_000;

const RUNS = Number(process.env["RUNS"] ?? 1_000);
const FIRST_SEED = Number(process.env["SEED"] ?? 1);
const LAST_SEED = process.env["SEED"] === undefined ? RUNS : FIRST_SEED;

/** The longest stall that the default settings forgive under loss. */
function forgivenStallMs(): number {
  const { failureDetector, heartbeat } = resolveNodeOptions({ path: "shop", transport: memoryTransport() });
  return failureDetector.deadMs - heartbeat.maxMs - 2 * failureDetector.pauseMs;
}

interface Trace {
  /** Sessions that ended: a child that was declared dead, or a parent. */
  readonly deaths: readonly string[];
  readonly suspicions: number;
  readonly stalls: number;
}

async function run(seed: number): Promise<Trace> {
  const clock = new SimulatedClock();
  const random = seededRandom(seed);
  const network = new SimulatedNetwork({ clock, random, faults: { drop: LOSS } });
  const hosts = [network.host("parent"), ...IDS.map((id) => network.host(id))] as const;
  const nodes = hosts.map((host) => newNode(host));
  const [shop] = nodes as [Node];
  await Promise.all(nodes.map((node) => node.start()));
  expect(await clock.runUntil(() => shop.state === "SYNCHRONIZED", { withinMs: 60_000 }), `seed ${seed}`).toBe(true);
  const deaths: string[] = [];
  let suspicions = 0;
  shop.on("child.changed", ({ id, state, atMs }) => {
    if (state === "suspect") suspicions++;
    else if (state !== "alive") deaths.push(`seed ${seed}: ${id} ${state} at ${Math.round(atMs)} ms`);
  });
  let stalls = 0;
  const untilMs = clock.now() + RUN_MS;
  const stallLater = (host: SimulatedHost): void => {
    const runningMs = RUNNING_MIN_MS + random() * (RUNNING_MAX_MS - RUNNING_MIN_MS);
    const stallMs = random() * forgivenStallMs();
    if (clock.now() + runningMs > untilMs) return;
    clock.setTimeout(() => {
      stalls++;
      host.pause(stallMs);
      clock.setTimeout(() => stallLater(host), stallMs);
    }, runningMs);
  };
  for (const host of hosts) stallLater(host);
  await clock.advance(RUN_MS);
  for (const host of hosts) host.kill();
  return { deaths, suspicions, stalls };
}

function newNode({ name, clock, random, transport }: SimulatedHost): Node {
  const place = name === "parent" ? { path: "shop", children: IDS.map((id) => ({ id })) } : { path: `shop.${name}` };
  return createNode({ ...place, clock, random, transport });
}

describe("with default settings, 20 % loss and stalls of parent and children", () => {
  test("the forgiven stall is deadMs less the longest promise and two pauses: 6 s", () => {
    expect(forgivenStallMs()).toBe(6_000);
  });

  test(`nobody is declared dead in ${RUNS} runs`, { timeout: 60_000 + 100 * RUNS }, async () => {
    const total = { deaths: [] as string[], suspicions: 0, stalls: 0 };
    for (let seed = FIRST_SEED; seed <= LAST_SEED; seed++) {
      const { deaths, suspicions, stalls } = await run(seed);
      total.deaths.push(...deaths);
      total.suspicions += suspicions;
      total.stalls += stalls;
    }
    expect(total.deaths).toEqual([]);
    // The runs were no calm sea: processes did stand still, and were suspected for it.
    expect(total.stalls).toBeGreaterThan((LAST_SEED - FIRST_SEED + 1) * 10);
    expect(total.suspicions).toBeGreaterThan(LAST_SEED - FIRST_SEED);
  });
});
