/** What users do to a tree while faults happen: calls down and up, fan-outs, documents, reports. */
import { CommandError } from "../../errors.js";
import type { Random } from "../../health/clock.js";
import type { CommandOptions, CommandOutcome } from "../../node/dispatch.js";
import { seededRandom } from "../prng.js";
import { checkEnding, type IssuedCall, isRefusedByEnd, toEpoch, track } from "./calls.js";
import { isActive, type SimulatedProcess } from "./process.js";
import type { SimulatedTree, WorkInput } from "./simulated-tree.js";

export class Workload {
  readonly issued: IssuedCall[] = [];
  completed = 0;
  /** The count in the latest document that each process published. */
  readonly documents = new Map<number, number>();
  readonly #done = new WeakSet<IssuedCall>();
  readonly #versions = new Map<number, number>();
  readonly #tree: SimulatedTree;
  readonly #random: Random;
  #value = 0;

  constructor(tree: SimulatedTree) {
    this.#tree = tree;
    this.#random = seededRandom(tree.plan.seed * 3 + 4);
  }

  /** Does something at random. */
  step(): void {
    const { paths, children } = this.#tree.plan;
    const isFromRoot = this.#random() < 0.4;
    const inner = paths.filter((path) => (children.get(path)?.length ?? 0) > 0);
    const above = this.#active(isFromRoot ? "t" : this.#pick(inner));
    const below = this.#active(this.#pick(paths.slice(1)));
    const choice = this.#random();
    if (choice < 0.55) this.#command(above);
    else if (choice < 0.65) this.#fanOut(above);
    else if (choice < 0.8) this.#request(below);
    else if (choice < 0.95) this.#synchronize(above);
    else this.#report(below);
  }

