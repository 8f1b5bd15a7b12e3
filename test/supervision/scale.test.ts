/** Two thousand children of one parent: they start, all die at once, and come back. */
import { expect, test } from "vitest";
import { createNode, type Node, type StartContext } from "../../src/index.js";
import { World } from "../node/kit.js";
import { decisionsOf, only } from "./kit.js";

/** Starts so many children, fails all at once and waits until all are back. Returns what that took, milliseconds. */
async function massFailure(
  size: number,
): Promise<{ readonly started: number; readonly startMs: number; readonly failureMs: number }> {
  const world = new World();
  const nodes = new Map<string, Node>();
  const start = ({ path, transport, clock, random }: StartContext): Node => {
    const node = createNode({ path, transport, clock, random });
    nodes.set(path, node);
    return node;
  };
  const children = Array.from({ length: size }, (_, index) => ({ id: `c${index}`, start }));
  // Past the observer of the wire, which decodes everything.
  const { broker: transport, clock, random } = world;
  const shop = createNode({ path: "shop", transport, clock, random, children, initTimeoutMs: 60_000 });
  const decisions = decisionsOf(shop);
  const startedAt = performance.now();
  await world.up(shop);
  const upAt = performance.now();
  for (const node of Array.from(nodes.values())) node.fail("the power is out");
  await world.until(() => only(decisions, "ready").length === 2 * size);
  await world.until(() => shop.state === "SYNCHRONIZED");
  const backAt = performance.now();
  expect(only(decisions, "restarting")).toHaveLength(size);
  expect(only(decisions, "escalated")).toEqual([]);
  expect(only(decisions, "restarting").at(-1)?.budgetLeft).toEqual({ child: 2, supervisor: 0 });
  await world.settle(shop.stop());
  for (const node of nodes.values()) expect(node.state).toBe("DISCONNECTED");
  await world.run(1_000);
  expect(world.clock.pending).toBe(0);
  return { started: only(decisions, "started").length, startMs: upAt - startedAt, failureMs: backAt - upAt };
}

test("a mass failure of two thousand is survived, and takes time in proportion", { timeout: 120_000 }, async () => {
  const few = await massFailure(200);
  const many = await massFailure(2_000);
  expect([few.started, many.started]).toEqual([400, 4_000]);
  const each = (name: "startMs" | "failureMs"): string =>
    `${(few[name] / 200).toFixed(2)} ms each of 200, ${(many[name] / 2_000).toFixed(2)} ms each of 2,000`;
  console.log(`start: ${each("startMs")}; mass failure: ${each("failureMs")}`);
});
