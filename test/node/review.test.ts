/** What reviews of the whole found: each test opens with the failure that it pins. */
import { expect, it } from "vitest";
import { CommandError, createNode, memoryTransport, type NodeOptions } from "../../src/index.js";
import { encodeFrame } from "../../src/protocol/codec.js";
import { seededRandom, SimulatedClock } from "../../src/testing/index.js";

function world() {
  const clock = new SimulatedClock();
  const random = seededRandom(5);
  const transport = memoryTransport({ clock });
  const node = (path: string, options: Partial<NodeOptions> = {}) =>
    createNode({ path, transport, clock, random, ...options });
  const run = async <T>(promise: Promise<T>): Promise<T> => {
    let isSettled = false;
    const settle = (): boolean => (isSettled = true);
    promise.then(settle, settle);
    await clock.runUntil(() => isSettled, { withinMs: 60_000 });
    return promise;
  };
  return { clock, transport, node, run };
}

it("a transport closed under a running node threw into a microtask and left the call hanging", async () => {
  const { clock, transport, node, run } = world();
  const parent = node("a", { children: [{ id: "b" }] });
  const child = node("a.b", { commands: { echo: (input: number) => input } });
  await Promise.all([parent.start(), child.start()]);
  await run(parent.until("SYNCHRONIZED", { timeoutMs: 5_000 }));
  await transport.close();
  const outcome = await run(parent.tryCommand("b", "echo", 1, { timeoutMs: 500 }));
  expect(outcome.status).not.toBe("completed");
  expect(await run(parent.ended)).toBe("transportClosed");
  await run(Promise.all([parent.stop(), child.stop()]));
  await clock.advance(1_000);
  expect(clock.pending).toBe(0);
});

it("two siblings' requests of the same id joined one call, and one got the other's answer", async () => {
  const { clock, node, run } = world();
  const root = node("r", { children: [{ id: "m" }], requests: { who: (input: string) => `you are ${input}` } });
  const middle = node("r.m", { children: [{ id: "a" }, { id: "b" }] });
  // The same seed gives both children the same request ids.
  const a = node("r.m.a", { random: seededRandom(9) });
  const b = node("r.m.b", { random: seededRandom(9) });
  await Promise.all([root, middle, a, b].map((each) => each.start()));
  await run(root.until("SYNCHRONIZED", { timeoutMs: 5_000 }));
  await clock.advance(100);
  const answers = await run(Promise.all([a.request("who", "a"), b.request("who", "b")]));
  expect(answers).toEqual(["you are a", "you are b"]);
});

it("an announcement with an absurd epoch lifted a starting root above what an epoch can be", async () => {
  const { clock, transport, node, run } = world();
  const root = node("r");
  await root.start();
  const announce = {
    kind: "ready.announce",
    seq: 0,
    treeId: transport.tree,
    childBoot: "liar",
    attempt: 1,
    epoch: [],
    parentEpoch: [Number.MAX_SAFE_INTEGER],
    versionMin: 1,
    versionMax: 1,
  } as const;
  const header = { version: 1, session: "", ack: 0, broadcastAck: 0, credit: 0 };
  transport.publish("ft.local.up.r.liar", encodeFrame({ ...header, messages: [{ ...announce }] }));
  await clock.advance(100);
  expect(root.status.dropped).toMatchObject({ "impossible epoch": 1 });
  const child = node("r.child");
  await child.start();
  await run(child.until("SYNCHRONIZED", { timeoutMs: 5_000 }));
});

it("reports to a parent that acknowledges nothing piled up without a bound", async () => {
  const { clock, transport, node, run } = world();
  const root = node("r", { children: [{ id: "a" }] });
  const a = node("r.a", { linkQueueMax: 3 });
  await Promise.all([root.start(), a.start()]);
  await run(root.until("SYNCHRONIZED", { timeoutMs: 5_000 }));
  await clock.advance(1_000);
  for (let i = 0; i < 3; i++) a.report(i);
  expect(() => a.report(3)).toThrow(CommandError);
  await clock.advance(100);
  a.report(4);
  expect(transport.connected).toBe(true);
});

it("JSON of an outcome lost its error's message", () => {
  const details = {
    status: "failed",
    code: "HANDLER_FAILED",
    message: "db down",
    path: "a.b",
    commandId: "1",
  } as const;
  const error = new CommandError({ ...details, name: "read", handlerCode: "" });
  expect(JSON.parse(JSON.stringify(error))).toMatchObject({
    name: "CommandError",
    code: "HANDLER_FAILED",
    message: "read at a.b: db down",
  });
  expect(error.handlerCode).toBeUndefined();
});

it("a stop during an outage waited out its whole deadline for a farewell that could not be sent", async () => {
  const { clock, transport, node, run } = world();
  let connected = true;
  const cut: typeof transport = {
    namespace: transport.namespace,
    tree: transport.tree,
    maxPayloadBytes: transport.maxPayloadBytes,
    get connected() {
      return connected;
    },
    publish: (...message) => {
      if (connected) transport.publish(...message);
    },
    subscribe: (...subscription) => transport.subscribe(...subscription),
    onConnection: (listener) => transport.onConnection(listener),
    close: () => transport.close(),
  };
  const root = node("r", { children: [{ id: "a" }] });
  const a = node("r.a", { transport: cut });
  await Promise.all([root.start(), a.start()]);
  await run(root.until("SYNCHRONIZED", { timeoutMs: 5_000 }));
  connected = false;
  expect(a.status.connected).toBe(false);
  const startMs = clock.now();
  await run(a.stop({ timeoutMs: 10_000 }));
  expect(clock.now() - startMs).toBeLessThan(100);
});
