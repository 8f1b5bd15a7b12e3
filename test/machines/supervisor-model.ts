/**
 * A second opinion on the supervisor: processes that live and die as its actions say, the few facts that decide what must
 * follow, and a complaint as soon as an action breaks a rule. It shares no code with the machine but its types.
 */
import type { ChildPlan, ExitKind } from "../../machines/child-spec.js";
import type {
  SupervisedExit,
  SupervisionDecision,
  SupervisorAction,
  SupervisorOptions,
} from "../../machines/supervision.js";
import { Supervisor } from "../../machines/supervisor.js";

/** How long a child without limit may take to end by itself, milliseconds. */
const ENDING_MAX_MS = 30_000;

interface Process {
  readonly generation: number;
  isReady: boolean;
  isStopping: boolean;
  /** It ends by itself: nobody told it to. */
  isOwnEnd: boolean;
  /** It ends because a sibling failed. */
  isCycled: boolean;
  isKilled: boolean;
  /** When it must be ready, or gone; Infinity for never. */
  dueAtMs: number;
}

interface Declared {
  readonly plan: ChildPlan;
  wanted: boolean;
  isTrial: boolean;
  /** A user ended it, or it ended for good. */
  isOver: boolean;
  generation: number;
  notBeforeMs: number;
  /** Restarts that count. */
  restarts: number[];
}

interface Ended {
  readonly id: string;
  /** Decisions that may follow. */
  readonly allowed: readonly string[];
  /** A restart after it is counted. */
  readonly counts: boolean;
  isAnswered: boolean;
}

/** Those of `SETTLED` look whose turn it is. */
type Operation = "settle" | "exited" | "adopt" | "tick" | "halt" | "end" | "ending" | "kill" | "none";

const SETTLED: ReadonlySet<Operation> = new Set<Operation>(["settle", "exited", "adopt", "tick"]);

const RESTARTED: readonly SupervisionDecision["decision"][] = ["restarting", "cooling", "escalated"];

export function complain(rule: string, facts: unknown): never {
  throw new Error(`${rule}: ${JSON.stringify(facts)}`);
}

export class SupervisorModel {
  readonly supervisor: Supervisor;
  readonly options: SupervisorOptions;
  readonly declared = new Map<string, Declared>();
  readonly living = new Map<string, Process>();
  nowMs = 0;
  isHalted = true;
  restarts: number[] = [];
  #operation: Operation = "settle";
  /** The child whose end is being dealt with, and what may follow. */
  #ended: Ended | null = null;

  constructor(options: SupervisorOptions) {
    this.options = options;
    this.supervisor = new Supervisor(options);
  }

  get isSequential(): boolean {
    return this.options.strategy !== "one_for_one";
  }

  // What happens

  declare(plan: ChildPlan, isTrial: boolean): void {
    const child = { isOver: false, generation: 0, notBeforeMs: 0, restarts: [] };
    this.declared.set(plan.id, { plan, wanted: true, isTrial, ...child });
    this.#take("settle", () => this.supervisor.declare(plan, this.nowMs, { isTrial }));
  }

  start(): void {
    const operation = this.isHalted ? "settle" : "none";
    if (this.isHalted) {
      this.restarts = [];
      for (const child of this.declared.values()) Object.assign(child, { restarts: [], notBeforeMs: 0 });
    }
    this.isHalted = false;
    this.#take(operation, () => this.supervisor.start(this.nowMs));
  }

  halt(): void {
    this.isHalted = true;
    for (const process of this.living.values()) process.isCycled = false;
    this.#take("halt", () => this.supervisor.halt(this.nowMs));
  }

  terminate(id: string): void {
    const child = this.#known(id);
    const process = this.living.get(id);
    const operation = child.isOver && process === undefined ? "none" : "settle";
    child.isOver = true;
    if (process !== undefined) process.isCycled = false;
    this.#take(operation, () => this.supervisor.terminate(id, this.nowMs));
    if (this.declared.has(id) && child.wanted) complain("a terminated child is not wanted", id);
  }

