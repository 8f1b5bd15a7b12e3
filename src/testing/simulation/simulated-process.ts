/**
 * Starts children in simulated processes of their own, as a fork would: it takes a while, may fail, and the exit is told to
 * the parent a little later and only while that runs.
 */
import type { ChildExit, StartContext, StartedChild, Starter } from "../../supervision/starter.js";
import { isLiving, type SimulatedProcess } from "./process.js";
import type { SimulatedTree } from "./simulated-tree.js";

interface Fork {
  /** Who starts it. */
  readonly parent: () => SimulatedProcess;
  readonly isDetached: boolean;
}

/** Longest time until a new process runs its program, and until its exit is known, milliseconds. */
const START_MS = 300;
const EXIT_MS = 20;

export function simulatedProcess(tree: SimulatedTree, { parent, isDetached }: Fork): Starter {
  return {
    outlivesParent: isDetached,
    start: async (context) => {
      const owner = parent();
      await new Promise<void>((resolve) => owner.host.clock.setTimeout(resolve, tree.random() * START_MS));
      context.signal.throwIfAborted();
      tree.mayStart(owner, context.path);
      return run(tree, context, { owner, isDetached });
    },
  };
}

function run(
  tree: SimulatedTree,
  { path }: StartContext,
  { owner, isDetached }: { readonly owner: SimulatedProcess; readonly isDetached: boolean },
): StartedChild {
  const child = tree.make(path, { host: tree.newHost(path), owner, isDetached });
  const { host, node } = child;
  void node.start();
  const exited = new Promise<ChildExit>((resolve) => {
    host.onKilled(() => {
      owner.host.clock.setTimeout(() => resolve(exitOf(child)), tree.random() * EXIT_MS);
    });
  });
  // The program ends with its node.
  void node.ended.then(() => host.clock.setTimeout(() => tree.kill(child), 1));
  const tell = (act: () => void): void => {
    if (isLiving(child)) host.clock.setTimeout(act, 1);
  };
  return {
    exited,
    stop: (timeoutMs) => tell(() => void node.shutdownTree({ timeoutMs, reason: "supervisor" })),
    kill: () => tree.kill(child),
  };
}

function exitOf({ endReason }: SimulatedProcess): ChildExit {
  switch (endReason) {
    case null:
      return { kind: "failed", reason: "SIGKILL" };
    case "stopped":
      return { kind: "normal", reason: "stopped" };
    case "shutdown":
    case "dependencyDown":
      return { kind: endReason, reason: endReason };
    default:
      return { kind: "failed", reason: endReason };
  }
}
