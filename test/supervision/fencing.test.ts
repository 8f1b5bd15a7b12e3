/** Rivals at an owned path, and parents that were superseded while they stood still. */
import { describe, expect, test } from "vitest";
import { record, World } from "../node/kit.js";
import { decisionsOf, family, hosted, only, story } from "./kit.js";

describe("a rival that takes an owned path over", () => {
  test.each([{}, { host: {} }])(
    "is adopted; ours is fenced, and comes back when the rival ends (%j)",
    async (child) => {
      const world = new World();
      const { shop, of, decisions } = family(world, ["a", "b"], { child });
      await world.up(shop);
      decisions.length = 0;
      const fenced = record(of("a").latest, "node.fenced");
      const rival = world.node({ path: "shop.a", commands: { greet: () => "rival" } });
      await rival.start();
      await world.until(() => only(decisions, "adopted").length === 1);
      await world.until(() => shop.state === "SYNCHRONIZED");
      expect(fenced).toHaveLength(1);
      expect(await world.settle(of("a").latest.ended, 1)).toBe("fenced");
      expect(shop.child("a")?.epoch).toBe(rival.epoch);
      expect(await world.settle(shop.command("a", "greet"))).toBe("rival");
      await world.run(30_000);
      expect(of("a").attempts).toBe(1);
      expect(shop.whichChildren()[0]).toMatchObject({ state: "running", generation: 2 });
      world.kill(rival);
      await world.until(() => of("a").nodes.length === 2 && shop.state === "SYNCHRONIZED");
      expect(story(decisions)).toEqual(["a restarting 1", "a adopted 2", "a restarting 2", "a started 3", "a ready 3"]);
      expect(only(decisions, "restarting")[1]).toMatchObject({ exit: "failed", reason: "it fell silent" });
      await world.settle(shop.stop());
      await world.run(60_000);
      expect(world.clock.pending).toBe(0);
    },
  );

  test("is shut down with its adopter", async () => {
    const world = new World();
    const { shop, decisions } = family(world, ["a", "b"]);
    await world.up(shop);
    const rival = world.node({ path: "shop.a" });
    await rival.start();
    await world.until(() => only(decisions, "adopted").length === 1 && shop.state === "SYNCHRONIZED");
    await world.settle(shop.stop());
    expect(await world.settle(rival.ended)).toBe("shutdown");
  });

  test("after another is one too many in the end: the incumbent stays, and one lives", async () => {
    const world = new World();
    const { shop, of } = family(world, ["a", "b"], { child: { host: {} } });
    await world.up(shop);
    const rivals = Array.from({ length: 6 }, () => world.node({ path: "shop.a" }));
    for (const rival of rivals) {
      await rival.start();
      await world.run(400);
    }
    await world.run(60_000);
    const living = rivals.filter(({ state }) => state === "SYNCHRONIZED");
    expect(living).toHaveLength(1);
    expect(of("a").processes.map(({ isKilled }) => isKilled)).toEqual([true]);
    expect(shop.child("a")?.epoch).toBe(living[0]?.epoch);
    await world.settle(shop.shutdownTree());
    for (const rival of rivals) await world.settle(rival.ended, 1_000);
  });

  test("is left to the successor of a parent that was superseded, which ends at once", async () => {
    const world = new World();
    const { shop, of, decisions } = family(world, ["a", "b"], { child: { host: {} } });
    await world.up(shop);
    const rival = world.node({ path: "shop.a" });
    await rival.start();
    await world.until(() => only(decisions, "adopted").length === 1 && shop.state === "SYNCHRONIZED");
    const { epoch } = rival;
    const successor = world.node({ path: "shop", epochStore: { next: () => 2 ** 50 } });
    await successor.start();
    expect(await world.settle(shop.ended, 1_000)).toBe("fenced");
    expect(only(decisions, "released").map(({ id }) => id)).toEqual(["a"]);
    expect(of("b").process.isKilled).toBe(true);
    await world.run(30_000);
    expect(rival).toMatchObject({ state: "SYNCHRONIZED", epoch });
    expect(successor.child("a")?.epoch).toBe(epoch);
  });

  test("that leaves in order is replaced by ours as its restart type says", async () => {
    const world = new World();
    const { shop, of, decisions } = family(world, ["a", "b"], { child: { restart: "transient" } });
    await world.up(shop);
    const rival = world.node({ path: "shop.a" });
    await rival.start();
    await world.until(() => only(decisions, "adopted").length === 1 && shop.state === "SYNCHRONIZED");
    await world.end(rival);
    await world.until(() => only(decisions, "finished").length === 1);
    expect(shop.whichChildren()[0]).toMatchObject({ state: "stopped" });
    expect(of("a").attempts).toBe(1);
    expect(await world.settle(shop.restartChild("a"))).toMatchObject({ state: "running" });
  });

  test("while ours waits for its restart leaves nothing to start", async () => {
    const world = new World();
    const supervision = { backoff: { baseMs: 5_000, maxMs: 5_000 } };
    const { shop, of, decisions } = family(world, ["a", "b"], { supervision });
    await world.up(shop);
    of("a").latest.fail("out of luck");
    await world.until(() => only(decisions, "restarting").length === 1);
    const rival = world.node({ path: "shop.a" });
    await world.up(rival);
    await world.run(30_000);
    expect(of("a").attempts).toBe(1);
    expect(shop.child("a")?.epoch).toBe(rival.epoch);
    expect(only(decisions, "adopted")).toHaveLength(1);
  });
});

