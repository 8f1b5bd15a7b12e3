/**
 * A hundred thousand messages, a few thousand of each kind. What they leave behind is bounded, and afterwards everything
 * is as quick as before. In virtual time.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { World } from "../node/kit.js";
import { FLOODS, type Flood, subjectOf } from "./floods.js";
import { BLIND, type Knowledge, knowledgeOf } from "./knowledge.js";
import { LiveTree, PATHS } from "./live-tree.js";
import { MuteChild } from "./mute-child.js";
import { surfaced } from "./surfaced.js";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const MESSAGES = 100_000;
const EACH = Math.ceil(MESSAGES / FLOODS.length);
/** What arrives in one instant. */
const BURST = 500;
/** Virtual time after which calls are as quick as before, milliseconds. */
const RECOVERY_MS = 5_000;
/** Small ones, so that what they bound is told from what nothing bounds. */
const LIMITS = {
  childrenMax: 50,
  queueMax: 50,
  linkQueueMax: 50,
  concurrency: 20,
  outcomesMax: 100,
  outcomesMaxBytes: 100_000,
};
/** What histories and tables may keep of one flood, and of all; 4,000 messages kept take several times as much. */
const KEPT_MAX_BYTES = 1_000_000;
const KEPT_MAX_BYTES_IN_ALL = 5_000_000;

/** What lives now, bytes. */
function heapBytes(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

type Known = Map<string, Knowledge>;

/** Reads what was on the wire since the last time: sessions that ended are followed by others. */
function learn({ world }: LiveTree, known: Known): void {
  for (const path of PATHS) {
    const latest = knowledgeOf(world.wire, "", path);
    if (latest.session !== BLIND.session) known.set(path, latest);
  }
  world.wire.length = 0;
}

async function pour(tree: LiveTree, flood: Flood, known: Known): Promise<void> {
  const { world } = tree;
  for (let n = 0; n < EACH; n++) {
    if (n % BURST === 0) {
      await world.run(10);
      learn(tree, known);
    }
    world.broker.publish(subjectOf(flood, n), flood.bytes(n, known.get(flood.path) as Knowledge));
  }
  await world.run(RECOVERY_MS);
  learn(tree, known);
  tree.runs.clear();
}

/** How long a round of calls takes, virtual milliseconds. */
async function latencyMs(tree: LiveTree): Promise<number> {
  const sinceMs = tree.world.nowMs;
  expect(await tree.serves()).toBe(true);
  return tree.world.nowMs - sinceMs;
}

/** What a node holds that can be counted: nothing waits, and reasons and children are few. */
function expectNothingLeft(tree: LiveTree, timers: number): void {
  expect(tree.world.clock.pending).toBeLessThanOrEqual(timers);
  for (const path of PATHS) {
    const node = tree.node(path);
    expect(node.status).toMatchObject({ state: "SYNCHRONIZED", running: 0, queued: 0 });
    expect(node.children().filter(({ pending }) => pending > 0)).toEqual([]);
    expect(Object.keys(node.status.dropped).length).toBeLessThan(40);
    expect(node.children().length).toBeLessThanOrEqual(LIMITS.childrenMax);
  }
  expect(tree.ends).toEqual([]);
}

describe("floods", () => {
  test(`of ${MESSAGES} messages leave nothing behind`, { timeout: 120_000 }, async () => {
    const errors = await surfaced(async () => {
      const tree = await LiveTree.grow(1, LIMITS);
      const timers = tree.world.clock.pending + 10;
      const known: Known = new Map();
      learn(tree, known);
      await tree.calm();
      const usualMs = await latencyMs(tree);
      const startBytes = heapBytes();
      let bytes = startBytes;
      for (const flood of FLOODS) {
        await pour(tree, flood, known);
        expectNothingLeft(tree, timers);
        expect(await latencyMs(tree), flood.what).toBeLessThanOrEqual(usualMs + 50);
        const keptBytes = heapBytes() - bytes;
        expect(keptBytes, flood.what).toBeLessThan(KEPT_MAX_BYTES);
        bytes += keptBytes;
      }
      expect(bytes - startBytes).toBeLessThan(KEPT_MAX_BYTES_IN_ALL);
      await tree.end();
    });
    expect(errors).toEqual([]);
  });

  // What it was to acknowledge used to be kept as long as it spoke.
  test("of requests whose answers nobody acknowledges end the session", { timeout: 60_000 }, async () => {
    const world = new World();
    const shop = world.node({ path: "shop", outcomesMax: 100 });
    const mute = new MuteChild(world.broker, "shop.mute");
    await shop.start();
    mute.announce();
    await world.run(100);
    expect(shop.child("mute")?.link).toBe("alive");
    const startBytes = heapBytes();
    for (let n = 0; n < 2 * MESSAGES && shop.child("mute")?.link === "alive"; n++) {
      mute.ask(`id ${n}`, "what nobody serves");
      if (n % BURST === 0) await world.run(1);
      world.wire.length = 0;
    }
    expect(shop.child("mute")?.link).toBe("dead");
    expect(world.nowMs).toBeLessThan(1_000);
    expect(heapBytes() - startBytes).toBeLessThan(KEPT_MAX_BYTES);
    await world.end(shop);
  });
});
