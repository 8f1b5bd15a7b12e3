/**
 * From a kill to SYNCHRONIZED, in real time: how soon the parent knows, how long the child itself takes to start, and what
 * remains. Children are killed one after the other, each a while after it was ready.
 *
 * Defaults, but for budgets that bear so many kills and a `stableMs` by which each counts as a first failure.
 */
import {
  childProcess,
  createNode,
  memoryTransport,
  type Node,
  type StartContext,
  type StartedChild,
  type Starter,
  type Transport,
  workerThread,
} from "fractal-tree";
import { connectNats } from "fractal-tree/nats";
import { setTimeout as sleep } from "node:timers/promises";
import type { Reading, Subject } from "./bench.js";
import { closing, forkProgram, type Program } from "./child-process.js";
import { quantile } from "./rows.js";

const CHILD = "worker";
const SUPERVISION = { intensity: 10_000, childIntensity: 10_000, stableMs: 50 };
/** Least and most time from readiness to the next kill, milliseconds: longer than any first delay, which makes it stable. */
const RUNNING_MS = [350, 850] as const;
const PATIENCE_MS = 30_000;
const PROGRAM = new URL("detection-child.mjs", import.meta.url);

/** A parent, and a child that can be killed and comes back. */
interface Family extends AsyncDisposable {
  readonly parent: Node;
  readonly transport: Transport;
  /** `started` is called when somebody other than the parent starts the next one. */
  kill(started: () => void): Promise<void> | void;
}

/** One recovery, milliseconds. */
interface Recovery {
  /** From the kill until the parent knows; null where nobody tells it. */
  readonly noticedMs: number | null;
  /** From the start of the next incarnation to its first announcement: loading, connecting. */
  readonly startMs: number;
  /** From the kill until the parent is SYNCHRONIZED again. */
  readonly wholeMs: number;
}

/** The subjects, by what kind of children is killed. */
export function recoverySubjects(servers: string, kills: number): readonly Subject[] {
  const families = {
    "in process": inProcessFamily,
    "worker thread": workerFamily,
    process: () => processFamily(servers),
    remote: () => remoteFamily(servers),
  };
  return Object.entries(families).map(([variant, found]) => ({
    variant,
    measure: async () => toReadings(await killInTurn(found, kills)),
  }));
}

async function killInTurn(found: () => Promise<Family>, kills: number): Promise<readonly Recovery[]> {
  await using family = await found();
  await family.parent.until("SYNCHRONIZED", { timeoutMs: PATIENCE_MS });
  const recoveries: Recovery[] = [];
  for (let n = 0; n < kills; n++) {
    const [leastMs, mostMs] = RUNNING_MS;
    await sleep(leastMs + Math.random() * (mostMs - leastMs));
    recoveries.push(await recover(family));
  }
  return recoveries;
}

async function recover(family: Family): Promise<Recovery> {
  const { parent, transport } = family;
  let noticedMs: number | null = null;
  let startedMs = Number.NaN;
  let announcedMs = Number.NaN;
  const killedAtMs = performance.now();
  const sinceMs = (): number => performance.now() - killedAtMs;
  const started = (): void => void (startedMs = sinceMs());
  const off = parent.on("supervision.decided", ({ decision }) => {
    if (decision === "restarting") noticedMs ??= sinceMs();
    if (decision === "started") started();
  });
  // What it says first is its announcement.
  const announcements = transport.subscribe(subjectOf(family), () => {
    if (!Number.isNaN(startedMs) && Number.isNaN(announcedMs)) announcedMs = sinceMs();
  });
  const whole = wholeAgain(parent);
  await family.kill(started);
  await whole;
  const wholeMs = sinceMs();
  off();
  announcements.unsubscribe();
  if (Number.isNaN(announcedMs)) throw new Error("a child came back without an announcement");
  return { noticedMs, startMs: announcedMs - startedMs, wholeMs };
}

function subjectOf({ parent, transport: { namespace, tree } }: Family): string {
  return `${namespace}.${tree}.up.${parent.path}.${CHILD}`;
}

