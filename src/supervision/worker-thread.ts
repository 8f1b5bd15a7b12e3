/** Children in worker threads of this process. */
import { type ResourceLimits, Worker } from "node:worker_threads";
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
 * process. The module is JavaScript: loaders such as tsx are not inherited by worker threads of Node 20.
 *
 * @throws InvalidOptionError
 */
export function workerThread(url: URL | string, options: WorkerThreadOptions = {}): Starter {
  const program = programUrl("url", url);
  const { data, argv = [], execArgv, env = {}, resourceLimits } = options;
  return {
    start: (context) => {
      const worker = new Worker(program, {
        argv: [...argv],
        env: { ...process.env, ...env },
        ...(execArgv === undefined ? {} : { execArgv: [...execArgv] }),
        ...(resourceLimits === undefined ? {} : { resourceLimits }),
      });
      return startSeparate(asSeparate(worker), context, { data, outlivesParent: false });
    },
  };
}

function asSeparate(worker: Worker): SeparateChild {
  let detail = "";
  worker.once("error", (error: unknown) => (detail = error instanceof Error ? error.message : String(error)));
  return {
    gone: new Promise<RawExit>((resolve) => worker.once("exit", (code) => resolve({ code, detail }))),
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
    post: (message) => worker.postMessage(message),
    listen: (listener) => {
      worker.on("message", listener);
      return () => void worker.off("message", listener);
    },
    kill: () => void worker.terminate(),
    release: () => worker.unref(),
  };
}
