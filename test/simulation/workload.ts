/** What users do to a tree while faults happen, and what must hold of it. */
import { type CommandOutcome, type FanOut, WrongStateError } from "../../src/index.js";
import type { SimulatedTree, WorkInput } from "./simulated-tree.js";

interface Issued {
  readonly target: string;
  readonly value: number;
  readonly atMs: number;
  readonly timeoutMs: number;
  readonly idempotent: boolean;
  outcome: CommandOutcome<{ path: string; echo: number }> | null;
  endedAtMs: number;
  settlements: number;
}

/** How much later than its deadline an outcome may come: timers of one instant run in turn. */
const SLACK_MS = 50;

export class Workload {
  readonly issued: Issued[] = [];
  readonly broken: string[] = [];
  requests = 0;
  fanOuts = 0;
  #value = 0;
  #open = 0;
  readonly #tree: SimulatedTree;

  constructor(tree: SimulatedTree) {
    this.#tree = tree;
  }

  /** Calls whose promise has not settled. */
  get open(): number {
    return this.#open;
  }

  /** Does something at random. */
  step(): void {
    const { random, rootPath } = this.#tree;
    const choice = random();
    // The dead do nothing.
    if (!this.#tree.at(rootPath).host.isAlive) return;
    if (choice < 0.7) this.#command(random() < 0.6);
    else if (choice < 0.8) this.#fanOut();
    else if (choice < 0.9) this.#request();
    else this.#attempt(() => this.#root.synchronize({ value: ++this.#value }));
  }

  /** The documents of all direct children are the root's latest. */
  checkSync(): void {
    const version = this.#attempt(() => this.#root.synchronize({ last: true })) ?? 0;
    this.#expected = version;
  }

  #expected = 0;

  verifySync(): void {
    for (const { id } of this.#root.children()) {
      const synced = this.#tree.at(`${this.#tree.rootPath}.${id}`).node.synced;
      if (synced?.version !== this.#expected) this.broken.push(`${id} has version ${synced?.version ?? 0}`);
    }
  }

  /** Checks everything that has ended. */
  verify(): void {
    if (this.#open > 0) this.broken.push(`${this.#open} calls never settled`);
    for (const command of this.issued) this.#verifyCommand(command);
    this.#verifyRuns();
  }

  get #root() {
    return this.#tree.at(this.#tree.rootPath).node;
  }

  #command(idempotent: boolean): void {
    const { random, plan, rootPath, clock } = this.#tree;
    const path = plan.paths[1 + Math.floor(random() * (plan.paths.length - 1))] as string;
    const value = ++this.#value;
    const timeoutMs = 500 + Math.floor(random() * 8_000);
    const target = path.slice(rootPath.length + 1);
    const issued: Issued = {
      target,
      value,
      atMs: clock.now(),
      timeoutMs,
      idempotent,
      outcome: null,
      endedAtMs: 0,
      settlements: 0,
    };
    const input: WorkInput = { value, durationMs: random() * 400, idempotent };
    const call = this.#attempt(() =>
      this.#root.tryCommand<{ path: string; echo: number }>(target, "work", input, { timeoutMs, idempotent }),
    );
    if (call === undefined) return;
    this.issued.push(issued);
    this.#watchRoot(call, (outcome) => {
      issued.outcome = outcome;
      issued.endedAtMs = clock.now();
      issued.settlements++;
    });
  }

  #fanOut(): void {
    const input: WorkInput = { value: ++this.#value, durationMs: 20, idempotent: false };
    const fanOut = this.#attempt<FanOut>(() => this.#root.fanOut("*", "work", input, { timeoutMs: 3_000 }));
    if (fanOut === undefined) return;
    this.fanOuts++;
    this.#watchRoot(fanOut.outcomes, () => {});
  }

  #request(): void {
    const { random, plan } = this.#tree;
    const path = plan.paths[1 + Math.floor(random() * (plan.paths.length - 1))] as string;
    const value = ++this.#value;
    const { node, host } = this.#tree.at(path);
    if (!host.isAlive) return;
    const call = this.#attempt(() => node.request<number>("ask", value, { timeoutMs: 3_000 }));
    if (call === undefined) return;
    this.requests++;
    const refused = (): void => {};
    this.#watch(host.name, call, refused, (answer) => {
      if (answer !== value + 1) this.broken.push(`request ${value} got ${answer}`);
    });
  }

  #attempt<T>(act: () => T): T | undefined {
    try {
      return act();
    } catch (error) {
      if (error instanceof WrongStateError || (error as { code?: string }).code === "NODE_ENDED") return undefined;
      throw error;
    }
  }

  /** Counts the call as open until it settles or its caller is killed: a process takes its promises with it. */
  #watch<T>(hostName: string, call: Promise<T>, failed: (error: unknown) => void, settled: (value: T) => void): void {
    let isOpen = true;
    const close = (): boolean => {
      const wasOpen = isOpen;
      if (isOpen) this.#open--;
      isOpen = false;
      return wasOpen;
    };
    this.#open++;
    this.#tree.onKilled(hostName, close);
    call.then(
      (value) => {
        if (close()) settled(value);
      },
      (error: unknown) => {
        if (close()) failed(error);
      },
    );
  }

  #watchRoot<T>(call: Promise<T>, settled: (value: T) => void): void {
    const failed = (error: unknown): void => {
      if ((error as { code?: string }).code !== "NODE_ENDED") this.broken.push(`rejected: ${String(error)}`);
    };
    this.#watch(this.#tree.at(this.#tree.rootPath).host.name, call, failed, settled);
  }

  #verifyCommand({ outcome, target, value, atMs, timeoutMs, endedAtMs, settlements }: Issued): void {
    if (outcome === null) return;
    if (settlements !== 1) this.broken.push(`${target} ${value} settled ${settlements} times`);
    const pausedMs = this.#tree.pausedMs(this.#tree.rootPath);
    if (endedAtMs > atMs + timeoutMs + pausedMs + SLACK_MS) this.broken.push(`${target} ${value} ended late`);
    if (outcome.status === "completed" && outcome.value.echo !== value)
      this.broken.push(`${target} got a wrong result`);
  }

  #verifyRuns(): void {
    const perProcess = new Map<string, number>();
    const perCommand = new Map<string, number>();
    for (const { commandId, path, process, idempotent } of this.#tree.runs) {
      count(perProcess, `${commandId} at ${path}#${process}`);
      if (!idempotent) count(perCommand, `${commandId} at ${path}`);
    }
    for (const [key, runs] of perProcess) if (runs > 1) this.broken.push(`${key} ran ${runs} times in one process`);
    for (const [key, runs] of perCommand)
      if (runs > 1) this.broken.push(`not idempotent, but ${key} ran ${runs} times`);
    this.#verifyCertainty(perCommand);
  }

  /** What is told to have certainly not begun has not. */
  #verifyCertainty(perCommand: ReadonlyMap<string, number>): void {
    for (const { outcome, idempotent } of this.issued) {
      if (outcome?.status !== "notStarted" || idempotent) continue;
      for (const key of perCommand.keys()) {
        if (key.startsWith(`${outcome.commandId} `)) this.broken.push(`${key} ran, but was told not to have started`);
      }
    }
  }
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
