/** Watching ends over a real server: a tree of connections, a watcher with one of its own. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { createNode, type Node, type NodeEnd, type Transport, watchNode } from "../../src/index.js";
import { connectNats } from "../../src/nats.js";
import { type NatsServer, startNatsServer } from "../support/nats-server.js";

const TREE = "watched";

let server: NatsServer;
let transports: Transport[];
let nodes: Node[];
beforeEach(async () => {
  server = await startNatsServer();
  transports = [];
  nodes = [];
});
afterEach(async () => {
  await Promise.all(nodes.map((each) => each.stop({ timeoutMs: 100 })));
  await Promise.all(transports.map((transport) => transport.close()));
  await server.stop();
});

async function connection(): Promise<Transport> {
  const transport = await connectNats({ servers: server.url, tree: TREE });
  transports.push(transport);
  return transport;
}

/** shop, shop.a and shop.a.b, each with a connection of its own, all SYNCHRONIZED. */
async function startTree(): Promise<void> {
  for (const [path, child] of [["shop", "a"], ["shop.a", "b"], ["shop.a.b"]] as const) {
    const children = child === undefined ? [] : [{ id: child }];
    const started = createNode({ path, transport: await connection(), children });
    await started.start();
    nodes.push(started);
  }
  await Promise.all(nodes.map((each) => each.until("SYNCHRONIZED", { timeoutMs: 20_000 })));
}

function node(path: string): Node {
  const found = nodes.find((each) => each.path === path);
  if (found === undefined) throw new Error(`no node at ${path}`);
  return found;
}

test("a subtree that is shut down ends from below", async () => {
  await startTree();
  using watching = watchNode({ transport: await connection(), path: "shop", subtree: true });
  const ends: NodeEnd[] = [];
  const all = (async () => {
    for await (const end of watching) if (ends.push(end) === 3) return;
  })();
  await node("shop").shutdownTree({ reason: "night" });
  await all;
  expect(ends.map(({ path, kind }) => [path, kind])).toEqual([
    ["shop.a.b", "shutdown"],
    ["shop.a", "shutdown"],
    ["shop", "shutdown"],
  ]);
  expect(ends.at(-1)).toEqual({ path: "shop", epoch: node("shop").epoch, kind: "shutdown", reason: "night" });
}, 60_000);

test("one that ends by itself is known by its reason, one that was never there by its silence", async () => {
  await startTree();
  const transport = await connection();
  const leaf = watchNode({ transport, path: "shop.a.b" });
  const nobody = watchNode({ transport, path: "shop.x", silenceMs: 3_000 });
  await expect(nobody.ended).resolves.toMatchObject({ kind: "failed", reason: "noproc" });
  await node("shop.a.b").stop({ reason: "redeploy" });
  await expect(leaf.ended).resolves.toMatchObject({ path: "shop.a.b", kind: "normal", reason: "redeploy" });
}, 60_000);

test("an outage of the server ends nobody, and what ends after it is told", async () => {
  await startTree();
  const transport = await connection();
  const watching = watchNode({ transport, path: "shop.a", silenceMs: 3_000 });
  const ends: NodeEnd[] = [];
  void watching.ended.then((end) => ends.push(end));
  await server.kill();
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  await server.restart();
  await Promise.all(nodes.map((each) => each.until("SYNCHRONIZED", { timeoutMs: 30_000 })));
  // The watcher's own connection may be the last to be back; what ends before that is not told to it, but found missing.
  while (!transport.connected) await new Promise((resolve) => setTimeout(resolve, 10));
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(ends).toEqual([]);
  await node("shop.a").stop({ reason: "after the outage" });
  await expect(watching.ended).resolves.toMatchObject({ kind: "normal", reason: "after the outage" });
}, 90_000);
