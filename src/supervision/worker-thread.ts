/** Children in worker threads of this process. */
import { type ResourceLimits, Worker } from "node:worker_threads";
import { cloneable, environment, known, optionsOf, strings } from "./program-options.js";
import { programUrl } from "./program-url.js";
import { type RawExit, type SeparateChild, startSeparate } from "./separate-child.js";
import type { Starter } from "./starter.js";

export interface WorkerThreadOptions {
  /** Structured clone handed to the child's `runChild` as `data`. @default undefined */
  readonly data?: unknown;
  /** Appended to the worker's `process.argv`. @default [] */
  readonly argv?: readonly string[];
  /** Node options of the worker. @default those of this process */
  readonly execArgv?: readonly string[];
  /** Added to this process's environment. @default {} */
  readonly env?: Readonly<Record<string, string>>;
  /** Limits of the worker's memory; a worker that exceeds them ends. @default Node's */
  readonly resourceLimits?: ResourceLimits;
}

/**
 * Starts children as worker threads that run the module at `url`, which calls `runChild`. Worker threads die with this
 * process. The module is JavaScript: Node 20 does not give worker threads the loaders of their process, such as tsx.
 *
 * @throws InvalidOptionError
 */
export function workerThread(url: URL | string, options: WorkerThreadOptions = {}): Starter {
  const program = programUrl("url", url);
  known(optionsOf("workerThread", options), ["data", "argv", "execArgv", "env", "resourceLimits"]);
  const { execArgv, env = {}, resourceLimits } = options;
  const data = cloneable("data", options.data);
  const argv = strings("argv", options.argv ?? []);
  environment("env", env);
  const given = {
    argv,
    ...(execArgv === undefined ? {} : { execArgv: strings("execArgv", execArgv) }),
    ...(resourceLimits === undefined ? {} : { resourceLimits }),
  };
  return {
    start: async (context) => {
      context.signal.throwIfAborted();
      const worker = new Worker(program, { ...given, env: environment("env", env) });
      return startSeparate(asSeparate(worker), context, { data, outlivesParent: false });
    },
  };
}

function asSeparate(worker: Worker): SeparateChild {
  let detail = "";
  worker.on("error", (error: unknown) => (detail = error instanceof Error ? error.message : String(error)));
  return {
    gone: new Promise<RawExit>((resolve) => worker.once("exit", (code) => resolve({ code, detail }))),
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
    post: (message) => worker.postMessage(message),
    listen: (listener) => {
      worker.on("message", listener);
      return () => void worker.off("message", listener);
    },
    kill: () => {
      detail ||= "terminated";
      void worker.terminate();
    },
    release: () => worker.unref(),
  };
}
