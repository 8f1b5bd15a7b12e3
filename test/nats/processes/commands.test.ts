/** A command between processes, whoever starts first and whichever client carries it. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { NodeDescription } from "./node-process.js";
import { epochOf, FAST, ownEpoch, remote, startWorld, untilState, type World } from "./process-kit.js";

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

const CASES: readonly { readonly path: string; readonly first: string; readonly client: NodeDescription["client"] }[] =
  [
    { path: "a", first: "child", client: "default" },
    { path: "b", first: "parent", client: "default" },
    { path: "c", first: "child", client: "nats2" },
    { path: "d", first: "parent", client: "nats3" },
  ];

test.concurrent.each(CASES)(
  "completes when the $first was there first, client $client",
  async ({ path, first, client = "default" }) => {
    const [parent, child] = await Promise.all([
      world.create({ path, client, options: { ...FAST, children: remote("child") } }),
      world.create({ path: `${path}.child`, client, options: FAST }),
    ]);
    for (const node of first === "child" ? [child, parent] : [parent, child]) await node.start();
    await Promise.all([untilState(parent, "SYNCHRONIZED"), untilState(child, "SYNCHRONIZED")]);
    const outcome = await parent.command("child", "echo", { ms: 7 });
    expect(outcome).toMatchObject({ status: "completed", value: { ms: 7 }, attempts: 1 });
    expect(await ownEpoch(child)).toEqual(await epochOf(parent, "child"));
    await Promise.all([parent.stop(), child.stop()]);
    expect(await Promise.all([parent.exit, child.exit])).toEqual([0, 0]);
  },
);
