/**
 * The child's side: what the program of a worker thread or of a forked process calls.
 *
 * R1. When the node has ended the thread or process ends: by itself, or after a while regardless of what is left in it.
 * R2. A process whose parent's process is gone ends in order, unless it is to outlive it.
 */
import { isMainThread, parentPort } from "node:worker_threads";
import { realClock } from "../health/real-clock.js";
import { type MessagePort, PortTransport } from "../transport/port-transport.js";
import type { Clock, Random } from "../health/clock.js";
import type { Transport } from "../transport/transport.js";
import { WrongStateError } from "../errors.js";
import { asToChild, EXIT_DEPENDENCY_DOWN, fromChild, type StartOrder } from "./child-channel.js";
import { exitOfEnd } from "./exit.js";
import { type StartableNode, watchFailure } from "./in-process.js";

/** What a child's program is given. */
export interface ChildContext {
  /** The path that it holds. */
  readonly path: string;
  readonly id: string;
  /** Counts the incarnations that its supervisor started: 1, 2, … */
  readonly generation: number;
  /** Its parent's transport, through the channel between the two. Production opens a connection to NATS instead. */
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  /** What its declaration, or `startChild`, gave for it. */
  readonly args: unknown;
  /** What the starter gave. */
  readonly data: unknown;
}

export interface RunChildOptions {
  /** How long the process may take to end by itself once its node has ended, milliseconds. @default 5_000 */
  readonly exitTimeoutMs?: number;
}

/** The channel to the starter. */
interface ParentChannel extends MessagePort {
  /** Ends it once everything is sent, so that it does not keep the thread or process alive. */
  close(): Promise<void>;
}

/** How long a process whose parent is gone may take to shut its tree down, milliseconds. */
const ORPHAN_TIMEOUT_MS = 3_000;

/**
 * Runs the node that `build` makes, as its supervisor's child. Resolves when the node has ended.
 *
 * @throws WrongStateError when the program was not started by `workerThread` or `childProcess`
 */
export async function runChild(
  build: (context: ChildContext) => StartableNode | Promise<StartableNode>,
  { exitTimeoutMs = 5_000 }: RunChildOptions = {},
): Promise<void> {
  const channel = parentChannel();
  const order = await hello(channel);
  const transport = new PortTransport(channel, order);
  const node = await startNode(channel, order, () => build(contextOf(order, transport)));
  if (node !== null) {
    channel.post(fromChild("started"));
    await untilEnded(channel, transport, { node, outlivesParent: order.outlivesParent });
  }
  await transport.close();
  await channel.close();
  setTimeout(() => process.exit(), exitTimeoutMs).unref();
}

function contextOf(order: StartOrder, transport: Transport): ChildContext {
  const { path, id, generation, args, data } = order;
  return { path, id, generation, args, data, transport, clock: realClock, random: Math.random };
}

/** Says that the program is there, and learns what it is to be. */
function hello(channel: ParentChannel): Promise<StartOrder> {
  return new Promise((resolve) => {
    const unlisten = channel.listen((received) => {
      const message = asToChild(received);
      if (message?.[1] !== "start") return;
      unlisten();
      resolve(message[2]);
    });
    channel.post(fromChild("hello"));
  });
}

/** The started node; null when there is none, which the starter was told. */
async function startNode(
  channel: ParentChannel,
  { path }: StartOrder,
  build: () => StartableNode | Promise<StartableNode>,
): Promise<StartableNode | null> {
  try {
    const node = await build();
    if (node.path !== path) throw new Error(`runChild made a node at ${node.path} instead of ${path}`);
    await node.start();
    return node;
  } catch (error) {
    const { code = "", message = String(error) } = error as { code?: string | number; message?: string };
    channel.post(fromChild("refused", String(code), message));
    process.exitCode = code === "DEPENDENCY_DOWN" ? EXIT_DEPENDENCY_DOWN : 1;
    return null;
  }
}

async function untilEnded(
  channel: ParentChannel,
  transport: PortTransport,
  { node, outlivesParent }: { readonly node: StartableNode; readonly outlivesParent: boolean },
): Promise<void> {
  const lastFailure = watchFailure(node);
  const shutDown = (timeoutMs: number, reason: string): void => void node.shutdownTree({ timeoutMs, reason });
  const unlisten = channel.listen((received) => {
    const message = asToChild(received);
    if (message?.[1] === "stop") shutDown(Math.max(1, message[2]), "supervisor");
  });
  const forget = isMainThread ? watchProcess(transport, { node, outlivesParent, shutDown }) : () => {};
  const reason = await node.ended;
  forget();
  unlisten();
  const { kind } = exitOfEnd(reason, null);
  if (kind === "failed") process.exitCode ??= 1;
  if (kind === "dependencyDown") process.exitCode ??= EXIT_DEPENDENCY_DOWN;
  channel.post(fromChild("ended", reason, lastFailure()));
}

interface Watched {
  readonly node: StartableNode;
  readonly outlivesParent: boolean;
  readonly shutDown: (timeoutMs: number, reason: string) => void;
}

/** A process hears of its parent's end, and of signals meant for it. */
function watchProcess(transport: PortTransport, { node, outlivesParent, shutDown }: Watched): () => void {
  const orphaned = (): void => {
    transport.lost();
    if (outlivesParent) return;
    shutDown(ORPHAN_TIMEOUT_MS, "the parent's process is gone");
    // Whatever else runs here: nothing owned outlives its parent.
    setTimeout(() => process.exit(1), ORPHAN_TIMEOUT_MS + 1_000).unref();
  };
  const terminated = (): void => void node.stop({ timeoutMs: ORPHAN_TIMEOUT_MS, reason: "SIGTERM" });
  process.once("disconnect", orphaned);
  process.once("SIGTERM", terminated);
  // Ctrl-C reaches the whole group: the parent shuts its children down in order.
  process.on("SIGINT", ignore);
  if (!process.connected) orphaned();
  return () => {
    process.off("disconnect", orphaned);
    process.off("SIGTERM", terminated);
    process.off("SIGINT", ignore);
  };
}

function ignore(): void {}

function parentChannel(): ParentChannel {
  if (parentPort !== null) return workerChannel(parentPort);
  if (process.send !== undefined) return processChannel();
  throw new WrongStateError("runChild belongs into a program that workerThread() or childProcess() starts");
}

function workerChannel(port: NonNullable<typeof parentPort>): ParentChannel {
  return {
    post: (message) => port.postMessage(message),
    listen: (listener) => {
      port.on("message", listener);
      return () => void port.off("message", listener);
    },
    close: async () => port.close(),
  };
}

function processChannel(): ParentChannel {
  let lastSent = Promise.resolve();
  return {
    post: (message) => {
      if (!process.connected) return;
      lastSent = new Promise((resolve) => process.send?.(message, undefined, undefined, () => resolve()));
    },
    listen: (listener) => {
      process.on("message", listener);
      return () => void process.off("message", listener);
    },
    close: async () => {
      await lastSent;
      if (process.connected) process.disconnect();
    },
  };
}
