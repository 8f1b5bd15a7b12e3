/** A real nats-server for the demo: found, not installed, on a free port of this host only. */
import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { endProcess, owned } from "./owned-processes.js";

export interface NatsServer extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
}

const HOW_TO_INSTALL = `nats-server was not found; --processes needs it. Install it (Debian, Ubuntu: apt-get install nats-server;
macOS: brew install nats-server; others: https://docs.nats.io/running-a-nats-service/introduction/installation),
or set NATS_SERVER to its path. Without --processes the demo needs no server.`;

const START_LIMIT_MS = 10_000;
const LOG_LENGTH_MAX = 10_000;

/** @throws Error that says how to install it, or why it does not start */
export async function startNatsServer(name: string): Promise<NatsServer> {
  const child = spawnServer(findNatsServer(), ["--addr", "127.0.0.1", "--port", "-1", "--name", name]);
  try {
    const port = await listeningPort(child);
    return {
      url: `nats://127.0.0.1:${port}`,
      pid: child.pid ?? 0,
      [Symbol.asyncDispose]: () => endProcess(child),
    };
  } catch (error) {
    await endProcess(child);
    throw error;
  }
}

function findNatsServer(): string {
  const given = process.env["NATS_SERVER"] ?? "";
  if (given !== "") {
    if (!isExecutable(given)) throw new Error(`NATS_SERVER is ${given}, which is not an executable file`);
    return given;
  }
  const found = onPath("nats-server");
  if (found === undefined) throw new Error(HOW_TO_INSTALL);
  return found;
}

function spawnServer(program: string, args: readonly string[]): ChildProcess {
  // Where there is setpriv (Linux), the kernel ends the server even if this process is killed.
  const setpriv = onPath("setpriv");
  const [command, allArgs] =
    setpriv === undefined ? [program, args] : [setpriv, ["--pdeathsig", "KILL", program, ...args]];
  return owned(spawn(command, allArgs, { stdio: ["ignore", "ignore", "pipe"] }));
}

/** Debian puts servers into /usr/sbin, which users do not have on their PATH. */
function onPath(program: string): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/local/bin", "/usr/sbin", "/usr/local/sbin"];
  return folders.map((folder) => join(folder, program)).find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The server chooses the port; its log says which. */
function listeningPort(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    let log = "";
    const fail = (why: string): void => {
      clearTimeout(timer);
      reject(new Error(`nats-server ${why}\n${log}`.trimEnd()));
    };
    const timer = setTimeout(() => fail(`was not ready within ${START_LIMIT_MS} ms`), START_LIMIT_MS);
    child.once("error", (error) => fail(`could not be started: ${error.message}`));
    child.once("exit", () => fail("ended at once"));
    child.stderr?.on("data", (text: Buffer) => {
      // Read for as long as the server runs, so that the pipe never fills up, but not kept.
      if (log.length < LOG_LENGTH_MAX) log += text.toString();
      const port = /Listening for client connections on \S+:(\d+)/.exec(log)?.[1];
      if (port === undefined || !log.includes("Server is ready")) return;
      clearTimeout(timer);
      resolve(Number(port));
    });
  });
}
