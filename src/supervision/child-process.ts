/** Children in processes of their own, forked from this one. */
import { type ChildProcess, fork, type StdioOptions } from "node:child_process";
import { programPath } from "./program-url.js";
import { type RawExit, type SeparateChild, startSeparate } from "./separate-child.js";
import type { Starter } from "./starter.js";

export interface ChildProcessOptions {
  /** Structured clone handed to the child's `runChild` as `data`. @default undefined */
  readonly data?: unknown;
  /** Arguments of the program. @default [] */
  readonly argv?: readonly string[];
  /** Node options of the process. @default those of this process */
  readonly execArgv?: readonly string[];
  /** Added to this process's environment. @default {} */
  readonly env?: Readonly<Record<string, string>>;
  /**
   * The process goes on when this one ends or is killed, so that a redeployed parent adopts it. Its output is then
   * discarded unless `stdio` says otherwise. @default false: it ends with this process
   */
  readonly outlivesParent?: boolean;
  /** Input and output, as for `fork`; "ipc" is added. @default this process's, or "ignore" if it outlives it */
  readonly stdio?: "inherit" | "ignore" | readonly ("inherit" | "ignore" | number)[];
}

/**
 * Starts children as forked processes that run the module at `url`, which calls `runChild`. Over NATS, give each a
 * connection of its own there.
 *
 * @throws InvalidOptionError
 */
export function childProcess(url: URL | string, options: ChildProcessOptions = {}): Starter {
  const program = programPath("url", url);
  const { data, argv = [], execArgv, env = {}, outlivesParent = false } = options;
  const stdio = toStdio(options.stdio ?? (outlivesParent ? "ignore" : "inherit"));
  return {
    outlivesParent,
    start: (context) => {
      const child = fork(program, [...argv], {
        env: { ...process.env, ...env },
        serialization: "advanced",
        detached: outlivesParent,
        stdio,
        ...(execArgv === undefined ? {} : { execArgv: [...execArgv] }),
      });
      return startSeparate(asSeparate(child), context, { data, outlivesParent });
    },
  };
}

function toStdio(stdio: NonNullable<ChildProcessOptions["stdio"]>): StdioOptions {
  const streams = typeof stdio === "string" ? [stdio, stdio, stdio] : [...stdio];
  return [...streams, "ipc"];
}

function asSeparate(child: ChildProcess): SeparateChild {
  return {
    gone: new Promise<RawExit>((resolve) => {
      // It could not be created at all.
      child.once("error", (error) => {
        if (child.pid === undefined) resolve({ code: null, detail: error.message });
      });
      child.once("exit", (code, signal) => resolve({ code, detail: signal ?? "" }));
    }),
    post: (message) => {
      // Without a callback a failed send would be an uncaught error.
      if (child.connected) child.send(message as object, () => {});
    },
    listen: (listener) => {
      child.on("message", listener);
      return () => void child.off("message", listener);
    },
    kill: () => void child.kill("SIGKILL"),
    release: () => {
      child.unref();
      if (child.connected) child.disconnect();
    },
  };
}
