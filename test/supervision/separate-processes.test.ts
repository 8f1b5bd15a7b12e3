/** What only processes show: signals, and what becomes of them when their parent's process is killed. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { childProcess, createNode, memoryTransport, type Node } from "../../src/index.js";

const PARENT = new URL("programs/parent.mjs", import.meta.url);
const CHILD = new URL("programs/child.mjs", import.meta.url);

const folders: string[] = [];
const parents: ChildProcess[] = [];
const pids: number[] = [];
const nodes: Node[] = [];
afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.stop({ timeoutMs: 5_000 })));
  for (const parent of parents.splice(0)) parent.kill("SIGKILL");
  for (const pid of pids.splice(0)) if (isAlive(pid)) process.kill(pid, "SIGKILL");
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Runs a process with a child; resolves once the child builds its node. */
async function runParent(options: { readonly outlivesParent?: boolean; readonly misbehaviour?: string } = {}) {
  const { misbehaviour, ...rest } = options;
  const folder = await mkdtemp(join(tmpdir(), "fractal-tree-separate-"));
  folders.push(folder);
  const pidFile = join(folder, "pid");
  const parent = fork(PARENT, [JSON.stringify({ ...rest, data: { pidFile, misbehaviour } })], { stdio: "ignore" });
  parents.push(parent);
  const ready = once(parent, "message");
  await expect.poll(() => existsSync(pidFile) && readFileSync(pidFile, "utf8"), { timeout: 20_000 }).toBeTruthy();
  const pid = Number(readFileSync(pidFile, "utf8"));
  pids.push(pid);
  return { parent, pid, ready };
}

async function kill(parent: ChildProcess): Promise<void> {
  const exited = once(parent, "exit");
  parent.kill("SIGKILL");
  await exited;
}

test("a child ends when its parent's process is killed, also with other work in its loop", async () => {
  const { parent, pid, ready } = await runParent({ misbehaviour: "keeps a handle" });
  await ready;
  await kill(parent);
  await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false);
});

test("a child that is still making its node ends when its parent's process is killed", async () => {
  const { parent, pid } = await runParent({ misbehaviour: "never builds" });
  await kill(parent);
  await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false);
});

/** A program that is told nothing yet; it has other work in its loop. */
async function forkUntold(argument: string): Promise<ChildProcess> {
  const child = fork(CHILD, [argument], { serialization: "advanced", stdio: "ignore" });
  parents.push(child);
  await once(child, "message");
  return child;
}

// Both went on for ever: the end of the channel was listened for only once the parent had said what is to run.
test.each(["keeps a handle at the top", "calls late"])(
  "a child that %s ends without a parent to tell it what to run",
  async (argument) => {
    const child = await forkUntold(argument);
    // Ctrl-C is its parent's to answer, from the first moment.
    if (argument === "keeps a handle at the top") child.kill("SIGINT");
    const exited = once(child, "exit");
    child.disconnect();
    expect(await exited).toEqual([1, null]);
  },
);

test("a child that outlives its parent goes on, in a process group of its own", async () => {
  const lasting = await runParent({ outlivesParent: true });
  const usual = await runParent();
  await Promise.all([lasting.ready, usual.ready]);
  expect(() => process.kill(-lasting.pid, 0)).not.toThrow();
  expect(() => process.kill(-usual.pid, 0)).toThrow("ESRCH");
  await Promise.all([kill(lasting.parent), kill(usual.parent)]);
  await expect.poll(() => isAlive(usual.pid), { timeout: 10_000 }).toBe(false);
  expect(isAlive(lasting.pid)).toBe(true);
});

/** A parent in this process, and how the first incarnation of its child ended. */
async function supervise() {
  const shop = createNode({
    path: "shop",
    transport: memoryTransport(),
    children: [{ id: "orders", start: childProcess(CHILD, { stdio: "ignore" }) }],
    supervision: { backoff: { baseMs: 1, maxMs: 10 } },
  });
  nodes.push(shop);
  const decided: string[] = [];
  shop.on("supervision.decided", ({ generation, decision, reason, exit }) =>
    decided.push(`${generation} ${decision} ${exit ?? ""} ${reason}`.replaceAll(/ +/g, " ").trim()),
  );
  await shop.start();
  await shop.until("SYNCHRONIZED", { timeoutMs: 20_000 });
  return { shop, decided, pid: async () => (await shop.command<{ pid: number }>("orders", "who")).pid };
}

test.each([
  ["SIGKILL", "1 restarting failed SIGKILL"],
  ["SIGTERM", "1 restarting normal stopped"],
] as const)("a child that gets %s is started again", async (signal, restart) => {
  const { decided, pid } = await supervise();
  const first = await pid();
  process.kill(first, signal);
  await expect.poll(() => decided, { timeout: 20_000 }).toContain("2 ready");
  expect(decided).toContain(restart);
  expect(await pid()).not.toBe(first);
  expect(isAlive(first)).toBe(false);
});

test("a child ignores SIGINT: its parent shuts it down in order", async () => {
  const { shop, decided, pid } = await supervise();
  const first = await pid();
  process.kill(first, "SIGINT");
  expect(await pid()).toBe(first);
  await shop.stop({ timeoutMs: 10_000 });
  expect(decided.at(-1)).toBe("1 terminated shutdown shutdown");
  expect(isAlive(first)).toBe(false);
});
