/** Processes that end in order: on a signal, and all together. */
import { afterAll, beforeAll, expect, test } from "vitest";
import {
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

test.concurrent("a service that gets SIGTERM finishes what it accepted and leaves instead of dying", async () => {
  const [parent, service] = await Promise.all([
    world.run({ path: "a", options: { ...FAST, children: remote("one", "two") } }),
    world.run({ path: "a.one", stopsOnSignals: true, options: { ...FAST, concurrency: 1 } }),
    world.run({ path: "a.two", options: FAST }),
  ]);
  await untilState(parent, "SYNCHRONIZED");
  const accepted = [300, 20, 20].map((ms) => parent.command("one", "nap", { ms }));
  await eventually(() => world.journal().some(({ path }) => path === "a.one"));
  await eventually(async () => (await service.look()).status.queued === 2);
  service.signal("SIGTERM");
  await eventually(async () => (await parent.command("one", "nap", { ms: 1 })).status === "notStarted");
  expect((await Promise.all(accepted)).map(({ status }) => status)).toEqual(["completed", "completed", "completed"]);
  expect(await service.exit).toBe(0);
  expect(service.endReason).toBe("stopped");
  await untilLink(parent, "one", "left");
  expect(parent.links.filter(({ state }) => state === "dead" || state === "suspect")).toEqual([]);
  await untilState(parent, "DEGRADED");
});

/** A root with three children, of which the second has a child of its own. */
async function tree(path: string): Promise<Record<"root" | "one" | "two" | "three" | "leaf", NodeProcess>> {
  const children = remote("one", "two", "three");
  const run = (id: string, ids: readonly string[] = []): Promise<NodeProcess> =>
    world.run({ path: `${path}.${id}`, options: { ...FAST, children: remote(...ids) } });
  const [root, one, two, three, leaf] = await Promise.all([
    world.run({ path, options: { ...FAST, children } }),
    run("one"),
    run("two", ["leaf"]),
    run("three"),
    run("two.leaf"),
  ]);
  await untilState(root, "SYNCHRONIZED");
  return { root, one, two, three, leaf };
}

/** The children that left, in this order. */
function leavers({ links }: NodeProcess): readonly string[] {
  return links.filter(({ state }) => state === "left").map(({ id }) => id);
}

test.concurrent("shutdownTree ends the children in reverse order, all within the deadline", async () => {
  const nodes = await tree("b");
  const { root, two } = nodes;
  const all = Object.values(nodes);
  // Work under way keeps each busy when it is asked, so that asking all at once would end them in this order.
  const work = ["one", "two", "two.leaf", "three"].map((id, index) =>
    root.command(id, "nap", { ms: 200 + 100 * index }),
  );
  await eventually(() => world.journal().filter(({ path }) => path.startsWith("b.")).length, 4);
  const beganAtMs = Date.now();
  await root.shutdownTree({ timeoutMs: 5_000 });
  expect(await Promise.all(all.map(({ exit }) => exit))).toEqual([0, 0, 0, 0, 0]);
  expect(Date.now() - beganAtMs).toBeLessThan(5_000);
  expect(all.map(({ endReason }) => endReason)).toEqual(all.map(() => "shutdown"));
  expect((await Promise.all(work)).map(({ status }) => status)).toEqual(work.map(() => "completed"));
  expect(leavers(root)).toEqual(["three", "two", "one"]);
  expect(leavers(two)).toEqual(["leaf"]);
});

test.concurrent("a hung child does not keep its siblings from being shut down", async () => {
  const { root, one, two, three, leaf } = await tree("c");
  three.signal("SIGSTOP");
  const beganAtMs = Date.now();
  await root.shutdownTree({ timeoutMs: 2_000 });
  expect(await Promise.all([root, one, two, leaf].map(({ exit }) => exit))).toEqual([0, 0, 0, 0]);
  expect(Date.now() - beganAtMs).toBeLessThan(3_000);
  expect(three.hasExited).toBe(false);
});
