/** One seed: a tree under work and faults, then quiet, then an ordered end. */
import { Chaos } from "./chaos.js";
import { SimulatedTree, type TreePlan } from "./simulated-tree.js";
import { Workload } from "./workload.js";

export interface SeedResult {
  readonly seed: number;
  /** What was violated; empty when the run is good. */
  readonly broken: readonly string[];
  readonly chaos: readonly string[];
  readonly nodes: number;
  readonly commands: number;
  readonly completed: number;
  readonly messages: number;
  readonly recoveryMs: number;
}

const CHAOS_MS = 30_000;
/** Within this virtual time after the faults the whole tree is SYNCHRONIZED: death, init timeout and backoff in turn. */
const RECOVERY_MS = 120_000;
const SHUTDOWN_MS = 5_000;

export async function runSeed(seed: number): Promise<SeedResult> {
  const tree = new SimulatedTree(seed, planTree(seed));
  const workload = new Workload(tree);
  tree.spawnAll();
  await tree.clock.advance(1_000);
  const chaos = new Chaos(tree);
  await harm(tree, workload, chaos);
  const recoveryMs = await recover(tree, workload, chaos);
  await end(tree, workload);
  workload.verify();
  return {
    seed,
    broken: workload.broken,
    chaos: chaos.log,
    nodes: tree.plan.paths.length,
    commands: workload.issued.length,
    completed: workload.issued.filter(({ outcome }) => outcome?.status === "completed").length,
    messages: tree.network.stats.sent,
    recoveryMs,
  };
}

/** A root, some mid-level nodes, leaves below them, some of them joining, and one deep branch: 12 to 40 nodes. */
function planTree(seed: number): TreePlan {
  const paths = ["t"];
  const joined = new Set<string>();
  const mids = 3 + (seed % 3);
  const leaves = 2 + (seed % 5);
  for (let m = 0; m < mids; m++) {
    paths.push(`t.m${m}`);
    for (let l = 0; l < leaves; l++) {
      const path = `t.m${m}.l${l}`;
      paths.push(path);
      if (l === 0 && m === 0) paths.push(`${path}.deep`, `${path}.deep.deeper`);
      if (l === leaves - 1) joined.add(path);
    }
  }
  return { paths, joined };
}

async function harm(tree: SimulatedTree, workload: Workload, chaos: Chaos): Promise<void> {
  const untilMs = tree.clock.now() + CHAOS_MS;
  while (tree.clock.now() < untilMs) {
    workload.step();
    if (tree.random() < 0.12) chaos.step();
    await tree.clock.advance(50 + tree.random() * 400);
  }
}

async function recover(tree: SimulatedTree, workload: Workload, chaos: Chaos): Promise<number> {
  chaos.end();
  const startMs = tree.clock.now();
  while (tree.clock.now() - startMs < RECOVERY_MS) {
    if (await tree.clock.runUntil(() => tree.isWhole(), { withinMs: 1_000 })) break;
    tree.revive();
  }
  const recoveryMs = tree.clock.now() - startMs;
  if (!tree.isWhole()) workload.broken.push(`not whole after ${RECOVERY_MS} ms:\n${tree.describe()}`);
  tree.revive();
  workload.checkSync();
  await tree.clock.advance(10_000);
  workload.verifySync();
  return recoveryMs;
}

async function end(tree: SimulatedTree, workload: Workload): Promise<void> {
  const root = tree.at(tree.rootPath).node;
  let isOver = false;
  void root.shutdownTree({ timeoutMs: SHUTDOWN_MS }).then(() => (isOver = true));
  await tree.clock.advance(SHUTDOWN_MS + 1_000);
  if (!isOver) workload.broken.push("shutdown did not end by its deadline");
  const left = tree.plan.paths.flatMap((path) => tree.claimants(path));
  if (left.length > 0) workload.broken.push(`still alive after shutdown: ${left.map(({ path }) => path).join(" ")}`);
  await tree.clock.advance(60_000);
  if (left.length === 0 && tree.clock.pending > 0) workload.broken.push(`${tree.clock.pending} timers are left`);
}
