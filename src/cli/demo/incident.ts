/** One mid-level node is killed and a moment later started anew; everything else is the tree's own doing. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Node } from "../../index.js";
import { type DemoTree, type Identity, LEAF_IDS } from "./demo-tree.js";
import type { Progress } from "./progress.js";
import type { Timeline } from "./timeline.js";

export interface Incident {
  /** The killed node. */
  readonly path: string;
  /** From the kill until the root was SYNCHRONIZED again, milliseconds. */
  readonly recoveryMs: number;
  /** The node's incarnation before and after. */
  readonly epochs: readonly [before: string, after: string];
  readonly leaves: readonly Survivor[];
}

/** A leaf of the killed node. */
interface Survivor {
  readonly path: string;
  /** What tells that it is the same one, in words. */
  readonly identity: string;
  /** The very same running node answers as before. */
  readonly survived: boolean;
}

/** The demo respawns the node once the root has noticed its death, or after this long. */
const RESPAWN_AFTER_MS = 1_000;
const RECOVERY_LIMIT_MS = 20_000;

export interface IncidentOptions {
  readonly tree: DemoTree;
  readonly timeline: Timeline;
  /** Id of the node to be killed. */
  readonly victim: string;
  readonly identities: ReadonlyMap<string, Identity>;
  readonly signal: AbortSignal;
  /** Told what is going on. */
  readonly progress: Progress;
}

export async function stageIncident(options: IncidentOptions): Promise<Incident> {
  const { tree, timeline, victim, signal, progress } = options;
  const { root } = tree;
  const path = `${root.path}.${victim}`;
  const before = root.child(victim)?.epoch ?? "";
  const startMs = timeline.elapsedMs();
  timeline.note(path, await tree.kill(path));
  progress.say(`killed ${path}`);
  const noticed = until(root, () => root.child(victim)?.link !== "alive", signal);
  await Promise.race([noticed, sleep(RESPAWN_AFTER_MS, undefined, { signal, ref: false })]);
  timeline.note(path, "respawned");
  progress.say(`respawned ${path}`);
  await tree.respawn(path);
  await recovered(root, () => isBack(root, victim, before), signal);
  const recoveryMs = timeline.elapsedMs() - startMs;
  progress.say(`${root.path} is SYNCHRONIZED again after ${recoveryMs} ms`);
  const epochs = [before, root.child(victim)?.epoch ?? ""] as const;
  return { path, recoveryMs, epochs, leaves: await findSurvivors(options) };
}

/** Who runs as which leaf, by path relative to the root. */
export async function identify(
  root: Node,
  leaves: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Identity>> {
  const ask = (leaf: string) => root.command<Identity>(leaf, "identify", undefined, { idempotent: true, signal });
  return new Map(await Promise.all(leaves.map(async (leaf) => [leaf, await ask(leaf)] as const)));
}

/** A new incarnation took the node's place, and with it the whole tree is complete. */
function isBack(root: Node, victim: string, epochBefore: string): boolean {
  const child = root.child(victim);
  return root.state === "SYNCHRONIZED" && child?.link === "alive" && child.epoch !== epochBefore;
}

async function recovered(root: Node, condition: () => boolean, signal: AbortSignal): Promise<void> {
  // Not AbortSignal.timeout(): Node 20 may collect one that only AbortSignal.any() refers to, and it never fires.
  const limit = new AbortController();
  const reason = new Error(`${root.path} was not SYNCHRONIZED again within ${RECOVERY_LIMIT_MS} ms`);
  const timer = setTimeout(() => limit.abort(reason), RECOVERY_LIMIT_MS);
  await until(root, condition, AbortSignal.any([signal, limit.signal])).finally(() => clearTimeout(timer));
}

/** Resolves once a change at the root or one of its links makes the condition true. */
function until(root: Node, condition: () => boolean, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = (): void => {
      if (!condition()) return;
      for (const undo of undos) undo();
      resolve();
    };
    const abort = (): void => {
      for (const undo of undos) undo();
      reject(signal.reason as Error);
    };
    const undos = [
      root.on("state.changed", look),
      root.on("child.changed", look),
      () => signal.removeEventListener("abort", abort),
    ];
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    else look();
  });
}

async function findSurvivors({ tree, victim, identities, signal }: IncidentOptions): Promise<readonly Survivor[]> {
  const leaves = LEAF_IDS.map((id) => `${victim}.${id}`);
  const after = await identify(tree.root, leaves, signal);
  return Array.from(after, ([leaf, { pid, boot }]) => ({
    path: `${tree.root.path}.${leaf}`,
    // In one process the process says nothing.
    identity: pid === process.pid ? `boot ${boot.slice(0, 8)}` : `process ${pid}`,
    survived: identities.get(leaf)?.boot === boot,
  }));
}
