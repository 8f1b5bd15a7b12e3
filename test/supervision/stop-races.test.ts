/** Ends win every race with restarts: whatever was about to be started is not, and nothing is left behind. */
import { describe, expect, test } from "vitest";
import type { Node } from "../../src/index.js";
import { World } from "../node/kit.js";
import { family, type FamilyOptions, type Incarnations, only } from "./kit.js";

interface Family {
  readonly world: World;
  readonly shop: Node;
  readonly of: (id: string) => Incarnations;
  readonly until: (decision: "restarting" | "cooling" | "escalated" | "started", count?: number) => Promise<void>;
}

/** What is under way when the end comes. */
interface Moment extends FamilyOptions {
  readonly name: string;
  readonly reach: (family: Family) => Promise<void>;
}

const IDS = ["a", "b", "c"];

async function fall({ world, shop, of }: Family): Promise<void> {
  await world.until(() => shop.state === "SYNCHRONIZED");
  of("b").process.kill();
}

const MOMENTS: readonly Moment[] = [
  { name: "before its start took effect", reach: () => Promise.resolve() },
  { name: "while children start", child: { host: { startMs: 5_000 } }, reach: ({ world }) => world.run(2_000) },
  {
    name: "when the last child is just ready",
    reach: ({ world, shop }) => world.until(() => shop.state === "SYNCHRONIZED"),
  },
  {
    name: "while a failed child waits for its restart",
    child: { host: {} },
    supervision: { backoff: { baseMs: 10_000, maxMs: 10_000 } },
    reach: async (parts) => {
      await fall(parts);
      await parts.until("restarting");
    },
  },
  {
    name: "while a restarted child starts",
    child: { host: { startMs: 3_000 } },
    reach: async (parts) => {
      await fall(parts);
      await parts.until("started", 4);
    },
  },
  {
    name: "while a child cools down",
    child: { host: {} },
    supervision: { childIntensity: 0, cooldownMs: 20_000 },
    reach: async (parts) => {
      await fall(parts);
      await parts.until("cooling");
    },
  },
  {
    name: "while a group ends",
    child: { host: { exitMs: 2_000 } },
    supervision: { strategy: "one_for_all" },
    reach: async (parts) => {
      await fall(parts);
      await parts.until("restarting");
    },
  },
  {
    name: "while a group starts",
    child: { host: { startMs: 1_000 } },
    supervision: { strategy: "one_for_all" },
    reach: async (parts) => {
      await fall(parts);
      await parts.until("started", 5);
    },
  },
  {
    name: "while it has failed and its children end",
    child: { host: { exitMs: 2_000 } },
    supervision: { childIntensity: 0 },
    reach: async (parts) => {
      await fall(parts);
      await parts.until("escalated");
      await parts.world.run(2_500);
    },
  },
  {
    name: "while it waits for its next attempt",
    child: { host: {} },
    supervision: { childIntensity: 0 },
    backoff: { baseMs: 30_000, maxMs: 30_000 },
    reach: async (parts) => {
      await fall(parts);
      await parts.until("escalated");
      await parts.world.until(() => parts.shop.state === "DISCONNECTED");
    },
  },
  {
    name: "while a child that hangs is being killed",
    child: { host: { killMs: 4_000 } },
    failureDetector: { deadMs: 6_000 },
    reach: async ({ world, shop, of }) => {
      await world.until(() => shop.state === "SYNCHRONIZED");
      of("b").process.stop();
      await world.run(8_000);
    },
  },
];

describe.each(["stop", "shutdownTree", "both", "twice"] as const)("%s", (end) => {
  test.each(MOMENTS)("$name", async ({ name: _name, reach, ...options }) => {
    const world = new World();
    const { shop, of, decisions } = family(world, IDS, options);
    const until: Family["until"] = (decision, count = 1) =>
      world.until(() => only(decisions, decision).length >= count, `${count} ${decision}`);
    await shop.start();
    await reach({ world, shop, of, until });
    decisions.length = 0;
    const atMs = world.nowMs;
    const stops = [end === "shutdownTree" ? shop.shutdownTree() : shop.stop()];
    if (end === "both") stops.push(shop.shutdownTree());
    if (end === "twice") stops.push(shop.stop({ timeoutMs: 3_000 }));
    await world.settle(Promise.all(stops));
    // The deadline, and a second in which the exits of those that were killed may be confirmed.
    expect(world.nowMs - atMs).toBeLessThanOrEqual((end === "twice" ? 3_000 : 10_000) + 1_050);
    await world.settle(shop.ended);
    expect(only(decisions, "started")).toEqual([]);
    const attempts = IDS.map((id) => of(id).attempts);
    await world.run(120_000);
    expect(IDS.map((id) => of(id).attempts)).toEqual(attempts);
    for (const id of IDS) {
      // Who was killed cannot say so.
      const [first] = of(id).processes;
      for (const node of of(id).nodes) if (first === undefined) expect(node.state).toBe("DISCONNECTED");
      for (const process of of(id).processes) expect(process.isKilled).toBe(true);
    }
    expect(world.clock.pending).toBe(0);
  });
});

describe("users' promises", () => {
  test("of starts under way are rejected by the end, and nothing hangs", async () => {
    const world = new World();
    const { shop, of } = family(world, ["a"], { child: { host: { startMs: 5_000 } } });
    await shop.start();
    await world.until(() => shop.state === "CONNECTING");
    const { start } = shop.getChildSpec("a");
    const started = shop.startChild({ id: "z", start: start as NonNullable<typeof start> });
    const terminated = shop.terminateChild("a");
    await world.run(1_000);
    const restarted = shop.restartChild("a");
    await world.run(100);
    const stopped = shop.stop();
    const results = await world.settle(Promise.allSettled([started, terminated, restarted, stopped]));
    expect(results.map(({ status }) => status)).toEqual(["rejected", "fulfilled", "rejected", "fulfilled"]);
    for (const result of [results[0], results[2]]) {
      expect((result as PromiseRejectedResult).reason).toMatchObject({ code: "CHILD_NOT_STARTED" });
    }
    await world.run(60_000);
    expect(of("a").nodes).toHaveLength(0);
    expect(world.clock.pending).toBe(0);
  });
});
