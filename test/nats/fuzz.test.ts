/** Hostile input at a live tree through a real server: less of it than in test/fuzz, and in real time. */
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { decodeFrame } from "../../src/protocol/codec.js";
import { FLOODS, subjectOf } from "../fuzz/floods.js";
import { BLIND, type Knowledge } from "../fuzz/knowledge.js";
import { PATHS, SUBJECTS } from "../fuzz/live-tree.js";
import { anyBytesShot, anyOutsiderShot, anyReplay } from "../fuzz/shots.js";
import { surfaced } from "../fuzz/surfaced.js";
import { type NatsServer, startNatsServer } from "../support/nats-server.js";
import { authorization, type LiveTree, observe, startTree, type Wire } from "./permission-stage.js";

const SHOTS = 1_500;
const FLOOD = 25_000;
/** What one write carries: the client keeps what it was given. */
const BURST = 500;
/** Quicker than a retransmission: what a flood delayed is through. */
const USUAL_MS = 150;

let server: NatsServer;
let wire: Wire;
let tree: LiveTree;

beforeEach(async () => {
  const users = Object.fromEntries([...PATHS, "admin"].map((user) => [user, null]));
  server = await startNatsServer({ config: authorization(users) });
  wire = await observe(server, "admin");
  const count = (n: number): number => n + 1;
  tree = await startTree(server, [
    { path: "shop", children: [{ id: "a" }, { id: "b" }], requests: { count }, childrenMax: 50 },
    { path: "shop.a", children: [{ id: "x" }], commands: { count }, childrenMax: 50 },
    { path: "shop.b", commands: { count } },
    { path: "shop.a.x", commands: { count } },
  ]);
});
afterEach(async () => {
  await tree[Symbol.asyncDispose]();
  await wire[Symbol.asyncDispose]();
  await server.stop();
});

/** Two levels down, to the sibling, two levels up; returns how long it took, milliseconds. */
async function roundMs(): Promise<number> {
  const sinceMs = performance.now();
  const options = { timeoutMs: 10_000 };
  const calls = [
    tree.node("shop").command("a.x", "count", 1, options),
    tree.node("shop").command("b", "count", 1, options),
    tree.node("shop.a.x").request("count", 1, options),
  ];
  expect(await Promise.all(calls)).toEqual([2, 2, 2]);
  return performance.now() - sinceMs;
}

async function expectRecovered(): Promise<void> {
  const states = (): string[] => PATHS.map((path) => tree.node(path).state);
  await expect.poll(states, { timeout: 20_000 }).toEqual(PATHS.map(() => "SYNCHRONIZED"));
  await expect.poll(roundMs, { timeout: 10_000 }).toBeLessThan(USUAL_MS);
  expect(tree.events.filter((event) => / ended|FENCED/.test(event))).toEqual([]);
}

/** In bursts, each of which the server has before the next one is made. */
async function publish(messages: Iterable<{ readonly subject: string; readonly bytes: Uint8Array }>): Promise<void> {
  const { connection } = wire;
  let sent = 0;
  for (const { subject, bytes } of messages) {
    connection.publish(subject, bytes);
    if (++sent % BURST === 0) await connection.flush();
  }
  await connection.flush();
}

function* flood() {
  for (const each of FLOODS) {
    for (let n = 0; n < FLOOD / FLOODS.length; n++) {
      const known: Knowledge = { ...BLIND, ...wire.session(each.path) };
      yield { subject: subjectOf(each, n), bytes: each.bytes(n, known) };
    }
  }
}

const SEED = Number(process.env["FUZZ_SEED"] ?? 1);

describe("through a server", () => {
  test.each([
    ["bytes", anyBytesShot],
    ["frames sent again", anyReplay],
    ["messages of one who knows no session", anyOutsiderShot],
  ])("%s end no process and no service", async (_what, shot) => {
    const errors = await surfaced(async () => {
      await roundMs();
      const sent = wire.messages.map(({ subject, data }) => {
        const decoded = decodeFrame(data, subject.includes(".up.") ? "up" : "down");
        return { subject, payload: data, frame: decoded.kind === "frame" ? decoded.frame : null };
      });
      const range = { subjects: SUBJECTS, wire: sent };
      await publish(fc.sample(shot, { numRuns: SHOTS, seed: SEED }).map((each) => each.aim(range)));
      await expectRecovered();
    });
    expect(errors).toEqual([]);
  });

  test(`a flood of ${FLOOD} messages leaves the tree as quick as before`, { timeout: 60_000 }, async () => {
    const errors = await surfaced(async () => {
      await publish(flood());
      await expectRecovered();
    });
    expect(errors).toEqual([]);
  });
});
