/**
 * Carries out what the supervisor machine decides: runs starters, watches for ends, keeps its timer, and tells users.
 *
 * The machine decides in `machines/supervisor.ts`; nothing here does.
 */
import type { ChildPlan } from "../../machines/child-spec.js";
import { isActive } from "../../machines/supervised-child.js";
import type {
  SupervisedExit,
  SupervisionDecision,
  SupervisorAction,
  SupervisorOptions,
} from "../../machines/supervision.js";
import { Supervisor } from "../../machines/supervisor.js";
import type { Clock, Random, Timer } from "../health/clock.js";
import type { Transport } from "../transport/transport.js";
import { Adoption } from "./adoption.js";
import { gaveWay } from "./exit.js";
import { Incarnation } from "./incarnation.js";
import type { ChildExit, Starter } from "./starter.js";

/** A declared child whose starts are ours. */
export interface OwnedSpec {
  readonly plan: ChildPlan;
  readonly starter: Starter;
  readonly args: unknown;
}

export interface SupervisionPort {
  readonly path: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly transport: Transport;
  /** The child's process is gone: its session ends. */
  gone(id: string, reason: string): void;
  /** Whether somebody has a session at the child's path. */
  isLinked(id: string): boolean;
  /** Asks whoever has the session to shut down. */
  tellStop(id: string, timeoutMs: number): void;
  wanted(id: string, wanted: boolean): void;
  forgotten(id: string): void;
  decided(decision: SupervisionDecision): void;
  /** The node can go on no longer. */
  failed(reason: string): void;
  /** Significant children have ended: the node's work is done. */
  shutdown(reason: string): void;
  /** The longest time that a child may take to end, milliseconds. */
  childMs(): number;
}

export class Supervision {
  readonly #port: SupervisionPort;
  readonly #machine: Supervisor;
  readonly #adoptionMs: number;
  readonly #specs = new Map<string, OwnedSpec>();
  readonly #incarnations = new Map<string, Incarnation | Adoption>();
  /** Called after every change, until they return true. */
  readonly #waiting = new Set<(decision: SupervisionDecision | null) => boolean>();
  #timer: Timer | null = null;
  #timerAtMs = Infinity;
  #isClosed = false;

  constructor(port: SupervisionPort, options: SupervisorOptions & { readonly adoptionMs: number }) {
    this.#port = port;
    this.#machine = new Supervisor(options);
    this.#adoptionMs = options.adoptionMs;
  }

  get machine(): Supervisor {
    return this.#machine;
  }

  /** Whether a child of this id is declared here. */
  has(id: string): boolean {
    return this.#specs.has(id);
  }

  spec(id: string): OwnedSpec | undefined {
    return this.#specs.get(id);
  }

  /** Whether it is to run: its ends are ours to deal with. */
  owns(id: string): boolean {
    return this.#machine.get(id)?.wanted === true;
  }

  /** Whether an incarnation of it may live. */
  isActive(id: string): boolean {
    const child = this.#machine.get(id);
    return child !== undefined && isActive(child);
  }

  /** Lets those go on that outlive their parent: it leaves, or another one has taken its place. */
  release(): void {
    this.halt();
    for (const { plan, starter } of this.#specs.values()) {
      const incarnation = this.#incarnations.get(plan.id);
      // An adopted one whose session is over cannot be told anything.
      const isMute = incarnation instanceof Adoption && !this.#port.isLinked(plan.id);
      if ((starter.outlivesParent !== true && !isMute) || !this.isActive(plan.id)) continue;
      incarnation?.release();
      this.#incarnations.delete(plan.id);
      this.#do(this.#machine.release(plan.id, this.#nowMs));
    }
  }

