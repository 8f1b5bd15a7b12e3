/** One node's share of the load: calls down and up, fan-outs and documents at random, all of them in the journal. */
import { CommandError, type CommandOptions, type CommandOutcome, type Node, type Random } from "fractal-tree";
import { type ChaosPlan, childrenOf, descendantsOf, ROOT } from "./plan.js";
import type { Issued, JournalWriter, Outcome, WorkDone } from "./records.js";

export interface LoadOptions {
  readonly node: Node;
  readonly journal: JournalWriter;
  readonly plan: ChaosPlan;
  /** Of this process. */
  readonly name: string;
}

/** Between two calls of a node, milliseconds: those who have more below them call more often. */
const INTERVALS_MS = { root: 40, middle: 100, leaf: 500 };
const PROBE_TIMEOUT_MS = 5_000;

type Call = Omit<Issued, "type" | "value" | "probe">;

export class Load {
  /** Calls that have not ended. */
  open = 0;
  readonly #node: Node;
  readonly #journal: JournalWriter;
  readonly #plan: ChaosPlan;
  readonly #name: string;
  readonly #random: Random = Math.random;
  readonly #below: readonly string[];
  readonly #childIds: readonly string[];
  #timer: NodeJS.Timeout | null = null;
  #calls = 0;
  #documents = 0;

  constructor({ node, journal, plan, name }: LoadOptions) {
    this.#node = node;
    this.#journal = journal;
    this.#plan = plan;
    this.#name = name;
    this.#below = descendantsOf(plan, node.path);
    this.#childIds = childrenOf(plan, node.path).map((child) => child.path.slice(node.path.length + 1));
  }

