/** Children that come back: strategies, restart types, intensity and delays, on real nodes in virtual time. */
import { describe, expect, test } from "vitest";
import { World } from "../node/kit.js";
import { family, story } from "./kit.js";

test("a child that fails is started again, and its parent is whole again", async () => {
  const world = new World();
  const { shop, of, decisions } = family(world, ["a", "b"]);
  await world.up(shop);
  of("a").latest.fail("out of luck");
  await world.until(() => of("a").nodes.length === 2);
  await world.until(() => shop.state === "SYNCHRONIZED");
  expect(of("a").nodes[0]?.state).toBe("DISCONNECTED");
  expect(await of("a").nodes[0]?.ended).toBe("failed");
  expect(of("b").nodes).toHaveLength(1);
  expect(story(decisions)).toEqual([
    "a started 1",
    "b started 1",
    "a ready 1",
    "b ready 1",
    "a restarting 1",
    "a started 2",
    "a ready 2",
  ]);
  await world.end(shop);
  expect(await of("a").latest.ended).toBe("shutdown");
  expect(await of("b").latest.ended).toBe("shutdown");
});

test("a parent that restarted a child too often fails, tells why, and starts all anew after its own delay", async () => {
  const world = new World();
  const { shop, of, decisions } = family(world, ["a", "b"], { supervision: { childIntensity: 1 } });
  await world.up(shop);
  of("a").latest.fail("once");
  await world.until(() => of("a").nodes.length === 2 && shop.state === "SYNCHRONIZED");
  const failures: (string | null)[] = [];
  shop.on("state.changed", ({ failure }) => failures.push(failure));
  of("a").latest.fail("twice");
  await world.until(() => failures.some((failure) => failure !== null));
  expect(failures.find((failure) => failure !== null)).toMatch(/restart intensity.*twice/);
  await world.until(() => shop.state === "SYNCHRONIZED");
  expect(of("b").nodes).toHaveLength(2);
  expect(await of("b").nodes[0]?.ended).toBe("shutdown");
  expect(story(decisions)).toContain("a escalated 2");
});

describe("strategies", () => {
  test.each([
    ["one_for_one", { a: 1, b: 2, c: 1 }],
    ["rest_for_one", { a: 1, b: 2, c: 2 }],
    ["one_for_all", { a: 2, b: 2, c: 2 }],
  ] as const)("%s", async (strategy, expected) => {
    const world = new World();
    const { shop, of } = family(world, ["a", "b", "c"], { supervision: { strategy } });
    await world.up(shop);
    of("b").latest.fail("out of luck");
    await world.until(() => of("b").nodes.length === 2);
    await world.until(() => shop.state === "SYNCHRONIZED");
    const counts = { a: of("a").nodes.length, b: of("b").nodes.length, c: of("c").nodes.length };
    expect(counts).toEqual(expected);
  });
});
