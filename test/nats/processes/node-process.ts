/**
 * One node in a process of its own: connects, creates the node, does what `process-kit.ts` orders over IPC and tells what
 * happens. It must end by itself once its node has ended: nothing in here calls `process.exit` then.
 */
import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type ChildView,
  type CommandOptions,
  type Commands,
  createNode,
  type EndReason,
  type HandlerContext,
  type Node,
  type NodeEvents,
  type NodeOptions,
  type NodeStatus,
  type StopOptions,
  stopOnSignals,
} from "../../../src/index.js";
import { openDefault, openUser2, openUser3 } from "../clients.js";

export interface NodeDescription {
  readonly path: string;
  /** @default "default", which is `connectNats` */
  readonly client?: "default" | "nats2" | "nats3";
  /** @default false */
  readonly stopsOnSignals?: boolean;
  /** What JSON can carry of the node's options. */
  readonly options?: Omit<NodeOptions, "path" | "transport" | "commands" | "requests">;
}

/** What the kit adds to a description. */
export interface ProcessSettings extends NodeDescription {
  readonly url: string;
  readonly tree: string;
  readonly journalFile: string;
}

export type Order =
  | { readonly do: "start" }
  | { readonly do: "look" }
  | { readonly do: "stop"; readonly options?: StopOptions }
  | { readonly do: "shutdownTree"; readonly options?: StopOptions }
  | {
      readonly do: "command";
      readonly target: string;
      readonly name: string;
      readonly input?: unknown;
      readonly options?: CommandOptions;
    };

export interface Look {
  readonly status: NodeStatus;
  readonly children: readonly ChildView[];
}

export type News =
  | { readonly news: "created" }
  | { readonly news: "state"; readonly change: NodeEvents["state.changed"] }
  | { readonly news: "child"; readonly change: NodeEvents["child.changed"] }
  | { readonly news: "ended"; readonly reason: EndReason }
  | { readonly news: "answer"; readonly order: number; readonly value: unknown }
  | { readonly news: "failure"; readonly order: number; readonly error: object };

/** One line of the journal: a handler began or ended. */
export interface JournalEntry {
  readonly pid: number;
  readonly path: string;
  readonly epoch: string;
  readonly commandId: string;
  readonly name: string;
  readonly phase: "began" | "ended";
  readonly atMs: number;
}

const CLIENTS = { default: openDefault, nats2: openUser2, nats3: openUser3 };

function handlersOf(settings: ProcessSettings): Commands {
  // Synchronous appends: what a handler did must be known even if the process is killed in the same turn.
  const note = ({ path, epoch, commandId, name }: HandlerContext, phase: JournalEntry["phase"]): void => {
    const entry = { pid: process.pid, path, epoch: epoch.join("."), commandId, name, phase, atMs: Date.now() };
    appendFileSync(settings.journalFile, `${JSON.stringify(entry)}\n`);
  };
  const journaled = (run: (input: { readonly ms: number }) => unknown) => {
    return async (input: { readonly ms: number }, context: HandlerContext): Promise<unknown> => {
      note(context, "began");
      const result = await run(input);
      note(context, "ended");
      return result;
    };
  };
  return {
    echo: journaled((input) => input),
    nap: journaled(({ ms }) => sleep(ms, "rested")),
    block: journaled(({ ms }) => {
      for (const until = performance.now() + ms; performance.now() < until;);
      return "blocked";
    }),
  };
}

function tell(news: News): void {
  if (process.connected) process.send?.(news);
}

async function obey(node: Node, order: Order): Promise<unknown> {
  if (order.do === "start") return node.start();
  if (order.do === "stop") return node.stop(order.options);
  if (order.do === "shutdownTree") return node.shutdownTree(order.options);
  if (order.do === "look") return { status: node.status, children: node.children() } satisfies Look;
  return node.tryCommand(order.target, order.name, order.input, order.options);
}

async function answer(node: Node, order: number, text: Order): Promise<void> {
  try {
    tell({ news: "answer", order, value: await obey(node, text) });
  } catch (error) {
    tell({ news: "failure", order, error: { ...(error as object), message: String(error) } });
  }
}

async function main(settings: ProcessSettings): Promise<void> {
  const { url, tree, path, client = "default", options = {} } = settings;
  const { transport, close } = await CLIENTS[client](url, path, { tree });
  const node = createNode({ ...options, path, transport, commands: handlersOf(settings) });
  if (settings.stopsOnSignals === true) stopOnSignals(node);
  node.on("state.changed", (change) => tell({ news: "state", change }));
  node.on("child.changed", (change) => tell({ news: "child", change }));
  process.on("message", ([order, text]: [number, Order]) => void answer(node, order, text));
  // Whoever ordered has gone: the test run was aborted.
  process.once("disconnect", () => process.exit());
  tell({ news: "created" });
  const reason = await node.ended;
  tell({ news: "ended", reason });
  process.exitCode = reason === "stopped" || reason === "shutdown" ? 0 : 1;
  await close();
  process.removeAllListeners("disconnect");
  process.disconnect();
}

await main(JSON.parse(process.argv[2] ?? "") as ProcessSettings);