  start(): void {
    const intervalMs = this.#intervalMs();
    this.#timer ??= setInterval(() => this.#step(), intervalMs);
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** When all is well, everybody can be reached from everywhere above, and everything above from below. */
  probe(): void {
    const options = { timeoutMs: PROBE_TIMEOUT_MS };
    for (const path of this.#below) this.#command(path, options, { probe: true });
    if (this.#childIds.length > 0) this.#fanOut("*", options, { probe: true });
    if (this.#node.path !== ROOT) for (const name of ["near", "far"]) this.#request(name, options, { probe: true });
  }

  #intervalMs(): number {
    if (this.#node.path === ROOT) return INTERVALS_MS.root;
    return this.#below.length > 0 ? INTERVALS_MS.middle : INTERVALS_MS.leaf;
  }

  #step(): void {
    const random = this.#random;
    const isLeaf = this.#below.length === 0;
    const choice = random();
    const options: CommandOptions = { timeoutMs: this.#timeoutMs(), idempotent: random() < 0.5 };
    if (isLeaf || (choice < 0.1 && this.#node.path !== ROOT)) this.#request(random() < 0.5 ? "near" : "far", options);
    else if (choice < 0.15) this.#fanOut(random() < 0.5 ? "*" : this.#some(this.#below), options);
    else if (choice < 0.2) this.#publish();
    else this.#command(this.#one(this.#below), { ...options, ...(random() < 0.05 && { signal: this.#abortSoon() }) });
  }

  /** Often short, sometimes long enough to outlast any fault. */
  #timeoutMs(): number {
    const { callMs } = this.#plan.times;
    return Math.ceil(callMs * (this.#random() < 0.5 ? 0.02 + this.#random() * 0.2 : 1));
  }

  #abortSoon(): AbortSignal {
    return AbortSignal.timeout(Math.floor(this.#random() ** 2 * 1_000));
  }

  #command(path: string, options: CommandOptions, { probe = false } = {}): void {
    const target = this.#relative(path);
    const input = this.#work(probe);
    const { signal } = options;
    this.#issue(input, { kind: "command", targets: [path], cancellable: signal !== undefined }, options, probe);
    void this.#track(input.value, this.#node.tryCommand(target, "work", input, options), (outcome) =>
      this.#ended(input.value, path, outcome),
    );
  }

  #fanOut(targets: readonly string[] | "*", options: CommandOptions, { probe = false } = {}): void {
    const input = this.#work(probe);
    const paths = targets === "*" ? [] : targets;
    this.#issue(input, { kind: "fanOut", targets: paths, cancellable: false }, options, probe);
    const relative = targets === "*" ? "*" : targets.map((path) => this.#relative(path));
    // A node that has ended throws.
    const fanOut = async (): Promise<readonly CommandOutcome[]> =>
      this.#node.fanOut(relative, "work", input, options).outcomes;
    void this.#track(input.value, fanOut(), (outcomes) => {
      for (const outcome of outcomes) this.#ended(input.value, `${this.#node.path}.${outcome.target}`, outcome);
    });
  }

  #request(name: string, options: CommandOptions, { probe = false } = {}): void {
    const input = this.#work(probe);
    const { timeoutMs = 0, idempotent = false } = options;
    this.#issue(input, { kind: "request", targets: [], cancellable: false }, options, probe);
    const answer = this.#node.request(name, input, { timeoutMs, idempotent }).then(
      (value): Outcome => this.#completed(input.value, null, value),
      (error: unknown): Outcome => this.#failed(input.value, null, error),
    );
    void this.#track(input.value, answer, (outcome) => this.#journal.write(outcome));
  }

  #publish(): void {
    const document = { by: this.#name, count: ++this.#documents };
    try {
      this.#node.synchronize(document);
      this.#journal.write({ type: "published", ...document });
    } catch (error) {
      if ((error as { code?: unknown }).code !== "NODE_ENDED") throw error;
    }
  }

  #work(probe: boolean) {
    const value = `${this.#name}/${++this.#calls}`;
    if (probe) return { value, forMs: 0, throws: false };
    const random = this.#random;
    return { value, forMs: random() < 0.3 ? 0 : Math.floor(random() ** 3 * 2_000), throws: random() < 0.05 };
  }

  #issue(
    { value, throws }: { readonly value: string; readonly throws: boolean },
    call: Pick<Call, "kind" | "targets" | "cancellable">,
    { timeoutMs = 0, idempotent = false }: CommandOptions,
    probe: boolean,
  ): void {
    this.#journal.write({ type: "issued", value, ...call, timeoutMs, idempotent, throws, probe });
  }

  async #track<T>(value: string, promise: Promise<T>, settled: (result: T) => void): Promise<void> {
    this.open++;
    try {
      settled(await promise);
      this.#journal.write({ type: "settled", value });
    } catch (error) {
      this.#journal.write({ type: "refused", value, code: String((error as { code?: unknown }).code ?? error) });
    } finally {
      this.open--;
    }
  }

  #ended(value: string, target: string, outcome: CommandOutcome): void {
    const { status } = outcome;
    const record =
      status === "completed"
        ? this.#completed(value, target, outcome.value)
        : this.#failed(value, target, outcome.error);
    this.#journal.write({ ...record, status });
  }

  #completed(value: string, target: string | null, result: unknown): Outcome {
    const { value: echo, by } = result as WorkDone;
    const message = echo === value ? "" : `got the result of ${echo}`;
    return { type: "outcome", value, target, status: "completed", code: "", message, by };
  }

  /** @throws what is no outcome */
  #failed(value: string, target: string | null, error: unknown): Outcome {
    if (!(error instanceof CommandError)) throw error;
    const { status, code, message } = error;
    return { type: "outcome", value, target, status, code, message, by: null };
  }

  #relative(path: string): string {
    return path.slice(this.#node.path.length + 1);
  }

  #one(paths: readonly string[]): string {
    return paths[Math.floor(this.#random() * paths.length)] ?? "";
  }

  #some(paths: readonly string[]): readonly string[] {
    const some = paths.filter(() => this.#random() < 0.3);
    return some.length === 0 ? [this.#one(paths)] : some;
  }
}
