/**
 * A whole tree in virtual time: one simulated process for each node, what its handlers did, and an operator who starts
 * again what has ended.
 */
import { createNode, type EndReason, type HandlerContext, type Node, type Random } from "../../src/index.js";
import { seededRandom, SimulatedClock, type SimulatedHost, SimulatedNetwork } from "../../src/testing/index.js";
import { Journal } from "./journal.js";
import type { TreePlan } from "./plan.js";

export interface SimulatedProcess {
  readonly path: string;
  readonly number: number;
  readonly name: string;
  readonly host: SimulatedHost;
  readonly node: Node;
  readonly startedAtMs: number;
  endReason: EndReason | null;
  /** Told to end by the test. */
  isDismissed: boolean;
  /** From when to when it stood still. */
  readonly pauses: [number, number][];
  /** Promises of this process that have not settled. */
  open: number;
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

class HandlerError extends Error {
  readonly code = "BROKEN_TOOL";
}

export class SimulatedTree {
  readonly clock = new SimulatedClock();
  readonly network: SimulatedNetwork;
  readonly journal: Journal;
  readonly plan: TreePlan;
  /** Every process that ever was. */
  readonly processes: SimulatedProcess[] = [];
  /** Whether the operator starts again what ends. */
  isOperated = true;
  readonly #random: Random;

  constructor(plan: TreePlan) {
    this.plan = plan;
    this.#random = seededRandom(plan.seed * 3 + 5);
    this.network = new SimulatedNetwork({ clock: this.clock, random: seededRandom(plan.seed * 3 + 2) });
    this.journal = new Journal(() => this.clock.now());
  }

  get nowMs(): number {
    return this.clock.now();
  }

  /** Starts a process at a path; a living one there becomes its rival. */
  spawn(path: string): SimulatedProcess {
    const number = this.processes.length;
    const name = `${path}#${number}`;
    const host = this.network.host(name, { wallSkewMs: (this.#random() - 0.5) * this.plan.wallSkewMs });
    const node = this.#createNode(path, host, number);
    const startedAtMs = this.nowMs;
    const process = { path, number, name, host, node, startedAtMs, isDismissed: false, pauses: [], open: 0 };
    const spawned: SimulatedProcess = { ...process, endReason: null };
    this.processes.push(spawned);
    this.journal.note(`spawn ${name}`);
    this.#watch(spawned);
    void node.start();
    return spawned;
  }

  spawnAll(): void {
    for (const path of this.plan.paths) this.spawn(path);
  }

  /** The living processes that claim a path, oldest first. */
  claimants(path: string): readonly SimulatedProcess[] {
    return this.processes.filter((process) => process.path === path && isLiving(process));
  }

  living(): readonly SimulatedProcess[] {
    return this.processes.filter(isLiving);
  }

  /** The newest living process of a path. */
  holder(path: string): SimulatedProcess | undefined {
    return this.claimants(path).at(-1);
  }

  /** Kills like SIGKILL. */
  kill(process: SimulatedProcess): void {
    this.journal.note(`kill ${process.name}`);
    process.open = 0;
    process.host.kill();
  }

  /** Stands a process still for a while, like SIGSTOP and SIGCONT. */
  pause(process: SimulatedProcess): () => void {
    this.journal.note(`pause ${process.name}`);
    const span: [number, number] = [this.nowMs, Infinity];
    process.pauses.push(span);
    process.host.pause();
    return () => {
      span[1] = this.nowMs;
      this.journal.note(`resume ${process.name}`);
      process.host.resume();
    };
  }

  /** Every path has exactly one claimant, and all of them are SYNCHRONIZED. */
  isWhole(): boolean {
    const living = this.living();
    return (
      living.length === this.plan.paths.length &&
      living.every(({ node }) => node.state === "SYNCHRONIZED") &&
      new Set(living.map(({ path }) => path)).size === living.length
    );
  }

  /** Starts what nobody holds, as an operator would. */
  revive(): void {
    for (const path of this.plan.paths) if (this.claimants(path).length === 0) this.spawn(path);
  }

  describe(): string {
    return this.living()
      .map(({ name, node }) => {
        const children = node.children().map(({ id, link, pending }) => `${id}:${link}:${pending}`);
        const { state, reasons, failure } = node.status;
        return `${name} ${node.epoch} ${state} [${reasons.join()}] ${failure ?? ""} ${children.join(" ")}`;
      })
      .join("\n");
  }

  #createNode(path: string, host: SimulatedHost, number: number): Node {
    const { byPath, children, options } = this.plan;
    const ids = children.get(path) ?? [];
    const planned = ids.map((id) => byPath.get(`${path}.${id}`)).filter((child) => child?.isListed === true);
    const isInner = ids.length > 0;
    const work = (input: WorkInput, context: HandlerContext): unknown => this.#work(host, number, input, context);
    return createNode({
      ...options,
      path,
      transport: host.transport,
      clock: host.clock,
      random: host.random,
      onOrphaned: byPath.get(path)?.onOrphaned ?? "continue",
      children: planned.map((child, index) => ({
        id: child?.path.slice(path.length + 1) ?? String(index),
        critical: child?.isCritical ?? false,
      })),
      commands: { work },
      requests: { ...(path === "t" ? { far: work } : {}), ...(isInner ? { near: work } : {}) },
    });
  }

  #watch(process: SimulatedProcess): void {
    const { node, name } = process;
    node.on("state.changed", ({ state, failure }) => this.journal.note(`${name} ${state} ${failure ?? ""}`));
    node.on("child.changed", ({ id, state }) => this.journal.note(`${name} ${id}:${state}`));
    node.on("node.fenced", ({ error }) => this.journal.note(`${name} ${error.message}`));
    node.on("node.ended", ({ reason }) => this.#ended(process, reason));
  }

  #ended(process: SimulatedProcess, reason: EndReason): void {
    process.endReason = reason;
    this.journal.note(`${process.name} ended: ${reason}`);
    if (process.host.subscriptions > 0) this.journal.violated(`${process.name} ended, but still listens`);
    // What waited on the node must be told within the turn in which it ended.
    this.clock.defer(() =>
      this.clock.defer(() => {
        if (process.open > 0) this.journal.violated(`${process.name} ended with ${process.open} promises open`);
      }),
    );
    this.clock.setTimeout(() => this.#restart(process.path), 500);
  }

  #restart(path: string): void {
    if (this.isOperated && this.claimants(path).length === 0) this.spawn(path);
  }

  async #work(host: SimulatedHost, process: number, input: WorkInput, context: HandlerContext): Promise<unknown> {
    const { path, commandId, epoch } = context;
    const run = { id: commandId, value: input.value, path, process, epoch: epoch.join("."), hasEnded: false };
    this.journal.ran(run);
    const { count = 0 } = (this.processes[process]?.node.synced?.document ?? {}) as Partial<Document>;
    if (count < input.minCount) this.journal.violated(`${host.name} ran ${input.value} with the document ${count}`);
    for (let i = 0; i < input.progress; i++) context.progress(i);
    if (input.durationMs > 0) await new Promise<void>((resolve) => host.clock.setTimeout(resolve, input.durationMs));
    run.hasEnded = true;
    if (input.throws) throw new HandlerError(`no luck with ${input.value}`);
    return { path, echo: input.value };
  }
}

export function isLiving({ host, endReason }: SimulatedProcess): boolean {
  return host.isAlive && endReason === null;
}

/** Able to act now. */
export function isActive(process: SimulatedProcess): boolean {
  return isLiving(process) && !process.host.isPaused;
}
