/**
 * The supervisor: decides which children run, in OTP's terms. It never acts; it answers each event with actions for the
 * runtime to carry out in order. Time and randomness come with the events.
 *
 * S1. A child is started only after its former incarnation is certainly gone.
 * S2. Every incarnation has a generation; what is said of an earlier one is ignored.
 * S3. Once it is halted nothing is started, whatever was scheduled.
 * S4. Each restart is counted before it is scheduled, also that of a failed start; only those for a dependency that is
 *     down are free.
 * S5. one_for_all and rest_for_one end the siblings concerned in reverse order, and start again in order, each when the
 *     one before it is ready; one_for_one starts at once whoever may run.
 */
import { type BackoffOptions, nextBackoffMs } from "./backoff.js";
import { type AutoShutdown, type ChildPlan, type ExitKind, isRestarted, type Strategy } from "./child-spec.js";
import { isTooIntense, noteRestart, type RestartHistory, restartsLeft } from "./restart-intensity.js";
import { type SupervisedEvent, type SupervisedState, supervisedChildTable } from "./supervised-child.js";

export interface SupervisorOptions {
  readonly strategy: Strategy;
  /** Restarts of all children borne within the period; null for the larger of 10 and the number of children. */
  readonly intensity: number | null;
  /** Restarts of one child borne within the period. */
  readonly childIntensity: number;
  readonly periodMs: number;
  readonly backoff: BackoffOptions;
  /** Running for so long, a child has recovered: its next failure begins with the shortest delay, milliseconds. */
  readonly stableMs: number;
  /** Rest of a child that was restarted too often, milliseconds; null to fail instead. */
  readonly cooldownMs: number | null;
  readonly autoShutdown: AutoShutdown;
}

/** How an incarnation ended. */
export interface SupervisedExit {
  readonly kind: ExitKind;
  readonly reason: string;
}

/** What was decided about a child, for logs and for whoever watches. */
export interface SupervisionDecision {
  readonly id: string;
  /** The incarnation that it is about. */
  readonly generation: number;
  readonly decision:
    | "started"
    | "ready"
    | "adopted"
    | "restarting"
    | "cooling"
    | "terminated"
    | "finished"
    | "killed"
    | "escalated"
    | "shutdown";
  /** Why: what its end is attributed to; empty for a start. */
  readonly reason: string;
  /** How it ended; null for what is not an end. */
  readonly exit: ExitKind | null;
  /** Restarts since the child was stable, this one included. */
  readonly attempt: number;
  /** Time until the next start, milliseconds; null when none is scheduled. */
  readonly delayMs: number | null;
  /** Restarts that the child and the supervisor bear further within the period. */
  readonly budgetLeft: { readonly child: number; readonly supervisor: number };
}

export type SupervisorAction =
  | { readonly type: "child.start"; readonly id: string; readonly generation: number }
  /** Ask it to end within so many milliseconds; null for as long as it takes. */
  | { readonly type: "child.stop"; readonly id: string; readonly generation: number; readonly timeoutMs: number | null }
  | { readonly type: "child.kill"; readonly id: string; readonly generation: number }
  /** It is wanted, or not any more: whether the parent misses it. */
  | { readonly type: "child.wanted"; readonly id: string; readonly wanted: boolean }
  /** Its declaration is gone. */
  | { readonly type: "child.forgotten"; readonly id: string }
  | { readonly type: "supervisor.failed"; readonly reason: string; readonly exit: ExitKind }
  | { readonly type: "supervisor.shutdown"; readonly reason: string }
  | { readonly type: "supervision.decided"; readonly decision: SupervisionDecision };

/** One child. Mutable on purpose, as there may be ten thousand; only the supervisor writes. */
export interface SupervisedChild {
  readonly plan: ChildPlan;
  state: SupervisedState;
  generation: number;
  /** It is to run. */
  wanted: boolean;
  /** It is to end because of a sibling, and then to start again. */
  cycling: boolean;
  /** Terminated by a user: it stays so until a user restarts it. */
  terminated: boolean;
  /** Its first start was asked for by a user, who is told if it fails: then it is not tried again. */
  trial: "new" | "again" | null;
  /** Why it is ending although nobody told it to; null otherwise. */
  ending: SupervisedExit | null;
  killed: boolean;
  /** Not to be started before, milliseconds. */
  notBeforeMs: number;
  /** When its start or its end has taken too long, milliseconds. */
  deadlineAtMs: number;
  history: RestartHistory;
  attempt: number;
  delayMs: number;
  readyAtMs: number;
}

