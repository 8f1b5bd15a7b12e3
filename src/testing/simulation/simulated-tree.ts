/**
 * A whole tree in virtual time: simulated processes with one node or several, what their handlers did, and an operator who
 * starts again what has ended and is nobody's child.
 */
import type { Random } from "../../health/clock.js";
import type { ChildSpec, OwnedChildSpec } from "../../node/child-options.js";
import type { EndReason } from "../../node/events.js";
import type { HandlerContext } from "../../node/handlers.js";
import { createNode, type Node } from "../../node/node.js";
import type { EpochStore, NodeOptions } from "../../node/options.js";
import type { ChildView } from "../../node/views.js";
import { inProcess } from "../../supervision/in-process.js";
import type { StartContext } from "../../supervision/starter.js";
import { seededRandom } from "../prng.js";
import { SimulatedClock } from "../simulated-clock.js";
import type { SimulatedHost } from "../simulated-host.js";
import { SimulatedNetwork } from "../simulated-network.js";
import { type HandlerRun, Journal } from "./journal.js";
import type { PlannedNode, TreePlan } from "./plan.js";
import { isLiving, type SimulatedProcess, type Span } from "./process.js";
import { simulatedProcess } from "./simulated-process.js";

/** Who came to hold a path, as its parent sees it. */
interface Holder {
  readonly epoch: string;
  readonly atMs: number;
  readonly parent: SimulatedProcess;
}

export interface WorkInput {
  readonly value: number;
  readonly durationMs: number;
  readonly throws: boolean;
  readonly progress: number;
  /** Runs only where the caller's document has at least this count. */
  readonly minCount: number;
}

export interface Document {
  readonly by: number;
  readonly count: number;
}

/** Where and for whom a node is made. */
interface Place {
  readonly host: SimulatedHost;
  readonly owner: SimulatedProcess | null;
  readonly isDetached: boolean;
}

class HandlerError extends Error {
  readonly code = "BROKEN_TOOL";
}

/** An operator starts again what ended after this time, milliseconds. */
const OPERATOR_MS = 500;

export class SimulatedTree {
  readonly clock = new SimulatedClock();
  readonly network: SimulatedNetwork;
  readonly journal: Journal;
  readonly plan: TreePlan;
  readonly random: Random;
  /** Every process that ever was. */
  readonly processes: SimulatedProcess[] = [];
  /** Called with each process when it was made. */
  readonly spawned: ((process: SimulatedProcess) => void)[] = [];
  /** From when to when parts of the network were apart. */
  readonly cutOffs: Span[] = [];
  /** Whom parents have accepted at each path, the latest last. */
  readonly accepted = new Map<string, Holder[]>();
  /** Whether the operator starts again what ends. */
  isOperated = true;
  /** Processes that learned that they were superseded. */
  superseded = 0;
  /** Probability that a start by a supervisor fails. */
  startFailure: number;
  readonly #byPath = new Map<string, SimulatedProcess[]>();
  #latestEpoch = 0;
  readonly #epochStore: EpochStore = { next: (_path, atLeast) => Promise.resolve(this.#nextEpoch(atLeast)) };

  constructor(plan: TreePlan) {
    this.plan = plan;
    this.startFailure = plan.startFailure;
    this.random = seededRandom(plan.seed * 3 + 5);
    this.network = new SimulatedNetwork({ clock: this.clock, random: seededRandom(plan.seed * 3 + 2) });
    this.journal = new Journal(() => this.clock.now());
  }

  get nowMs(): number {
    return this.clock.now();
  }

  /** The operator starts a process at a path; a living one there becomes its rival. */
  spawn(path: string): SimulatedProcess {
    return this.make(path, { host: this.newHost(path), owner: null, isDetached: false });
  }

  newHost(path: string): SimulatedHost {
    const { wallSkewMs, drift } = this.plan;
    const skewMs = (this.random() - 0.5) * wallSkewMs;
    const clockRate = 1 + (this.random() - 0.5) * 2 * drift;
    return this.network.host(`${path}@${this.processes.length}`, { wallSkewMs: skewMs, clockRate });
  }

