/**
 * Teaches: watching a running tree in Stately's inspector. Every node is an XState actor, so `inspect` is all it takes.
 *
 *   npm install --save-dev @statelyai/inspect
 *   npm run build && npx tsx examples/inspector.ts --watch     # opens the browser and goes on until Ctrl-C
 *
 * Without --watch a short story is played and what would be drawn is printed. PORT is the relay's, 8080 by default: the
 * relay is a small server in this process, to which the page in the browser connects.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { createWebSocketInspector, createWebSocketReceiver } from "@statelyai/inspect";
import { createInspectorServer } from "@statelyai/inspect/server";
import { createNode, memoryTransport } from "fractal-tree";

const port = Number(process.env["PORT"] ?? "8080");
const isWatched = process.argv.includes("--watch");

const relay = createInspectorServer({ port, autoOpen: isWatched });
const inspector = createWebSocketInspector({ url: `ws://localhost:${port}` });
console.log(`the inspector is at http://localhost:${port}`);

/** What the page in the browser does, in words. */
function printTransitions(): void {
  const names = new Map<string, string>();
  const states = new Map<string, string>();
  createWebSocketReceiver({ server: `ws://localhost:${port}` }).subscribe((event) => {
    if (event.type === "@xstate.actor") names.set(event.sessionId, event.name);
    if (event.type !== "@xstate.snapshot") return;
    const { value } = event.snapshot as { readonly value?: string };
    const from = states.get(event.sessionId);
    if (value === undefined || value === from) return;
    states.set(event.sessionId, value);
    console.log(
      `${names.get(event.sessionId) ?? event.sessionId}: ${from ?? "created"} → ${value} by ${event.event.type}`,
    );
  });
}

const transport = memoryTransport();
const { inspect } = inspector;

/** A child comes, leaves, and comes again. */
async function playStory(): Promise<void> {
  await using shop = createNode({ path: "shop", transport, inspect, children: [{ id: "orders" }] });
  await shop.start();
  for (let visit = 1; visit <= 2; visit++) {
    await using orders = createNode({ path: "shop.orders", transport, inspect });
    await orders.start();
    await shop.until("SYNCHRONIZED", { timeoutMs: 5_000 });
    await sleep(isWatched ? 2_000 : 50);
  }
  await sleep(isWatched ? 2_000 : 50);
}

if (isWatched) for (;;) await playStory();

printTransitions();
await playStory();
await sleep(200); // for the last messages to come through the relay
inspector.stop();
relay.stop();
process.exit(); // the relay would wait for its clients to go
