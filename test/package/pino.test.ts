/** A pino logger fits as it is, and so does its child: the README says so. */
import { pino } from "pino";
import { expect, it } from "vitest";
import { createNode, memoryTransport } from "../../src/index.js";

it("takes a pino logger and gives it structured lines with stable event names", async () => {
  const lines: Record<string, unknown>[] = [];
  const sink = { write: (line: string) => lines.push(JSON.parse(line) as Record<string, unknown>) };
  const logger = pino({ level: "debug" }, sink).child({ service: "shop" });
  const node = createNode({ path: "shop", transport: memoryTransport(), logger });
  await node.start();
  await node.until("SYNCHRONIZED", { timeoutMs: 5_000 });
  await node.stop();
  await node.ended;
  expect(lines.every(({ service, path }) => service === "shop" && path === "shop")).toBe(true);
  const changes = lines.filter(({ event }) => event === "state.changed");
  expect(changes.map(({ state }) => state)).toEqual(["CONNECTING", "SYNCHRONIZED", "DISCONNECTED"]);
  expect(changes[0]).toMatchObject({ level: 30, from: "DISCONNECTED", msg: "DISCONNECTED → CONNECTING" });
  expect(lines.at(-1)).toMatchObject({ event: "node.ended", reason: "stopped" });
});
