/** Real NATS servers for tests: each a child process on 127.0.0.1, none of which survives the test run. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findNatsServer, onPath } from "./find-nats-server.js";

export interface NatsServerOptions {
  /** @default a free port */
  readonly port?: number;
  /** Text of the server's configuration file. */
  readonly config?: string;
  /** @default false */
  readonly jetstream?: boolean;
  /** `max_payload`. @default the server's own, 1 MiB */
  readonly maxPayloadBytes?: number;
}

export interface NatsServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Address of the monitoring endpoints, for example `${monitoringUrl}/connz?subs=1`. */
  readonly monitoringUrl: string;
  readonly pid: number;
  readonly version: string;
  /** Sends a signal and, if it is one that ends the process, waits for the end. @default "SIGKILL" */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same port with the same data; options replace those given before. */
  restart(options?: Pick<NatsServerOptions, "config" | "maxPayloadBytes">): Promise<void>;
  /** Has the running server read another configuration; resolves once it is in force. */
  reload(config: string): Promise<void>;
  /** Ends the process and removes its files. Idempotent. */
  stop(): Promise<void>;
}

/** Below the range of ephemeral ports: a client that dials a port of that range in vain may end up connected to itself. */
const FIRST_PORT = 10_000;
const LAST_PORT = 30_000;

const START_LIMIT_MS = 10_000;
const START_ATTEMPTS = 5;

const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export async function startNatsServer(options: NatsServerOptions = {}): Promise<NatsServer> {
  const program = await findNatsServer();
  const folder = await mkdtemp(join(tmpdir(), "fractal-tree-nats-"));
  let current = options;
  let started = await startSomewhere(program, folder, current);
  const { port, monitoringPort } = started;

  const kill = async (signal: NodeJS.Signals = "SIGKILL") => {
    const ends = signal !== "SIGSTOP" && signal !== "SIGCONT" && signal !== "SIGHUP";
    await signalChild(started.child, signal, ends);
  };
  const stop = async () => {
    await kill();
    await rm(folder, { recursive: true, force: true });
  };
  return {
    url: `nats://127.0.0.1:${port}`,
    port,
    monitoringUrl: `http://127.0.0.1:${monitoringPort}`,
    get pid() {
      return started.child.pid ?? 0;
    },
    get version() {
      return started.version;
    },
    kill,
    restart: async (changes = {}) => {
      await kill();
      current = { ...current, ...changes };
      started = await start(program, folder, { port, monitoringPort }, current);
    },
    reload: async (config) => {
      current = { ...current, config };
      await writeFile(configFileIn(folder), configText(current));
      await reload(started.child);
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

interface Ports {
  readonly port: number;
  readonly monitoringPort: number;
}

interface Started extends Ports {
  readonly child: ChildProcess;
  readonly version: string;
}

async function startSomewhere(program: string, folder: string, options: NatsServerOptions): Promise<Started> {
  for (let attempt = 1; ; attempt++) {
    const ports = { port: options.port ?? candidatePort(), monitoringPort: candidatePort() };
    try {
      return await start(program, folder, ports, options);
    } catch (error) {
      const taken = error instanceof Error && error.message.includes("address already in use");
      if (!taken || attempt === START_ATTEMPTS) throw error;
    }
  }
}

async function start(program: string, folder: string, ports: Ports, options: NatsServerOptions): Promise<Started> {
  const configFile = configFileIn(folder);
  await writeFile(configFile, configText(options));
  const child = spawnServer(program, [
    `--config=${configFile}`,
    "--addr=127.0.0.1",
    `--port=${ports.port}`,
    `--http_port=${ports.monitoringPort}`,
    ...(options.jetstream === true ? ["--jetstream", `--store_dir=${join(folder, "jetstream")}`] : []),
  ]);
  const output = collectOutput(child);
  const deadline = Date.now() + START_LIMIT_MS;
  while (Date.now() < deadline && child.exitCode === null) {
    const version = await serverVersion(ports.port);
    // If our own server could not take the port, another one may have answered: then ours exits soon.
    if (version !== undefined && output().includes("Server is ready")) return { ...ports, child, version };
    await sleep(20);
  }
  await signalChild(child, "SIGKILL", true);
  throw new Error(`${program} did not start on port ${ports.port}:\n${output()}`);
}

/** Resolves with the line that the server writes once it follows its new configuration. */
async function reload(child: ChildProcess): Promise<void> {
  const output = collectOutput(child);
  await signalChild(child, "SIGHUP", false);
  const deadline = Date.now() + START_LIMIT_MS;
  while (!output().includes("Reloaded server configuration")) {
    if (Date.now() > deadline) throw new Error(`nats-server did not reload:\n${output()}`);
    await sleep(10);
  }
}

function configFileIn(folder: string): string {
  return join(folder, "server.conf");
}

function configText({ config = "", maxPayloadBytes }: NatsServerOptions): string {
  return maxPayloadBytes === undefined ? config : `${config}\nmax_payload: ${maxPayloadBytes}\n`;
}

function spawnServer(program: string, args: readonly string[]): ChildProcess {
  // With setpriv (Linux) the kernel ends the server even if this process is killed.
  const setpriv = onPath("setpriv");
  const child =
    setpriv === undefined
      ? spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] })
      : spawn(setpriv, ["--pdeathsig", "KILL", program, ...args], { stdio: ["ignore", "ignore", "pipe"] });
  running.add(child);
  child.on("exit", () => running.delete(child));
  // The test run must be able to end although a server runs.
  child.unref();
  if (child.stderr instanceof Socket) child.stderr.unref();
  return child;
}

function collectOutput(child: ChildProcess): () => string {
  let output = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    if (output.length < 100_000) output += chunk.toString();
  });
  return () => output;
}

async function signalChild(child: ChildProcess, signal: NodeJS.Signals, waitForEnd: boolean): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.ref();
  const exited = once(child, "exit");
  child.kill(signal);
  if (waitForEnd) await exited;
}

/** The version in the greeting of the server on this port; undefined if none greets. */
async function serverVersion(port: number): Promise<string | undefined> {
  const socket = connect(port, "127.0.0.1").setTimeout(1_000, () => socket.destroy());
  try {
    const [greeting] = (await once(socket, "data")) as [Buffer];
    return /"version":"([^"]+)"/.exec(greeting.toString())?.[1];
  } catch {
    return undefined;
  } finally {
    socket.destroy();
  }
}

/** A port to try: it may be taken. */
export function candidatePort(): number {
  return FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT));
}
