/** Children in processes of their own, forked from this one. */
import { type ChildProcess, fork, type StdioOptions } from "node:child_process";
import { cloneable, environment, known, optionsOf, strings } from "./program-options.js";
import { InvalidOptionError } from "../errors.js";
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
  readonly stdio?: "inherit" | "ignore" | readonly StdioStream[];
}

type StdioStream = "inherit" | "ignore" | number;

/**
 * Starts children as forked processes that run the module at `url`, which calls `runChild`. Over NATS, give each a
 * connection of its own there.
 *
 * @throws InvalidOptionError
 */
export function childProcess(url: URL | string, options: ChildProcessOptions = {}): Starter {
  const program = programPath("url", url);
  known(optionsOf("childProcess", options), ["data", "argv", "execArgv", "env", "outlivesParent", "stdio"]);
  const { execArgv, env = {}, outlivesParent = false } = options;
  if (typeof outlivesParent !== "boolean")
    throw new InvalidOptionError("outlivesParent", outlivesParent, "true or false");
  const data = cloneable("data", options.data);
  const argv = strings("argv", options.argv ?? []);
  environment("env", env);
  const given = {
    serialization: "advanced",
    detached: outlivesParent,
    stdio: toStdio(options.stdio ?? (outlivesParent ? "ignore" : "inherit")),
    ...(execArgv === undefined ? {} : { execArgv: strings("execArgv", execArgv) }),
  } as const;
  return {
    outlivesParent,
    start: async (context) => {
      context.signal.throwIfAborted();
      const child = fork(program, argv, { ...given, env: environment("env", env) });
      return startSeparate(asSeparate(child), context, { data, outlivesParent });
    },
  };
}

function toStdio(stdio: NonNullable<ChildProcessOptions["stdio"]>): StdioOptions {
  const streams: readonly unknown[] = typeof stdio === "string" ? [stdio, stdio, stdio] : stdio;
  // With less than three, the channel to the parent would take the place of one of them.
  if (!Array.isArray(streams) || streams.length < 3 || !streams.every(isStream)) {
    const rule = '"inherit", "ignore", or an array of three or more of these and of file descriptors';
    throw new InvalidOptionError("stdio", stdio, rule);
  }
  return [...(streams as StdioStream[]), "ipc"];
}

function isStream(stream: unknown): boolean {
  return stream === "inherit" || stream === "ignore" || (Number.isSafeInteger(stream) && Number(stream) >= 0);
}

/** How long what it said last may take to arrive after its exit, milliseconds. */
const LAST_WORDS_MS = 1_000;

/** Resolves when it has exited and all that it said has been heard. */
function goneOf(child: ChildProcess): Promise<RawExit> {
  return new Promise((resolve) => {
    // It could not be created at all, or, which is no end, a signal could not be sent.
    child.on("error", (error) => {
      if (child.pid === undefined) resolve({ code: null, detail: error.message });
    });
    child.once("exit", (code, signal) => {
      const gone = (): void => resolve({ code, detail: signal ?? "" });
      if (!child.connected) return gone();
      child.once("disconnect", gone);
      setTimeout(gone, LAST_WORDS_MS).unref();
    });
  });
}

function asSeparate(child: ChildProcess): SeparateChild {
  return {
    gone: goneOf(child),
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
