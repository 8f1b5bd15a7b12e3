/** Follows a run by its journals while it is under way. */
import type { KnownProcess, Operator } from "./operator.js";
import type { ChaosPlan } from "./plan.js";
import { DRIVER, JournalReader } from "./records.js";

export interface MonitorOptions {
  readonly folder: string;
  readonly plan: ChaosPlan;
  readonly operator: Operator;
}

export class Monitor {
  issued = 0;
  completed = 0;
  readonly #plan: ChaosPlan;
  readonly #operator: Operator;
  readonly #reader: JournalReader;
  readonly #states = new Map<string, string>();
  /** Calls under way, by process. */
  readonly #open = new Map<string, number>();

  constructor({ folder, plan, operator }: MonitorOptions) {
    this.#plan = plan;
    this.#operator = operator;
    this.#reader = new JournalReader(folder);
  }

  /** Takes note of what was written meanwhile. */
  look(): void {
    for (const record of this.#reader.read()) {
      if (record.process === DRIVER) continue;
      if (record.type === "start") this.#operator.discovered(record);
      if (record.type === "state") this.#states.set(record.process, record.state);
      if (record.type === "ended") this.#states.set(record.process, "ended");
      if (record.type === "issued") {
        this.issued++;
        this.#opened(record.process, 1);
      }
      if (record.type === "settled" || record.type === "refused") this.#opened(record.process, -1);
      if (record.type === "outcome" && record.status === "completed") this.completed++;
    }
    this.#operator.look();
  }

  /** Each path has exactly one process, and all of them are SYNCHRONIZED. */
  isWhole(): boolean {
    return this.#plan.nodes.every(({ path }) => {
      const [holder, ...rivals] = this.#operator.claimants(path);
      return holder !== undefined && rivals.length === 0 && this.#isSynchronized(holder);
    });
  }

  /** Calls under way of processes that live. */
  get open(): number {
    return this.#operator.living().reduce((total, { name }) => total + (this.#open.get(name) ?? 0), 0);
  }

  get synchronized(): number {
    return this.#operator.living().filter((each) => this.#isSynchronized(each)).length;
  }

  /** Who is not as it should be. */
  describe(): string {
    const odd = this.#plan.nodes.flatMap(({ path }) => {
      const claimants = this.#operator.claimants(path);
      if (claimants.length === 0) return [`${path} is vacant`];
      const isOdd = claimants.length > 1 || !claimants.every((each) => this.#isSynchronized(each));
      return isOdd ? claimants.map((each) => `${each.name} is ${this.#states.get(each.name) ?? "DISCONNECTED"}`) : [];
    });
    return odd.join(", ");
  }

  #opened(process: string, change: number): void {
    this.#open.set(process, (this.#open.get(process) ?? 0) + change);
  }

  #isSynchronized({ name, isStopped }: KnownProcess): boolean {
    return !isStopped && this.#states.get(name) === "SYNCHRONIZED";
  }
}