  get hasActive(): boolean {
    for (const child of this.#machine.all()) if (isActive(child)) return true;
    return false;
  }

  declare(spec: OwnedSpec, options?: { readonly isTrial: boolean }): void {
    this.#specs.set(spec.plan.id, spec);
    this.#do(this.#machine.declare(spec.plan, this.#nowMs, options));
  }

  /** Starts whoever is to run. */
  start(): void {
    const adoptUntilMs = this.#nowMs + this.#adoptionMs;
    const outlives = (id: string): boolean => this.#specs.get(id)?.starter.outlivesParent === true;
    this.#do(this.#machine.start(this.#nowMs, (id) => (outlives(id) ? adoptUntilMs : 0)));
    for (const id of this.#specs.keys()) if (this.#port.isLinked(id)) this.linkOpened(id);
  }

  /** Starts nothing any more, whatever is scheduled. */
  halt(): void {
    this.#do(this.#machine.halt(this.#nowMs));
  }

  /** Ends one child; resolves when it is certainly gone. */
  end(id: string): Promise<void> {
    this.#do(this.#machine.end(id, this.#nowMs));
    return this.#until(() => !this.isActive(id));
  }

  /**
   * Ends all that still live, dynamic ones first and together, the others in reverse order; who is left after `timeoutMs`
   * is killed. Resolves when they are certainly gone.
   */
  async endAll(timeoutMs: number): Promise<void> {
    this.halt();
    if (timeoutMs <= 0) this.killAll("the node's time to end is over");
    const { clock } = this.#port;
    const timer = clock.setTimeout(() => {
      if (this.#machine.isHalted) this.killAll("the time of all to end is over");
    }, timeoutMs);
    const plans = Array.from(this.#machine.all(), ({ plan }) => plan).toReversed();
    await Promise.all(plans.filter(({ isDynamic }) => isDynamic).map(({ id }) => this.end(id)));
    for (const { id, isDynamic } of plans) {
      // The node has begun anew: whoever was not ended yet goes on.
      if (!isDynamic && this.#machine.isHalted) await this.end(id);
    }
    clock.clearTimeout(timer);
  }

  /** Resolves when no child lives. */
  idle(): Promise<void> {
    return this.#until(() => !this.hasActive);
  }

  killAll(reason: string): void {
    this.halt();
    this.#do(this.#machine.killAll(reason, this.#nowMs));
    // Nobody waits for those any longer of whom there is only a session.
    for (const incarnation of this.#incarnations.values()) {
      if (incarnation instanceof Adoption) incarnation.ended({ kind: "failed", reason });
    }
  }

  terminate(id: string): Promise<void> {
    this.#do(this.#machine.terminate(id, this.#nowMs));
    return this.#until(() => !this.isActive(id));
  }

  restart(id: string): void {
    this.#do(this.#machine.restart(id, this.#nowMs));
  }

  remove(id: string): void {
    this.#do(this.#machine.remove(id));
  }

  /** Resolves with what becomes of a start: its readiness, or why there is none. */
  started(id: string): Promise<SupervisionDecision | null> {
    return new Promise((resolve) => {
      this.#waiting.add((decision) => {
        if (this.#isClosed) resolve(null);
        const isOutcome = decision?.id === id && OUTCOMES.has(decision.decision);
        if (isOutcome) resolve(decision);
        return isOutcome || this.#isClosed;
      });
    });
  }

  // What the links tell

  /** Somebody uses a session at the child's path. */
  linkOpened(id: string): void {
    if (this.#incarnations.has(id)) return;
    const actions = this.#machine.adopt(id, this.#nowMs);
    if (actions === null) return;
    const adoption: Adoption = new Adoption({
      clock: this.#port.clock,
      generation: this.#machine.get(id)?.generation ?? 0,
      tellStop: (timeoutMs) => this.#port.tellStop(id, timeoutMs),
      exited: (exit) => this.#exited(id, adoption, exit),
    });
    this.#incarnations.set(id, adoption);
    this.#do(actions);
  }

  linkReady(id: string): void {
    this.#do(this.#machine.ready(id, this.#nowMs));
  }

  /** The child left, failed or died; who cannot be trusted to end by itself is killed. Of a start that is under way its exit tells. */
  linkEnded(id: string, exit: SupervisedExit, { kill }: { readonly kill: boolean }): void {
    const incarnation = this.#incarnations.get(id);
    if (incarnation instanceof Adoption) incarnation.ended(exit);
    else if (incarnation?.hasStarted === true) this.#do(this.#machine.ending(id, exit, this.#nowMs, { kill }));
  }

  /** Ends a child that lives but cannot go on, and starts it again by its restart type. */
  condemn(id: string, reason: string): void {
    this.#do(this.#machine.ending(id, { kind: "failed", reason }, this.#nowMs, { kill: true }));
  }

  /** Without a connection nobody can become ready: that time is not held against those that start. */
  forgive(): void {
    this.#machine.excuse(this.#nowMs);
  }

  /** The node is over. Resolves the waits that are left. */
  close(): void {
    this.#isClosed = true;
    this.#wakeWaiting(null);
    this.#setTimer(Infinity);
  }

  get #nowMs(): number {
    return this.#port.clock.now();
  }

  #until(condition: () => boolean): Promise<void> {
    if (condition() || this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.add(() => {
        const isOver = condition() || this.#isClosed;
        if (isOver) resolve();
        return isOver;
      });
    });
  }

  #wakeWaiting(decision: SupervisionDecision | null): void {
    for (const wait of this.#waiting) if (wait(decision)) this.#waiting.delete(wait);
  }

  #do(actions: readonly SupervisorAction[]): void {
    for (const action of actions) this.#act(action);
    if (this.#waiting.size > 0) this.#wakeWaiting(null);
    this.#setTimer(this.#isClosed ? Infinity : this.#machine.wakeAtMs);
  }

  #act(action: SupervisorAction): void {
    const port = this.#port;
    switch (action.type) {
      case "child.start":
        return this.#start(action.id, action.generation);
      case "child.stop":
        return this.#stop(action.id, Math.max(1, Math.min(action.timeoutMs ?? LONGEST_MS, Math.floor(port.childMs()))));
      case "child.kill":
        return this.#incarnations.get(action.id)?.kill();
      case "child.wanted":
        return port.wanted(action.id, action.wanted);
      case "child.forgotten":
        this.#specs.delete(action.id);
        return port.forgotten(action.id);
      case "supervisor.failed":
        return port.failed(action.reason);
      case "supervisor.shutdown":
        return port.shutdown(action.reason);
      case "supervision.decided":
        port.decided(action.decision);
        return this.#wakeWaiting(action.decision);
    }
  }

  #start(id: string, generation: number): void {
    const spec = this.#specs.get(id);
    if (spec === undefined) return;
    const { clock, random, transport, path } = this.#port;
    const incarnation: Incarnation = new Incarnation({
      starter: spec.starter,
      context: { path: `${path}.${id}`, id, generation, transport, clock, random, args: spec.args },
      exited: (exit) => this.#exited(id, incarnation, exit),
    });
    this.#incarnations.set(id, incarnation);
  }

