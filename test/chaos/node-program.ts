/**
 * One process of a chaos run: a node, its handlers, its share of the load, and a journal of all of it. An operator starts
 * it with the path as argument, or another node as its child. It ends once its node has ended.
 */
import { createNode, DependencyDownError, type Node, runChild, stopOnSignals, type Transport } from "fractal-tree";
import { connectNats } from "fractal-tree/nats";
import { setTimeout as sleep } from "node:timers/promises";
import { endWith, Member } from "./member.js";
import { ROOT } from "./plan.js";
import { fromEnvironment } from "./settings.js";

const RECONNECT_MS = 200;

const settings = fromEnvironment();

function connect(name: string): Promise<Transport> {
  return connectNats({ servers: settings.servers, tree: "chaos", name });
}

/** All servers may be down at this moment. */
async function connectPatiently(name: string): Promise<Transport> {
  for (;;) {
    try {
      return await connect(name);
    } catch {
      endWith(settings.driverPid);
      await sleep(RECONNECT_MS);
    }
  }
}

/** A supervisor tries again by itself, and does not count it. */
async function connectOnce(name: string): Promise<Transport> {
  try {
    return await connect(name);
  } catch (cause) {
    throw new DependencyDownError("no server can be reached", { cause });
  }
}

async function runOperated(path: string): Promise<void> {
  const member = new Member(settings, path, null);
  const transport = await connectPatiently(member.name);
  const node = createNode(member.options(transport));
  process.once("SIGTERM", () => member.noteLeaving("stop"));
  stopOnSignals(node);
  member.join(node);
  await node.start();
  const reason = await node.ended;
  process.exitCode = reason === "stopped" || reason === "shutdown" ? 0 : 1;
  await transport.close();
}

async function runOwned(): Promise<void> {
  const transports: Transport[] = [];
  await runChild(async ({ path }): Promise<Node> => {
    const member = new Member(settings, path, process.ppid);
    const transport = await connectOnce(member.name);
    transports.push(transport);
    const node = createNode(member.options(transport));
    process.once("SIGTERM", () => member.noteLeaving("stop"));
    member.join(node);
    return node;
  });
  for (const transport of transports) await transport.close();
}

if (process.send === undefined) await runOperated(process.argv[2] ?? ROOT);
else await runOwned();
