/** One seed: a tree under work and faults, then quiet, then an ordered end. */
import { Chaos } from "./chaos.js";
import { checkRest, checkRivals, checkRuns, Watch } from "./invariants.js";
import { planTree } from "./plan.js";
import { SimulatedTree } from "./simulated-tree.js";
import { Workload } from "./workload.js";

export interface SeedResult {
  readonly seed: number;
  /** What was violated; empty when the run is good. */
  readonly broken: readonly string[];
  readonly chaos: readonly string[];
  /** Everything that happened, for whoever looks for the cause. */
  readonly events: readonly string[];
  /** The same for the same seed. */
  readonly digest: string;
  readonly nodes: number;
  readonly processes: number;
  readonly calls: number;
  readonly completed: number;
  readonly messages: number;
  readonly recoveryMs: number;
}

export interface SeedOptions {
  /** Virtual time with faults, milliseconds. @default 30_000 */
  readonly chaosMs?: number;
}

/** Within this virtual time after the faults the whole tree is SYNCHRONIZED: death, init timeout and backoff in turn. */
const RECOVERY_MS = 60_000;
const SHUTDOWN_MS = 5_000;

export async function runSeed(seed: number, { chaosMs = 30_000 }: SeedOptions = {}): Promise<SeedResult> {
  const tree = new SimulatedTree(planTree(seed));
  const workload = new Workload(tree);
  const chaos = new Chaos(tree);
  const { journal } = tree;
  let recoveryMs = 0;
  const rejected = (error: unknown): void => journal.violated(`unhandled rejection: ${String(error)}`);
  process.on("unhandledRejection", rejected);
  try {
    tree.spawnAll();
    await harm(tree, workload, chaos, chaosMs);
    recoveryMs = await recover(tree, chaos);
    if (tree.isWhole()) await rest(tree, workload);
    await end(tree);
    checkRuns(tree, workload.issued);
    checkRivals(tree);
  } catch (error) {
    journal.violated(`thrown: ${error instanceof Error ? error.stack : String(error)}`);
  } finally {
    process.off("unhandledRejection", rejected);
  }
  return {
    seed,
    broken: journal.broken,
    chaos: chaos.log,
    events: journal.events,
    digest: journal.digest,
    nodes: tree.plan.nodes.length,
    processes: tree.processes.length,
    calls: workload.issued.length,
    completed: workload.completed,
    messages: tree.network.stats.sent,
    recoveryMs,
  };
}

async function harm(tree: SimulatedTree, workload: Workload, chaos: Chaos, chaosMs: number): Promise<void> {
  const watch = new Watch(tree);
  for (const untilMs = tree.nowMs + chaosMs; tree.nowMs < untilMs;) {
    for (let i = 0; i < 4; i++) {
      await tree.clock.advance(100);
      workload.step();
    }
    watch.look();
    chaos.step();
  }
}

async function recover(tree: SimulatedTree, chaos: Chaos): Promise<number> {
  chaos.end();
  const startMs = tree.nowMs;
  if (!(await tree.clock.runUntil(() => tree.isWhole(), { withinMs: RECOVERY_MS }))) {
    tree.journal.violated(`not whole after ${RECOVERY_MS} ms:\n${tree.describe()}`);
  }
  return tree.nowMs - startMs;
}

/** Calls of the time of faults end, everything is reached, then nothing moves. */
async function rest(tree: SimulatedTree, workload: Workload): Promise<void> {
  // A silence that began during the faults may be noticed only now.
  await tree.clock.advance(12_000);
  if (!tree.isWhole()) tree.journal.violated(`not whole any more:\n${tree.describe()}`);
  await workload.probe();
  await checkRest(tree, workload.documents);
}

async function end(tree: SimulatedTree): Promise<void> {
  const root = tree.holder("t");
  if (root === undefined || !tree.isWhole()) return;
  tree.isOperated = false;
  await tree.clock.advance(0);
  let isOver = false;
  void root.node.shutdownTree({ timeoutMs: SHUTDOWN_MS }).then(() => (isOver = true));
  await tree.clock.advance(SHUTDOWN_MS);
  if (!isOver) tree.journal.violated("shutdown did not end by its deadline");
  for (const { name } of tree.living()) tree.journal.violated(`${name} lives after the shutdown`);
  // The operator looks once more after each end.
  await tree.clock.advance(1_000);
  if (tree.clock.pending > 0) tree.journal.violated(`${tree.clock.pending} timers are left`);
}