  /** Makes a node, and starts it unless its supervisor does. */
  make(path: string, { host, owner, isDetached }: Place): SimulatedProcess {
    const number = this.processes.length;
    const name = `${path}#${number}`;
    const holder: { process: SimulatedProcess | null } = { process: null };
    const node = this.#createNode(path, { host, number, self: () => holder.process as SimulatedProcess });
    const process: SimulatedProcess = {
      path,
      number,
      name,
      host,
      node,
      owner,
      isDetached,
      startedAtMs: this.nowMs,
      endReason: null,
      isDismissed: false,
      killedAtMs: Infinity,
      pauses: [],
      cutOffs: [],
      open: 0,
    };
    holder.process = process;
    this.processes.push(process);
    this.#claimantsOf(path).push(process);
    this.journal.note(`spawn ${name}${owner === null ? "" : ` by ${owner.name}`}`);
    this.#watch(process);
    for (const tell of this.spawned) tell(process);
    if (owner === null) void node.start();
    return process;
  }

  /** The operator starts the roots and whoever is remote; the others follow from them. */
  spawnAll(): void {
    for (const { path, ownership } of this.plan.nodes) if (ownership === "remote") this.spawn(path);
  }

  /** The living processes that claim a path, oldest first. */
  claimants(path: string): readonly SimulatedProcess[] {
    return (this.#byPath.get(path) ?? []).filter(isLiving);
  }

  /** Those of the plan that live. */
  living(): readonly SimulatedProcess[] {
    return this.plan.paths.flatMap((path) => this.claimants(path));
  }

  /** All that live, also children that were added at run time. */
  everyone(): readonly SimulatedProcess[] {
    return this.processes.filter(isLiving);
  }

  /** The newest living process of a path. */
  holder(path: string): SimulatedProcess | undefined {
    return this.claimants(path).at(-1);
  }

  noteAccepted(path: string, holder: Holder): void {
    const holders = this.accepted.get(path);
    if (holders === undefined) this.accepted.set(path, [holder]);
    else holders.push(holder);
  }

  /** Kills like SIGKILL: every node of the process. */
  kill({ name, host }: SimulatedProcess): void {
    if (!host.isAlive) return;
    this.journal.note(`kill ${name}`);
    const victims = this.processes.filter((process) => process.host === host);
    for (const victim of victims) {
      victim.open = 0;
      if (isLiving(victim)) victim.killedAtMs = this.nowMs;
    }
    host.kill();
    for (const victim of victims) this.#bereave(victim);
  }

  /** Stands a process still for a while, like SIGSTOP and SIGCONT. */
  pause({ name, host }: SimulatedProcess): () => void {
    this.journal.note(`pause ${name}`);
    const span: Span = [this.nowMs, Infinity];
    for (const process of this.processes) if (process.host === host) process.pauses.push(span);
    host.pause();
    return () => {
      span[1] = this.nowMs;
      this.journal.note(`resume ${name}`);
      host.resume();
    };
  }

  /** Every path has exactly one claimant, and all of them are SYNCHRONIZED. */
  isWhole(): boolean {
    return this.plan.paths.every((path) => {
      const claimants = this.claimants(path);
      return claimants.length === 1 && isComplete((claimants[0] as SimulatedProcess).node);
    });
  }

  /** Starts what nobody holds and nobody owns, as an operator would. */
  revive(): void {
    for (const { path, ownership } of this.plan.nodes) {
      if (ownership === "remote" && this.claimants(path).length === 0) this.spawn(path);
    }
  }

  /** As `revive`, for one path. */
  reviveOne(path: string): void {
    const isRemote = this.plan.byPath.get(path)?.ownership === "remote";
    if (isRemote && this.isOperated && this.claimants(path).length === 0) this.spawn(path);
  }

  describe(): string {
    return this.everyone()
      .map(({ name, node, owner }) => {
        const children = node.children().map(({ id, link, pending }) => `${id}:${link}:${pending}`);
        const owned = node.whichChildren().filter(({ remote }) => !remote);
        const supervised = owned.map(({ id, state, generation }) => `${id}=${state}.${generation}`);
        const { state, reasons, failure } = node.status;
        const by = owner === null ? "" : `of ${owner.name} `;
        return `${name} ${by}${node.epoch} ${state} [${reasons.join()}] ${failure ?? ""} ${children.join(" ")} ${supervised.join(" ")}`;
      })
      .join("\n");
  }

  #nextEpoch(atLeast: number): number {
    this.#latestEpoch = Math.max(this.#latestEpoch + 1, atLeast);
    return this.#latestEpoch;
  }

