/**
 * No false death: a thousand runs, each from its own seed, in which a fifth of all messages is lost and every process
 * stands still, again and again, for up to the stall that docs/failure-detection.md says is forgiven.
 *
 * `SEED=17` replays one run, `RUNS=20000` makes more of them, `STALL_MS=6000` makes all stalls that long.
 */
import { describe, expect, test } from "vitest";
import { forgivenStallMs } from "../../machines/failure-detector.js";
import { createNode, type Node } from "../../src/index.js";
import type { Random } from "../../src/health/clock.js";
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
const STALL_MS = process.env["STALL_MS"] === undefined ? null : Number(process.env["STALL_MS"]);

const DEFAULTS = resolveNodeOptions({ path: "shop", transport: memoryTransport() });
const FORGIVEN_MS = forgivenStallMs(DEFAULTS.heartbeat.maxMs, DEFAULTS.failureDetector);

class Tree {
  readonly clock = new SimulatedClock();
  /** Sessions that ended: a child was declared dead, or a parent. */
  readonly deaths: string[] = [];
  suspicions = 0;
  stalls = 0;
  readonly #random: Random;
  readonly #hosts: readonly SimulatedHost[];
  readonly #nodes: readonly Node[];

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    const network = new SimulatedNetwork({ clock: this.clock, random: this.#random, faults: { drop: LOSS } });
    this.#hosts = ["parent", ...IDS].map((name) => network.host(name));
    this.#nodes = this.#hosts.map((host) => newNode(host));
  }

  /** Gets ready, and then lives through its stalls. */
  async live(): Promise<void> {
    const [shop] = this.#nodes as [Node];
    await Promise.all(this.#nodes.map((node) => node.start()));
    const isReady = await this.clock.runUntil(() => shop.state === "SYNCHRONIZED", { withinMs: 60_000 });
    if (!isReady) throw new Error("the tree did not get ready");
    shop.on("child.changed", ({ id, state, atMs }) => {
      if (state === "suspect") this.suspicions++;
      else if (state !== "alive") this.deaths.push(`${id} ${state} at ${Math.round(atMs)} ms`);
    });
    for (const host of this.#hosts) this.#stallLater(host);
    await this.clock.advance(RUN_MS);
    for (const host of this.#hosts) host.kill();
  }

  #stallLater(host: SimulatedHost): void {
    const runningMs = RUNNING_MIN_MS + this.#random() * (RUNNING_MAX_MS - RUNNING_MIN_MS);
    const stallMs = STALL_MS ?? this.#random() * FORGIVEN_MS;
    this.clock.setTimeout(() => {
      this.stalls++;
      host.pause(stallMs);
      this.clock.setTimeout(() => this.#stallLater(host), stallMs);
    }, runningMs);
  }
}

function newNode({ name, clock, random, transport }: SimulatedHost): Node {
  const place = name === "parent" ? { path: "shop", children: IDS.map((id) => ({ id })) } : { path: `shop.${name}` };
  return createNode({ ...place, clock, random, transport });
}

describe("with default settings, 20 % loss and stalls of parent and children", () => {
  test("the forgiven stall is deadMs less the longest promise and two pauses: 6 s", () => {
    expect(FORGIVEN_MS).toBe(6_000);
  });

  test(`nobody is declared dead in ${RUNS} runs`, { timeout: 60_000 + 100 * RUNS }, async () => {
    const deaths: string[] = [];
    let [suspicions, stalls] = [0, 0];
    for (let seed = FIRST_SEED; seed <= LAST_SEED; seed++) {
      const tree = new Tree(seed);
      await tree.live();
      deaths.push(...tree.deaths.map((death) => `seed ${seed}: ${death}`));
      suspicions += tree.suspicions;
      stalls += tree.stalls;
    }
    expect(deaths).toEqual([]);
    // The runs were no calm sea: processes did stand still, and were suspected for it.
    expect(stalls).toBeGreaterThan((LAST_SEED - FIRST_SEED + 1) * 10);
    expect(suspicions).toBeGreaterThan(LAST_SEED - FIRST_SEED);
  });
});
