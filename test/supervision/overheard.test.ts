/** A command to all that is not idempotent runs at its targets alone, whatever a supervisor takes for ended. */
import { expect, test } from "vitest";
import type { Commands, Node } from "../../src/index.js";
import { World } from "../node/kit.js";
import { family, hosted } from "./kit.js";

const IDS = ["a", "b", "c"] as const;

interface Adopted {
  readonly world: World;
  /** Who ran the command. */
  readonly ran: string[];
  readonly shop: Node;
  readonly a: ReturnType<typeof hosted>["incarnations"];
}

/** A parent that has adopted the children of its predecessor, which was killed. */
async function adopted(): Promise<Adopted> {
  const world = new World();
  const ran: string[] = [];
  const children = IDS.map((id) =>
    hosted(world, id, { host: { outlivesParent: true }, commands: { charge: () => void ran.push(id) } }),
  );
  const parent = (): Node => world.node({ path: "shop", children: children.map(({ spec }) => spec) });
  const former = parent();
  await world.up(former);
  world.kill(former);
  await world.run(3_000);
  const shop = parent();
  await world.up(shop);
  await world.run(2_000);
  const [first] = children;
  if (first === undefined) throw new Error("no children");
  return { world, ran, shop, a: first.incarnations };
}

async function targetsOf(world: World, shop: Node): Promise<readonly string[]> {
  const outcomes = await world.settle(shop.fanOut("*", "charge", []).outcomes);
  await world.run(1_000);
  return outcomes.map(({ target }) => target).toSorted();
}

test("an adopted child that hears but is not heard, and was replaced", async () => {
  const { world, ran, shop, a } = await adopted();
  a.process.passes = () => false;
  await world.until(() => a.attempts === 2 && shop.state === "SYNCHRONIZED");
  expect(await targetsOf(world, shop)).toEqual(["a", "b", "c"]);
  expect(ran.toSorted()).toEqual(["a", "b", "c"]);
});

test.each([true, false])(
  "an adopted child that stood still and was taken for dead, messages first: %s",
  async (first) => {
    const { world, ran, shop, a } = await adopted();
    a.process.stop();
    await world.until(() => !["alive", "suspect"].includes(shop.child("a")?.link ?? ""));
    const { outcomes } = shop.fanOut("*", "charge", []);
    await world.settle(outcomes);
    a.process.continue({ messagesFirst: first });
    await world.run(500);
    expect((await outcomes).map(({ target }) => target).toSorted()).toEqual(["b", "c"]);
    expect(ran.toSorted()).toEqual(["b", "c"]);
  },
);

test("a stranger that holds the path while the owned start fails, also when the owned one has come", async () => {
  const world = new World();
  const ran: string[] = [];
  const charge = (who: string): Commands => ({ charge: () => void ran.push(who) });
  const each = {
    a: { commands: charge("a"), host: { startMs: 3_000 } },
    b: { commands: charge("b") },
    c: { commands: charge("c") },
  };
  const { shop, of } = family(world, [...IDS], { child: { host: {} }, each });
  void shop.start();
  const stranger = world.node({ path: "shop.a", commands: charge("stranger") });
  await world.run(500);
  void stranger.start();
  await world.until(() => shop.child("a")?.link === "alive");
  of("a").fault = new Error("no");
  await world.until(() => shop.child("a")?.link !== "alive");
  expect(await targetsOf(world, shop)).toEqual(["b", "c"]);
  expect(ran.splice(0).toSorted()).toEqual(["b", "c"]);
  of("a").fault = null;
  world.processOf(stranger).passes = () => false;
  await world.until(() => shop.state === "SYNCHRONIZED" && of("a").nodes.length > 0);
  expect(await targetsOf(world, shop)).toEqual(["a", "b", "c"]);
  expect(ran.toSorted()).toEqual(["a", "b", "c"]);
});