  #claimantsOf(path: string): SimulatedProcess[] {
    let claimants = this.#byPath.get(path);
    if (claimants === undefined) this.#byPath.set(path, (claimants = []));
    return claimants;
  }

  #createNode(
    path: string,
    {
      host,
      number,
      self,
    }: { readonly host: SimulatedHost; readonly number: number; readonly self: () => SimulatedProcess },
  ): Node {
    const { byPath, children, options } = this.plan;
    const ids = children.get(path) ?? [];
    const listed = ids
      .map((id) => byPath.get(`${path}.${id}`))
      .filter((child): child is PlannedNode => child?.isListed === true);
    const work = (input: WorkInput, context: HandlerContext): unknown => this.#work(host, number, input, context);
    const nodeOptions: NodeOptions = {
      ...options,
      path,
      transport: host.transport,
      clock: host.clock,
      random: host.random,
      ...(this.plan.hasEpochStore ? { epochStore: this.#epochStore } : {}),
      onOrphaned: byPath.get(path)?.onOrphaned ?? "continue",
      children: listed.map((child) => this.#declare(child, self)),
      supervision: byPath.get(path)?.supervision ?? {},
      commands: { work },
      requests: { ...(path === "t" ? { far: work } : {}), ...(ids.length > 0 ? { near: work } : {}) },
    };
    return createNode(nodeOptions);
  }

  #declare({ path, ownership, isCritical, shutdown }: PlannedNode, parent: () => SimulatedProcess): ChildSpec {
    const id = path.slice(path.lastIndexOf(".") + 1);
    if (ownership === "remote") return { id, critical: isCritical };
    return { id, critical: isCritical, shutdown, start: this.starter(ownership, parent) };
  }

  /** How a parent starts a child, in its own process or in another. */
  starter(
    ownership: Exclude<PlannedNode["ownership"], "remote">,
    parent: () => SimulatedProcess,
  ): OwnedChildSpec["start"] {
    if (ownership !== "inProcess") return simulatedProcess(this, { parent, isDetached: ownership === "detached" });
    return inProcess(({ path }: StartContext) => {
      const owner = parent();
      this.mayStart(owner, path);
      return this.make(path, { host: owner.host, owner, isDetached: false }).node;
    });
  }

  /** Whatever may go wrong when a supervisor starts a child; also notes what must not happen. */
  mayStart(owner: SimulatedProcess, path: string): void {
    if (owner.endReason !== null)
      this.journal.violated("nothing-outlives", `${owner.name} has ended, but starts ${path}`);
    const former = this.claimants(path).findLast((process) => process.owner === owner && !process.isDetached);
    if (former !== undefined) {
      this.journal.violated("one-live-epoch", `${owner.name} starts ${path} while its ${former.name} lives`);
    }
    if (this.random() < this.startFailure) throw new Error("the start fails");
  }

  #watch(process: SimulatedProcess): void {
    const { node, name } = process;
    const { journal } = this;
    node.on("state.changed", ({ state, failure }) => journal.note(`${name} ${state} ${failure ?? ""}`));
    node.on("child.changed", ({ id, state }) => journal.note(`${name} ${id}:${state}`));
    node.on("node.fenced", ({ error }) => {
      this.superseded++;
      journal.note(`${name} ${error.message}`);
    });
    node.on("supervision.decided", ({ id, decision, generation, reason, delayMs }) =>
      journal.note(`${name} ${id} ${decision} ${generation} ${reason} ${delayMs ?? ""}`),
    );
    node.on("node.ended", ({ reason }) => this.#ended(process, reason));
  }

  #ended(process: SimulatedProcess, reason: EndReason): void {
    process.endReason = reason;
    this.journal.note(`${process.name} ended: ${reason}`);
    const isShared = this.processes.some(
      (other) => other !== process && other.host === process.host && isLiving(other),
    );
    if (process.host.subscriptions > 0 && !isShared) {
      this.journal.violated("ends-clean", `${process.name} ended, but still listens`);
    }
    for (const child of this.processes) {
      const isLeft = child.owner === process && isLiving(child) && !child.isDetached;
      if (isLeft) this.journal.violated("nothing-outlives", `${child.name} outlives ${process.name}, which ${reason}`);
    }
    // What waited on the node must be told within the turn in which it ended.
    this.clock.defer(() =>
      this.clock.defer(() => {
        if (process.open > 0) {
          this.journal.violated("one-outcome", `${process.name} ended with ${process.open} promises open`);
        }
      }),
    );
    this.clock.setTimeout(() => this.reviveOne(process.path), OPERATOR_MS);
  }

  /** A forked child notices the closed channel of its dead parent soon, and ends in order or not at all. */
  #bereave(victim: SimulatedProcess): void {
    for (const child of this.processes) {
      if (child.owner !== victim || child.isDetached || !isLiving(child) || !child.host.isAlive) continue;
      const { clock } = child.host;
      const give = (): void => this.kill(child);
      clock.setTimeout(() => {
        void child.node
          .shutdownTree({ timeoutMs: ORPHAN_TIMEOUT_MS, reason: "the parent's process is gone" })
          .then(give);
      }, this.random() * 20);
      clock.setTimeout(give, ORPHAN_LIMIT_MS);
    }
  }

  async #work(host: SimulatedHost, process: number, input: WorkInput, context: HandlerContext): Promise<unknown> {
    const { path, commandId, epoch } = context;
    const run = { id: commandId, value: input.value, path, process, epoch: epoch.join("."), hasEnded: false };
    this.journal.ran(run);
    checkPlace(this, this.processes[process] as SimulatedProcess, run);
    const { count = 0 } = (this.processes[process]?.node.synced?.document ?? {}) as Partial<Document>;
    if (count < input.minCount) {
      this.journal.violated("sync-before-run", `${host.name} ran ${input.value} with the document ${count}`);
    }
    for (let i = 0; i < input.progress; i++) context.progress(i);
    if (input.durationMs > 0) await new Promise<void>((resolve) => host.clock.setTimeout(resolve, input.durationMs));
    run.hasEnded = true;
    if (input.throws) throw new HandlerError(`no luck with ${input.value}`);
    return { path, echo: input.value };
  }
}

