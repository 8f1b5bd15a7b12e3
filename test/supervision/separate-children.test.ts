/** Children in worker threads and in forked processes: real ones, so these tests take real time. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import {
  type ChildExit,
  childProcess,
  createNode,
  memoryTransport,
  type Node,
  type OwnedChildSpec,
  runChild,
  type StartContext,
  type StartedChild,
  type Starter,
  type SupervisionEvent,
  workerThread,
} from "../../src/index.js";
import { realClock } from "../../src/health/real-clock.js";

const PROGRAM = new URL("programs/child.mjs", import.meta.url);

/** What the program is told to do. */
interface Told {
  readonly misbehaviour?: string;
}

interface Kind {
  readonly name: string;
  readonly starter: (data?: Told, argv?: readonly string[]) => Starter;
}

const KINDS: readonly Kind[] = [
  { name: "a worker thread", starter: (data, argv = []) => workerThread(PROGRAM, { data, argv }) },
  {
    name: "a child process",
    // What its failing tests print is no news.
    starter: (data, argv = []) => childProcess(PROGRAM, { data, argv, stdio: "ignore" }),
  },
];

const nodes: Node[] = [];
const children: StartedChild[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) child.kill();
  await Promise.all(nodes.splice(0).map((node) => node.stop({ timeoutMs: 5_000 })));
});

function contextFor(signal = new AbortController().signal): StartContext {
  const transport = memoryTransport();
  const names = { path: "shop.orders", id: "orders", generation: 1 };
  return { ...names, transport, clock: realClock, random: Math.random, signal, args: undefined };
}

async function start(starter: Starter, context = contextFor()): Promise<StartedChild> {
  const child = await starter.start(context);
  children.push(child);
  return child;
}

/** A parent with the one child `orders`, how its incarnations ended, and what was decided. */
async function supervise(starter: Starter, spec: Partial<OwnedChildSpec> = {}) {
  const exits: Promise<ChildExit>[] = [];
  const recorded: Starter = {
    start: async (context) => {
      const child = await start(starter, context);
      exits.push(child.exited);
      return child;
    },
  };
  const shop = createNode({
    path: "shop",
    transport: memoryTransport(),
    children: [{ id: "orders", start: recorded, ...spec }],
    supervision: { backoff: { baseMs: 1, maxMs: 10 } },
  });
  nodes.push(shop);
  const decisions: SupervisionEvent[] = [];
  shop.on("supervision.decided", (event) => decisions.push(event));
  await shop.start();
  await shop.until("SYNCHRONIZED", { timeoutMs: 20_000 });
  return { shop, exits, decisions };
}

