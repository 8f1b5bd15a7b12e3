/**
 * The child's side: what the program of a worker thread or of a forked process calls.
 *
 * R1. When the node has ended the thread or process ends: by itself, or after a while regardless of what is left in it.
 * R2. A process whose parent's process is gone ends in order, unless it is to outlive it; also while its node is made, and
 *     before it was told what to make.
 * R3. Signals of a terminal are its parent's to answer: a process ignores SIGINT, and its node stops at SIGTERM.
 */
import { isMainThread, parentPort } from "node:worker_threads";
import { realClock } from "../health/real-clock.js";
import { type MessagePort, PortTransport } from "../transport/port-transport.js";
import type { Clock, Random } from "../health/clock.js";
import type { Transport } from "../transport/transport.js";
import { InvalidOptionError, WrongStateError } from "../errors.js";
import { known, optionsOf } from "./program-options.js";
import { asToChild, EXIT_DEPENDENCY_DOWN, fromChild, type StartOrder } from "./child-channel.js";
import { exitOfEnd } from "./exit.js";
import { assertNode, type StartableNode, watchFailure } from "./in-process.js";

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
  /** Aborts when the node is no longer wanted before it is made: the parent's process is gone, or a SIGTERM came. */
  readonly signal: AbortSignal;
}

export interface RunChildOptions {
  /**
   * How long the process may take to end by itself once its node has ended, milliseconds. Where a connection or server is
   * left open, an ordered stop takes so much longer. @default 1_000
   */
  readonly exitTimeoutMs?: number;
}

/** The channel to the starter. */
interface ParentChannel extends MessagePort {
  /** Ends it once everything is sent, so that it does not keep the thread or process alive. */
  close(): Promise<void>;
}

/** How long a process whose parent is gone may take to shut its tree down, and to exit, milliseconds. */
const ORPHAN_TIMEOUT_MS = 3_000;
const ORPHAN_EXIT_MS = 4_000;

/** How long a node may take to stop at SIGTERM, and its process to exit, milliseconds. */
const TERMINATION_TIMEOUT_MS = 5_000;
const TERMINATION_EXIT_MS = 10_000;

/** A program runs one child: its process ends with it. */
let isCalled = false;

/**
 * Runs the node that `build` makes, as its supervisor's child. Resolves when the node has ended; the thread or process then
 * ends, too.
 *
 * @throws InvalidOptionError; WrongStateError when the program was not started by `workerThread` or `childProcess`, or has
 * called this before
 */
export async function runChild(
  build: (context: ChildContext) => StartableNode | Promise<StartableNode>,
  options: RunChildOptions = {},
): Promise<void> {
  if (typeof build !== "function") throw new InvalidOptionError("build", build, "a function that makes the node");
  const exitTimeoutMs = exitTimeoutOf(options);
  const channel = parentChannel();
  if (isCalled) throw new WrongStateError("runChild was called before: a program runs one child");
  isCalled = true;
  const order = await hello(channel);
  const transport = new PortTransport(channel, order);
  const life = new Life();
  const forget = isMainThread ? watchProcess({ channel, transport, life, order }) : () => {};
  const node = await startNode(channel, life, order.path, () => build(contextOf(order, transport, life.signal)));
  if (node !== null) {
    channel.post(fromChild("started"));
    await untilEnded(channel, life, node);
  }
  forget();
  await transport.close();
  await channel.close();
  setTimeout(() => process.exit(), exitTimeoutMs).unref();
}

function exitTimeoutOf(options: RunChildOptions): number {
  known(optionsOf("runChild", options), ["exitTimeoutMs"]);
  const { exitTimeoutMs = 1_000 } = options;
  if (typeof exitTimeoutMs === "number" && exitTimeoutMs >= 0 && exitTimeoutMs < 2 ** 31) return exitTimeoutMs;
  throw new InvalidOptionError("exitTimeoutMs", exitTimeoutMs, "a number of milliseconds >= 0");
}

function contextOf(order: StartOrder, transport: Transport, signal: AbortSignal): ChildContext {
  const { path, id, generation, args, data } = order;
  return { path, id, generation, args, data, transport, clock: realClock, random: Math.random, signal };
}

