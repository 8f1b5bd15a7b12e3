/** Children made from a template: they come and go. */
import { describe, expect, test } from "vitest";
import { type ChildInfo, createNode, type Node, type StartContext } from "../../src/index.js";
import { World } from "../node/kit.js";
import { declared, family, only } from "./kit.js";

function build({ path, transport, clock, random }: StartContext): Node {
  const node = createNode({ path, transport, clock, random });
  node.on("node.fenced", () => {});
  return node;
}

async function pool(options: Parameters<typeof family>[2] = {}) {
  const world = new World();
  const contexts: StartContext[] = [];
  const start = (context: StartContext): Node => {
    contexts.push(context);
    if (context.args === "bad") throw new Error("bad arguments");
    return build(context);
  };
  const { supervision, ...rest } = options;
  const { shop, decisions } = family(world, [], {
    supervision: { template: { start, ...rest.child }, ...supervision },
    ...rest,
  });
  await world.up(shop);
  return { world, shop, decisions, contexts };
}

describe("children of a template", () => {
  // Both were started as if nothing had been said.
  test.each([{ arg: 1 }, { id: "x", restart: "temporary" }])("take no other fields: %j", async (child) => {
    const { shop } = await pool();
    await expect(shop.startChild(child as never)).rejects.toMatchObject({ code: "INVALID_OPTION" });
    expect(shop.whichChildren()).toEqual([]);
  });

  test.each([undefined, {}, 5])("are named by texts: %j", async (id) => {
    const { shop } = await pool();
    const refusal = expect.objectContaining({ code: "INVALID_OPTION", option: "id" });
    await expect(shop.terminateChild(id as never)).rejects.toEqual(refusal);
    await expect(shop.restartChild(id as never)).rejects.toEqual(refusal);
    expect(() => shop.deleteChild(id as never)).toThrow(refusal);
    expect(() => shop.getChildSpec(id as never)).toThrow(refusal);
  });

  test("take the next free number, or the id that is given, and their arguments", async () => {
    const { world, shop, contexts } = await pool();
    const joined = world.node({ path: "shop.2" });
    await world.up(joined);
    const infos: ChildInfo[] = [];
    for (const child of [{}, { args: { size: 3 } }, { id: "five", args: 5 }, {}]) {
      infos.push(await world.settle(shop.startChild(child)));
    }
    expect(infos.map(({ id }) => id)).toEqual(["1", "3", "five", "4"]);
    expect(contexts.map(({ args }) => args)).toEqual([undefined, { size: 3 }, 5, undefined]);
    expect(contexts.map(({ path, generation }) => `${path} ${generation}`)).toEqual([
      "shop.1 1",
      "shop.3 1",
      "shop.five 1",
      "shop.4 1",
    ]);
    expect(shop.getChildSpec("five")).toMatchObject({ id: "five", args: 5 });
  });

  test("keep their arguments when they are started again", async () => {
    const { world, shop, contexts, decisions } = await pool({ child: { restart: "permanent" } });
    const rival = await world.settle(shop.startChild({ args: { size: 3 } }));
    expect(rival.id).toBe("1");
    const other = world.node({ path: "shop.1" });
    await other.start();
    await world.until(() => only(decisions, "adopted").length === 1);
    world.kill(other);
    await world.until(() => contexts.length === 2);
    expect(contexts.map(({ args }) => args)).toEqual([{ size: 3 }, { size: 3 }]);
  });

  test("that cannot be started are not declared, whatever comes of the others", async () => {
    const { world, shop } = await pool();
    const [good, bad] = await world.settle(
      Promise.allSettled([shop.startChild({ args: "good" }), shop.startChild({ args: "bad" })]),
    );
    expect(good).toMatchObject({ status: "fulfilled" });
    expect(bad).toMatchObject({ status: "rejected", reason: { code: "CHILD_NOT_STARTED" } });
    expect(shop.whichChildren()).toHaveLength(1);
  });

  test("stand beside declared ones", async () => {
    const { world, shop } = await pool();
    const { spec } = declared("fixed");
    await world.settle(shop.startChild(spec));
    await world.settle(shop.startChild({}));
    await world.settle(shop.terminateChild("fixed"));
    await world.settle(shop.terminateChild("1"));
    expect(shop.whichChildren().map(({ id, state }) => `${id} ${state}`)).toEqual(["fixed stopped"]);
  });

  test("ids that a joined child holds are refused, and free again once it has left", async () => {
    const { world, shop } = await pool();
    const joined = world.node({ path: "shop.x" });
    await world.up(joined);
    expect(await world.failure(shop.startChild({ id: "x" }))).toMatchObject({ code: "CHILD_EXISTS", path: "shop.x" });
    await world.end(joined);
    expect(await world.settle(shop.startChild({ id: "x" }))).toMatchObject({ id: "x", state: "running" });
  });

  test("of which two thousand come and go leave nothing behind", async () => {
    const { world, shop, decisions } = await pool({ child: { restart: "transient" } });
    const round = async (size: number): Promise<void> => {
      const infos = await world.settle(Promise.all(Array.from({ length: size }, () => shop.startChild({}))));
      await world.settle(Promise.all(infos.map(({ id }) => shop.terminateChild(id))));
      decisions.length = 0;
      world.wire.length = 0;
    };
    await round(200);
    const pendingBefore = world.clock.pending;
    for (let count = 0; count < 2_000; count += 200) await round(200);
    expect(shop.whichChildren()).toEqual([]);
    expect(shop.children()).toEqual([]);
    expect(shop.countChildren()).toEqual({ specs: 0, active: 0, supervisors: 0, workers: 0 });
    expect(shop.status.nodes).toBe(1);
    expect(world.clock.pending).toBeLessThanOrEqual(pendingBefore + 2);
    await world.settle(shop.stop());
    await world.run(1_000);
    expect(world.clock.pending).toBe(0);
  });

  test("that finish by themselves are forgotten, too", async () => {
    const { world, shop, decisions } = await pool({ child: { restart: "transient" } });
    const infos = await world.settle(Promise.all(Array.from({ length: 5 }, () => shop.startChild({}))));
    expect(infos).toHaveLength(5);
    const rival = world.node({ path: "shop.3" });
    await rival.start();
    await world.until(() => only(decisions, "adopted").length === 1);
    await world.end(rival);
    await world.until(() => shop.whichChildren().length === 4);
    expect(shop.children()).toHaveLength(4);
    expect(shop.state).toBe("SYNCHRONIZED");
  });
});
