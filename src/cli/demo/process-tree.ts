/** The tree with every node as a process of its own over a nats-server; the root is the demo's own process. */
import { type ChildProcess, fork, type ForkOptions } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Node, Transport } from "../../index.js";
import { connectNats } from "../../nats.js";
import { createDemoNode, type DemoTree, PATHS_BELOW_ROOT, ROOT, started } from "./demo-tree.js";
import { type NatsServer, startNatsServer } from "./nats-server.js";
import { endProcess, owned } from "./owned-processes.js";
import type { Timeline } from "./timeline.js";
import type { WorkerReport } from "./worker-report.js";

const WORKER = fileURLToPath(new URL("./worker.js", import.meta.url));

/** What the tree gets for its ordered end, and after that whoever that did not reach, milliseconds. */
const SHUTDOWN_MS = 1_000;
const GRACE_MS = 300;

export async function startProcessTree(timeline: Timeline): Promise<DemoTree> {
  const name = `fractal-tree-demo-${process.pid}`;
  const server = await startNatsServer(name);
  try {
    const transport = await connectNats({ servers: server.url, tree: name });
    return await started(new ProcessTree({ server, transport, timeline }));
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
}

interface ProcessTreeOptions {
  readonly server: NatsServer;
  readonly transport: Transport;
  readonly timeline: Timeline;
}

class ProcessTree implements DemoTree {
  readonly description: string;
  readonly root: Node;
  readonly #options: ProcessTreeOptions;
  readonly #workers = new Map<string, ChildProcess>();
  readonly #breakage = new AbortController();
  #isEnding = false;

  constructor(options: ProcessTreeOptions) {
    this.#options = options;
    const { server, transport, timeline } = options;
    this.description = `in ${PATHS_BELOW_ROOT.length + 1} processes, over nats-server (process ${server.pid})`;
    this.root = createDemoNode(ROOT, transport);
    this.root.on("state.changed", (change) => timeline.entered(change));
  }

  get broken(): AbortSignal {
    return this.#breakage.signal;
  }

  async kill(path: string): Promise<string> {
    const child = this.#workers.get(path);
    if (child === undefined) throw new Error(`there is no process for ${path}`);
    this.#workers.delete(path);
    await endProcess(child);
    return `killed: SIGKILL to process ${child.pid}`;
  }

  async respawn(path: string): Promise<void> {
    const { server, transport, timeline } = this.#options;
    // Nothing but the summary may come to stdout; a debugger's options are for this process.
    const options: ForkOptions = { stdio: ["ignore", "ignore", "inherit", "ipc"], execArgv: [] };
    const child = owned(fork(WORKER, [path, server.url, transport.tree], options));
    this.#workers.set(path, child);
    child.on("message", ({ change, atMs }: WorkerReport) => timeline.entered(change, atMs));
    child.on("exit", (code, signal) => this.#exited(path, child, signal ?? `exit code ${code}`));
    await once(child, "spawn");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnding = true;
    try {
      await this.root.shutdownTree({ timeoutMs: SHUTDOWN_MS });
    } finally {
      // Whoever had no parent at the time was not reached.
      await Promise.all(Array.from(this.#workers.values(), (child) => endProcess(child, GRACE_MS)));
      await this.#options.transport.close();
      await this.#options.server[Symbol.asyncDispose]();
    }
  }

  #exited(path: string, child: ChildProcess, how: string): void {
    if (this.#isEnding || this.#workers.get(path) !== child) return;
    this.#breakage.abort(new Error(`the process of ${path} ended by itself: ${how}`));
  }
}
