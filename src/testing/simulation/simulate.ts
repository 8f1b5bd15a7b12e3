/** One seed: a tree under work and faults, then quiet, then an ordered end. */
import { watchBudgets } from "./budget-watch.js";
import { watchFalseDeaths } from "./false-death-watch.js";
import { Faults } from "./faults.js";
import { checkDocuments, checkRest, checkRivals, checkRuns, Watch } from "./invariants.js";
import type { Violation } from "./journal.js";
import { watchLateVerdicts } from "./late-verdict-watch.js";
import { NODES_MIN, planTree } from "./plan.js";
import { type FaultSchedule, scheduleFaults } from "./schedule.js";
import { SimulatedTree } from "./simulated-tree.js";
import { watchStrategies } from "./strategy-watch.js";
import { Workload } from "./workload.js";
import { seededRandom } from "../prng.js";
import { InvalidOptionError } from "../../errors.js";

export interface SimulationOptions {
  /** Everything that happens follows from it. */
  readonly seed: number;
  /** Nodes of the largest tree; sizes are drawn from 5 to this, small ones more often. @default 60 */
  readonly nodes?: number;
  /** Virtual time with faults, milliseconds. @default drawn from the seed, 3,000 to 30,000, mostly short */
  readonly faultsMs?: number;
  /** Faults instead of those that the seed stands for: to replay a smaller schedule. */
  readonly schedule?: FaultSchedule;
}

export interface SimulationResult {
  readonly seed: number;
  /** What was violated; empty when the run is good. */
  readonly broken: readonly Violation[];
  readonly schedule: FaultSchedule;
  /** The faults that were done. */
  readonly faults: readonly string[];
  /** Everything that happened, for whoever looks for the cause. */
  readonly events: readonly string[];
  /** The same for the same seed and schedule. */
  readonly digest: string;
  readonly nodes: number;
  readonly processes: number;
  readonly calls: number;
  readonly completed: number;
  readonly messages: number;
  /** Callbacks that ran in virtual time: messages delivered and timers fired. */
  readonly steps: number;
  /**
   * Virtual time from the end of the faults until the whole tree was SYNCHRONIZED, milliseconds; at least 1,000, because
   * nobody looks before the last messages of the dead have arrived.
   */
  readonly recoveryMs: number;
}

/** Within this virtual time after the faults the whole tree is SYNCHRONIZED: death, init timeout and backoff in turn. */
const RECOVERY_MS = 60_000;
const SHUTDOWN_MS = 5_000;
/** Longer than a message of the time of faults is under way, milliseconds. */
const LATE_MESSAGES_MS = 1_000;

/**
 * Runs a whole tree in virtual time under the faults of a seed, and checks the invariants at every step.
 *
 * @throws InvalidOptionError
 */
export async function simulate(options: SimulationOptions): Promise<SimulationResult> {
  const { seed, nodes = 60 } = options;
  if (!Number.isSafeInteger(seed) || seed < 0) throw new InvalidOptionError("seed", seed, "an integer >= 0");
  if (!Number.isSafeInteger(nodes) || nodes < NODES_MIN) {
    throw new InvalidOptionError("nodes", nodes, `an integer >= ${NODES_MIN}`);
  }
  const plan = planTree(seed, nodes);
  const faultsMs = options.faultsMs ?? Math.round(3_000 + 27_000 * seededRandom(seed * 3 + 6)() ** 4);
  return run(new SimulatedTree(plan), options.schedule ?? scheduleFaults(plan, faultsMs), faultsMs);
}

async function run(tree: SimulatedTree, schedule: FaultSchedule, faultsMs: number): Promise<SimulationResult> {
  const workload = new Workload(tree);
  const faults = new Faults(tree, schedule);
  const { journal, plan } = tree;
  let recoveryMs = 0;
  const rejected = (error: unknown): void => journal.violated("no-uncaught", `unhandled rejection: ${String(error)}`);
  process.on("unhandledRejection", rejected);
  try {
    void new Watch(tree);
    watchBudgets(tree);
    watchFalseDeaths(tree);
    watchLateVerdicts(tree);
    watchStrategies(tree);
    tree.spawnAll();
    await harm(tree, workload, faultsMs);
    recoveryMs = await recover(tree, faults);
    if (tree.isWhole()) await rest(tree, workload);
    await end(tree);
    checkRuns(tree, workload.issued);
    checkRivals(tree);
  } catch (error) {
    journal.violated("no-uncaught", `thrown: ${error instanceof Error ? error.stack : String(error)}`);
  } finally {
    process.off("unhandledRejection", rejected);
  }
  return {
    seed: plan.seed,
    broken: journal.broken,
    schedule,
    faults: faults.log,
    get events() {
      return journal.events;
    },
    get digest() {
      return journal.digest;
    },
    nodes: plan.nodes.length,
    processes: tree.processes.length,
    calls: workload.issued.length,
    completed: workload.completed,
    messages: tree.network.stats.sent,
    steps: tree.clock.steps,
    recoveryMs,
  };
}

async function harm(tree: SimulatedTree, workload: Workload, faultsMs: number): Promise<void> {
  for (const untilMs = tree.nowMs + faultsMs; tree.nowMs < untilMs;) {
    await tree.clock.advance(100);
    workload.step();
  }
}

async function recover(tree: SimulatedTree, faults: Faults): Promise<number> {
  faults.end();
  const startMs = tree.nowMs;
  // What the dead said is still under way, and can undo what has become whole at once.
  await tree.clock.advance(LATE_MESSAGES_MS);
  if (!(await tree.clock.runUntil(() => tree.isWhole(), { withinMs: RECOVERY_MS - LATE_MESSAGES_MS }))) {
    tree.journal.violated("heals", `not whole after ${RECOVERY_MS} ms:\n${tree.describe()}`);
  }
  return tree.nowMs - startMs;
}

/** Calls of the time of faults end, everything is reached, then nothing moves. */
async function rest(tree: SimulatedTree, workload: Workload): Promise<void> {
  // A silence that began during the faults may be noticed only now.
  const { superseded } = tree;
  await tree.clock.advance((tree.plan.options.failureDetector?.deadMs ?? 0) + 2_000);
  // So may, from its children, who was superseded by a rival that has gone: it is started anew.
  if (tree.superseded > superseded) await tree.clock.runUntil(() => tree.isWhole(), { withinMs: RECOVERY_MS });
  if (!tree.isWhole()) tree.journal.violated("heals", `not whole any more:\n${tree.describe()}`);
  else checkDocuments(tree, workload.documents);
  await workload.probe();
  await checkRest(tree, workload.documents);
}

async function end(tree: SimulatedTree): Promise<void> {
  const root = tree.holder("t");
  if (root === undefined || !tree.isWhole()) return;
  const { journal, clock } = tree;
  tree.isOperated = false;
  await clock.advance(0);
  let isOver = false;
  void root.node.shutdownTree({ timeoutMs: SHUTDOWN_MS }).then(() => (isOver = true));
  await clock.advance(SHUTDOWN_MS * 1.02);
  if (!isOver) journal.violated("shutdown-deadline", "the tree's shutdown did not end by its deadline");
  for (const { name } of tree.everyone()) journal.violated("nothing-outlives", `${name} lives after the shutdown`);
  // The operator looks once more after each end.
  await clock.advance(1_000);
  if (clock.pending > 0) journal.violated("ends-clean", `${clock.pending} timers are left`);
}
