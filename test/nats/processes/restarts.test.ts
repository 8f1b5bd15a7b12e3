/** Processes that are killed and started again: who lives on keeps its epoch, who starts anew gets a greater one. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compareEpochs } from "../../../machines/epoch.js";
import {
  epochOf,
  eventually,
  FAST,
  type NodeProcess,
  ownEpoch,
  remote,
  startWorld,
  untilLink,
  untilState,
  type World,
} from "./process-kit.js";

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

describe("a parent that is killed and started again", () => {
  test.concurrent("as a root adopts its living children, which keep their epochs", async () => {
    const description = { path: "a", options: { ...FAST, children: remote("one", "two") } };
    const [root, one, two] = await Promise.all([
      world.run(description),
      world.run({ path: "a.one", options: FAST }),
      world.run({ path: "a.two", options: FAST }),
    ]);
    await untilState(root, "SYNCHRONIZED");
    const before = [await ownEpoch(one), await ownEpoch(two)];
    await root.kill();
    await Promise.all([untilState(one, "DEGRADED"), untilState(two, "DEGRADED")]);
    const successor = await world.run(description);
    await Promise.all([successor, one, two].map((node) => untilState(node, "SYNCHRONIZED")));
    expect([await ownEpoch(one), await ownEpoch(two)]).toEqual(before);
    expect([await epochOf(successor, "one"), await epochOf(successor, "two")]).toEqual(before);
    expect(await successor.command("one", "echo", { ms: 1 })).toMatchObject({ status: "completed" });
  });

  test.concurrent("in the middle of the tree gets a greater epoch, and its children keep theirs", async () => {
    const description = { path: "b.mid", options: { ...FAST, children: remote("leaf") } };
    const [root, middle, leaf] = await Promise.all([
      world.run({ path: "b", options: { ...FAST, children: remote("mid"), thresholds: { failed: { count: 2 } } } }),
      world.run(description),
      world.run({ path: "b.mid.leaf", options: FAST }),
    ]);
    await untilState(root, "SYNCHRONIZED");
    const before = { middle: await ownEpoch(middle), leaf: await ownEpoch(leaf) };
    await middle.kill();
    // At once, long before anyone has noticed.
    const successor = await world.run(description);
    await untilState(successor, "SYNCHRONIZED");
    await Promise.all([untilState(root, "SYNCHRONIZED"), untilState(leaf, "SYNCHRONIZED")]);
    expect(compareEpochs(await ownEpoch(successor), before.middle)).toBeGreaterThan(0);
    expect(await ownEpoch(leaf)).toEqual(before.leaf);
    expect(await root.command("mid.leaf", "echo", { ms: 1 })).toMatchObject({ status: "completed" });
  });
});

test.concurrent("a child that is killed degrades its parent, and restarted mends it with a greater epoch", async () => {
  const description = { path: "c.one", options: FAST };
  const [parent, child] = await Promise.all([
    world.run({ path: "c", options: { ...FAST, children: remote("one", "two") } }),
    world.run(description),
    world.run({ path: "c.two", options: FAST }),
  ]);
  await untilState(parent, "SYNCHRONIZED");
  const before = await epochOf(parent, "one");
  await child.kill();
  await untilState(parent, "DEGRADED");
  expect(parent.states.at(-1)).toMatchObject({ reasons: ["children"] });
  await untilLink(parent, "one", "dead");
  const successor = await world.run(description);
  await untilState(parent, "SYNCHRONIZED");
  expect(compareEpochs(await epochOf(parent, "one"), before)).toBeGreaterThan(0);
  expect(await ownEpoch(successor)).toEqual(await epochOf(parent, "one"));
  expect(parent.states.map(({ state }) => state)).not.toContain("FAILED");
});

describe("commands under way when a process is killed", () => {
  const napping = (parent: NodeProcess, target: string) => ({
    plain: [1, 2].map(() => parent.command(target, "nap", { ms: 500 })),
    idempotent: [1, 2].map(() => parent.command(target, "nap", { ms: 500 }, { idempotent: true })),
  });

  test.concurrent("are unknown if it ran them, and run again at its successor if idempotent", async () => {
    const description = { path: "d.one", options: FAST };
    const [parent, child] = await Promise.all([
      world.run({ path: "d", options: { ...FAST, children: remote("one", "two") } }),
      world.run(description),
      world.run({ path: "d.two", options: FAST }),
    ]);
    await untilState(parent, "SYNCHRONIZED");
    const { plain, idempotent } = napping(parent, "one");
    await eventually(() => journalOf("d.one").length, 4);
    await child.kill();
    const successor = await world.run(description);
    expect((await Promise.all(plain)).map(({ status }) => status)).toEqual(["unknown", "unknown"]);
    expect((await Promise.all(idempotent)).map(({ status }) => status)).toEqual(["completed", "completed"]);
    expect(journalOf("d.one").filter(({ pid }) => pid === successor.pid)).toHaveLength(2);
  });

  test.concurrent("are unknown if it passed them on, and run once if idempotent, for their executor lives", async () => {
    const description = { path: "e.mid", options: { ...FAST, children: remote("leaf") } };
    const [root, middle] = await Promise.all([
      world.run({ path: "e", options: { ...FAST, children: remote("mid", "other") } }),
      world.run(description),
      world.run({ path: "e.other", options: FAST }),
      world.run({ path: "e.mid.leaf", options: FAST }),
    ]);
    await untilState(root, "SYNCHRONIZED");
    const { plain, idempotent } = napping(root, "mid.leaf");
    await eventually(() => journalOf("e.mid.leaf").length, 4);
    await middle.kill();
    await world.run(description);
    expect((await Promise.all(plain)).map(({ status }) => status)).toEqual(["unknown", "unknown"]);
    expect((await Promise.all(idempotent)).map(({ status }) => status)).toEqual(["completed", "completed"]);
    expect(journalOf("e.mid.leaf")).toHaveLength(4);
  });
});

function journalOf(path: string) {
  return world.journal().filter((entry) => entry.path === path && entry.phase === "began");
}
