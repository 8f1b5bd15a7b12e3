/**
 * Teaches: a service as it is deployed. It tells its load balancer how it is, and leaves in order on SIGTERM.
 *
 *   npm run build && npx tsx examples/service.ts
 *   curl -i http://127.0.0.1:8080/health
 *
 * With NATS_URL set it joins a tree of several processes; the same program serves as parent and as child:
 *
 *   export NATS_URL=nats://127.0.0.1:4222
 *   npx tsx examples/service.ts
 *   TREE_PATH=shop.orders PORT=8081 npx tsx examples/service.ts
 *   curl http://127.0.0.1:8080/hello/orders
 */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { CommandError, createNode, memoryTransport, stopOnSignals } from "fractal-tree";
import { connectNats } from "fractal-tree/nats";

const { NATS_URL, TREE_PATH = "shop", PORT = "8080" } = process.env;
const transport = NATS_URL === undefined ? memoryTransport() : await connectNats({ servers: NATS_URL, tree: "acme" });

const node = createNode({
  path: TREE_PATH,
  transport,
  commands: { hello: ({ from }: { from: string }, { path }) => `${path} greets ${from}` },
});

const server = createServer((request, response) => {
  const [, route, child] = (request.url ?? "").split("/");
  if (route === "health") answer(response, isAvailable() ? 200 : 503, node.status);
  else if (route === "hello" && child !== undefined) void hello(response, child);
  else answer(response, 404, { error: "try /health or /hello/CHILD" });
});

/** A DEGRADED node still works, with what is left of its tree. */
function isAvailable(): boolean {
  return node.status.connected && (node.state === "SYNCHRONIZED" || node.state === "DEGRADED");
}

async function hello(response: ServerResponse, child: string): Promise<void> {
  try {
    answer(response, 200, await node.command(child, "hello", { from: node.path }, { timeoutMs: 2_000 }));
  } catch (error) {
    answer(response, error instanceof CommandError ? 502 : 400, { error: String(error) });
  }
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(`${JSON.stringify(body)}\n`);
}

stopOnSignals(node);
await node.start();
server.listen(Number(PORT), "127.0.0.1", () => {
  console.log(`${TREE_PATH} listens on http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});

// SIGTERM: the node finishes accepted work and tells parent and children; then nothing keeps the process alive.
const reason = await node.ended;
server.close();
await transport.close();
console.log(`${TREE_PATH} ${reason}`);
// Whoever restarts failed services is to know that this one did not leave by itself.
if (reason !== "stopped" && reason !== "shutdown") process.exitCode = 1;