  /** When all is well, every node can be reached from everywhere above it, at once and at the first attempt. */
  async probe(): Promise<void> {
    const calls = this.#tree.living().flatMap((process) => this.#probesOf(process));
    for (const [index, call] of calls.entries()) {
      this.#expectCompleted(call());
      // A few at a time: some trees have short queues.
      if (index % 4 === 3) await this.#tree.clock.advance(60);
    }
    for (const process of this.#tree.living()) this.#synchronize(process);
    await this.#tree.clock.advance(3_000);
  }

  #probesOf(process: SimulatedProcess): readonly (() => Promise<unknown>)[] {
    const input = (): WorkInput => ({ ...this.#input(), durationMs: 0 });
    const down = this.#descendants(process.path).map(
      (target) => () => this.#issueCommand(process, target, {}, input()),
    );
    const names = process.path === "t" ? [] : ["near", "far"];
    const up = names.map((name) => () => this.#issueRequest(process, name, {}, input()));
    return [...down, ...up, () => this.#issueFanOut(process, "*", {}, false, input())];
  }

  #active(path: string): SimulatedProcess | undefined {
    return this.#tree.claimants(path).findLast(isActive);
  }

  #pick<T>(choices: readonly T[]): T {
    return choices[Math.floor(this.#random() * choices.length)] as T;
  }

  #descendants(path: string): readonly string[] {
    const { paths } = this.#tree.plan;
    return paths.filter((other) => other.startsWith(`${path}.`)).map((other) => other.slice(path.length + 1));
  }

  #input(mostMs = 400): WorkInput {
    const random = this.#random;
    return {
      value: ++this.#value,
      durationMs: random() < 0.2 ? 0 : Math.floor(random() * mostMs),
      throws: random() < 0.1,
      progress: random() < 0.2 ? 3 : 0,
      minCount: 0,
    };
  }

  #command(caller: SimulatedProcess | undefined): void {
    const targets = this.#descendants(caller?.path ?? "");
    if (caller === undefined || targets.length === 0) return;
    const random = this.#random;
    const options: CommandOptions = {
      timeoutMs: 200 + Math.floor(random() ** 2 * 5_000),
      idempotent: random() < 0.5,
      ...(random() < 0.15 ? { signal: this.#abortSoon(caller) } : {}),
    };
    const target = this.#pick(targets);
    if (random() < 0.05) void this.#issueCommand(caller, `${target}.nobody`, options);
    else if (options.idempotent === true && random() < 0.2) this.#repeated(caller, target, options);
    else if (random() < 0.2 && !target.includes(".")) this.#informed(caller, target, options);
    else void this.#issueCommand(caller, target, options);
  }

  /** A child is to run it only once it has the caller's latest document. */
  #informed(caller: SimulatedProcess, target: string, options: CommandOptions): void {
    this.#synchronize(caller);
    const minSyncVersion = this.#versions.get(caller.number) ?? 0;
    const minCount = this.documents.get(caller.number) ?? 0;
    void this.#issueCommand(caller, target, { ...options, minSyncVersion }, { ...this.#input(), minCount });
  }

  /** Several callers use one key. */
  #repeated(caller: SimulatedProcess, target: string, options: CommandOptions): void {
    const input = this.#input();
    const keyed = { ...options, commandId: `key-${input.value}` };
    void this.#issueCommand(caller, target, keyed, input);
    const again = (): void => void this.#issueCommand(caller, target, keyed, input);
    if (this.#random() < 0.5) again();
    else caller.host.clock.setTimeout(again, this.#random() * 1_000);
  }

  #abortSoon(caller: SimulatedProcess): AbortSignal {
    const controller = new AbortController();
    caller.host.clock.setTimeout(() => controller.abort(), this.#random() ** 2 * 2_000);
    return controller.signal;
  }

  #issueCommand(
    caller: SimulatedProcess,
    target: string,
    options: CommandOptions,
    input = this.#input(),
  ): Promise<CommandOutcome> {
    const call = this.#issue(caller, `${caller.path}.${target}`, input, options);
    const onProgress = (step: unknown): void => this.#progressed(call, step);
    const outcome = caller.node.tryCommand(target, "work", input, { timeoutMs: 2_000, onProgress, ...options });
    track(caller, outcome, {
      ok: (ended) => this.#ended(call, ended),
      error: (error) => this.#rejected(caller, error),
    });
    return outcome;
  }

  #issue(caller: SimulatedProcess, path: string | null, input: WorkInput, options: CommandOptions): IssuedCall {
    const call: IssuedCall = {
      kind: path === null ? "request" : "command",
      caller,
      path,
      input,
      atMs: this.#tree.nowMs,
      timeoutMs: options.timeoutMs ?? 2_000,
      idempotent: options.idempotent ?? false,
      isCancellable: options.signal !== undefined,
      isShared: options.commandId !== undefined,
      childEpoch: toEpoch(path === null ? "" : (caller.node.child(path.slice(caller.path.length + 1))?.epoch ?? "")),
    };
    this.issued.push(call);
    return call;
  }

