/** A whole tree in virtual time: one simulated process for each node, with a journal of what their handlers did. */
import { createNode, type Node, type NodeOptions } from "../../src/index.js";
import { seededRandom, SimulatedClock, type SimulatedHost, SimulatedNetwork } from "../../src/testing/index.js";
import type { Random } from "../../src/index.js";

export interface Run {
  readonly commandId: string;
  readonly path: string;
  /** Which process ran it. */
  readonly process: number;
  readonly idempotent: boolean;
}

export interface SimulatedProcess {
  readonly path: string;
  readonly number: number;
  readonly host: SimulatedHost;
  readonly node: Node;
  hasEnded: boolean;
}

/** Children by parent; a child in `joined` is not listed by its parent. */
export interface TreePlan {
  readonly paths: readonly string[];
  readonly joined: ReadonlySet<string>;
}

export class SimulatedTree {
  readonly clock = new SimulatedClock();
  readonly random: Random;
  readonly network: SimulatedNetwork;
  readonly runs: Run[] = [];
  readonly processes = new Map<string, SimulatedProcess>();
  /** Every process that ever was. */
  readonly all: SimulatedProcess[] = [];
  readonly plan: TreePlan;
  readonly #paused = new Map<string, number>();
  readonly #killed = new Map<string, (() => unknown)[]>();

  constructor(seed: number, plan: TreePlan) {
    this.random = seededRandom(seed);
    this.network = new SimulatedNetwork({ clock: this.clock, random: this.random });
    this.plan = plan;
  }

  get rootPath(): string {
    return this.plan.paths[0] as string;
  }

  /** The process that the test takes for the holder of a path. */
  at(path: string): SimulatedProcess {
    const found = this.processes.get(path);
    if (found === undefined) throw new Error(`nobody was started at ${path}`);
    return found;
  }

  /** Starts a process at a path; a living one there becomes its rival. */
  spawn(path: string, options: Partial<NodeOptions> = {}): SimulatedProcess {
    const number = this.all.length;
    const host = this.network.host(`${path}#${number}`);
    const node = createNode({
      path,
      transport: host.transport,
      clock: host.clock,
      random: host.random,
      children: this.#listedChildren(path).map((id) => ({ id })),
      commands: { work: (input: WorkInput, { commandId }) => this.#work(host, number, path, input, commandId) },
      requests: path === this.rootPath ? { ask: (input: number) => input + 1 } : {},
      onOrphaned: "continue",
      ...options,
    });
    const process = { path, number, host, node, hasEnded: false };
    this.processes.set(path, process);
    this.all.push(process);
    node.on("node.fenced", () => {});
    node.on("node.ended", () => (process.hasEnded = true));
    void node.start();
    return process;
  }

  spawnAll(): void {
    for (const path of this.plan.paths) this.spawn(path);
  }

  /** Stops the holder of a path for a while, like SIGSTOP and SIGCONT; returns how to continue. */
  pause(path: string): () => void {
    const { host } = this.at(path);
    const fromMs = this.clock.now();
    host.pause();
    return () => {
      this.#paused.set(path, this.pausedMs(path) + this.clock.now() - fromMs);
      host.resume();
    };
  }

  /** How long holders of the path were paused in all. */
  pausedMs(path: string): number {
    return this.#paused.get(path) ?? 0;
  }

  /** Kills the holder of a path like SIGKILL. */
  kill(path: string): void {
    const { host } = this.at(path);
    host.kill();
    for (const act of this.#killed.get(host.name) ?? []) act();
  }

  /** Calls back when the process on that host is killed. */
  onKilled(hostName: string, act: () => unknown): void {
    this.#killed.set(hostName, [...(this.#killed.get(hostName) ?? []), act]);
  }

  /** The processes that claim a path now. */
  claimants(path: string): readonly SimulatedProcess[] {
    return this.all.filter((process) => process.path === path && process.host.isAlive && !process.hasEnded);
  }

  /** Every path has exactly one claimant, and all of them are SYNCHRONIZED. */
  isWhole(): boolean {
    return this.plan.paths.every((path) => {
      const claimants = this.claimants(path);
      return claimants.length === 1 && claimants[0]?.node.state === "SYNCHRONIZED";
    });
  }

  /** Starts what nobody holds, as an operator would, and takes the remaining claimants for the holders. */
  revive(): void {
    for (const path of this.plan.paths) {
      const holder = this.claimants(path).at(-1);
      if (holder === undefined) this.spawn(path);
      else this.processes.set(path, holder);
    }
  }

  describe(): string {
    const claimants = this.plan.paths.flatMap((path) => this.claimants(path));
    return claimants
      .map(({ path, node, number }) => {
        const children = node.children().map(({ id, link }) => `${id}:${link}`);
        const { state, reasons } = node.status;
        return `${path}#${number} ${node.epoch} ${state} [${reasons.join()}] ${children.join(" ")}`;
      })
      .join("\n");
  }

  #listedChildren(path: string): string[] {
    const below = this.plan.paths.filter((other) => other.startsWith(`${path}.`) && !this.plan.joined.has(other));
    return below.map((other) => other.slice(path.length + 1)).filter((rest) => !rest.includes("."));
  }

  async #work(host: SimulatedHost, process: number, path: string, input: WorkInput, commandId: string) {
    this.runs.push({ commandId, path, process, idempotent: input.idempotent });
    await new Promise<void>((resolve) => host.clock.setTimeout(resolve, input.durationMs));
    return { path, echo: input.value };
  }
}

export interface WorkInput {
  readonly value: number;
  readonly durationMs: number;
  readonly idempotent: boolean;
}
