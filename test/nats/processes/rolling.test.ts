/** Services that are replaced in order while commands flow: SIGTERM, exit, start of the successor. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { CommandOutcome } from "../../../src/index.js";
import type { NodeDescription } from "./node-process.js";
import { FAST, type NodeProcess, remote, startWorld, untilState, type World } from "./process-kit.js";

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

const COMMANDS = 150;

/** A root with a child in the middle that has a leaf, and another child. */
async function tree(path: string) {
  const middle: NodeDescription = {
    path: `${path}.mid`,
    stopsOnSignals: true,
    options: { ...FAST, children: remote("leaf") },
  };
  const leaf: NodeDescription = {
    path: `${path}.mid.leaf`,
    stopsOnSignals: true,
    options: { ...FAST, concurrency: 4 },
  };
  const [root, mid, end] = await Promise.all([
    world.run({ path, options: { ...FAST, children: remote("mid", "other"), commandTimeoutMs: 15_000 } }),
    world.run(middle),
    world.run(leaf),
    world.run({ path: `${path}.other`, options: FAST }),
  ]);
  await untilState(root, "SYNCHRONIZED");
  await untilState(mid, "SYNCHRONIZED");
  return { root, mid, end, middle, leaf };
}

/** Gives a command every ten milliseconds; after a third of them the old process is asked to go. */
async function load(caller: NodeProcess, target: string, idempotent: boolean, replace: () => void) {
  const ordered: Promise<CommandOutcome>[] = [];
  for (let count = 0; count < COMMANDS; count++) {
    ordered.push(caller.command(target, "nap", { ms: 20 }, { idempotent }));
    if (count === COMMANDS / 3) replace();
    await sleep(10);
  }
  return Promise.all(ordered);
}

function ranAt(path: string): readonly string[] {
  const began = world.journal().filter((entry) => entry.path === path && entry.phase === "began");
  return began.map(({ commandId }) => commandId);
}

async function succeed(old: NodeProcess, description: NodeDescription): Promise<void> {
  old.signal("SIGTERM");
  await old.exit;
  await world.run(description);
}

test("of a leaf: what is not idempotent ran once or never began", async () => {
  const { root, end, leaf } = await tree("a");
  const outcomes = await load(root, "mid.leaf", false, () => void succeed(end, leaf));
  const completed = outcomes.filter(({ status }) => status === "completed");
  const others = outcomes.filter(({ status }) => status !== "completed" && status !== "notStarted");
  expect(others).toEqual([]);
  expect(ranAt("a.mid.leaf").toSorted()).toEqual(completed.map(({ commandId }) => commandId).toSorted());
});

test("of a leaf: what is idempotent runs once", async () => {
  const { root, end, leaf } = await tree("b");
  const outcomes = await load(root, "mid.leaf", true, () => void succeed(end, leaf));
  expect(outcomes.filter(({ status }) => status !== "completed")).toEqual([]);
  expect(ranAt("b.mid.leaf").toSorted()).toEqual(outcomes.map(({ commandId }) => commandId).toSorted());
});

test("of a relay: what is not idempotent ran once or never began", async () => {
  const { root, mid, middle } = await tree("c");
  const outcomes = await load(root, "mid.leaf", false, () => void succeed(mid, middle));
  const completed = outcomes.filter(({ status }) => status === "completed");
  const others = outcomes.filter(({ status }) => status !== "completed" && status !== "notStarted");
  expect(others).toEqual([]);
  expect(ranAt("c.mid.leaf").toSorted()).toEqual(completed.map(({ commandId }) => commandId).toSorted());
});

test("of a relay: what is idempotent runs once", async () => {
  const { root, mid, middle } = await tree("d");
  const outcomes = await load(root, "mid.leaf", true, () => void succeed(mid, middle));
  expect(outcomes.filter(({ status }) => status !== "completed")).toEqual([]);
  expect(ranAt("d.mid.leaf").toSorted()).toEqual(outcomes.map(({ commandId }) => commandId).toSorted());
});

test("of a leaf whose successor starts first: it takes over, and what is idempotent completes", async () => {
  const { root, end, leaf } = await tree("e");
  const outcomes = await load(root, "mid.leaf", true, () => void world.run(leaf));
  expect(outcomes.filter(({ status }) => status !== "completed")).toEqual([]);
  expect(await end.exit).toBe(1);
  expect(end.endReason).toBe("fenced");
});
