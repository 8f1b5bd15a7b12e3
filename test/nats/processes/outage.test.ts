/** The server dies and comes back: nobody is mistaken for dead, and what was ordered meanwhile is done once. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { CommandOutcome } from "../../../src/index.js";
import {
  epochOf,
  eventually,
  FAST,
  type NodeProcess,
  ownEpoch,
  remote,
  startWorld,
  untilState,
  type World,
} from "./process-kit.js";

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

/** Root, two children, a grandchild, with default options. */
async function tree(): Promise<readonly [NodeProcess, NodeProcess, NodeProcess, NodeProcess]> {
  const nodes = await Promise.all([
    world.run({ path: "a", options: { children: remote("one", "two") } }),
    world.run({ path: "a.one", options: { children: remote("leaf") } }),
    world.run({ path: "a.two" }),
    world.run({ path: "a.one.leaf" }),
  ]);
  await untilState(nodes[0], "SYNCHRONIZED");
  await untilState(nodes[1], "SYNCHRONIZED");
  return nodes;
}

async function expectHealthy(nodes: readonly NodeProcess[], epochs: readonly (readonly number[])[]): Promise<void> {
  await Promise.all(nodes.map((node) => untilState(node, "SYNCHRONIZED")));
  expect(await Promise.all(nodes.map(ownEpoch))).toEqual(epochs);
  for (const node of nodes) expect(node.links.filter(({ state }) => state === "dead")).toEqual([]);
  expect(nodes.map(({ endReason }) => endReason)).toEqual(nodes.map(() => undefined));
}

test("a tree outlives its server, and idempotent commands of the outage run once each", async () => {
  const nodes = await tree();
  const [root] = nodes;
  const epochs = await Promise.all(nodes.map(ownEpoch));
  expect(await epochOf(root, "one")).toEqual(epochs[1]);

  await world.server.kill("SIGKILL");
  const targets = Array.from({ length: 30 }, (_, index) => ["one", "two", "one.leaf"][index % 3] ?? "one");
  const ordered = targets.map((target, ms) => root.command(target, "echo", { ms }, { idempotent: true }));
  await sleep(1_500);
  await world.server.restart();

  const outcomes = await Promise.all(ordered);
  expect(outcomes.map(({ status }) => status)).toEqual(targets.map(() => "completed"));
  await expectHealthy(nodes, epochs);
  const began = world.journal().filter(({ phase }) => phase === "began");
  const ids = outcomes.map(({ commandId }) => commandId);
  expect(began.map(({ commandId }) => commandId).toSorted()).toEqual(ids.toSorted());
});

test("commands under way when the server dies end once, even if the outage is longer than a death takes", async () => {
  const nodes = await Promise.all([
    world.run({ path: "b", options: { ...FAST, children: remote("one") } }),
    world.run({ path: "b.one", options: FAST }),
  ]);
  const [root] = nodes;
  await untilState(root, "SYNCHRONIZED");
  const epochs = await Promise.all(nodes.map(ownEpoch));
  const underWay = [root.command("one", "nap", { ms: 1_000 }), root.command("one", "nap", { ms: 100 })];
  await eventually(() => world.journal().filter(({ path }) => path === "b.one").length, 2);
  await world.server.kill("SIGKILL");
  await sleep(2_500);
  await world.server.restart();
  const outcomes = await Promise.all(underWay);
  expect(outcomes.map(({ status }) => status)).toEqual(["completed", "completed"]);
  await expectHealthy(nodes, epochs);
  expect(world.journal().filter(({ path, phase }) => path === "b.one" && phase === "began")).toHaveLength(2);
});

test("commands that outages interrupt again and again run once each, without being declared idempotent", async () => {
  const [parent, child] = await Promise.all([
    world.run({ path: "c", options: { ...FAST, children: remote("one") } }),
    world.run({ path: "c.one", options: FAST }),
  ]);
  await untilState(parent, "SYNCHRONIZED");
  const ordered: Promise<CommandOutcome>[] = [];
  for (let outage = 0; outage < 3; outage++) {
    for (let count = 0; count < 20; count++) ordered.push(parent.command("one", "nap", { ms: 50 }));
    await sleep(30);
    await world.server.restart();
  }
  const outcomes = await Promise.all(ordered);
  expect(outcomes.filter(({ status }) => status !== "completed")).toEqual([]);
  expect(world.journal().filter(({ path, phase }) => path === "c.one" && phase === "began")).toHaveLength(60);
  await Promise.all([untilState(parent, "SYNCHRONIZED"), untilState(child, "SYNCHRONIZED")]);
});
