/** Children that run in this process: a function that returns a node. */
import { InvalidOptionError } from "../errors.js";
import { exitOfEnd } from "./exit.js";
import type { StartContext, StartedChild, Starter } from "./starter.js";

/** What a starter needs of a node. */
export interface StartableNode {
  readonly path: string;
  /** Why it ended; never rejects. */
  readonly ended: Promise<string>;
  on(name: "state.changed", listener: (change: { readonly failure: string | null }) => void): () => void;
  start(): Promise<void>;
  stop(options: { readonly timeoutMs: number; readonly reason: string }): Promise<void>;
  shutdownTree(options: { readonly timeoutMs: number; readonly reason: string }): Promise<void>;
}

/** What made a node fail last; null while nothing did. */
export function watchFailure(node: StartableNode): () => string | null {
  let last: string | null = null;
  node.on("state.changed", ({ failure }) => (last = failure ?? last));
  return () => last;
}

/** Makes a node for a child, not started yet. */
export type NodeFactory = (context: StartContext) => StartableNode | Promise<StartableNode>;

/** The shortest deadline there is, milliseconds. */
const AT_ONCE_MS = 1;

/** Starts children as nodes of this process; a plain function as a child's `start` means the same. */
export function inProcess(build: NodeFactory): Starter {
  return {
    start: async (context) => {
      const node = await buildUnlessAborted(build, context);
      assertNode(node, context.path);
      try {
        context.signal.throwIfAborted();
        await node.start();
        context.signal.throwIfAborted();
      } catch (error) {
        await discard(node);
        throw error;
      }
      return asStarted(node);
    },
  };
}

/** A function that never returns must not hold up the end of its parent. What it returns too late is never started. */
function buildUnlessAborted(build: NodeFactory, context: StartContext): Promise<StartableNode> {
  const { signal } = context;
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    const made = (async () => build(context))();
    made.then(resolve, reject);
    made.then((node) => (signal.aborted ? discard(node) : undefined)).catch(() => {});
  });
}

async function discard(node: StartableNode): Promise<void> {
  await node.stop({ timeoutMs: AT_ONCE_MS, reason: "start failed" });
}

/** Users' functions return what they like. @throws InvalidOptionError */
export function assertNode(node: StartableNode, path: string): void {
  const candidate = node as Partial<StartableNode> | null | undefined;
  if (typeof candidate?.start !== "function" || typeof candidate.shutdownTree !== "function") {
    throw new InvalidOptionError("start", node, "a function that returns a node made by createNode");
  }
  if (candidate.path !== path) {
    throw new InvalidOptionError("start", candidate.path, `a function that returns a node with the path ${path}`);
  }
}

function asStarted(node: StartableNode): StartedChild {
  const lastFailure = watchFailure(node);
  return {
    exited: node.ended.then((reason) => exitOfEnd(reason, lastFailure())),
    stop: (timeoutMs) => void node.shutdownTree({ timeoutMs: Math.max(AT_ONCE_MS, timeoutMs), reason: "supervisor" }),
    kill: () => void node.stop({ timeoutMs: AT_ONCE_MS, reason: "killed" }),
  };
}
