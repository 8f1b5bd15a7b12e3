/** Several processes that claim one path: one holds it in the end, and the others say loudly why they stopped. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { NodeDescription } from "./node-process.js";
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

function living(nodes: readonly NodeProcess[]): readonly NodeProcess[] {
  return nodes.filter(({ hasExited }) => !hasExited);
}

async function parentOf(path: string): Promise<NodeProcess> {
  return world.run({ path, options: { ...FAST, children: remote("child") } });
}

/** Two processes of which the loser is started again at once, until one is refused. */
async function rivalry(parent: NodeProcess | null, description: NodeDescription) {
  const ends: (string | undefined)[] = [];
  let incumbent = await world.run(description);
  await untilState(parent ?? incumbent, "SYNCHRONIZED");
  let newcomer = await world.run(description);
  while (ends.length < 10) {
    const loser = await Promise.race([incumbent, newcomer].map((node) => node.exit.then(() => node)));
    ends.push(loser.endReason);
    if (loser.endReason === "duplicatePath") break;
    [incumbent, newcomer] = [loser === incumbent ? newcomer : incumbent, await world.run(description)];
  }
  return { ends, incumbent, newcomer };
}

describe("two processes at one child's path", () => {
  test.concurrent("the newcomer takes over, the incumbent ends loudly", async () => {
    const parent = await parentOf("a");
    const description = { path: "a.child", options: FAST };
    const incumbent = await world.run(description);
    await untilState(parent, "SYNCHRONIZED");
    const newcomer = await world.run(description);
    expect(await incumbent.exit).toBe(1);
    expect(incumbent.endReason).toBe("fenced");
    expect(incumbent.stderr).toContain("NodeFencedError");
    await untilState(newcomer, "SYNCHRONIZED");
    await untilState(parent, "SYNCHRONIZED");
    expect(await ownEpoch(newcomer)).toEqual(await epochOf(parent, "child"));
    expect(await parent.command("child", "echo", { ms: 1 })).toMatchObject({ status: "completed" });
  });

  test.concurrent("started in the same instant, exactly one survives", async () => {
    const parent = await parentOf("b");
    const rivals = await Promise.all([1, 2].map(() => world.create({ path: "b.child", options: FAST })));
    await Promise.all(rivals.map((rival) => rival.start()));
    await eventually(() => living(rivals).length, 1);
    const [survivor] = living(rivals);
    await untilState(parent, "SYNCHRONIZED");
    expect(survivor && (await ownEpoch(survivor))).toEqual(await epochOf(parent, "child"));
    const loser = rivals.find(({ hasExited }) => hasExited);
    expect(loser?.endReason).toBe("fenced");
  });

  test.concurrent("each restarted at once when it loses: the incumbent stays, the newcomer is refused", async () => {
    const parent = await parentOf("c");
    const description = { path: "c.child", options: FAST };
    const { ends, incumbent, newcomer } = await rivalry(parent, description);
    expect(ends).toEqual(["fenced", "fenced", "fenced", "duplicatePath"]);
    expect(newcomer.hasExited).toBe(true);
    expect(newcomer.stderr).toContain("DuplicatePathError");
    await untilState(parent, "SYNCHRONIZED");
    expect(await ownEpoch(incumbent)).toEqual(await epochOf(parent, "child"));
    expect(await parent.command("child", "echo", { ms: 1 })).toMatchObject({ status: "completed" });
  });
});

describe("two roots at one path", () => {
  test.concurrent("one is fenced, and the children obey the other", async () => {
    const description = { path: "d", options: { ...FAST, children: remote("one", "two") } };
    const first = await world.run(description);
    const children = await Promise.all(["one", "two"].map((id) => world.run({ path: `d.${id}`, options: FAST })));
    await untilState(first, "SYNCHRONIZED");
    const roots = [first, await world.run(description)];
    await eventually(() => living(roots).length, 1);
    expect(roots.find(({ hasExited }) => hasExited)?.endReason).toBe("fenced");
    const [winner] = living(roots);
    if (winner === undefined) throw new Error("both roots ended");
    await Promise.all([winner, ...children].map((node) => untilState(node, "SYNCHRONIZED")));
    expect(await winner.command("one", "echo", { ms: 1 })).toMatchObject({ status: "completed" });
    expect(await winner.command("two", "echo", { ms: 1 })).toMatchObject({ status: "completed" });
  });

  test.concurrent("each restarted at once when it loses: the incumbent stays, the newcomer is refused", async () => {
    const children = await Promise.all(["one", "two"].map((id) => world.run({ path: `e.${id}`, options: FAST })));
    const { ends, incumbent, newcomer } = await rivalry(null, {
      path: "e",
      options: { ...FAST, children: remote("one", "two") },
    });
    expect(ends.slice(0, -1)).toEqual(ends.slice(0, -1).map(() => "fenced"));
    expect(ends.at(-1)).toBe("duplicatePath");
    expect(newcomer.stderr).toContain("DuplicatePathError");
    await Promise.all([incumbent, ...children].map((node) => untilState(node, "SYNCHRONIZED")));
  });

  test.concurrent("three started in the same instant: one survives, and has all children", async () => {
    const children = await Promise.all(["one", "two"].map((id) => world.run({ path: `f.${id}`, options: FAST })));
    const description = { path: "f", options: { ...FAST, children: remote("one", "two") } };
    const roots = await Promise.all([1, 2, 3].map(() => world.create(description)));
    await Promise.all(roots.map((root) => root.start()));
    await eventually(() => living(roots).length, 1);
    await Promise.all([...living(roots), ...children].map((node) => untilState(node, "SYNCHRONIZED")));
    expect(living([...roots, ...children])).toHaveLength(3);
  });
});