/** What can be ended at any time: first the making of the node, then the node. */
class Life {
  readonly #abort = new AbortController();
  #node: StartableNode | null = null;

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get hasNode(): boolean {
    return this.#node !== null;
  }

  /** From now on it is the node that ends. */
  begin(node: StartableNode): void {
    this.signal.throwIfAborted();
    this.#node = node;
  }

  shutDown(timeoutMs: number, reason: string): void {
    if (this.#node === null) this.#abort.abort(new Error(reason));
    else void this.#node.shutdownTree({ timeoutMs: Math.max(1, timeoutMs), reason });
  }

  stop(timeoutMs: number, reason: string): void {
    if (this.#node === null) this.#abort.abort(new Error(reason));
    else void this.#node.stop({ timeoutMs, reason });
  }
}

/** Says that the program is there, and learns what it is to be. */
function hello(channel: ParentChannel): Promise<StartOrder> {
  const found = isMainThread ? exitWhenForsaken() : () => {};
  return new Promise((resolve) => {
    const unlisten = channel.listen((received) => {
      const message = asToChild(received);
      if (message?.[1] !== "start") return;
      unlisten();
      found();
      resolve(message[2]);
    });
    channel.post(fromChild("hello"));
  });
}

/** Whose parent is gone before it said what is to run has nothing to run, whatever else the program has open. */
function exitWhenForsaken(): () => void {
  process.once("disconnect", giveUp);
  // Ctrl-C reaches the whole group: the parent shuts its children down in order.
  process.on("SIGINT", () => {});
  if (!process.connected) giveUp();
  return () => void process.off("disconnect", giveUp);
}

function giveUp(): never {
  process.exit(1);
}

/** The started node; null when there is none, which the starter was told. */
async function startNode(
  channel: ParentChannel,
  life: Life,
  path: string,
  build: () => StartableNode | Promise<StartableNode>,
): Promise<StartableNode | null> {
  try {
    const node = await build();
    assertNode(node, path);
    life.begin(node);
    await node.start();
    return node;
  } catch (error) {
    const { code = "" } = (error ?? {}) as { code?: string | number };
    channel.post(fromChild("refused", String(code), messageOf(error)));
    process.exitCode = code === "DEPENDENCY_DOWN" ? EXIT_DEPENDENCY_DOWN : 1;
    return null;
  }
}

async function untilEnded(channel: ParentChannel, life: Life, node: StartableNode): Promise<void> {
  const lastFailure = watchFailure(node);
  const unlisten = channel.listen((received) => {
    const message = asToChild(received);
    if (message?.[1] === "stop") life.shutDown(message[2], "supervisor");
  });
  const reason = await node.ended;
  unlisten();
  const { kind } = exitOfEnd(reason, null);
  if (kind === "failed") process.exitCode ??= 1;
  if (kind === "dependencyDown") process.exitCode ??= EXIT_DEPENDENCY_DOWN;
  channel.post(fromChild("ended", reason, lastFailure()));
}

interface Watched {
  readonly channel: ParentChannel;
  readonly transport: PortTransport;
  readonly life: Life;
  readonly order: StartOrder;
}

/** A process hears of its parent's end, and of signals meant for it. Returns how to miss the former. */
function watchProcess({ channel, transport, life, order }: Watched): () => void {
  const orphaned = (): void => {
    transport.lost();
    if (order.outlivesParent) return;
    exitWithin(ORPHAN_EXIT_MS, life);
    life.shutDown(ORPHAN_TIMEOUT_MS, "the parent's process is gone");
  };
  process.once("disconnect", orphaned);
  process.once("SIGTERM", () => {
    exitWithin(TERMINATION_EXIT_MS, life);
    life.stop(TERMINATION_TIMEOUT_MS, "SIGTERM");
  });
  process.on("uncaughtExceptionMonitor", (error) => channel.post(fromChild("crashed", messageOf(error))));
  if (!process.connected) orphaned();
  return () => void process.off("disconnect", orphaned);
}

/** Whatever else runs here, and even if the node is never made. */
function exitWithin(ms: number, life: Life): void {
  setTimeout(() => process.exit(life.hasNode ? undefined : 1), ms).unref();
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

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
