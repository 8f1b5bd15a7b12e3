/** Several roots that claim one path, started in one instant or soon after each other: one of them has the tree in the end. */
import { expect, test } from "vitest";
import type { Node } from "../../src/index.js";
import { World } from "./kit.js";

const CHILDREN = [{ id: "a" }, { id: "b" }];

async function living(nodes: readonly Node[]): Promise<readonly Node[]> {
  const ends = await Promise.all(nodes.map((node) => Promise.race([node.ended, Promise.resolve(null)])));
  return nodes.filter((_, index) => ends[index] === null);
}

// Roots that started within one millisecond had the same epoch. Neither gave way to the other, so that each kept the
// children that had answered it first, and granted the same epochs as the other.
test.each([0, 1, 2, 10, 100])(
  "three roots started %i ms after each other: one stays and has all children",
  async (gapMs) => {
    for (let seed = 1; seed <= 20; seed++) {
      const world = new World({ seed });
      const children = CHILDREN.map(({ id }) => world.node({ path: `shop.${id}` }));
      for (const child of children) await child.start();
      const roots = [1, 2, 3].map(() => world.node({ path: "shop", children: CHILDREN }));
      for (const root of roots) {
        await root.start();
        await world.run(gapMs);
      }
      await world.run(30_000);
      const survivors = await living(roots);
      expect(
        survivors.map(({ state }) => state),
        `seed ${seed}`,
      ).toEqual(["SYNCHRONIZED"]);
      expect(
        children.map(({ state }) => state),
        `seed ${seed}`,
      ).toEqual(["SYNCHRONIZED", "SYNCHRONIZED"]);
      expect(survivors[0]?.children().map(({ link }) => link)).toEqual(["alive", "alive"]);
      await world.end(...survivors, ...children);
    }
  },
);

// A child that had noticed three takeovers refused the newcomer, another one that had noticed none took it and turned the
// incumbent away: both ended.
test("a root that one child refuses but another obeys stays, and has both once its rival is gone", async () => {
  const world = new World();
  const first = world.node({ path: "shop", children: CHILDREN });
  const a = world.node({ path: "shop.a" });
  await a.start();
  await first.start();
  let incumbent = first;
  for (let takeover = 0; takeover < 3; takeover++) {
    await world.until(() => incumbent.child("a")?.link === "alive");
    const newcomer = world.node({ path: "shop", children: CHILDREN });
    await newcomer.start();
    await world.settle(incumbent.ended);
    incumbent = newcomer;
  }
  const b = world.node({ path: "shop.b" });
  await world.up(b, incumbent);

  world.processOf(a).stop();
  const last = world.node({ path: "shop", children: CHILDREN });
  await last.start();
  await world.settle(incumbent.ended);
  world.processOf(a).continue();
  await world.run(30_000);
  expect(await living([incumbent, last])).toEqual([last]);
  expect([last.state, a.state, b.state]).toEqual(["SYNCHRONIZED", "SYNCHRONIZED", "SYNCHRONIZED"]);
});

// The newer root had granted a later epoch to a process that died, and turned the older root's child away as superseded.
// The child did not believe it, since its parent lived, and told nobody: neither root ever learned of the other.
test("two roots of which the newer one turns the older one's child away: one stays, with the child", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const world = new World({ seed });
    const [older, newer] = [1, 2].map(() => world.node({ path: "shop", children: [{ id: "a" }] })) as [Node, Node];
    const [child, short] = [1, 2].map(() => world.node({ path: "shop.a" })) as [Node, Node];
    await world.up(child, older);
    for (const node of [older, child]) world.processOf(node).stop();
    await world.up(short, newer);
    world.processOf(short).kill();
    for (const node of [older, child]) world.processOf(node).continue();
    await world.run(60_000);
    const survivors = await living([older, newer]);
    expect(
      survivors.map(({ state }) => state),
      `seed ${seed}`,
    ).toEqual(["SYNCHRONIZED"]);
    await world.end(...survivors, child);
  }
});
