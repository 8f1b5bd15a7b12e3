/** Nodes in processes of their own over a real NATS server, none of which survives the test. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import type {
  ChildChange,
  CommandOptions,
  CommandOutcome,
  EndReason,
  NodeOptions,
  StateChange,
  StopOptions,
} from "../../../src/index.js";
import { type NatsServer, startNatsServer } from "../../support/nats-server.js";
import type { JournalEntry, Look, News, NodeDescription, Order, ProcessSettings } from "./node-process.js";

const PROGRAM = fileURLToPath(new URL("node-process.ts", import.meta.url));

/** Detects failures within a second or two, without mistaking a busy test machine for one. */
export const FAST: NonNullable<NodeDescription["options"]> = {
  heartbeat: { minMs: 50, maxMs: 200 },
  failureDetector: { pauseMs: 300, deadMs: 1_500 },
  backoff: { baseMs: 50, maxMs: 500 },
};

/** Short for a list of children that somebody else starts. */
export function remote(...ids: readonly string[]): NonNullable<NodeOptions["children"]> {
  return ids.map((id) => ({ id, remote: true }));
}

export interface NodeProcess {
  readonly pid: number;
  readonly path: string;
  /** States entered and links changed so far, in order. */
  readonly states: readonly StateChange[];
  readonly links: readonly ChildChange[];
  /** Why the node ended, once it told. */
  readonly endReason: EndReason | undefined;
  readonly stderr: string;
  /** Exit code, or the signal that ended it. */
  readonly exit: Promise<number | NodeJS.Signals>;
  readonly hasExited: boolean;
  start(): Promise<void>;
  look(): Promise<Look>;
  command(target: string, name: string, input?: unknown, options?: CommandOptions): Promise<CommandOutcome>;
  stop(options?: StopOptions): Promise<void>;
  shutdownTree(options?: StopOptions): Promise<void>;
  /** Sends a signal; resolves at once. */
  signal(signal: NodeJS.Signals): void;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
}

export interface World extends AsyncDisposable {
  readonly server: NatsServer;
  /** Begins a process and waits until its node is created; it is not started yet. */
  create(description: NodeDescription): Promise<NodeProcess>;
  /** As `create`, and starts the node. */
  run(description: NodeDescription): Promise<NodeProcess>;
  /** What handlers of all processes have done. */
  journal(): readonly JournalEntry[];
}

const living = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of living) child.kill("SIGKILL");
});