describe("a parent that stands still while its successor takes over", () => {
  test.each([false, true])(
    "finds itself fenced when it wakes, says so, and its children end (messages first: %s)",
    async (messagesFirst) => {
      const world = new World();
      const { shop, of } = family(world, ["a", "b"], { child: { host: {} } });
      const remote = world.node({ path: "shop.r" });
      await world.up(shop, remote);
      const fenced = record(shop, "node.fenced");
      world.processOf(shop).stop();
      await world.run(5_000);
      // The operating system's view: its processes live on while it stands still.
      const children = [hosted(world, "a"), hosted(world, "b")];
      const successor = world.node({ path: "shop", children: children.map(({ spec }) => spec) });
      await world.up(successor);
      const epochs = children.map(({ incarnations }) => incarnations.nodes.map(({ epoch }) => epoch));
      await world.run(10_000);
      const decisions = decisionsOf(successor);
      world.processOf(shop).continue({ messagesFirst });
      expect(await world.settle(shop.ended)).toBe("fenced");
      expect(fenced).toMatchObject([{ error: { code: "NODE_FENCED", path: "shop" } }]);
      for (const id of ["a", "b"]) for (const process of of(id).processes) expect(process.isKilled).toBe(true);
      const attempts = ["a", "b"].map((id) => of(id).attempts);
      await world.run(60_000);
      expect(["a", "b"].map((id) => of(id).attempts)).toEqual(attempts);
      expect(successor.state).toBe("SYNCHRONIZED");
      expect(remote.state).toBe("SYNCHRONIZED");
      expect(children.map(({ incarnations }) => incarnations.nodes.map(({ epoch }) => epoch))).toEqual(epochs);
      expect(only(decisions, "started")).toEqual([]);
    },
  );

  test("and that is owned itself is killed and replaced by its parent, children and all", async () => {
    const world = new World();
    const inner = hosted(world, "x");
    const outer = hosted(world, "a", { node: { children: [inner.spec] } });
    const shop = world.node({ path: "shop", children: [outer.spec] });
    await world.up(shop);
    outer.incarnations.process.stop();
    await world.until(() => outer.incarnations.nodes.length === 2 && shop.state === "SYNCHRONIZED");
    expect(inner.incarnations.processes.map(({ isKilled }) => isKilled)).toEqual([true, false]);
    const epochs = outer.incarnations.nodes.map(({ epoch }) => epoch);
    expect(new Set(epochs).size).toBe(2);
  });
});

test("an epoch is never used twice, whoever restarts whom", async () => {
  const world = new World();
  const { shop, of } = family(world, ["a"], {
    child: { host: {} },
    supervision: { childIntensity: 100, intensity: 100 },
  });
  await world.up(shop);
  for (let round = 1; round <= 20; round++) {
    of("a").process.kill();
    await world.until(() => of("a").nodes.length === round + 1 && shop.state === "SYNCHRONIZED");
  }
  const epochs = of("a").nodes.map(({ epoch }) => epoch);
  expect(new Set(epochs).size).toBe(21);
});
