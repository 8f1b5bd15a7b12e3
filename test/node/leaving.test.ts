/** A node that leaves in order: what becomes of the commands that were on their way to it. */
import { describe, expect, test } from "vitest";
import { completed, uncompleted } from "../../src/node/call.js";
import type { OutgoingCall } from "../../src/node/call-entry.js";
import { CallTable } from "../../src/node/call-table.js";
import { type CommonCall, CommonCalls } from "../../src/node/common-calls.js";
import { SimulatedClock } from "../../src/testing/index.js";
import { gate, record, World } from "./kit.js";

const CHILDREN = [{ id: "a" }, { id: "b" }];

// The node had told that it leaves and waited for the answer; a late frame of its old session made the parent call it, and
// it came back for a moment. Everything that it was sent then was lost.
test("a child that has said that it leaves does not answer its parent's call", async () => {
  const world = new World();
  const shop = world.node({ path: "shop", children: CHILDREN });
  const [a, b] = [world.node({ path: "shop.a" }), world.node({ path: "shop.b" })];
  await world.up(a, b, shop);
  const links = record(shop, "child.changed");
  // Its farewell is not acknowledged, so that it stays and repeats it.
  world.processOf(shop).passes = ({ kinds }) => !kinds.includes("heartbeat.ack");
  const stopped = a.stop({ timeoutMs: 3_000 });
  await world.settle(stopped);
  await world.run(1_000);
  expect(links.map(({ id, state }) => [id, state])).toEqual([["a", "left"]]);
});

test("a command that a leaving child refused, or never saw, did not begin", async () => {
  const world = new World();
  const shop = world.node({ path: "shop", children: CHILDREN });
  let began = 0;
  const a = world.node({ path: "shop.a", commands: { count: () => void began++ } });
  await world.up(a, world.node({ path: "shop.b" }), shop);
  const stopped = a.stop();
  const outcomes = [shop.tryCommand("a", "count")];
  for (let turn = 0; turn < 20; turn++) {
    await world.run(1);
    outcomes.push(shop.tryCommand("a", "count"));
  }
  await world.settle(stopped);
  const statuses = (await world.settle(Promise.all(outcomes))).map(({ status }) => status);
  expect(statuses).toEqual(statuses.map(() => "notStarted"));
  expect(began).toBe(0);
});

// The refusals of commands that crossed its farewell were never acknowledged, so that it stayed until its deadline.
test("a leaving child goes as soon as its farewell is acknowledged, whatever was sent to it meanwhile", async () => {
  const world = new World();
  const shop = world.node({ path: "shop", children: CHILDREN });
  const a = world.node({ path: "shop.a", commands: { count: () => {} } });
  await world.up(a, world.node({ path: "shop.b" }), shop);
  const stopped = a.stop({ timeoutMs: 10_000 });
  const outcomes: Promise<unknown>[] = [];
  for (let turn = 0; turn < 40; turn++) {
    outcomes.push(shop.tryCommand("a", "count", undefined, { idempotent: true, timeoutMs: 500 }));
    await world.run(0);
  }
  await world.settle(stopped, 100);
  expect(await world.settle(Promise.all(outcomes))).toHaveLength(40);
});

test("a leaving child whose farewell's acknowledgement was lost says it again, and goes", async () => {
  const world = new World();
  const shop = world.node({ path: "shop", children: CHILDREN });
  const a = world.node({ path: "shop.a" });
  await world.up(a, world.node({ path: "shop.b" }), shop);
  const leftAtMs = world.nowMs;
  world.processOf(shop).passes = ({ kinds }) => !kinds.includes("heartbeat.ack") || world.nowMs > leftAtMs + 100;
  await world.settle(a.stop({ timeoutMs: 10_000 }), 1_000);
  expect(shop.child("a")?.link).toBe("left");
});

// A stopping parent answered nobody but its present children: whoever had left it waited until its own deadline.
test("a child that left a stopping parent, which was not heard, says it again, and goes", async () => {
  const world = new World();
  const { opened, open } = gate();
  const shop = world.node({ path: "shop", children: CHILDREN, requests: { wait: () => opened } });
  const [a, b] = [world.node({ path: "shop.a" }), world.node({ path: "shop.b" })];
  await world.up(a, b, shop);
  const waiting = b.request("wait", undefined, { timeoutMs: 20_000 }).catch(() => {});
  await world.run(50);
  const stopped = shop.stop({ timeoutMs: 20_000 });
  const leftAtMs = world.nowMs;
  world.processOf(shop).passes = ({ kinds }) => !kinds.includes("heartbeat.ack") || world.nowMs > leftAtMs + 100;
  await world.settle(a.stop({ timeoutMs: 10_000 }), 1_000);
  expect(await a.ended).toBe("stopped");
  open();
  await world.settle(Promise.all([stopped, waiting]));
});

// A supervisor's child without limit had 24 days to end. Its session had been closed under it, so nobody heard its farewell.
test("a child that nobody hears waits no longer than silence takes to mean death", async () => {
  const world = new World();
  const shop = world.node({ path: "shop", children: CHILDREN });
  const [a, b] = [world.node({ path: "shop.a" }), world.node({ path: "shop.b" })];
  await world.up(a, b, shop);
  world.processOf(shop).passes = () => false;
  await world.settle(a.stop({ timeoutMs: 2 ** 31 - 1 }), 11_000);
  expect(await a.ended).toBe("stopped");
});