  #stop(id: string, timeoutMs: number): void {
    this.#port.tellStop(id, timeoutMs);
    this.#incarnations.get(id)?.stop(timeoutMs);
  }

  #exited(id: string, incarnation: Incarnation | Adoption, exit: ChildExit): void {
    if (this.#incarnations.get(id) !== incarnation) return;
    this.#incarnations.delete(id);
    const actions = this.#machine.exited(id, incarnation.generation, exit, this.#chance());
    const hasRival = gaveWay(exit) && this.#port.isLinked(id);
    if (!hasRival) this.#port.gone(id, exit.reason);
    this.#do(actions);
    if (hasRival) this.linkOpened(id);
  }

  #chance(): { readonly nowMs: number; readonly random: number } {
    return { nowMs: this.#nowMs, random: this.#port.random() };
  }

  #setTimer(atMs: number): void {
    if (atMs === this.#timerAtMs) return;
    const { clock } = this.#port;
    if (this.#timer !== null) clock.clearTimeout(this.#timer);
    this.#timer = null;
    this.#timerAtMs = atMs;
    if (atMs === Infinity) return;
    this.#timer = clock.setTimeout(() => this.#tick(), Math.max(0, Math.ceil(atMs - this.#nowMs)));
  }

  #tick(): void {
    const latenessMs = this.#nowMs - this.#timerAtMs;
    this.#timer = null;
    this.#timerAtMs = Infinity;
    // Whoever stood still meanwhile has not heard what the children said.
    if (!this.#port.transport.connected || latenessMs >= STALL_MS) this.forgive();
    this.#do(this.#machine.tick(this.#nowMs));
  }
}

const OUTCOMES: ReadonlySet<SupervisionDecision["decision"]> = new Set<SupervisionDecision["decision"]>([
  "ready",
  "adopted",
  "finished",
  "terminated",
  "escalated",
]);

/** Lateness of our own timer after which nobody is judged by it, milliseconds. */
const STALL_MS = 1_000;

/** The longest delay of a timer. */
const LONGEST_MS = 2 ** 31 - 1;