/** Resolves when another incarnation of the child is ready and the parent SYNCHRONIZED. */
async function wholeAgain(parent: Node): Promise<void> {
  const former = parent.child(CHILD)?.epoch;
  const signal = AbortSignal.timeout(PATIENCE_MS);
  for await (const { id, state, epoch } of parent.events("child.changed", { signal })) {
    if (id === CHILD && state === "alive" && epoch !== former) break;
  }
  signal.throwIfAborted();
  await parent.until("SYNCHRONIZED", { timeoutMs: PATIENCE_MS });
}

function toReadings(recoveries: readonly Recovery[]): readonly Reading[] {
  const noticed = recoveries.flatMap(({ noticedMs }) => (noticedMs === null ? [] : [noticedMs]));
  return [
    ...(noticed.length === 0 ? [] : quantiles("kill to its exit told", noticed)),
    ...quantiles(
      "kill to SYNCHRONIZED",
      recoveries.map(({ wholeMs }) => wholeMs),
    ),
    ...quantiles(
      "of it the child's own start",
      recoveries.map(({ startMs }) => startMs),
    ),
    ...quantiles(
      "kill to SYNCHRONIZED, less its start",
      recoveries.map(({ wholeMs, startMs }) => wholeMs - startMs),
    ),
  ];
}

function quantiles(name: string, values: readonly number[]): readonly Reading[] {
  return [0.5, 0.99].map((q) => ({ case: `${name}, p${q * 100}`, unit: "ms", value: quantile(values, q) }));
}

async function inProcessFamily(): Promise<Family> {
  const transport = memoryTransport();
  let child: Node | null = null;
  const start = ({ path }: StartContext): Node => (child = createNode({ path, transport }));
  const parent = createNode({ path: "bench", transport, children: [{ id: CHILD, start }], supervision: SUPERVISION });
  await parent.start();
  return ended({ parent, transport, kill: () => child?.fail("killed") });
}

/** A worker thread that speaks through its channel; `terminate()` ends it. */
async function workerFamily(): Promise<Family> {
  return ownedFamily(memoryTransport(), workerThread(PROGRAM));
}

/** A process with a connection of its own; SIGKILL ends it. */
async function processFamily(servers: string): Promise<Family> {
  const transport = closing(await connectNats({ servers, tree: "bench" }));
  // The program is plain JavaScript: it needs none of the loaders with which this process runs.
  const family = await ownedFamily(transport, childProcess(PROGRAM, { data: servers, execArgv: [] }));
  return ended(family, () => transport.close());
}

async function ownedFamily(transport: Transport, starter: Starter): Promise<Family> {
  let child: StartedChild | null = null;
  const start: Starter = { start: async (context) => (child = await starter.start(context)) };
  const parent = createNode({ path: "bench", transport, children: [{ id: CHILD, start }], supervision: SUPERVISION });
  await parent.start();
  return ended({ parent, transport, kill: () => child?.kill() });
}

/** Somebody else starts the next one at once, as a service manager does. */
async function remoteFamily(servers: string): Promise<Family> {
  const transport = closing(await connectNats({ servers, tree: "bench" }));
  const parent = createNode({ path: "bench", transport, children: [{ id: CHILD }] });
  const spawn = (): Program => forkProgram(new URL("recovery-worker.ts", import.meta.url), { servers });
  let program = spawn();
  await parent.start();
  const kill = async (started: () => void): Promise<void> => {
    await program.kill();
    program = spawn();
    started();
  };
  return ended({ parent, transport, kill }, async () => {
    await program.kill();
    await transport.close();
  });
}

function ended(family: Omit<Family, typeof Symbol.asyncDispose>, after?: () => Promise<unknown>): Family {
  const end = async (): Promise<void> => {
    await family.parent.stop({ timeoutMs: 5_000 });
    await after?.();
  };
  return { ...family, [Symbol.asyncDispose]: end };
}