export class Supervisor {
  /** In the order of declaration. */
  readonly #children = new Map<string, SupervisedChild>();
  readonly #options: SupervisorOptions;
  /** Wanted, but no incarnation lives. */
  readonly #toStart = new Set<SupervisedChild>();
  /** Alive, but to end. */
  readonly #toStop = new Set<SupervisedChild>();
  #stopping = 0;
  #isHalted = true;
  #history: RestartHistory = [];
  #wakeAtMs = Infinity;
  #actions: SupervisorAction[] = [];

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  /** When `tick` is due, milliseconds; Infinity when nothing waits for time. */
  get wakeAtMs(): number {
    return this.#wakeAtMs;
  }

  get isHalted(): boolean {
    return this.#isHalted;
  }

  get(id: string): SupervisedChild | undefined {
    return this.#children.get(id);
  }

  all(): Iterable<SupervisedChild> {
    return this.#children.values();
  }

  /** Restarts of a child left within the period. */
  restartsLeft(child: SupervisedChild, nowMs: number): number {
    return restartsLeft(child.history, nowMs, this.#childIntensity);
  }

  /** Adds a child; a running supervisor starts it. */
  declare(plan: ChildPlan, nowMs: number, { isTrial = false } = {}): readonly SupervisorAction[] {
    const child: SupervisedChild = {
      plan,
      state: "stopped",
      generation: 0,
      wanted: true,
      cycling: false,
      terminated: false,
      trial: isTrial ? "new" : null,
      ending: null,
      killed: false,
      notBeforeMs: 0,
      deadlineAtMs: Infinity,
      history: [],
      attempt: 0,
      delayMs: 0,
      readyAtMs: Infinity,
    };
    this.#children.set(plan.id, child);
    this.#sort(child);
    return this.#settle(nowMs);
  }

  /** Starts whoever is to run, those whose living processes may still announce themselves not before `adoptUntilMs`. */
  start(nowMs: number, adoptUntilMs: (id: string) => number = () => 0): readonly SupervisorAction[] {
    if (!this.#isHalted) return [];
    this.#isHalted = false;
    this.#history = [];
    for (const child of this.#children.values()) {
      if (!child.terminated) this.#want(child, true);
      child.history = [];
      child.notBeforeMs = adoptUntilMs(child.plan.id);
      this.#sort(child);
      this.#wakeAt(child.notBeforeMs);
    }
    return this.#settle(nowMs);
  }

  /** Starts nothing any more. Whoever lives goes on until it is ended. */
  halt(): void {
    this.#isHalted = true;
    for (const child of this.#children.values()) {
      this.#apply(child, "restart.withdrawn");
      this.#sort(child);
    }
  }

  /** Ends one child that the halted supervisor no longer needs; it stays declared. */
  end(id: string, nowMs: number): readonly SupervisorAction[] {
    const child = this.#children.get(id);
    if (child !== undefined && isActive(child) && child.state !== "stopping") this.#stop(child, nowMs);
    return this.#take();
  }

  /** A user wants the child to end and to stay so. */
  terminate(id: string, nowMs: number): readonly SupervisorAction[] {
    const child = this.#children.get(id);
    if (child === undefined || (child.terminated && child.state === "stopped")) return [];
    child.terminated = true;
    child.cycling = false;
    this.#want(child, false);
    this.#apply(child, "restart.withdrawn");
    if (child.state === "stopped") this.#gone(child, { kind: "shutdown", reason: "terminated" }, "terminated", nowMs);
    this.#sort(child);
    return this.#settle(nowMs);
  }

  /** A user wants a child that does not run to run again. */
  restart(id: string, nowMs: number): readonly SupervisorAction[] {
    const child = this.#children.get(id);
    if (child === undefined || child.state !== "stopped") return [];
    Object.assign(child, { terminated: false, trial: "again", notBeforeMs: 0, attempt: 0, delayMs: 0, history: [] });
    this.#want(child, true);
    this.#sort(child);
    return this.#settle(nowMs);
  }

  /** Forgets a child that does not run. */
  remove(id: string): readonly SupervisorAction[] {
    const child = this.#children.get(id);
    if (child?.state === "stopped") this.#forget(child);
    return this.#take();
  }

  /** The child's subtree is ready. */
  ready(id: string, nowMs: number): readonly SupervisorAction[] {
    const child = this.#children.get(id);
    if (child?.state !== "starting") return [];
    this.#apply(child, "child.ready");
    Object.assign(child, { deadlineAtMs: Infinity, readyAtMs: nowMs, trial: null });
    this.#decide(child, { decision: "ready" }, nowMs);
    return this.#settle(nowMs);
  }

  /** A process that nobody here started holds the path of a child that does not run. Returns null if it cannot be taken. */
  adopt(id: string, nowMs: number): readonly SupervisorAction[] | null {
    const child = this.#children.get(id);
    if (child === undefined || isActive(child) || !child.wanted || this.#isHalted) return null;
    child.generation++;
    this.#apply(child, "child.adopted");
    Object.assign(child, { readyAtMs: nowMs, deadlineAtMs: Infinity, killed: false, ending: null, trial: null });
    this.#sort(child);
    this.#decide(child, { decision: "adopted" }, nowMs);
    return this.#settle(nowMs);
  }

  /** It says that it is ending, or must: it has its shutdown time to do so, or none. */
  ending(id: string, exit: SupervisedExit, nowMs: number, { kill = false } = {}): readonly SupervisorAction[] {
    const child = this.#children.get(id);
    if (child === undefined || !isActive(child)) return [];
    if (child.state !== "stopping") {
      child.ending = exit;
      this.#stop(child, nowMs);
    }
    if (kill) this.#kill(child, exit.reason, nowMs);
    return this.#take();
  }

  /** The incarnation is certainly gone, or its start failed. `random` is a number in [0, 1). */
  exited(
    id: string,
    generation: number,
    exit: SupervisedExit,
    { nowMs, random }: { readonly nowMs: number; readonly random: number },
  ): readonly SupervisorAction[] {
    const child = this.#children.get(id);
    if (child === undefined || child.generation !== generation || !isActive(child)) return [];
    const wasTold = child.state === "stopping" && child.ending === null;
    const cause = causeOf(child, exit);
    const wasStarting = child.trial !== null;
    this.#exit(child);
    if (wasTold || !child.wanted || this.#isHalted) this.#endedAsTold(child, cause, nowMs);
    else if (wasStarting) this.#trialFailed(child, cause, nowMs);
    else if (isRestarted(child.plan.restart, cause.kind)) this.#restart(child, cause, nowMs, random);
    else this.#finished(child, cause, nowMs);
    return this.#settle(nowMs);
  }

  /** Time has passed: kills what takes too long and starts what has waited long enough. */
  tick(nowMs: number): readonly SupervisorAction[] {
    for (const child of this.#children.values()) if (child.deadlineAtMs <= nowMs) this.#overdue(child, nowMs);
    this.#wakeAtMs = Infinity;
    for (const child of this.#children.values()) this.#wakeAt(child.deadlineAtMs);
    for (const child of this.#toStart) if (child.notBeforeMs > nowMs) this.#wakeAt(child.notBeforeMs);
    return this.#settle(nowMs);
  }

  /** Kills whoever still lives. */
  killAll(reason: string, nowMs: number): readonly SupervisorAction[] {
    for (const child of this.#children.values()) {
      if (isActive(child) && child.state !== "stopping") this.#stop(child, nowMs);
      if (isActive(child)) this.#kill(child, reason, nowMs);
    }
    return this.#take();
  }

  get #childIntensity() {
    return { intensity: this.#options.childIntensity, periodMs: this.#options.periodMs };
  }

  get #supervisorIntensity() {
    const { intensity, periodMs } = this.#options;
    return { intensity: intensity ?? Math.max(SUPERVISOR_INTENSITY_MIN, this.#children.size), periodMs };
  }

  get #isSequential(): boolean {
    return this.#options.strategy !== "one_for_one";
  }

  #take(): readonly SupervisorAction[] {
    const actions = this.#actions;
    this.#actions = [];
    return actions;
  }

  #wakeAt(atMs: number): void {
    this.#wakeAtMs = Math.min(this.#wakeAtMs, atMs);
  }

  #apply(child: SupervisedChild, event: SupervisedEvent["type"]): void {
    const next = supervisedChildTable[child.state][event];
    if (next === undefined) return;
    this.#stopping += Number(next === "stopping") - Number(child.state === "stopping");
    child.state = next;
  }

  #want(child: SupervisedChild, wanted: boolean): void {
    if (child.wanted === wanted) return;
    child.wanted = wanted;
    this.#actions.push({ type: "child.wanted", id: child.plan.id, wanted });
  }

  /** Keeps the sets of those to start and to stop. */
  #sort(child: SupervisedChild): void {
    const isStop = isActive(child) && child.state !== "stopping" && (!child.wanted || child.cycling);
    if (isStop) this.#toStop.add(child);
    else this.#toStop.delete(child);
    if (child.wanted && !isActive(child) && !this.#isHalted) this.#toStart.add(child);
    else this.#toStart.delete(child);
  }

  /** Stops and starts whoever's turn it is. */
  #settle(nowMs: number): readonly SupervisorAction[] {
    if (this.#toStop.size > 0) this.#stopNext(nowMs);
    if (this.#toStart.size > 0 && !this.#isHalted) this.#startNext(nowMs);
    return this.#take();
  }

  #stopNext(nowMs: number): void {
    for (const child of Array.from(this.#children.values()).toReversed()) {
      if (this.#toStop.has(child)) this.#stop(child, nowMs);
      // In reverse order, each when the one after it is gone.
      if (this.#isSequential && child.state === "stopping" && !child.plan.isDynamic) return;
    }
  }

  #startNext(nowMs: number): void {
    if (!this.#isSequential) {
      for (const child of this.#toStart) this.#startIfDue(child, nowMs);
      return;
    }
    if (this.#stopping + this.#toStop.size > 0) return;
    for (const child of this.#children.values()) {
      if (this.#toStart.has(child)) this.#startIfDue(child, nowMs);
      if (child.wanted && child.state !== "running") return;
    }
  }

  #startIfDue(child: SupervisedChild, nowMs: number): void {
    if (child.notBeforeMs > nowMs) return this.#wakeAt(child.notBeforeMs);
    child.generation++;
    this.#apply(child, "child.start");
    Object.assign(child, { ending: null, killed: false, cycling: false, readyAtMs: Infinity });
    child.deadlineAtMs = nowMs + child.plan.startTimeoutMs;
    this.#wakeAt(child.deadlineAtMs);
    this.#sort(child);
    this.#actions.push({ type: "child.start", id: child.plan.id, generation: child.generation });
    this.#decide(child, { decision: "started" }, nowMs);
  }

  #stop(child: SupervisedChild, nowMs: number): void {
    this.#apply(child, "child.stop");
    this.#sort(child);
    const { id, shutdown } = child.plan;
    if (shutdown === "brutal_kill" && child.ending === null) return this.#kill(child, "brutal_kill", nowMs);
    const timeoutMs = typeof shutdown === "number" ? shutdown : null;
    // Who ends by itself is not waited for without limit.
    const limitMs = timeoutMs ?? (child.ending === null ? Infinity : ENDING_MAX_MS);
    child.deadlineAtMs = nowMs + limitMs;
    this.#wakeAt(child.deadlineAtMs);
    this.#actions.push({ type: "child.stop", id, generation: child.generation, timeoutMs });
  }

  #kill(child: SupervisedChild, reason: string, nowMs: number): void {
    child.deadlineAtMs = Infinity;
    if (child.killed) return;
    child.killed = true;
    this.#actions.push({ type: "child.kill", id: child.plan.id, generation: child.generation });
    this.#decide(child, { decision: "killed", reason }, nowMs);
  }

  #overdue(child: SupervisedChild, nowMs: number): void {
    child.deadlineAtMs = Infinity;
    if (child.state === "starting") {
      const reason = `not ready within ${child.plan.startTimeoutMs} ms`;
      child.ending = { kind: "failed", reason };
      this.#apply(child, "child.stop");
      this.#sort(child);
      this.#kill(child, reason, nowMs);
    } else if (child.state === "stopping") {
      this.#kill(child, "it did not end in time", nowMs);
    }
  }

  #exit(child: SupervisedChild): void {
    this.#apply(child, "child.exited");
    Object.assign(child, { ending: null, deadlineAtMs: Infinity });
    this.#sort(child);
  }

  /** Ended because it was told to: by a user, with the supervisor, or with a sibling. */
  #endedAsTold(child: SupervisedChild, exit: SupervisedExit, nowMs: number): void {
    const isSibling = child.cycling && child.wanted && !this.#isHalted;
    child.cycling = false;
    this.#sort(child);
    if (isSibling && child.plan.restart !== "temporary") {
      this.#decide(child, { decision: "restarting", reason: "a sibling failed", exit: exit.kind, delayMs: 0 }, nowMs);
    } else {
      this.#gone(child, exit, "terminated", nowMs);
    }
  }

  /** Nobody asked for the end and nobody starts it again. */
  #finished(child: SupervisedChild, exit: SupervisedExit, nowMs: number): void {
    this.#gone(child, exit, "finished", nowMs);
    if (child.plan.significant && this.#isShutdownDue()) {
      const reason = `significant child ${child.plan.id} ended: ${exit.reason}`;
      this.#decide(child, { decision: "shutdown", reason, exit: exit.kind }, nowMs);
      this.#actions.push({ type: "supervisor.shutdown", reason });
    }
  }

  #isShutdownDue(): boolean {
    const { autoShutdown } = this.#options;
    if (autoShutdown !== "all_significant") return autoShutdown === "any_significant";
    for (const child of this.#children.values()) if (child.plan.significant && child.wanted) return false;
    return true;
  }

  #trialFailed(child: SupervisedChild, exit: SupervisedExit, nowMs: number): void {
    const isNew = child.trial === "new";
    child.trial = null;
    child.terminated = true;
    this.#gone(child, exit, "finished", nowMs);
    if (isNew && this.#children.has(child.plan.id)) this.#forget(child);
  }

  #gone(child: SupervisedChild, exit: SupervisedExit, decision: "terminated" | "finished", nowMs: number): void {
    // A halted supervisor keeps what it will start again.
    const isForGood = !this.#isHalted || child.terminated;
    if (isForGood) this.#want(child, false);
    if (decision === "finished") child.terminated = true;
    this.#sort(child);
    this.#decide(child, { decision, reason: exit.reason, exit: exit.kind }, nowMs);
    if (isForGood && (child.plan.isDynamic || child.plan.restart === "temporary")) this.#forget(child);
  }

