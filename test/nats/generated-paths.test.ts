/**
 * The shortest path to every situation of the coordination machine, driven by real causes against real nodes over a real
 * nats-server. `test/node/generated-paths.test.ts` plays many more of them in virtual time.
 */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Coverage, drive } from "../node/paths/drive.js";
import type { Style, Timing } from "../node/paths/family.js";
import { pathsCovering } from "../node/paths/model.js";
import { type NatsServer, startNatsServer } from "../support/nats-server.js";
import { natsStage } from "./nats-stage.js";

/** Small, but a busy test machine must not be mistaken for a failure. */
const TIMING: Timing = {
  heartbeat: { minMs: 50, maxMs: 100 },
  failureDetector: { pauseMs: 200, deadMs: 800 },
  initTimeoutMs: 3_000,
  recoveryTimeoutMs: 3_000,
  cleanupTimeoutMs: 3_000,
  retryMs: 3_000,
  patienceMs: 5_000,
  settleMs: 50,
};

const STYLE: Style = { loss: "silence", failure: "report" };

/** Paths that are played at the same time, each in a tree of its own. */
const AT_ONCE = 20;

const PATHS = pathsCovering();

let server: NatsServer;
let connection: NatsConnection;
beforeAll(async () => {
  server = await startNatsServer();
  connection = await connect({ servers: server.url });
});
afterAll(async () => {
  await connection.close();
  await server.stop();
});

it("real nodes over NATS follow the coordination machine along the shortest paths", async () => {
  const coverage = new Coverage();
  const waiting = [...PATHS.entries()];
  const failures: string[] = [];
  const playOn = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, path] = next;
      const stage = natsStage(connection, `path-${index}`);
      await drive(path, { stage, timing: TIMING, style: STYLE, coverage }).catch((error: unknown) => {
        failures.push(String(error));
      });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, playOn));
  console.log(`over NATS: ${coverage.summary}`);
  expect(failures).toEqual([]);
  expect(coverage.missing).toEqual([]);
  expect(coverage.states.size).toBe(5);
}, 120_000);