/** How long a child without its parent's process may take to end in order, and at all, milliseconds. */
const ORPHAN_TIMEOUT_MS = 1_500;
const ORPHAN_LIMIT_MS = 2_000;

/**
 * Who stood still while its parent accepted another process starts nothing when it wakes: its parent has to confirm first
 * that it holds its path. Who lost its parent goes on as an orphan.
 */
function checkPlace(tree: SimulatedTree, process: SimulatedProcess, { epoch, value }: HandlerRun): void {
  const holders = tree.accepted.get(process.path) ?? [];
  const holder = holders.at(-1);
  if (holder === undefined || holder.epoch === epoch || !isLiving(holder.parent)) return;
  const wasAccepted = holders.some((former) => former.parent === holder.parent && former.epoch === epoch);
  if (!wasAccepted || process.node.status.reasons.includes("uplink")) return;
  const { heartbeat, failureDetector } = tree.plan.options;
  // A stall is noticed by a late beat, which may have been due only as long after its start as beats are apart.
  const certainMs = (heartbeat?.maxMs ?? 0) + (failureDetector?.pauseMs ?? 0);
  const wasAsleep = ([fromMs, untilMs]: Span): boolean =>
    fromMs < holder.atMs && holder.atMs < untilMs && untilMs - fromMs > certainMs;
  if (!process.pauses.some(wasAsleep)) return;
  tree.journal.violated(
    "no-stale-effect",
    `${process.name} woke and ran ${value}, although ${holder.epoch} holds its path`,
  );
}

/**
 * SYNCHRONIZED, or missing nobody but children of others that joined and died: who came by itself and was ready is missed,
 * and nobody here starts it again.
 */
function isComplete(node: Node): boolean {
  const { state, reasons } = node.status;
  // A child that is not critical may still be coming, its word that it is ready having been lost.
  if (state === "SYNCHRONIZED") return node.children().every(({ link }) => link !== "opening");
  const areListedThere = node.children().every(({ listed, link }) => !listed || link === "alive");
  return state === "DEGRADED" && reasons.join() === "children" && areListedThere && node.children().some(isLost);
}

function isLost({ id, link, listed }: ChildView): boolean {
  return !listed && id.startsWith("x") && link === "dead";
}
