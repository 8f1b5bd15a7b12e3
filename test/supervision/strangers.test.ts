/** A process at a child's path that the supervisor did not start, for example of a predecessor that was fenced. */
import { expect, test } from "vitest";
import { World } from "../node/kit.js";
import { family, only } from "./kit.js";

// The children of a fenced predecessor met its successor, and left: that aborted the successor's starts, and was counted.
test("a stranger that leaves while the child is being started aborts no start and costs no restart", async () => {
  const world = new World();
  const slow = { a: { host: { startMs: 3_000 } } };
  const { shop, of, decisions } = family(world, ["a", "b"], { child: { host: {} }, each: slow });
  void shop.start();
  const stranger = world.node({ path: "shop.a" });
  await world.run(500);
  void stranger.start();
  await world.until(() => shop.child("a")?.link === "alive");
  await world.settle(stranger.stop({ timeoutMs: 500 }));
  await world.run(10_000);
  expect(only(decisions, "restarting")).toEqual([]);
  expect(of("a").attempts).toBe(1);
  expect(shop.state).toBe("SYNCHRONIZED");
});
