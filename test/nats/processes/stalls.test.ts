/** Processes that stand still: stopped by a signal, or busy in a loop of their own. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  epochOf,
  eventually,
  FAST,
  type NodeProcess,
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

/** A parent with two children, SYNCHRONIZED. */
async function family(path: string, options = FAST): Promise<readonly [NodeProcess, NodeProcess, NodeProcess]> {
  const [parent, one, two] = await Promise.all([
    world.run({ path, options: { ...options, children: remote("one", "two") } }),
    world.run({ path: `${path}.one`, options: { ...options, concurrency: 1 } }),
    world.run({ path: `${path}.two`, options }),
  ]);
  await untilState(parent, "SYNCHRONIZED");
  return [parent, one, two];
}

describe("a child stopped by SIGSTOP", () => {
  test.concurrent("degrades its parent; woken, it is the same child again", async () => {
    const [parent, one] = await family("a");
    const before = await epochOf(parent, "one");
    one.signal("SIGSTOP");
    await untilState(parent, "DEGRADED");
    await untilLink(parent, "one", "dead");
    one.signal("SIGCONT");
    await untilState(parent, "SYNCHRONIZED");
    await untilState(one, "SYNCHRONIZED");
    expect(await epochOf(parent, "one")).toEqual(before);
    expect(await parent.command("one", "echo", { ms: 1 })).toMatchObject({ status: "completed" });
  });

  test.concurrent("and replaced meanwhile finds itself fenced and runs nothing of what was queued", async () => {
    const [parent, old] = await family("b");
    const running = parent.command("one", "nap", { ms: 300 });
    const queued = [1, 2, 3].map((ms) => parent.command("one", "nap", { ms }));
    await eventually(() => world.journal().some(({ pid }) => pid === old.pid));
    old.signal("SIGSTOP");
    // These arrive while it stands still and wait in its socket.
    const sentMeanwhile = [4, 5, 6].map((ms) => parent.command("one", "nap", { ms }));
    await untilLink(parent, "one", "dead");
    const successor = await world.run({ path: "b.one", options: FAST });
    await untilState(parent, "SYNCHRONIZED");
    const before = world.journal().filter(({ pid }) => pid === old.pid);
    old.signal("SIGCONT");
    expect(await old.exit).toBe(1);
    expect(old.endReason).toBe("fenced");
    expect(old.stderr).toContain("NodeFencedError");
    const began = world.journal().filter(({ pid, phase }) => pid === old.pid && phase === "began");
    expect(began).toEqual(before.filter(({ phase }) => phase === "began"));
    const outcomes = await Promise.all([running, ...queued, ...sentMeanwhile]);
    expect(outcomes.map(({ status }) => status)).toEqual(Array.from({ length: 7 }, () => "unknown"));
    expect(successor.hasExited).toBe(false);
    expect(await parent.command("one", "echo", { ms: 1 })).toMatchObject({ status: "completed" });
  });
});

test.concurrent("a root stopped by SIGSTOP and replaced meanwhile finds itself fenced by its children", async () => {
  const [old, one, two] = await family("d");
  old.signal("SIGSTOP");
  await untilState(one, "DEGRADED");
  const successor = await world.run({ path: "d", options: { ...FAST, children: remote("one", "two") } });
  await untilState(successor, "SYNCHRONIZED");
  old.signal("SIGCONT");
  expect(await old.exit).toBe(1);
  expect(old.endReason).toBe("fenced");
  await Promise.all([successor, one, two].map((node) => untilState(node, "SYNCHRONIZED")));
  expect(await successor.command("one", "echo", { ms: 1 })).toMatchObject({ status: "completed" });
});

test.concurrent("a handler that blocks its event loop for two seconds is no death under default options", async () => {
  const [parent, one] = await family("c", {});
  const before = await epochOf(parent, "one");
  const outcome = await parent.command("one", "block", { ms: 2_000 });
  expect(outcome).toMatchObject({ status: "completed", value: "blocked", attempts: 1 });
  await untilLink(parent, "one", "alive");
  expect(parent.links.filter(({ state }) => state === "dead")).toEqual([]);
  expect(await epochOf(parent, "one")).toEqual(before);
  expect(one.hasExited).toBe(false);
});