  /** As users may: only a child that does not run and is not about to. */
  restart(id: string): void {
    const child = this.#known(id);
    Object.assign(child, { isOver: false, isTrial: true, notBeforeMs: 0, restarts: [] });
    this.#take("settle", () => this.supervisor.restart(id, this.nowMs));
    if (!child.wanted) complain("a restarted child is wanted", id);
  }

  remove(id: string): void {
    this.#take("none", () => this.supervisor.remove(id));
    if (this.declared.has(id)) complain("a removed child is forgotten", id);
  }

  ready(id: string): void {
    const process = this.living.get(id);
    const counts = process !== undefined && !process.isReady && !process.isStopping;
    if (process !== undefined && counts) Object.assign(process, { isReady: true, dueAtMs: Infinity });
    if (counts) this.#known(id).isTrial = false;
    this.#take(counts ? "settle" : "none", () => this.supervisor.ready(id, this.nowMs));
  }

  adopt(id: string): void {
    const child = this.#known(id);
    const isPossible = !this.living.has(id) && child.wanted && !this.isHalted;
    if (isPossible) {
      child.generation++;
      child.isTrial = false;
      this.living.set(id, { ...newProcess(child.generation, Infinity), isReady: true });
    }
    this.#take(isPossible ? "adopt" : "none", () => {
      const actions = this.supervisor.adopt(id, this.nowMs);
      if ((actions !== null) !== isPossible) complain("only the path of a wanted child that does not run is taken", id);
      return actions ?? [];
    });
  }

  ending(id: string, exit: SupervisedExit, kill: boolean): void {
    const process = this.living.get(id);
    if (process !== undefined && !process.isStopping) process.isOwnEnd = true;
    this.#take(kill ? "kill" : "ending", () => this.supervisor.ending(id, exit, this.nowMs, { kill }));
    if (kill && process?.isKilled === false) complain("who cannot go on is killed", id);
  }

  /** The process is gone. `own` is what it said of its end before. */
  exited(id: string, exit: SupervisedExit, random: number, own: ExitKind | null): void {
    const process = this.living.get(id);
    if (process === undefined) throw new Error(`${id} does not live`);
    this.living.delete(id);
    const ended: Ended = { id, isAnswered: false, ...this.#outcomes(id, process, exit.kind, own) };
    this.#ended = ended;
    const at = { nowMs: this.nowMs, random };
    this.#take("exited", () => this.supervisor.exited(id, process.generation, exit, at));
    if (!ended.isAnswered) complain("an end is answered by a decision", id);
    this.#ended = null;
  }

  /** Something is said of an incarnation that is long gone. */
  exitedBefore(id: string): void {
    const generation = (this.declared.get(id)?.generation ?? 0) - 1;
    const exit = { kind: "failed", reason: "long ago" } as const;
    const actions = this.supervisor.exited(id, generation, exit, { nowMs: this.nowMs, random: 0 });
    if (actions.length > 0) complain("what is said of a former incarnation is ignored", actions);
  }

  end(id: string): void {
    this.#take("end", () => this.supervisor.end(id, this.nowMs));
    const process = this.living.get(id);
    if (process?.isStopping === false) complain("who is to end is told", id);
  }

  release(id: string): void {
    this.living.delete(id);
    this.#take("end", () => this.supervisor.release(id, this.nowMs));
  }

  killAll(): void {
    this.#take("kill", () => this.supervisor.killAll("the time is over", this.nowMs));
    for (const [id, { isKilled }] of this.living) if (!isKilled) complain("all are killed", id);
  }

  tick(): void {
    const due = Array.from(this.living).filter(([, process]) => !process.isKilled && process.dueAtMs <= this.nowMs);
    this.#take("tick", () => this.supervisor.tick(this.nowMs));
    for (const [id, { isKilled }] of due) if (!isKilled) complain("who takes too long is killed", id);
    if (this.supervisor.wakeAtMs <= this.nowMs) complain("after a tick nothing is due", this.supervisor.wakeAtMs);
  }

  // What follows

  #take(operation: Operation, act: () => readonly SupervisorAction[]): void {
    this.#operation = operation;
    for (const action of act()) this.#follow(action);
    this.#check();
  }

  #follow(action: SupervisorAction): void {
    switch (action.type) {
      case "child.start":
        return this.#started(action.id, action.generation);
      case "child.stop":
        return this.#stopped(action.id, action.generation, action.timeoutMs);
      case "child.kill":
        return this.#killed(action.id, action.generation);
      case "child.wanted":
        return this.#wanted(action.id, action.wanted);
      case "child.forgotten":
        if (this.living.has(action.id)) complain("no living child is forgotten", action);
        return void this.declared.delete(action.id);
      case "supervisor.failed":
        this.isHalted = true;
        for (const process of this.living.values()) process.isCycled = false;
        return;
      case "supervisor.shutdown":
        return this.#shutdown();
      case "supervision.decided":
        return this.#decided(action.decision);
    }
  }

  #started(id: string, generation: number): void {
    const child = this.#known(id);
    const facts = { id, generation, nowMs: this.nowMs, child };
    if (this.isHalted) complain("a halted supervisor starts nothing", facts);
    if (this.living.has(id)) complain("one incarnation at a time", facts);
    if (!child.wanted) complain("only wanted children start", facts);
    if (generation !== child.generation + 1) complain("generations count by one", facts);
    if (this.nowMs < child.notBeforeMs) complain("no start before its delay is over", facts);
    if (this.isSequential) this.#assertTurnToStart(id);
    child.generation = generation;
    this.living.set(id, newProcess(generation, this.nowMs + child.plan.startTimeoutMs));
  }

  #assertTurnToStart(id: string): void {
    for (const [other, process] of this.living) {
      if (process.isStopping || process.isCycled) complain("nobody starts before all have ended", { id, other });
    }
    for (const [other, { wanted }] of this.declared) {
      if (other === id) return;
      if (wanted && this.living.get(other)?.isReady !== true) complain("who is before it is ready", { id, other });
    }
  }

  #stopped(id: string, generation: number, timeoutMs: number | null): void {
    const process = this.#alive(id, generation);
    const { shutdown } = this.#known(id).plan;
    const facts = { id, timeoutMs, shutdown };
    if (process.isStopping) complain("nobody is told twice", facts);
    if (timeoutMs !== (typeof shutdown === "number" ? shutdown : null)) complain("each has its own time", facts);
    if (shutdown === "brutal_kill" && !process.isOwnEnd) complain("brutal_kill does not ask", facts);
    const limitMs = timeoutMs ?? (process.isOwnEnd ? ENDING_MAX_MS : Infinity);
    this.#stopping(id, process);
    process.dueAtMs = this.nowMs + limitMs;
  }

  #killed(id: string, generation: number): void {
    const process = this.#alive(id, generation);
    const { shutdown } = this.#known(id).plan;
    const isDue = this.#operation === "tick" && process.dueAtMs <= this.nowMs;
    const isBrutal = shutdown === "brutal_kill";
    if (process.isKilled) complain("nobody is killed twice", id);
    if (!isDue && !isBrutal && this.#operation !== "kill") complain("nobody is killed before time", { id, process });
    if (isDue && !process.isStopping) process.isOwnEnd = true;
    if (!process.isStopping) this.#stopping(id, process);
    Object.assign(process, { isKilled: true, dueAtMs: Infinity });
  }

  #stopping(id: string, process: Process): void {
    process.isStopping = true;
    const isOrdered = this.isSequential && !this.#known(id).plan.isDynamic && !process.isOwnEnd;
    if (!isOrdered || this.#operation === "end" || this.#operation === "kill") return;
    let isAfter = false;
    for (const [other, { plan, wanted }] of this.declared) {
      const later = this.living.get(other);
      const isEnding = later !== undefined && (later.isStopping || later.isCycled || !wanted);
      if (isAfter && isEnding && !plan.isDynamic) complain("who is after it has ended", { id, other });
      if (other === id) isAfter = true;
    }
  }

  #wanted(id: string, wanted: boolean): void {
    const child = this.#known(id);
    if (child.wanted === wanted) complain("wanted is told when it changes", { id, wanted });
    child.wanted = wanted;
  }

  #shutdown(): void {
    const { autoShutdown } = this.options;
    const others = Array.from(this.declared.values()).some(({ plan, wanted }) => plan.significant && wanted);
    if (autoShutdown === "never" || (autoShutdown === "all_significant" && others))
      complain("no shutdown is due", others);
  }

  // Decisions

  /** What may follow this end. */
  #outcomes(id: string, process: Process, kind: ExitKind, own: ExitKind | null) {
    const { wanted, isTrial, plan } = this.#known(id);
    const wasTold = process.isStopping && (!process.isOwnEnd || process.isCycled);
    if (this.isHalted || !wanted) return { allowed: ["terminated"], counts: false };
    if (wasTold) return { allowed: ["restarting"], counts: false };
    if (isTrial) return { allowed: ["finished"], counts: false };
    // Its own word, its exit, or what it was killed for: whichever the end is attributed to.
    const kinds = process.isOwnEnd
      ? [kind, own ?? "failed", ...(process.isKilled ? (["failed"] as const) : [])]
      : [kind];
    const again = (cause: ExitKind): boolean =>
      plan.restart !== "temporary" &&
      (plan.restart === "permanent" || cause === "failed" || cause === "dependencyDown");
    const allowed = kinds.flatMap((cause): readonly string[] => (again(cause) ? RESTARTED : ["finished"]));
    return { allowed, counts: true };
  }

  #decided(decision: SupervisionDecision): void {
    const ended = this.#ended;
    if (ended?.id === decision.id && !ended.isAnswered) this.#answered(decision, ended);
    else if (RESTARTED.includes(decision.decision)) complain("only an end calls for a restart", decision);
    const child = this.declared.get(decision.id);
    if (child === undefined) return;
    // Its user is told, and it is not tried again.
    if (child.isTrial && decision.decision === "terminated") Object.assign(child, { isOver: true, isTrial: false });
    const { childIntensity, periodMs } = this.options;
    const left = {
      child: Math.max(0, childIntensity - within(child.restarts, this.nowMs, periodMs)),
      supervisor: Math.max(0, this.#intensity - within(this.restarts, this.nowMs, periodMs)),
    };
    if (left.child !== decision.budgetLeft.child || left.supervisor !== decision.budgetLeft.supervisor) {
      complain("the budget left is what was not used", { left, decision });
    }
  }

  #answered(decision: SupervisionDecision, ended: Ended): void {
    ended.isAnswered = true;
    if (!ended.allowed.includes(decision.decision)) complain("this does not follow from its end", { decision, ended });
    const child = this.#known(decision.id);
    if (decision.decision === "finished") Object.assign(child, { isOver: true, isTrial: false });
    if (ended.counts && RESTARTED.includes(decision.decision)) this.#counted(child, decision);
  }

  get #intensity(): number {
    return this.options.intensity ?? Math.max(10, this.declared.size);
  }

  #counted(child: Declared, { decision, exit, delayMs }: SupervisionDecision): void {
    const { childIntensity, periodMs, cooldownMs, backoff } = this.options;
    if (exit !== "dependencyDown") for (const list of [child.restarts, this.restarts]) list.push(this.nowMs);
    const isTooMany =
      exit !== "dependencyDown" &&
      (within(child.restarts, this.nowMs, periodMs) > childIntensity ||
        within(this.restarts, this.nowMs, periodMs) > this.#intensity);
    const expected = isTooMany ? (cooldownMs === null ? "escalated" : "cooling") : "restarting";
    if (decision !== expected) complain(`it should be ${expected}`, { decision, exit });
    if (decision === "cooling") {
      child.restarts = [];
      this.restarts = [];
      if (delayMs !== cooldownMs) complain("it rests for the cooldown", { delayMs });
    } else if (decision === "restarting") {
      const isInside = delayMs !== null && delayMs >= backoff.baseMs && delayMs <= backoff.maxMs;
      if (!isInside) complain("the delay is within its bounds", { delayMs });
    }
    if (decision !== "escalated") this.#cycle(child, this.nowMs + (delayMs ?? 0));
  }

  #cycle(failed: Declared, notBeforeMs: number): void {
    let isAfter = false;
    for (const [id, child] of this.declared) {
      const isConcerned =
        this.options.strategy === "one_for_all" || (this.options.strategy === "rest_for_one" && isAfter);
      if (child === failed) isAfter = true;
      // Temporary ones have just been declared unwanted.
      const process = this.living.get(id);
      if (child !== failed && !(isConcerned && child.wanted)) continue;
      child.notBeforeMs = Math.max(child === failed ? 0 : child.notBeforeMs, notBeforeMs);
      if (child !== failed && process !== undefined) process.isCycled = true;
    }
  }

  // What always holds

  #check(): void {
    const { supervisor } = this;
    if (supervisor.isHalted !== this.isHalted) complain("halted", supervisor.isHalted);
    const ids = Array.from(supervisor.all(), ({ plan }) => plan.id);
    if (ids.join() !== Array.from(this.declared.keys()).join()) complain("the declared children", ids);
    for (const [id, child] of this.declared) this.#checkChild(id, child);
    if (this.isSequential && SETTLED.has(this.#operation)) this.#checkTurn();
  }

  /** Whose turn it is starts at once: a later look would find it by chance. */
  #checkTurn(): void {
    const isAnyEnding = Array.from(this.living.values()).some(({ isStopping, isCycled }) => isStopping || isCycled);
    if (this.isHalted || isAnyEnding) return;
    for (const [id, { wanted, notBeforeMs }] of this.declared) {
      const process = this.living.get(id);
      const isDue = process === undefined && wanted && notBeforeMs <= this.nowMs;
      if (isDue) complain("whose turn it is starts", id);
      if (process === undefined && wanted && this.supervisor.wakeAtMs > notBeforeMs) complain("it wakes in time", id);
      if (wanted && process?.isReady !== true) return;
    }
  }

  #checkChild(id: string, child: Declared): void {
    const own = this.supervisor.get(id);
    const process = this.living.get(id);
    const isActive = ["starting", "running", "stopping"].includes(own?.state ?? "");
    if (own?.wanted !== child.wanted) complain("wanted", id);
    if (isActive !== (process !== undefined)) complain("who lives", { id, state: own?.state });
    const isScheduled = own.state === "restarting" || own.state === "cooling";
    if (this.isHalted && isScheduled) complain("a halted supervisor schedules nothing", id);
    if (own.history.length > this.options.childIntensity + 1) complain("a history is bounded", own.history.length);
    const isLost = !this.isHalted && !child.wanted && !child.isOver && child.plan.restart !== "temporary";
    if (isLost) complain("no child is lost", id);
    const { isDynamic, restart } = child.plan;
    const isGone = process === undefined && !child.wanted && (isDynamic || restart === "temporary");
    if (isGone) complain("who ended for good and cannot come back is forgotten", id);
    if (restart === "temporary" && child.wanted && process?.isCycled === true)
      complain("no temporary child cycles", id);
    const isTold = process === undefined || child.wanted || process.isStopping || this.isSequential;
    if (!isTold) complain("who is unwanted is told to end", id);
    this.#checkWake(id, child, process);
  }

  #checkWake(id: string, child: Declared, process: Process | undefined): void {
    const { wakeAtMs } = this.supervisor;
    const isWaiting = process === undefined && child.wanted && !this.isHalted && !this.isSequential;
    const dueAtMs = process === undefined ? (isWaiting ? child.notBeforeMs : Infinity) : process.dueAtMs;
    if (wakeAtMs > dueAtMs) complain("it wakes in time", { id, wakeAtMs, dueAtMs });
    if (isWaiting && child.notBeforeMs <= this.nowMs && this.#operation === "tick") complain("who is due starts", id);
  }

  #known(id: string): Declared {
    return this.declared.get(id) ?? complain("it is declared", id);
  }

  #alive(id: string, generation: number): Process {
    const process = this.living.get(id);
    if (process?.generation !== generation) complain("only the living are ended", { id, generation });
    return process;
  }
}

function newProcess(generation: number, dueAtMs: number): Process {
  return { generation, isReady: false, isStopping: false, isOwnEnd: false, isCycled: false, isKilled: false, dueAtMs };
}

function within(times: readonly number[], nowMs: number, periodMs: number): number {
  return times.filter((atMs) => atMs >= nowMs - periodMs).length;
}
