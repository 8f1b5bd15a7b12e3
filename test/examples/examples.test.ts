/** Every example does what it says at its top, run as a reader would run it: as a process of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { startNatsServer } from "../support/nats-server.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** The names of the examples that have a test below. */
const TESTED = [
  "inspector",
  "model-based-test",
  "pipeline",
  "quick-start",
  "service",
  "simulated-tree",
  "supervised-in-process",
  "supervised-process",
  "supervised-remote",
  "supervised-worker",
];

const running = new Set<ChildProcess>();
afterEach(() => {
  for (const child of running) child.kill("SIGKILL");
});

function start(name: string, env: NodeJS.ProcessEnv = {}) {
  const { NATS_URL: _url, FORCE_COLOR: _color, ...inherited } = process.env;
  const child = spawn(process.execPath, ["--import", "tsx", `examples/${name}.ts`], {
    cwd: ROOT,
    env: { ...inherited, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.add(child);
  child.once("exit", () => running.delete(child));
  return child;
}

/** Runs an example to its end, which must be a good one, and returns its output. */
async function run(name: string, env?: NodeJS.ProcessEnv): Promise<string> {
  const child = start(name, env);
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

it("has a test for every example", () => {
  const names = readdirSync(`${ROOT}/examples`)
    .filter((file) => file.endsWith(".ts"))
    .map((file) => file.replace(/\.ts$/, ""));
  expect(names.toSorted()).toEqual(TESTED);
});

describe("the quick start", () => {
  it("commands a child", async () => {
    expect(await run("quick-start")).toBe("{ reserved: 2 }\n");
  });
});

describe("a simulated tree", () => {
  it("survives faults without a double reservation", async () => {
    expect(await run("simulated-tree")).toMatch(
      /^20 seeds: 800 faults, \d+ orders reserved, none twice, and every tree/,
    );
  });
});

describe("a supervised child", () => {
  it("in the same process fails and comes back", async () => {
    const lines = (await run("supervised-in-process")).trimEnd().split("\n");
    expect(lines).toContain("A1 reserved by incarnation 1");
    expect(lines).toContain("orders 1 restarting: the cache is corrupt (2 restarts left)");
    expect(lines).toContain("A1 reserved by incarnation 2");
    expect(lines.at(-1)).toBe("{ specs: 1, active: 0, supervisors: 0, workers: 1 }");
  });

  it.each(["worker", "process"])("in a %s of its own crashes and comes back", async (kind) => {
    const lines = (await run(`supervised-${kind}`)).trimEnd().split("\n");
    expect(lines).toEqual([
      "orders 1 started",
      "orders 1 ready",
      "A1 reserved by incarnation 1",
      "orders 1 restarting: exit code 1",
      "crash: unknown",
      "orders 2 started",
      "orders 2 ready",
      "A1 reserved by incarnation 2",
      "orders 2 terminated: shutdown",
    ]);
  });

  it("that is remote recovers by itself and is redeployed by others", async () => {
    const lines = (await run("supervised-remote")).trimEnd().split("\n");
    expect(lines).toContain("orders: alive → failed");
    expect(lines.slice(-3)).toEqual(["a newer incarnation: true", "orders: alive → left", "shutdown"]);
  });
});

describe("the pipeline", () => {
  it("synchronizes, asks upward, reports progress and decides by quorum", async () => {
    const lines = (await run("pipeline")).trimEnd().split("\n");
    expect(lines[0]).toBe("settings: version 1");
    expect(lines.filter((line) => line.startsWith("progress: "))).toContain("progress: north 3/3");
    expect(lines.filter((line) => !line.startsWith("progress: "))).toEqual([
      "settings: version 1",
      "north: completed 20.50 °C",
      "south: completed 19.75 °C",
      "attic: cancelled CANCELLED",
      "decided by 2 of 3",
    ]);
  });
});

describe("the inspector", () => {
  it("shows the transitions of every node, as they come through Stately's relay", async () => {
    const stdout = await run("inspector", { PORT: String(await freePort()) });
    expect(stdout).toMatch(/^the inspector is at http:\/\/localhost:\d+$/m);
    expect(stdout).toContain("shop: created → DISCONNECTED by xstate.init");
    expect(stdout).toContain("shop: CONNECTING → SYNCHRONIZED by children.changed");
    expect(stdout).toContain("shop.orders: DISCONNECTED → SYNCHRONIZED by coordination.requested");
    expect(stdout).toContain("shop: SYNCHRONIZED → DEGRADED by children.changed");
  });
});

describe("the model-based test", () => {
  it("drives a real node through generated paths, recovery from failure included", async () => {
    const stdout = await run("model-based-test");
    expect(stdout).toContain("cleanup.done → DISCONNECTED, coordination.requested → CONNECTING\n");
    expect(stdout).toMatch(/^\d+ paths driven through a real node, 5 of 5 states reached, no difference$/m);
  });
});

/** The address in the first line that the service prints. */
async function addressOf(child: ReturnType<typeof start>): Promise<string> {
  const ended = once(child, "exit").then(async () => {
    throw new Error(`the service ended: ${await text(child.stderr)}`);
  });
  const [line] = (await Promise.race([once(child.stdout, "data"), ended])) as [Buffer];
  ended.catch(() => {});
  return /http:\S+/.exec(line.toString())?.[0] ?? "";
}

/** Starts the service and waits until it is up and healthy. */
async function startService(env: NodeJS.ProcessEnv = {}) {
  const child = start("service", { PORT: "0", ...env });
  const url = await addressOf(child);
  const rest = text(child.stdout);
  const get = async (path: string) => {
    const response = await fetch(url + path);
    const body: unknown = await response.json();
    return { status: response.status, body };
  };
  await expect.poll(async () => (await get("/health")).status, { timeout: 10_000 }).toBe(200);
  const terminate = async () => {
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    const [code] = await ended;
    return { code, stdout: await rest };
  };
  return { get, terminate };
}

describe("the service", () => {
  it("answers by itself, tells its health and leaves in order on SIGTERM", async () => {
    const { get, terminate } = await startService();
    const health = { path: "shop", state: "SYNCHRONIZED", failure: null, nodes: 1, available: 1 };
    expect(await get("/health")).toMatchObject({ status: 200, body: health });
    expect(await get("/hello/nobody")).toMatchObject({ status: 502 });
    expect(await get("/hello/no+name")).toMatchObject({ status: 400 });
    expect(await get("/else")).toMatchObject({ status: 404 });
    expect(await terminate()).toEqual({ code: 0, stdout: "shop stopped\n" });
  });

  it("is unhealthy while it has no place in the tree", async () => {
    const child = start("service", { PORT: "0", TREE_PATH: "shop.orders" });
    const response = await fetch(`${await addressOf(child)}/health`);
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ path: "shop.orders", state: "DISCONNECTED" });
  });

  it("joins a tree of processes over NATS", async () => {
    await using server = await startNatsServer();
    const env = { NATS_URL: server.url };
    const [shop, orders] = await Promise.all([startService(env), startService({ ...env, TREE_PATH: "shop.orders" })]);
    expect(await shop.get("/hello/orders")).toEqual({ status: 200, body: "shop.orders greets shop" });
    expect(await orders.terminate()).toEqual({ code: 0, stdout: "shop.orders stopped\n" });
    expect(await shop.terminate()).toEqual({ code: 0, stdout: "shop stopped\n" });
  });
});
