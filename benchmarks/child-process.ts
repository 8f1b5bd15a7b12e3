/**
 * Other processes of a benchmark: forked with one object of input, they report by messages. They run compiled, as a user's
 * program does: what loads TypeScript at run time costs a busy process a seventh of its speed.
 */
import { type ChildProcess, execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const COMPILED = join(ROOT, ".bench");

const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export interface Program extends AsyncDisposable {
  /** The next message; rejects if the process ends without one. */
  message(): Promise<unknown>;
  /** Sends it something and waits for the next message; see `answerParent`. */
  ask(question: object): Promise<unknown>;
  /** Ends the process by SIGKILL and waits for its end. */
  kill(): Promise<void>;
}

/** `module` is the URL of the program. */
export function forkProgram(module: URL, input: object, flags: readonly string[] = []): Program {
  const options = { execArgv: [...flags], env: { ...process.env, BENCH_ROOT: ROOT } };
  const child = fork(compiled(fileURLToPath(module)), [JSON.stringify(input)], options);
  running.add(child);
  child.once("exit", () => running.delete(child));
  const kill = (): Promise<void> => endProcess(child);
  const ask = (question: object): Promise<unknown> => {
    const answer = nextMessage(child);
    child.send(question);
    return answer;
  };
  return { message: () => nextMessage(child), ask, kill, [Symbol.asyncDispose]: kill };
}

let isCompiled = false;

/** The compiled program, which is made with all others when the first is asked for. */
function compiled(path: string): string {
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  const options = ["--noEmit", "false", "--noCheck", "--outDir", COMPILED];
  if (!isCompiled)
    execFileSync(process.execPath, [tsc, "-p", ROOT, ...options], { stdio: ["ignore", "ignore", "inherit"] });
  isCompiled = true;
  return join(COMPILED, relative(ROOT, path)).replace(/\.ts$/, ".js");
}

/** The input given by `forkProgram`; from here on this process ends with the one that forked it. */
export function programInput(): unknown {
  process.once("disconnect", () => process.exit());
  return JSON.parse(process.argv[2] ?? "{}");
}

export function reportToParent(message: object): void {
  process.send?.(message);
}

/** Answers whatever the process that forked this one asks, in turn. */
export function answerParent(answer: (question: unknown) => object | Promise<object>): void {
  process.on("message", async (question) => reportToParent(await answer(question)));
}

async function nextMessage(child: ChildProcess): Promise<unknown> {
  const stop = new AbortController();
  const { signal } = stop;
  const ended = once(child, "exit", { signal }).then(([code]) => {
    throw new Error(`a program ended with ${String(code)} instead of a message`);
  });
  ended.catch(() => {});
  try {
    const [message] = await Promise.race([once(child, "message", { signal }), ended]);
    return message;
  } finally {
    stop.abort();
  }
}

async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}

/** Has `await using` close what can only be closed. */
export function closing<T extends { close(): Promise<unknown> }>(closable: T): T & AsyncDisposable {
  return Object.assign(closable, {
    [Symbol.asyncDispose]: async () => {
      await closable.close();
    },
  });
}

/** Has `await using` dispose of several, the last one first. */
export function together(...resources: readonly AsyncDisposable[]): AsyncDisposable {
  return {
    [Symbol.asyncDispose]: async () => {
      for (const each of resources.toReversed()) await each[Symbol.asyncDispose]();
    },
  };
}
