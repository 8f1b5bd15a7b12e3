/** A tree over a cluster of three servers: any of them may die, all may die, and they may lose each other. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { type ChildChange, type CommandOutcome, createNode, type HandlerContext, type Node } from "../../src/index.js";
import { connectNats } from "../../src/nats.js";
import type { Transport } from "../../src/transport/transport.js";
import { type NatsCluster, startNatsCluster } from "../support/nats-cluster.js";

const PATHS = ["t", "t.a", "t.b", "t.a.x", "t.a.y", "t.b.x", "t.b.y"];
const TARGETS = ["a", "b", "a.x", "a.y", "b.x", "b.y"];

const COMMAND_INTERVAL_MS = 10;
const COMMAND_TIMEOUT_MS = 20_000;
/** After a fault: reconnecting takes half a second, routes a second, and a beat may be due only two seconds later. */
const RECOVERY_MS = 10_000;
const OUTAGE_MS = 1_000;

interface Work {
  readonly number: number;
  readonly forMs: number;
}

/** Seven nodes with default options, each over a connection of its own. */
interface ClusteredTree extends AsyncDisposable {
  readonly cluster: NatsCluster;
  readonly nodes: readonly Node[];
  readonly root: Node;
  readonly transports: readonly Transport[];
  /** Numbers of the commands whose handlers began, in order. */
  readonly began: readonly number[];
  /** How often a connection was lost. */
  readonly losses: () => number;
  readonly deaths: readonly ChildChange[];
}

/** `serversOf` says which addresses a node is given: those of all servers, unless told otherwise. */
async function startTree(serversOf = (_: number, urls: readonly string[]) => urls): Promise<ClusteredTree> {
  const cluster = await startNatsCluster();
  const began: number[] = [];
  const deaths: ChildChange[] = [];
  let losses = 0;
  const work = async ({ number, forMs }: Work, { path }: HandlerContext): Promise<string> => {
    began.push(number);
    await sleep(forMs);
    return path;
  };
  const transports = await Promise.all(
    PATHS.map((name, index) => connectNats({ servers: serversOf(index, cluster.urls), tree: "test", name })),
  );
  const nodes = PATHS.map((path, index) => {
    const transport = transports[index];
    if (transport === undefined) throw new Error("unreachable");
    const children = PATHS.filter((other) => other.slice(0, other.lastIndexOf(".")) === path);
    const listed = children.map((child) => ({ id: child.slice(path.length + 1), remote: true as const }));
    const node = createNode({ path, transport, children: listed, commands: { work } });
    node.on("child.changed", (change) => change.state === "dead" && deaths.push(change));
    node.on("transport.changed", ({ connected }) => (losses += connected ? 0 : 1));
    return node;
  });
  const [root] = nodes;
  if (root === undefined) throw new Error("unreachable");
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.stop({ timeoutMs: 1_000 })));
    await Promise.all(transports.map((transport) => transport.close()));
    await cluster.stop();
  };
  const tree = { cluster, nodes, root, transports, began, losses: () => losses, deaths, [Symbol.asyncDispose]: stop };
  await Promise.all(nodes.map((node) => node.start()));
  await untilSynchronized(tree);
  return tree;
}

async function untilSynchronized({ nodes }: ClusteredTree): Promise<void> {
  await Promise.all(nodes.map((node) => node.until("SYNCHRONIZED", { timeoutMs: RECOVERY_MS })));
}

interface Issued {
  readonly number: number;
  readonly outcome: Promise<CommandOutcome>;
}

/** Commands from the root to all others, one after the other, until stopped; every second one is idempotent. */
function startLoad({ root }: ClusteredTree): () => readonly Issued[] {
  const issued: Issued[] = [];
  const timer = setInterval(() => {
    const number = issued.length;
    const target = TARGETS[number % TARGETS.length] ?? "a";
    const options = { timeoutMs: COMMAND_TIMEOUT_MS, idempotent: number % 4 < 2 };
    issued.push({ number, outcome: root.tryCommand(target, "work", { number, forMs: number % 50 }, options) });
  }, COMMAND_INTERVAL_MS);
  return () => {
    clearInterval(timer);
    return issued;
  };
}

/** Does harm under load, and checks that nobody but the servers had any. */
async function survive(tree: ClusteredTree, harm: () => Promise<void>): Promise<void> {
  const epochs = tree.nodes.map(({ epoch }) => epoch);
  const stopLoad = startLoad(tree);
  await sleep(200);
  await harm();
  await untilSynchronized(tree);
  await sleep(200);
  const issued = stopLoad();
  const outcomes = await Promise.all(issued.map(({ outcome }) => outcome));
  // No process was lost, so that nothing may remain unknown, whether idempotent or not.
  expect(outcomes.filter(({ status }) => status !== "completed")).toEqual([]);
  expect(tree.began.toSorted((a, b) => a - b)).toEqual(issued.map(({ number }) => number));
  expect(tree.deaths).toEqual([]);
  expect(tree.nodes.map(({ epoch }) => epoch)).toEqual(epochs);
  expect(tree.nodes.map(({ state }) => state)).toEqual(PATHS.map(() => "SYNCHRONIZED"));
}

test.concurrent("servers killed one at a time, each back before the next one: nobody is lost, commands run once", async () => {
  await using tree = await startTree();
  const { cluster } = tree;
  await survive(tree, async () => {
    for (const server of cluster.servers) {
      await server.kill();
      await sleep(OUTAGE_MS);
      await server.restart();
      await cluster.whole();
    }
  });
  // Whoever was not at the first server, or went to a later one, lost that one.
  expect(tree.losses()).toBeGreaterThanOrEqual(PATHS.length);
});

test.concurrent("two of three servers stay away: everybody meets at the third", async () => {
  await using tree = await startTree();
  const { servers } = tree.cluster;
  await survive(tree, async () => {
    await servers[0]?.kill();
    await sleep(OUTAGE_MS);
    await servers[1]?.kill();
    await sleep(OUTAGE_MS);
  });
  expect(tree.transports.map(({ connected }) => connected)).toEqual(PATHS.map(() => true));
});

test.concurrent("all servers killed at once and started again: nobody is lost, commands run once", async () => {
  await using tree = await startTree();
  const { servers } = tree.cluster;
  await survive(tree, async () => {
    await Promise.all(servers.map((server) => server.kill()));
    await sleep(OUTAGE_MS);
    expect(tree.transports.map(({ connected }) => connected)).toEqual(PATHS.map(() => false));
    expect(tree.deaths).toEqual([]);
    // One after the other: who is back first is alone with its server until routes exist.
    for (const server of servers) {
      await server.restart();
      await sleep(300);
    }
  });
});

test.concurrent.for(["silent", "broken"] as const)(
  "a server cut off from the others (%s): its clients are suspected, and are the same ones when it is back",
  async (how) => {
    // The node `a` is alone at the server that is cut off.
    await using tree = await startTree((index, urls) => [urls[index === 1 ? 1 : 0] ?? ""]);
    await survive(tree, async () => {
      tree.cluster.isolate(1, how);
      await tree.root.until("DEGRADED", { timeoutMs: RECOVERY_MS });
      tree.cluster.heal();
    });
    expect(tree.losses()).toBe(0);
  },
);

test.concurrent("a node that could reach one server only learns of the others from it", async () => {
  await using tree = await startTree((_, urls) => urls.slice(2));
  const { servers } = tree.cluster;
  await survive(tree, async () => {
    await servers[2]?.kill();
    await sleep(OUTAGE_MS);
  });
  expect(tree.losses()).toBe(PATHS.length);
});
