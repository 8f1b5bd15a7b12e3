/** Finds the nats-server program, or installs it where that is possible. */
import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { open, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

const LOCK = join(tmpdir(), "fractal-tree-install-nats-server.lock");
const INSTALL_LIMIT_MS = 180_000;

const HOW_TO = `nats-server was not found. The tests in test/nats need it: install it (Debian, Ubuntu: apt-get install nats-server;
macOS: brew install nats-server; others: https://github.com/nats-io/nats-server/releases) or set NATS_SERVER to its path.`;

export async function findNatsServer(): Promise<string> {
  const given = process.env["NATS_SERVER"];
  if (given !== undefined && given !== "") {
    if (!isExecutable(given)) throw new Error(`NATS_SERVER is ${given}, which is not an executable file`);
    return given;
  }
  return onPath("nats-server") ?? (await installed());
}

/** The program's full path, or undefined. */
export function onPath(program: string): string | undefined {
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

async function installed(): Promise<string> {
  if (process.getuid?.() !== 0 || onPath("apt-get") === undefined) throw new Error(HOW_TO);
  // Test workers run in parallel: one installs, the others wait for it.
  for (const deadline = Date.now() + INSTALL_LIMIT_MS; Date.now() < deadline; await sleep(500)) {
    const found = onPath("nats-server");
    if (found !== undefined && !(await isLocked())) return found;
    if (await takeLock()) await aptInstall().finally(() => rm(LOCK, { force: true }));
  }
  throw new Error(HOW_TO);
}

async function takeLock(): Promise<boolean> {
  try {
    await (await open(LOCK, "wx")).close();
    return true;
  } catch {
    return false;
  }
}

async function isLocked(): Promise<boolean> {
  const age = await stat(LOCK).then(
    ({ mtimeMs }) => Date.now() - mtimeMs,
    () => Infinity,
  );
  // A run that was killed while it installed leaves its lock behind.
  if (age !== Infinity && age > INSTALL_LIMIT_MS) await rm(LOCK, { force: true });
  return age < INSTALL_LIMIT_MS;
}

async function aptInstall(): Promise<void> {
  if (onPath("nats-server") !== undefined) return;
  const options = { timeout: INSTALL_LIMIT_MS, env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } };
  try {
    await run("apt-get", ["update"], options);
    await run("apt-get", ["install", "-y", "--no-install-recommends", "nats-server"], options);
  } catch (cause) {
    throw new Error(HOW_TO, { cause });
  }
}
