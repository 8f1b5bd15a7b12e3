/**
 * One process of a chaos run: a node, its handlers, its share of the load, and a journal of all of it. It ends once its
 * node has ended.
 */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { createNode, type HandlerContext, type Node, stopOnSignals, type Transport } from "fractal-tree";
import { connectNats } from "fractal-tree/nats";
import { Load } from "./load.js";
import { childrenOf, nodeOptions, ROOT } from "./plan.js";
import { JournalWriter, type Phase, type Work, type WorkDone } from "./records.js";
import { type ChaosSettings, fromEnvironment } from "./settings.js";

const RECONNECT_MS = 200;
const PHASE_MS = 100;
const REST_MS = 500;
/** Told apart from what a crash of Node.js itself gives. */
const EXIT_UNCAUGHT = 70;

class HandlerError extends Error {
  readonly code = "BROKEN_TOOL";
}

const settings = fromEnvironment();
const path = process.argv[2] ?? ROOT;
const name = `${path}#${process.pid}`;
const journal = new JournalWriter(settings.folder, name);

process.on("uncaughtException", (error) => {
  journal.write({ type: "uncaught", message: error.stack ?? String(error) });
  process.exit(EXIT_UNCAUGHT);
});

async function work({ value, forMs, throws }: Work, { commandId, epoch }: HandlerContext): Promise<WorkDone> {
  const run = { value, commandId, epoch: epoch.join(".") };
  journal.write({ type: "began", ...run });
  if (forMs > 0) await sleep(forMs);
  journal.write({ type: "finished", ...run });
  if (throws) throw new HandlerError(`no luck with ${value}`);
  return { value, by: name, path };
}

/** The servers may all be down at this moment. */
async function connect({ servers }: ChaosSettings): Promise<Transport> {
  for (;;) {
    try {
      return await connectNats({ servers, tree: "chaos", name });
    } catch {
      await sleep(RECONNECT_MS);
    }
  }
}

function create(transport: Transport): Node {
  const { plan } = settings;
  const own = plan.nodes.find((node) => node.path === path);
  const children = childrenOf(plan, path);
  const requests = { ...(path === ROOT ? { far: work } : {}), ...(children.length > 0 ? { near: work } : {}) };
  return createNode({
    ...nodeOptions(plan),
    path,
    transport,
    onOrphaned: own?.onOrphaned ?? "continue",
    children: children.map((child) => ({
      id: child.path.slice(path.length + 1),
      remote: true,
      critical: child.isCritical,
    })),
    commands: { work },
    requests,
  });
}

function record(node: Node): void {
  let epoch = "";
  const noteEpoch = (): void => {
    if (node.epoch === epoch) return;
    epoch = node.epoch;
    journal.write({ type: "epoch", epoch });
  };
  node.on("state.changed", ({ from, state, failure }) => {
    noteEpoch();
    journal.write({ type: "state", from, state, failure });
  });
  node.on("child.changed", ({ id, from, state, epoch: of }) => {
    noteEpoch();
    journal.write({ type: "link", id, from, state, epoch: of });
  });
  node.on("sync.received", ({ document }) => {
    const { by, count } = document as { by: string; count: number };
    journal.write({ type: "synced", by, count });
  });
  node.on("node.fenced", ({ error }) => journal.write({ type: "fenced", code: error.code, message: error.message }));
}

function currentPhase(): Phase {
  return readFileSync(settings.phaseFile, "utf8") as Phase;
}

/** Does what the phase asks for, until the node ends. */
async function follow(node: Node, load: Load): Promise<void> {
  const over = new AbortController();
  void node.ended.then(() => over.abort());
  let phase: Phase | null = null;
  let restAtMs = 0;
  while (!over.signal.aborted) {
    const now = currentPhase();
    if (now !== phase) enter((phase = now), node, load);
    if (phase === "quiet" && performance.now() - restAtMs > REST_MS) {
      restAtMs = performance.now();
      noteRest(node, load);
    }
    await sleep(PHASE_MS, undefined, { ref: false });
  }
}

function enter(phase: Phase, node: Node, load: Load): void {
  if (phase === "load") load.start();
  else load.stop();
  if (phase === "probe") load.probe();
  if (phase === "shutdown" && path === ROOT) {
    const timeoutMs = settings.plan.times.shutdownMs;
    journal.write({ type: "leaving", how: "shutdownTree", timeoutMs });
    void node.shutdownTree({ timeoutMs });
  }
}

function noteRest(node: Node, { open }: Load): void {
  const { running, queued } = node.status;
  const pending = node.children().reduce((total, child) => total + child.pending, 0);
  journal.write({ type: "rest", running, queued, pending, open });
}

async function main(): Promise<void> {
  journal.write({ type: "start", pid: process.pid, owner: null });
  const transport = await connect(settings);
  const node = create(transport);
  const load = new Load({ node, journal, plan: settings.plan, name });
  record(node);
  process.once("SIGTERM", () => {
    journal.write({ type: "leaving", how: "stop", timeoutMs: settings.plan.times.shutdownMs });
  });
  stopOnSignals(node);
  await node.start();
  void follow(node, load);
  const reason = await node.ended;
  load.stop();
  journal.write({ type: "ended", reason });
  process.exitCode = reason === "stopped" || reason === "shutdown" ? 0 : 1;
  await transport.close();
}

await main();
