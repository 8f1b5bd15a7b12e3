/** What a failure is attributed to when `fail` is called where it changes nothing. */
import { expect, test } from "vitest";
import { World } from "../node/kit.js";

test("a dependency that was missed while the node had failed already excused the next failure, whatever its cause", async () => {
  const world = new World();
  const shop = world.node({ path: "shop", children: [{ id: "a" }] });
  const a = world.node({ path: "shop.a", children: [{ id: "x", critical: true }], initTimeoutMs: 500 });
  const x = world.node({ path: "shop.a.x" });
  await world.up(shop, a, x);
  a.fail("once");
  a.fail("no database", { dependencyDown: true });
  await world.until(() => a.state === "SYNCHRONIZED" && shop.state === "SYNCHRONIZED");
  world.kill(x);
  await world.until(() => a.state === "FAILED");
  const told = world.sent("error.node").flatMap(({ frame }) => frame?.messages ?? []);
  const classes = told.flatMap((message) => (message.kind === "error.node" ? [message.dependencyDown] : []));
  expect(classes).not.toEqual([]);
  expect(new Set(classes)).toEqual(new Set([false]));
  await world.end(shop, a);
});