/** A server, a tree and a journal of their own. */
export async function startWorld(): Promise<World> {
  const server = await startNatsServer();
  const folder = await mkdtemp(join(tmpdir(), "fractal-tree-processes-"));
  const journalFile = join(folder, "journal");
  const processes: NodeProcess[] = [];
  const create = async (description: NodeDescription): Promise<NodeProcess> => {
    const node = spawnNode({ url: server.url, tree: "test", journalFile, ...description });
    processes.push(node);
    await node.created;
    return node;
  };
  return {
    server,
    create,
    run: async (description) => {
      const node = await create(description);
      await node.start();
      return node;
    },
    journal: () => (existsSync(journalFile) ? readLines(journalFile) : []),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(processes.map((node) => node.kill()));
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function readLines(file: string): JournalEntry[] {
  const lines = readFileSync(file, "utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as JournalEntry);
}

interface Memory {
  readonly states: StateChange[];
  readonly links: ChildChange[];
  endReason: EndReason | undefined;
  stderr: string;
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

function spawnNode(settings: ProcessSettings): NodeProcess & { readonly created: Promise<void> } {
  const child = spawn(process.execPath, ["--import", "tsx", PROGRAM, JSON.stringify(settings)], {
    stdio: ["ignore", "inherit", "pipe", "ipc"],
  });
  living.add(child);
  const memory: Memory = { states: [], links: [], endReason: undefined, stderr: "" };
  child.stderr?.on("data", (chunk: Buffer) => (memory.stderr += chunk.toString()));
  const orders = new Map<number, Waiting>();
  const exit = exitOf(child).then((end) => {
    living.delete(child);
    for (const order of orders.values()) order.reject(new Error(`${settings.path} ended: ${end}\n${memory.stderr}`));
    return end;
  });
  const created = new Promise<void>((resolve, reject) => {
    orders.set(0, { resolve: () => resolve(), reject });
  });
  child.on("message", (news: News) => take(news, memory, orders));
  return toHandle({ child, settings, memory, exit, created, order: sender(child, orders) });
}

async function exitOf(child: ChildProcess): Promise<number | NodeJS.Signals> {
  const [code, signal] = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
  return signal ?? code ?? -1;
}

function take(news: News, memory: Memory, orders: Map<number, Waiting>): void {
  if (news.news === "state") memory.states.push(news.change);
  else if (news.news === "child") memory.links.push(news.change);
  else if (news.news === "ended") memory.endReason = news.reason;
  else if (news.news === "created") orders.get(0)?.resolve(undefined);
  else if (news.news === "answer") orders.get(news.order)?.resolve(news.value);
  else orders.get(news.order)?.reject(news.error);
}

function sender(child: ChildProcess, orders: Map<number, Waiting>): (order: Order) => Promise<unknown> {
  let last = 0;
  return (order) =>
    new Promise((resolve, reject) => {
      orders.set(++last, { resolve, reject });
      child.send([last, order], (error) => {
        if (error !== null) reject(error);
      });
    });
}

interface Parts {
  readonly child: ChildProcess;
  readonly settings: ProcessSettings;
  readonly memory: Memory;
  readonly exit: Promise<number | NodeJS.Signals>;
  readonly created: Promise<void>;
  readonly order: (order: Order) => Promise<unknown>;
}

function toHandle({ child, settings, memory, exit, created, order }: Parts) {
  const hasExited = (): boolean => child.exitCode !== null || child.signalCode !== null;
  return {
    pid: child.pid ?? 0,
    path: settings.path,
    states: memory.states,
    links: memory.links,
    get endReason() {
      return memory.endReason;
    },
    get stderr() {
      return memory.stderr;
    },
    get hasExited() {
      return hasExited();
    },
    exit,
    created,
    start: async () => void (await order({ do: "start" })),
    look: async () => (await order({ do: "look" })) as Look,
    command: async (target: string, name: string, input?: unknown, options: CommandOptions = {}) =>
      (await order({ do: "command", target, name, input, options })) as CommandOutcome,
    stop: async (options: StopOptions = {}) => void (await order({ do: "stop", options })),
    shutdownTree: async (options: StopOptions = {}) => void (await order({ do: "shutdownTree", options })),
    signal: (signal: NodeJS.Signals) => void child.kill(signal),
    kill: async () => {
      if (hasExited()) return;
      child.kill("SIGKILL");
      await exit;
    },
  };
}

const POLL_MS = 20;
const PATIENCE_MS = 15_000;

/** Waits until `check` holds; otherwise fails and says what there was instead. */
export async function eventually(check: () => unknown, wanted: unknown = true): Promise<void> {
  const untilMs = Date.now() + PATIENCE_MS;
  let found = await check();
  while (found !== wanted && Date.now() < untilMs) {
    await sleep(POLL_MS);
    found = await check();
  }
  expect(found, `after ${PATIENCE_MS} ms`).toBe(wanted);
}

/** Waits until the node is in a state now. */
export function untilState(node: NodeProcess, state: StateChange["state"]): Promise<void> {
  return eventually(() => node.states.at(-1)?.state ?? "DISCONNECTED", state);
}

/** Waits until the last news of a child's link is this. */
export function untilLink(node: NodeProcess, id: string, state: ChildChange["state"]): Promise<void> {
  return eventually(() => node.links.findLast((change) => change.id === id)?.state, state);
}

/** The epoch of a child as its parent knows it. */
export async function epochOf(parent: NodeProcess, id: string): Promise<readonly number[]> {
  const { children } = await parent.look();
  return toEpoch(children.find((child) => child.id === id)?.epoch ?? "");
}

export async function ownEpoch(node: NodeProcess): Promise<readonly number[]> {
  return toEpoch((await node.look()).status.epoch);
}

function toEpoch(text: string): readonly number[] {
  return text === "" ? [] : text.split(".").map(Number);
}
