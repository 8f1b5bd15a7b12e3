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
import { nextBackoffMs } from "./backoff.js";
import { type ChildPlan, isRestarted } from "./child-spec.js";
import { RestartBudget } from "./restart-budget.js";
import { Roster } from "./roster.js";
import { causeOf, isActive, newChild, type SupervisedChild } from "./supervised-child.js";
import type { SupervisedExit, SupervisionDecision, SupervisorAction, SupervisorOptions } from "./supervision.js";

const NEVER_STARTED: SupervisedExit = { kind: "shutdown", reason: "the supervisor ended first" };

/** How long a child without limit may take to end by itself, milliseconds. */
const ENDING_MAX_MS = 30_000;

export class Supervisor {
  readonly #roster: Roster;
  readonly #budget: RestartBudget;
  readonly #options: SupervisorOptions;
  #wakeAtMs = Infinity;
  #actions: SupervisorAction[] = [];

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#roster = new Roster(options.strategy);
    this.#budget = new RestartBudget(options, () => this.#roster.size);
  }

  /** When `tick` is due, milliseconds; Infinity when nothing waits for time. */
  get wakeAtMs(): number {
    return this.#wakeAtMs;
  }

  get isHalted(): boolean {
    return this.#roster.isHalted;
  }

  get(id: string): SupervisedChild | undefined {
    return this.#roster.get(id);
  }

  all(): Iterable<SupervisedChild> {
    return this.#roster.all();
  }

  /** Restarts of a child left within the period. */
  restartsLeft(child: SupervisedChild, nowMs: number): number {
    return this.#budget.left(child, nowMs).child;
  }

  /** Adds a child; a running supervisor starts it. */
  declare(plan: ChildPlan, nowMs: number, { isTrial = false } = {}): readonly SupervisorAction[] {
    const child = newChild(plan, { isTrial });
    this.#roster.add(child);
    return this.#settle(nowMs);
  }

  /** Starts whoever is to run, those whose living processes may still announce themselves not before `adoptUntilMs`. */
  start(nowMs: number, adoptUntilMs: (id: string) => number = () => 0): readonly SupervisorAction[] {
    if (!this.#roster.isHalted) return [];
    this.#roster.isHalted = false;
    this.#budget.reset();
    for (const child of this.#roster.all()) {
      if (!child.terminated) this.#want(child, true);
      child.history = [];
      child.notBeforeMs = adoptUntilMs(child.plan.id);
      this.#roster.sort(child);
      this.#wakeAt(child.notBeforeMs);
    }
    return this.#settle(nowMs);
  }

  /** Starts nothing any more. Whoever lives goes on until it is ended. */
  halt(nowMs: number): readonly SupervisorAction[] {
    this.#halt(nowMs);
    return this.#take();
  }

  /** Ends one child that the halted supervisor no longer needs; it stays declared. */
  end(id: string, nowMs: number): readonly SupervisorAction[] {
    const child = this.#roster.get(id);
    if (child !== undefined && isActive(child)) this.#hurry(child, nowMs);
    return this.#take();
  }

  /** A user wants the child to end and to stay so. */
  terminate(id: string, nowMs: number): readonly SupervisorAction[] {
    const child = this.#roster.get(id);
    if (child === undefined || (child.terminated && child.state === "stopped")) return [];
    child.terminated = true;
    child.cycling = false;
    this.#want(child, false);
    if (child.state === "stopping") this.#hurry(child, nowMs);
    this.#roster.apply(child, "restart.withdrawn");
    if (child.state === "stopped") this.#gone(child, { kind: "shutdown", reason: "terminated" }, "terminated", nowMs);
    this.#roster.sort(child);
    return this.#settle(nowMs);
  }

  /** A user wants a child that does not run to run again. */
  restart(id: string, nowMs: number): readonly SupervisorAction[] {
    const child = this.#roster.get(id);
    if (child === undefined || child.state !== "stopped") return [];
    Object.assign(child, { terminated: false, trial: "again", notBeforeMs: 0, attempt: 0, delayMs: 0, history: [] });
    this.#want(child, true);
    this.#roster.sort(child);
    return this.#settle(nowMs);
  }

  /** Forgets a child that does not run. */
  remove(id: string): readonly SupervisorAction[] {
    const child = this.#roster.get(id);
    if (child?.state === "stopped") this.#forget(child);
    return this.#take();
  }

  /** The child's subtree is ready. */
  ready(id: string, nowMs: number): readonly SupervisorAction[] {
    const child = this.#roster.get(id);
    if (child?.state !== "starting") return [];
    this.#roster.apply(child, "child.ready");
    Object.assign(child, { deadlineAtMs: Infinity, readyAtMs: nowMs, trial: null });
    this.#decide(child, { decision: "ready" }, nowMs);
    return this.#settle(nowMs, child);
  }

  /** A process that nobody here started holds the path of a child that does not run. Returns null if it cannot be taken. */
  adopt(id: string, nowMs: number): readonly SupervisorAction[] | null {
    const child = this.#roster.get(id);
    if (child === undefined || isActive(child) || !child.wanted || this.#roster.isHalted) return null;
    child.generation++;
    this.#roster.apply(child, "child.adopted");
    Object.assign(child, { readyAtMs: nowMs, deadlineAtMs: Infinity, killed: false, ending: null, trial: null });
    this.#roster.sort(child);
    this.#decide(child, { decision: "adopted" }, nowMs);
    return this.#settle(nowMs, child);
  }

  /** It says that it is ending, or must: it has its shutdown time to do so, or none. */
  ending(id: string, exit: SupervisedExit, nowMs: number, { kill = false } = {}): readonly SupervisorAction[] {
    const child = this.#roster.get(id);
    if (child === undefined || !isActive(child)) return [];
    if (child.state !== "stopping") {
      child.ending = exit;
      this.#stop(child, nowMs);
    }
    if (kill) this.#kill(child, exit.reason, nowMs);
    return this.#take();
  }

  /** The halted supervisor no longer answers for it: it lives on. */
  release(id: string, nowMs: number): readonly SupervisorAction[] {
    const child = this.#roster.get(id);
    if (child === undefined || !isActive(child)) return [];
    this.#exit(child);
    this.#decide(child, { decision: "released" }, nowMs);
    return this.#take();
  }

  /** The incarnation is certainly gone, or its start failed. `random` is a number in [0, 1). */
  exited(
    id: string,
    generation: number,
    exit: SupervisedExit,
    { nowMs, random }: { readonly nowMs: number; readonly random: number },
  ): readonly SupervisorAction[] {
    const child = this.#roster.get(id);
    if (child === undefined || child.generation !== generation || !isActive(child)) return [];
    // Who was ending by itself when a sibling failed ends with it: one failure is one restart.
    const wasTold = child.state === "stopping" && (child.ending === null || child.cycling);
    const cause = causeOf(child, exit);
    const wasStarting = child.trial !== null;
    this.#exit(child);
    if (wasTold || !child.wanted || this.#roster.isHalted) this.#endedAsTold(child, cause, nowMs);
    else if (wasStarting) this.#trialFailed(child, cause, nowMs);
    else if (isRestarted(child.plan.restart, cause.kind)) this.#restart(child, cause, nowMs, random);
    else this.#finished(child, cause, nowMs);
    return this.#settle(nowMs, child);
  }

  /** Time has passed: kills what takes too long and starts what has waited long enough. */
  tick(nowMs: number): readonly SupervisorAction[] {
    for (const child of this.#roster.all()) if (child.deadlineAtMs <= nowMs) this.#overdue(child, nowMs);
    this.#wakeAtMs = Infinity;
    for (const child of this.#roster.all()) this.#wakeAt(child.deadlineAtMs);
    for (const child of this.#roster.waiting()) if (child.notBeforeMs > nowMs) this.#wakeAt(child.notBeforeMs);
    return this.#settle(nowMs);
  }

  /** Nobody could become ready lately: whoever starts has its time anew. */
  excuse(nowMs: number): void {
    for (const child of this.#roster.all()) {
      if (child.state === "starting") child.deadlineAtMs = nowMs + child.plan.startTimeoutMs;
    }
  }

  /** Kills whoever still lives. */
  killAll(reason: string, nowMs: number): readonly SupervisorAction[] {
    for (const child of this.#roster.all()) {
      if (isActive(child) && child.state !== "stopping") this.#stop(child, nowMs);
      if (isActive(child)) this.#kill(child, reason, nowMs);
    }
    return this.#take();
  }

  #halt(nowMs: number): void {
    this.#roster.isHalted = true;
    for (const child of this.#roster.all()) {
      child.cycling = false;
      this.#roster.apply(child, "restart.withdrawn");
      this.#roster.sort(child);
      if (child.trial !== null && !isActive(child)) this.#gone(child, NEVER_STARTED, "terminated", nowMs);
    }
  }

  #take(): readonly SupervisorAction[] {
    const actions = this.#actions;
    this.#actions = [];
    return actions;
  }

  #wakeAt(atMs: number): void {
    this.#wakeAtMs = Math.min(this.#wakeAtMs, atMs);
  }

  #want(child: SupervisedChild, wanted: boolean): void {
    if (child.wanted === wanted) return;
    child.wanted = wanted;
    this.#actions.push({ type: "child.wanted", id: child.plan.id, wanted });
  }

  /** Stops and starts whoever's turn it is; `changed` is the only child about which anything changed, if there is one. */
  #settle(nowMs: number, changed?: SupervisedChild): readonly SupervisorAction[] {
    for (const child of this.#roster.turnsToStop(changed)) this.#stop(child, nowMs);
    for (const child of this.#roster.turnsToStart(changed)) this.#startIfDue(child, nowMs);
    return this.#take();
  }

  #startIfDue(child: SupervisedChild, nowMs: number): void {
    if (child.notBeforeMs > nowMs) return this.#wakeAt(child.notBeforeMs);
    child.generation++;
    this.#roster.apply(child, "child.start");
    Object.assign(child, { ending: null, killed: false, cycling: false, readyAtMs: Infinity });
    child.deadlineAtMs = nowMs + child.plan.startTimeoutMs;
    this.#wakeAt(child.deadlineAtMs);
    this.#roster.sort(child);
    this.#actions.push({ type: "child.start", id: child.plan.id, generation: child.generation });
    this.#decide(child, { decision: "started" }, nowMs);
  }

  #stop(child: SupervisedChild, nowMs: number): void {
    this.#roster.apply(child, "child.stop");
    this.#roster.sort(child);
    const { id, shutdown } = child.plan;
    if (shutdown === "brutal_kill" && child.ending === null) return this.#kill(child, "brutal_kill", nowMs);
    const timeoutMs = typeof shutdown === "number" ? shutdown : null;
    // Who ends by itself is not waited for without limit.
    const limitMs = timeoutMs ?? (child.ending === null ? Infinity : ENDING_MAX_MS);
    child.deadlineAtMs = nowMs + limitMs;
    this.#wakeAt(child.deadlineAtMs);
    this.#actions.push({ type: "child.stop", id, generation: child.generation, timeoutMs });
  }

  /** Ends a child, or makes one that is ending by itself keep to its declaration. */
  #hurry(child: SupervisedChild, nowMs: number): void {
    if (child.state !== "stopping") this.#stop(child, nowMs);
    else if (child.plan.shutdown === "brutal_kill") this.#kill(child, "brutal_kill", nowMs);
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
      this.#roster.apply(child, "child.stop");
      this.#roster.sort(child);
      this.#kill(child, reason, nowMs);
    } else if (child.state === "stopping") {
      this.#kill(child, "it did not end in time", nowMs);
    }
  }

  #exit(child: SupervisedChild): void {
    this.#roster.apply(child, "child.exited");
    Object.assign(child, { ending: null, deadlineAtMs: Infinity });
    this.#roster.sort(child);
  }

  /** Ended because it was told to: by a user, with the supervisor, or with a sibling. */
  #endedAsTold(child: SupervisedChild, exit: SupervisedExit, nowMs: number): void {
    // With a sibling, or with a supervisor that has begun anew meanwhile.
    const isToStart = child.wanted && !this.#roster.isHalted;
    const reason = child.cycling ? "a sibling failed" : "the supervisor started anew";
    child.cycling = false;
    this.#roster.sort(child);
    if (isToStart) {
      this.#decide(child, { decision: "restarting", reason, exit: exit.kind, delayMs: 0 }, nowMs);
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
    for (const child of this.#roster.all()) if (child.plan.significant && child.wanted) return false;
    return true;
  }

  /** Its user is told, and it is not tried again; a new one is not declared any more. */
  #trialFailed(child: SupervisedChild, exit: SupervisedExit, nowMs: number): void {
    this.#gone(child, exit, "finished", nowMs);
    child.trial = null;
  }

  #gone(child: SupervisedChild, exit: SupervisedExit, decision: "terminated" | "finished", nowMs: number): void {
    // A halted supervisor keeps what it will start again, but not what its user is told did not start.
    const isForGood = !this.#roster.isHalted || child.terminated || child.trial !== null;
    if (isForGood) this.#want(child, false);
    if (decision === "finished" || child.trial !== null) child.terminated = true;
    this.#roster.sort(child);
    this.#decide(child, { decision, reason: exit.reason, exit: exit.kind }, nowMs);
    const isKept = !isForGood || (!child.plan.isDynamic && child.plan.restart !== "temporary" && child.trial !== "new");
    if (!isKept) this.#forget(child);
  }

  #forget(child: SupervisedChild): void {
    this.#roster.forget(child);
    this.#actions.push({ type: "child.forgotten", id: child.plan.id });
  }

  /** OTP's `restart/2`: counts, then starts again by the strategy, or gives up. */
  #restart(child: SupervisedChild, exit: SupervisedExit, nowMs: number, random: number): void {
    if (nowMs - child.readyAtMs >= Math.max(this.#options.stableMs, child.delayMs)) {
      Object.assign(child, { attempt: 0, delayMs: 0 });
    }
    child.attempt++;
    const excess = exit.kind === "dependencyDown" ? null : this.#budget.count(child, nowMs);
    if (excess === null) this.#again(child, exit, nextBackoffMs(this.#options.backoff, child.delayMs, random), nowMs);
    else if (this.#options.cooldownMs === null) this.#escalate(child, exit, excess, nowMs);
    else this.#cool(child, exit, this.#options.cooldownMs, nowMs);
  }

  #again(child: SupervisedChild, exit: SupervisedExit, delayMs: number, nowMs: number): void {
    child.delayMs = delayMs;
    this.#roster.apply(child, "restart.scheduled");
    this.#decide(child, { decision: "restarting", reason: exit.reason, exit: exit.kind, delayMs }, nowMs);
    this.#schedule(child, delayMs, nowMs);
  }

  #cool(child: SupervisedChild, exit: SupervisedExit, delayMs: number, nowMs: number): void {
    Object.assign(child, { history: [], attempt: 0, delayMs: 0 });
    this.#budget.reset();
    this.#roster.apply(child, "restart.cooling");
    this.#decide(child, { decision: "cooling", reason: exit.reason, exit: exit.kind, delayMs }, nowMs);
    this.#schedule(child, delayMs, nowMs);
  }

  #schedule(child: SupervisedChild, delayMs: number, nowMs: number): void {
    child.notBeforeMs = nowMs + delayMs;
    this.#wakeAt(child.notBeforeMs);
    if (this.#options.strategy === "one_for_one") return;
    let isAfter = this.#options.strategy === "one_for_all";
    for (const sibling of this.#roster.all()) {
      if (sibling === child) isAfter = true;
      else if (isAfter) this.#cycle(sibling, nowMs, child.notBeforeMs);
    }
  }

  /** A sibling failed: it ends, and starts again with it, but a temporary one never does. */
  #cycle(sibling: SupervisedChild, nowMs: number, notBeforeMs: number): void {
    if (!sibling.wanted) return;
    sibling.notBeforeMs = Math.max(sibling.notBeforeMs, notBeforeMs);
    if (isActive(sibling) && sibling.plan.restart === "temporary") {
      sibling.terminated = true;
      this.#want(sibling, false);
    }
    if (isActive(sibling)) sibling.cycling = true;
    if (sibling.state === "stopping") this.#hurry(sibling, nowMs);
    this.#roster.sort(sibling);
  }

  #escalate(child: SupervisedChild, exit: SupervisedExit, excess: "child" | "supervisor", nowMs: number): void {
    const { intensity, periodMs } = this.#budget[excess];
    const limit = `${intensity} restarts in ${periodMs} ms`;
    const reason = `restart intensity exceeded: more than ${limit} (${excess}), lastly of ${child.plan.id}: ${exit.reason}`;
    this.#decide(child, { decision: "escalated", reason, exit: exit.kind }, nowMs);
    this.#actions.push({ type: "supervisor.failed", reason, exit: exit.kind });
    this.#halt(nowMs);
  }

  #decide(
    child: SupervisedChild,
    part: Pick<SupervisionDecision, "decision"> & Partial<SupervisionDecision>,
    nowMs: number,
  ): void {
    const budgetLeft = this.#budget.left(child, nowMs);
    const { generation, attempt, plan } = child;
    const decision = { id: plan.id, generation, reason: "", exit: null, attempt, delayMs: null, budgetLeft, ...part };
    this.#actions.push({ type: "supervision.decided", decision });
  }
}