  #progressed(call: IssuedCall, step: unknown): void {
    const isPossible = typeof step === "number" && step < call.input.progress;
    if (!isPossible || this.#done.has(call)) {
      this.#tree.journal.violated(
        "one-outcome",
        `call ${call.input.value} reported ${String(step)} ${this.#done.has(call)}`,
      );
    }
  }

  #ended(call: IssuedCall, outcome: CommandOutcome): void {
    this.#done.add(call);
    if (outcome.status === "completed") this.completed++;
    checkEnding(this.#tree, call, outcome);
  }

  #rejected(caller: SimulatedProcess, error: unknown): void {
    if (!isRefusedByEnd(caller, error))
      this.#tree.journal.violated("one-outcome", `${caller.name} rejected: ${String(error)}`);
  }

  #fanOut(caller: SimulatedProcess | undefined): void {
    if (caller === undefined) return;
    const random = this.#random;
    const deep = this.#descendants(caller.path).filter(() => random() < 0.3);
    const targets = random() < 0.6 || deep.length === 0 ? "*" : deep;
    const options = { timeoutMs: 500 + Math.floor(random() * 4_000), idempotent: random() < 0.5 };
    const isFirst = random() < 0.2 && (targets !== "*" || caller.node.children().some(({ link }) => link === "alive"));
    this.#issueFanOut(caller, targets, options, isFirst).catch((error: unknown) => {
      // Its end is checked where each outcome arrives.
      if (!isFirst || (error as CommandError).code !== "QUORUM_IMPOSSIBLE") this.#rejected(caller, error);
    });
  }

  async #issueFanOut(
    caller: SimulatedProcess,
    targets: readonly string[] | "*",
    options: CommandOptions,
    isFirst = false,
    input = this.#input(100),
  ): Promise<readonly CommandOutcome[]> {
    const atMs = this.#tree.nowMs;
    const timeoutMs = options.timeoutMs ?? 2_000;
    const fanOut = caller.node.fanOut(targets, "work", input, {
      ...options,
      timeoutMs,
      until: isFirst ? "first" : "all",
    });
    const settled = (outcomes: readonly CommandOutcome[]): void => {
      for (const outcome of outcomes) {
        const path = `${caller.path}.${outcome.target}`;
        const issued = this.#issue(caller, path, input, options);
        // Which epochs its targets had when it began is not known any more.
        const call = { ...issued, timeoutMs, atMs, isCancellable: isFirst, childEpoch: [] };
        this.#ended({ ...call, kind: "fanOut" }, outcome);
      }
    };
    track(caller, fanOut.outcomes, { ok: settled, error: () => {} });
    return fanOut.outcomes;
  }

  #request(caller: SimulatedProcess | undefined): void {
    if (caller === undefined || caller.path === "t") return;
    const random = this.#random;
    const name = this.#pick(["near", "far", "far", "nowhere"]);
    const options: CommandOptions = { timeoutMs: 300 + Math.floor(random() * 5_000), idempotent: random() < 0.3 };
    this.#issueRequest(caller, name, options).catch(() => {});
  }

  #issueRequest(
    caller: SimulatedProcess,
    name: string,
    options: CommandOptions,
    input = this.#input(),
  ): Promise<unknown> {
    const call = this.#issue(caller, null, input, options);
    const { idempotent = false } = options;
    const answer = caller.node.request(name, input, { timeoutMs: call.timeoutMs, idempotent });
    track(caller, answer, {
      ok: (value) => {
        this.completed++;
        checkEnding(this.#tree, call, { status: "completed", value });
      },
      error: (error) => {
        if (error instanceof CommandError) checkEnding(this.#tree, call, { status: error.status, error });
        else this.#rejected(caller, error);
      },
    });
    return answer;
  }

  #synchronize(process: SimulatedProcess | undefined): void {
    if (process === undefined) return;
    try {
      const version = process.node.synchronize({ by: process.number, count: ++this.#value });
      this.#versions.set(process.number, version);
      this.documents.set(process.number, this.#value);
    } catch (error) {
      this.#rejected(process, error);
    }
  }

  #report(process: SimulatedProcess | undefined): void {
    try {
      process?.node.report({ at: this.#tree.nowMs });
    } catch (error) {
      // The parent has not acknowledged earlier ones for long.
      if ((error as CommandError).code !== "OVERLOADED") throw error;
    }
  }

  /** Fails the run if one of these calls does not complete although all is well. A handler that throws is well. */
  #expectCompleted(call: Promise<unknown>): void {
    const check = (result: unknown): void => {
      for (const each of [result].flat()) {
        const { status, error } = each as { status?: string; error?: CommandError };
        if (status !== undefined && status !== "completed" && error?.code !== "HANDLER_FAILED") {
          this.#tree.journal.violated("heals", `while all was well: ${error?.message ?? status}`);
        }
      }
    };
    call.then(check, (error: unknown) => {
      if ((error as CommandError).code !== "HANDLER_FAILED") check({ status: "rejected", error });
    });
  }
}