  #forget(child: SupervisedChild): void {
    this.#children.delete(child.plan.id);
    this.#toStart.delete(child);
    this.#toStop.delete(child);
    this.#actions.push({ type: "child.forgotten", id: child.plan.id });
  }

  /** OTP's `restart/2`: counts, then starts again by the strategy, or gives up. */
  #restart(child: SupervisedChild, exit: SupervisedExit, nowMs: number, random: number): void {
    if (nowMs - child.readyAtMs >= Math.max(this.#options.stableMs, child.delayMs)) {
      Object.assign(child, { attempt: 0, delayMs: 0 });
    }
    child.attempt++;
    const excess = exit.kind === "dependencyDown" ? null : this.#count(child, nowMs);
    if (excess === null) this.#again(child, exit, nextBackoffMs(this.#options.backoff, child.delayMs, random), nowMs);
    else if (this.#options.cooldownMs === null) this.#escalate(child, exit, excess, nowMs);
    else this.#cool(child, exit, this.#options.cooldownMs, nowMs);
  }

  /** Counts a restart; returns whose intensity it exceeds. */
  #count(child: SupervisedChild, nowMs: number): "child" | "supervisor" | null {
    child.history = noteRestart(child.history, nowMs, this.#childIntensity);
    this.#history = noteRestart(this.#history, nowMs, this.#supervisorIntensity);
    if (isTooIntense(child.history, this.#childIntensity)) return "child";
    return isTooIntense(this.#history, this.#supervisorIntensity) ? "supervisor" : null;
  }

  #again(child: SupervisedChild, exit: SupervisedExit, delayMs: number, nowMs: number): void {
    child.delayMs = delayMs;
    this.#apply(child, "restart.scheduled");
    this.#schedule(child, delayMs, nowMs);
    this.#decide(child, { decision: "restarting", reason: exit.reason, exit: exit.kind, delayMs }, nowMs);
  }

  #cool(child: SupervisedChild, exit: SupervisedExit, delayMs: number, nowMs: number): void {
    Object.assign(child, { history: [], attempt: 0, delayMs: 0 });
    this.#history = [];
    this.#apply(child, "restart.cooling");
    this.#schedule(child, delayMs, nowMs);
    this.#decide(child, { decision: "cooling", reason: exit.reason, exit: exit.kind, delayMs }, nowMs);
  }

  #schedule(child: SupervisedChild, delayMs: number, nowMs: number): void {
    child.notBeforeMs = nowMs + delayMs;
    this.#wakeAt(child.notBeforeMs);
    let isAfter = false;
    for (const sibling of this.#children.values()) {
      if (sibling === child) isAfter = true;
      else if (this.#isConcerned(isAfter)) this.#cycle(sibling, child.notBeforeMs);
    }
  }

  #isConcerned(isAfter: boolean): boolean {
    const { strategy } = this.#options;
    return strategy === "one_for_all" || (strategy === "rest_for_one" && isAfter);
  }

  /** A sibling failed: it ends, and starts again with it, but a temporary one never does. */
  #cycle(sibling: SupervisedChild, notBeforeMs: number): void {
    if (!sibling.wanted) return;
    sibling.notBeforeMs = Math.max(sibling.notBeforeMs, notBeforeMs);
    if (isActive(sibling) && sibling.plan.restart === "temporary") this.#want(sibling, false);
    if (isActive(sibling)) sibling.cycling = true;
    this.#sort(sibling);
  }

  #escalate(child: SupervisedChild, exit: SupervisedExit, excess: "child" | "supervisor", nowMs: number): void {
    const { intensity } = excess === "child" ? this.#childIntensity : this.#supervisorIntensity;
    const limit = `${intensity} restarts in ${this.#options.periodMs} ms`;
    const reason = `restart intensity exceeded: more than ${limit} (${excess}), lastly of ${child.plan.id}: ${exit.reason}`;
    this.#decide(child, { decision: "escalated", reason, exit: exit.kind }, nowMs);
    this.#actions.push({ type: "supervisor.failed", reason, exit: exit.kind });
    this.halt();
  }

  #decide(
    child: SupervisedChild,
    part: Pick<SupervisionDecision, "decision"> & Partial<SupervisionDecision>,
    nowMs: number,
  ): void {
    const budgetLeft = {
      child: restartsLeft(child.history, nowMs, this.#childIntensity),
      supervisor: restartsLeft(this.#history, nowMs, this.#supervisorIntensity),
    };
    const { generation, attempt, plan } = child;
    const decision = { id: plan.id, generation, reason: "", exit: null, attempt, delayMs: null, budgetLeft, ...part };
    this.#actions.push({ type: "supervision.decided", decision });
  }
}

/** Smallest default intensity of a supervisor. */
const SUPERVISOR_INTENSITY_MIN = 10;

/** How long a child without limit may take to end by itself, milliseconds. */
const ENDING_MAX_MS = 30_000;

/** An incarnation of it may live. */
export function isActive({ state }: SupervisedChild): boolean {
  return state === "starting" || state === "running" || state === "stopping";
}

/** What an end is attributed to: what was said of it before, unless its exit tells more. */
function causeOf(child: SupervisedChild, exit: SupervisedExit): SupervisedExit {
  if (child.ending === null) return exit;
  return exit.kind === "dependencyDown" ? exit : child.ending;
}