describe.each(KINDS)("$name", ({ starter }) => {
  test("is given its place and its data, and answers through its parent's transport", async () => {
    const { shop } = await supervise(starter({ misbehaviour: "none" }), { args: { tenant: "acme" } });
    expect(await shop.command("orders", "who")).toMatchObject({
      path: "shop.orders",
      id: "orders",
      generation: 1,
      args: { tenant: "acme" },
      data: { misbehaviour: "none" },
    });
  });

  test("carries hundreds of messages each way", async () => {
    const { shop } = await supervise(starter());
    const texts = Array.from({ length: 500 }, (_, i) => `${i}:${"x".repeat(i)}`);
    const echoes = await Promise.all(texts.map((text) => shop.command("orders", "echo", text)));
    expect(echoes).toEqual(texts);
  });

  test.each([
    ["exit", 1, { kind: "failed", reason: expect.stringContaining("exit code 1") as string }],
    ["exit", 0, { kind: "normal", reason: "exit code 0" }],
    ["exit", 75, { kind: "dependencyDown", reason: "exit code 75" }],
    ["throwLater", undefined, { kind: "failed", reason: "exit code 1: it threw" }],
    ["rejectLater", undefined, { kind: "failed", reason: "exit code 1: it rejected" }],
    ["stop", undefined, { kind: "normal", reason: "stopped" }],
    ["fail", false, { kind: "failed", reason: "it failed" }],
    ["fail", true, { kind: "dependencyDown", reason: "it failed" }],
  ] as const)("that was told to %s %s is started again, and its end is named", async (name, input, exit) => {
    const { shop, exits } = await supervise(starter());
    const change = shop.until("DEGRADED", { timeoutMs: 20_000 });
    await shop.tryCommand("orders", name, input, { timeoutMs: 20_000 });
    await change.catch(() => {});
    expect(await exits[0]).toEqual(exit);
    await expect
      .poll(async () => (await shop.tryCommand("orders", "who")).status, { timeout: 20_000 })
      .toBe("completed");
    expect(await shop.command("orders", "who")).toMatchObject({ generation: 2 });
  });

  test("is the same after its parent stood still", async () => {
    const { shop, exits } = await supervise(starter());
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_500);
    expect(await shop.command("orders", "who")).toMatchObject({ generation: 1 });
    expect(exits).toHaveLength(1);
  });

  test("is shut down in order with its parent, within its time", async () => {
    const { shop, exits } = await supervise(starter());
    await shop.stop({ timeoutMs: 10_000 });
    expect(await exits[0]).toEqual({ kind: "shutdown", reason: "shutdown" });
  });

  test("ends although something keeps its loop alive", async () => {
    const { shop, exits } = await supervise(starter({ misbehaviour: "keeps a handle" }));
    await shop.stop({ timeoutMs: 10_000 });
    expect(await exits[0]).toMatchObject({ kind: "shutdown" });
  });

  // Its usual time to exit was as long as the usual time to end: each ordered stop ended in a kill.
  test("ends in order by default, although something keeps its loop alive", async () => {
    const { shop } = await supervise(starter({ misbehaviour: "keeps a handle" }, ["takes the usual time"]));
    const decisions: string[] = [];
    shop.on("supervision.decided", ({ decision }) => decisions.push(decision));
    await shop.stop({ timeoutMs: 10_000 });
    expect(decisions).toEqual(["terminated"]);
  });

  test("that ignores the stop ends when it is killed", async () => {
    const child = await start(starter({ misbehaviour: "ignores the stop" }));
    const stopped = Promise.race([child.exited, sleep(200, "alive")]);
    child.stop(100);
    expect(await stopped).toBe("alive");
    child.kill();
    expect(await child.exited).toMatchObject({ kind: "failed" });
  });

  test.each([
    ["fails to build", { message: "no configuration" }],
    ["lacks a dependency", { message: "the database is away", code: "DEPENDENCY_DOWN" }],
    ["builds something else", { message: expect.stringContaining("shop.orders") as string }],
  ] as const)("that %s is a start that failed", async (misbehaviour, error) => {
    await expect(starter({ misbehaviour }).start(contextFor())).rejects.toMatchObject(error);
  });

  test("whose program throws, or exits, is a start that failed", async () => {
    await expect(starter({}, ["throws at the top"]).start(contextFor())).rejects.toThrow("exit code 1");
    await expect(starter({}, ["exits at the top"]).start(contextFor())).rejects.toThrow("exit code 7");
  });

  test("whose program does not run it, or never builds it, ends when its start is aborted", async () => {
    const neverRuns = starter({}, ["never runs a child"]);
    for (const slow of [neverRuns, starter({ misbehaviour: "never builds" })]) {
      const abort = new AbortController();
      const started = slow.start(contextFor(abort.signal));
      setTimeout(() => abort.abort(new Error("too late")), 300);
      await expect(started).rejects.toThrow("too late");
    }
  });

  test("whose start was aborted before is not started", async () => {
    await expect(starter().start(contextFor(AbortSignal.abort(new Error("no more"))))).rejects.toThrow("no more");
  });

  test("whose arguments cannot be cloned is a start that failed", async () => {
    const context = { ...contextFor(), args: { callback: () => {} } };
    await expect(starter().start(context)).rejects.toThrow("could not be cloned");
  });

  test("can be killed and stopped after its end", async () => {
    const child = await start(starter());
    child.kill();
    child.kill();
    expect(await child.exited).toMatchObject({ kind: "failed" });
    child.stop(100);
    child.kill();
  });

  test("that is started and ended again and again leaves nothing behind", async () => {
    const context = contextFor();
    const cycle = async (): Promise<void> => {
      const child = await starter().start(context);
      child.stop(5_000);
      expect(await child.exited).toEqual({ kind: "shutdown", reason: "shutdown" });
    };
    await cycle();
    const before = resources();
    for (let i = 0; i < 5; i++) await Promise.all([cycle(), cycle(), cycle(), cycle()]);
    // What was there before may include the last of the first cycle.
    await expect.poll(() => resources().length, { timeout: 10_000 }).toBeLessThanOrEqual(before.length);
  }, 60_000);
});

/** What keeps this process alive, apart from timers and what the test runner does meanwhile. */
function resources(): string[] {
  return process
    .getActiveResourcesInfo()
    .filter((name) => ["ProcessWrap", "MessagePort", "Worker", "PipeWrap"].includes(name))
    .toSorted();
}

describe("options", () => {
  const url = "file:///child.js";
  test.each([
    ["url", () => workerThread("child.js")],
    ["url", () => childProcess("./child.js")],
    ["url", () => childProcess(new URL("http://localhost/child.js"))],
    ["data", () => workerThread(url, { data: () => {} })],
    ["data", () => childProcess(url, { data: { on: () => {} } })],
    ["argv", () => workerThread(url, { argv: "x" as never })],
    ["argv", () => childProcess(url, { argv: [1 as never] })],
    ["execArgv", () => workerThread(url, { execArgv: [null as never] })],
    ["execArgv", () => childProcess(url, { execArgv: "--import" as never })],
    ["env", () => workerThread(url, { env: { A: 1 as never } })],
    ["env", () => childProcess(url, { env: null as never })],
    ["stdio", () => childProcess(url, { stdio: "pipe" as never })],
    ["stdio", () => childProcess(url, { stdio: ["ignore", "ignore"] })],
    ["url", () => childProcess("file:")],
    ["url", () => childProcess("file://elsewhere/child.js")],
    ["childProcess options", () => childProcess(url, null as never)],
    ["workerThread options", () => workerThread(url, null as never)],
    ["outlivesParent", () => childProcess(url, { outlivesParent: 1 as never })],
    ["detached", () => childProcess(url, { detached: true } as never)],
  ] as const)("refuses a wrong %s", (option, make) => {
    expect(make).toThrow(expect.objectContaining({ code: "INVALID_OPTION", option }));
  });
});

describe("runChild", () => {
  test.each([
    ["build", () => runChild(undefined as never)],
    ["build", () => runChild("./child.js" as never)],
    ["runChild options", () => runChild(() => expect.fail("built"), null as never)],
    ["exitTimeout", () => runChild(() => expect.fail("built"), { exitTimeout: 1 } as never)],
    ["exitTimeoutMs", () => runChild(() => expect.fail("built"), { exitTimeoutMs: "50" as never })],
  ])("refuses a wrong %s", async (option, run) => {
    await expect(run()).rejects.toMatchObject({ code: "INVALID_OPTION", option });
  });
});
