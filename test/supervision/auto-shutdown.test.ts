/** Significant children: whose end shuts their parent down, and what does not. */
import { describe, expect, test } from "vitest";
import { World } from "../node/kit.js";
import { type ChildParts, declared, family, only } from "./kit.js";

const SIGNIFICANT: ChildParts = { restart: "transient", significant: true };

async function running(
  autoShutdown: "any_significant" | "all_significant" | "never",
  each: Readonly<Record<string, ChildParts>>,
  ids: readonly string[] = ["a", "b", "c"],
) {
  const world = new World();
  const remote = world.node({ path: "shop.r" });
  const parts = family(world, ids, { supervision: { autoShutdown }, each });
  await world.up(parts.shop, remote);
  return { world, remote, ...parts };
}

describe("any_significant", () => {
  test("the first significant child that finishes shuts the whole tree down", async () => {
    const { world, shop, of, remote, decisions } = await running("any_significant", { a: SIGNIFICANT, b: SIGNIFICANT });
    await world.end(of("a").latest);
    expect(await world.settle(shop.ended)).toBe("shutdown");
    expect(only(decisions, "shutdown")).toMatchObject([
      { id: "a", exit: "normal", reason: "significant child a ended: stopped" },
    ]);
    for (const id of ["b", "c"]) expect(await world.settle(of(id).latest.ended, 1)).toBe("shutdown");
    expect(await world.settle(remote.ended, 1_000)).toBe("shutdown");
    await world.run(60_000);
    expect(["a", "b", "c"].map((id) => of(id).attempts)).toEqual([1, 1, 1]);
    expect(world.clock.pending).toBe(0);
  });

  test.each(["stop", "shutdownTree"] as const)("also by %s of itself", async (end) => {
    const { world, shop, of } = await running("any_significant", { a: SIGNIFICANT });
    void of("a").latest[end]();
    expect(await world.settle(shop.ended)).toBe("shutdown");
  });

  test("a temporary significant child does so even by failing", async () => {
    const { world, shop, of } = await running("any_significant", { a: { restart: "temporary", significant: true } });
    of("a").latest.fail("out of luck");
    expect(await world.settle(shop.ended)).toBe("shutdown");
  });

  const harmless: readonly [string, (parts: Awaited<ReturnType<typeof running>>) => Promise<unknown>][] = [
    ["the end of one that is not significant", ({ world, of }) => world.end(of("b").latest)],
    [
      "a failure, after which it is started again",
      async ({ world, of }) => {
        of("a").latest.fail("out of luck");
        await world.until(() => of("a").nodes.length === 2);
      },
    ],
    ["its termination by a user", ({ world, shop }) => world.settle(shop.terminateChild("a"))],
    ["the end of a remote child", ({ world, remote }) => world.end(remote)],
  ];
  test.each(harmless)("is not triggered by %s", async (_, happen) => {
    const parts = await running("any_significant", { a: SIGNIFICANT, b: { restart: "transient" } });
    await happen(parts);
    await parts.world.run(60_000);
    expect(only(parts.decisions, "shutdown")).toEqual([]);
    expect(parts.shop.state).toBe("SYNCHRONIZED");
  });

  test("nor by a sibling's failure that ends it for a moment", async () => {
    const world = new World();
    const supervision = { strategy: "one_for_all", autoShutdown: "any_significant" } as const;
    const { shop, of, decisions } = family(world, ["a", "b"], { supervision, each: { a: SIGNIFICANT } });
    await world.up(shop);
    of("b").latest.fail("out of luck");
    await world.until(() => of("a").nodes.length === 2 && shop.state === "SYNCHRONIZED");
    expect(only(decisions, "shutdown")).toEqual([]);
  });
});

describe("all_significant", () => {
  test("only the last significant child that finishes shuts the tree down", async () => {
    const { world, shop, of, decisions } = await running("all_significant", { a: SIGNIFICANT, b: SIGNIFICANT });
    await world.end(of("a").latest);
    await world.run(30_000);
    expect(shop.state).toBe("SYNCHRONIZED");
    await world.end(of("b").latest);
    expect(await world.settle(shop.ended)).toBe("shutdown");
    expect(only(decisions, "shutdown").map(({ id }) => id)).toEqual(["b"]);
  });

  test("one that a user started again counts again", async () => {
    const { world, shop, of } = await running("all_significant", { a: SIGNIFICANT, b: SIGNIFICANT });
    await world.end(of("a").latest);
    await world.until(() => shop.whichChildren()[0]?.state === "stopped");
    await world.settle(shop.restartChild("a"));
    await world.end(of("b").latest);
    await world.run(30_000);
    expect(shop.state).toBe("SYNCHRONIZED");
    await world.end(of("a").latest);
    expect(await world.settle(shop.ended)).toBe("shutdown");
  });

  test("one that a user terminated no longer counts", async () => {
    const { world, shop, of } = await running("all_significant", { a: SIGNIFICANT, b: SIGNIFICANT });
    await world.settle(shop.terminateChild("a"));
    await world.run(30_000);
    expect(shop.state).toBe("SYNCHRONIZED");
    await world.end(of("b").latest);
    expect(await world.settle(shop.ended)).toBe("shutdown");
  });
});

test("a supervisor that shut itself down is a child that finished: its own parent may follow", async () => {
  const world = new World();
  const autoShutdown = "any_significant" as const;
  const inner = declared("x", SIGNIFICANT);
  const outer = declared("a", { ...SIGNIFICANT, node: { children: [inner.spec], supervision: { autoShutdown } } });
  const shop = world.node({ path: "shop", children: [outer.spec], supervision: { autoShutdown } });
  await world.up(shop);
  await world.end(inner.incarnations.latest);
  expect(await world.settle(shop.ended)).toBe("shutdown");
  expect(await world.settle(outer.incarnations.latest.ended, 1)).toBe("shutdown");
  await world.run(10_000);
  expect(world.clock.pending).toBe(0);
});
