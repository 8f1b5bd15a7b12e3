/** A starter as a process starter is: each incarnation in a process of its own, which can be killed or stopped. */
import { type ChildExit, createNode, type Node, type NodeOptions } from "../../src/index.js";
import type { StartContext, StartedChild, Starter } from "../../src/supervision/starter.js";
import { exitOfEnd } from "../../src/supervision/exit.js";
import { watchFailure } from "../../src/supervision/in-process.js";
import type { Process, World } from "../node/kit.js";
import type { Incarnations } from "./kit.js";

export interface Host {
  /** From the call of the starter until the process runs, milliseconds. @default 0 */
  readonly startMs?: number;
  /** From the end of the process until the parent is told of it, milliseconds. @default 0 */
  readonly exitMs?: number;
  /** From the kill until the process is dead, milliseconds. @default 0 */
  readonly killMs?: number;
  /** @default false: it dies with its parent's process */
  readonly outlivesParent?: boolean;
}

interface HostingOptions extends Host {
  readonly node: Partial<NodeOptions>;
}

export function hosting(world: World, incarnations: Incarnations, options: HostingOptions): Starter {
  const { startMs = 0, outlivesParent = false } = options;
  return {
    outlivesParent,
    start: async (context) => {
      if (startMs > 0) await pause(context, startMs);
      incarnations.attempt(context);
      const process = world.process();
      const { path, random } = context;
      const node = createNode({ path, random, ...options.node, transport: process.transport, clock: process.clock });
      node.on("node.fenced", () => {});
      incarnations.nodes.push(node);
      incarnations.processes.push(process);
      if (!outlivesParent) world.processWith(context.transport).onKilled(() => process.kill());
      await node.start();
      return asStarted({ world, process, node, context, options });
    },
  };
}

function pause({ clock, signal }: StartContext, ms: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clock.clearTimeout(timer);
      reject(signal.reason as Error);
    });
  });
}

interface Hosted {
  readonly world: World;
  readonly process: Process;
  readonly node: Node;
  readonly context: StartContext;
  readonly options: HostingOptions;
}

function asStarted(hosted: Hosted): StartedChild {
  const { world, process, node, options } = hosted;
  const kill = (): void => void world.clock.setTimeout(() => process.kill(), options.killMs ?? 0);
  return {
    exited: exitOf(hosted),
    stop: (timeoutMs) => process.clock.defer(() => void node.shutdownTree({ timeoutMs: Math.max(1, timeoutMs) })),
    kill,
  };
}

/** A process ends with its node, or is killed; the operating system tells its parent, if that still runs. */
function exitOf({ world, process, node, context, options }: Hosted): Promise<ChildExit> {
  const lastFailure = watchFailure(node);
  return new Promise((resolve) => {
    const tell = (exit: ChildExit): void =>
      void world.clock.setTimeout(() => context.clock.defer(() => resolve(exit)), options.exitMs ?? 0);
    process.onKilled(() => tell({ kind: "failed", reason: "SIGKILL" }));
    void node.ended.then((reason) => {
      if (process.isKilled) return;
      tell(exitOfEnd(reason, lastFailure()));
      process.kill();
    });
  });
}