describe("a node that leaves while commands that it passed on run", () => {
  async function family(ms: number) {
    const world = new World();
    const shop = world.node({ path: "shop", children: CHILDREN });
    const mid = world.node({ path: "shop.a", children: [{ id: "leaf" }] });
    const work = () => new Promise((resolve) => world.clock.setTimeout(() => resolve("done"), ms));
    const leaf = world.node({ path: "shop.a.leaf", commands: { work } });
    await world.up(leaf, mid, world.node({ path: "shop.b" }), shop);
    const outcome = shop.tryCommand("a.leaf", "work");
    await world.run(100);
    return { world, mid, outcome };
  }

  test("waits for them", async () => {
    const { world, mid, outcome } = await family(2_000);
    await world.settle(mid.stop({ timeoutMs: 5_000 }));
    expect(await world.settle(outcome)).toMatchObject({ status: "completed", value: "done" });
  });

  test("answers for those that outlast its deadline that their outcome is unknown", async () => {
    const { world, mid, outcome } = await family(20_000);
    await world.settle(mid.stop({ timeoutMs: 2_000 }));
    expect(await world.settle(outcome)).toMatchObject({ status: "unknown", error: { code: "EXECUTOR_LOST" } });
  });
});

describe("what a caller knows of a call when its executor leaves in order", () => {
  function table({ hasHadOthers = false } = {}) {
    const statuses: Record<string, string> = {};
    const port = {
      clock: new SimulatedClock(),
      queueMax: 10,
      firstCredit: 5,
      id: "peer",
      hasHadOthers,
      commonCalls: new CommonCalls(),
      transmit: () => {},
      transmitCancel: () => {},
    };
    const calls = new CallTable(port);
    const toCall = (id: string, idempotent: boolean): OutgoingCall => {
      const sink = { progress: () => {}, settle: ({ status }: { status: string }) => void (statuses[id] = status) };
      const said = { name: "x", input: new Uint8Array(), minSyncVersion: 0, meta: null };
      return { id, target: "", sink, content: { ...said, idempotent, deadlineAtMs: 1e6 } };
    };
    const submit = (id: string, idempotent = false): void => calls.submit(toCall(id, idempotent));
    const broadcast = (id: string): void => {
      const call = toCall(id, true);
      const done = (): void => void (statuses[id] = "completed");
      const separateAll = (): void => calls.separate(common);
      const common: CommonCall = { id, completed: done, separate: () => call, separateAll };
      port.commonCalls.give(common);
    };
    return { port, calls, submit, broadcast, statuses };
  }

  test("sent in the session in which it left: it did not begin", () => {
    const { calls, submit, statuses } = table();
    calls.opened({ sameExecutor: true });
    submit("sent");
    calls.left("gone");
    expect(statuses).toEqual({ sent: "notStarted" });
  });

  test("sent in an earlier session: its answer may be lost", () => {
    const { calls, submit, statuses } = table();
    calls.opened({ sameExecutor: true });
    submit("sent");
    calls.suspend();
    calls.left("gone");
    submit("resent");
    calls.opened({ sameExecutor: false });
    calls.suspend();
    calls.opened({ sameExecutor: true });
    calls.left("gone");
    expect(statuses).toEqual({ sent: "unknown", resent: "unknown" });
  });

  test("idempotent: it goes to the successor, whose refusal proves something only if the first never began it", () => {
    const { calls, submit, statuses } = table();
    calls.opened({ sameExecutor: true });
    submit("earlier", true);
    calls.suspend();
    calls.opened({ sameExecutor: true });
    submit("now", true);
    calls.left("gone");
    calls.opened({ sameExecutor: false });
    for (const id of ["earlier", "now"]) calls.answered(id, uncompleted("notStarted", "DRAINING", "busy"));
    expect(statuses).toEqual({ earlier: "unknown", now: "notStarted" });
  });

  test("sent, and waiting for credit in a later session: another executor does not get what may have begun", () => {
    const { port, calls, submit, statuses } = table();
    calls.opened({ sameExecutor: true });
    submit("once");
    submit("idempotent", true);
    port.firstCredit = 0;
    calls.opened({ sameExecutor: true });
    calls.opened({ sameExecutor: false });
    expect(statuses).toEqual({ once: "unknown" });
    calls.answered("idempotent", uncompleted("notStarted", "DRAINING", "busy"));
    expect(statuses).toEqual({ once: "unknown", idempotent: "unknown" });
  });

  test("broadcast: who held the path before may have begun it, whatever this one says", () => {
    const seen = [true, false].map((hasHadOthers) => {
      const { calls, broadcast, statuses } = table({ hasHadOthers });
      calls.opened({ sameExecutor: true });
      for (const id of ["completed", "refused", "left"]) broadcast(id);
      expect(calls.size).toBe(3);
      calls.answered("completed", completed(new Uint8Array()));
      calls.answered("refused", uncompleted("notStarted", "DRAINING", "busy"));
      calls.left("gone");
      calls.close("over");
      return statuses;
    });
    expect(seen).toEqual([
      { completed: "completed", refused: "unknown", left: "unknown" },
      { completed: "completed", refused: "notStarted", left: "notStarted" },
    ]);
  });

  test("broadcast: whatever else comes than a completion concerns one of those who were asked", () => {
    const { calls, broadcast, submit, statuses } = table();
    calls.opened({ sameExecutor: true });
    broadcast("one");
    submit("one");
    expect(calls.size).toBe(1);
    calls.answered("one", completed(new Uint8Array()));
    broadcast("two");
    calls.lost("gone");
    calls.opened({ sameExecutor: false });
    calls.answered("two", completed(new Uint8Array()));
    expect(statuses).toEqual({ one: "completed", two: "completed" });
    expect(calls.size).toBe(0);
  });
});
