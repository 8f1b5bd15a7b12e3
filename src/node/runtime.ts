/**
 * One running node: wires its machine, links, calls and beat together.
 *
 * N1. A node without an epoch runs nothing and opens no session.
 * N2. Nothing that arrives throws into the runtime: what does not fit is counted and dropped.
 * N3. After the end no timer, subscription or unsettled promise of the node is left.
 */
import type { Epoch } from "../../machines/epoch.js";
import type { SupervisionDecision } from "../../machines/supervision.js";
import type { UpMessage } from "../protocol/messages.js";
import { parentPath } from "../protocol/path.js";
import type { Subscription } from "../transport/transport.js";
import { type Outcome, refused } from "./call.js";
import { ChildInbox } from "./child-inbox.js";
import type { ChildLink } from "./child-link.js";
import { ChildOperations } from "./child-operations.js";
import { Children } from "./children.js";
import { CommandRouter } from "./command-router.js";
import { Coordinator, type CoordinatorPort } from "./coordinator.js";
import { type CoreOwner, NodeCore } from "./core.js";
import { Departure } from "./departure.js";
import type { EndReason, StateChange } from "./events.js";
import { Ending } from "./ending.js";
import { Executor } from "./executor.js";
import { type Commands, handlersOf } from "./handlers.js";
import { Lease, type LeasePort } from "./lease.js";
import type { ResolvedNodeOptions } from "./options.js";
import { OwnedChildren } from "./owned-children.js";
import { ParentInbox } from "./parent-inbox.js";
import { Pulse, type PulsePort } from "./pulse.js";
import { Reporter } from "./reporter.js";
import { Requests } from "./requests.js";
import { Rivalry } from "./rivalry.js";
import { storedEpoch } from "./stored-epoch.js";
import { Synchronizer } from "./synchronizer.js";
import { Uplink } from "./uplink.js";
import { Vigil } from "./vigil.js";

type Phase = "created" | "running" | "stopping" | "ended";

/** What a node has begun to need. */
interface ExistingParts {
  executor: Executor | null;
  requestExecutor: Executor | null;
  requests: Requests | null;
  synchronizer: Synchronizer | null;
}

/** Of most nodes, which neither call nor serve. Never written to. */
const NO_PARTS: Readonly<ExistingParts> = {
  executor: null,
  requestExecutor: null,
  requests: null,
  synchronizer: null,
};

export class NodeRuntime implements CoordinatorPort, CoreOwner, LeasePort, PulsePort {
  readonly core: NodeCore;
  /** The router, once it was needed. */
  existingRouter: CommandRouter | null = null;
  phase: Phase = "created";
  /** The state is one in which the node can work. Asked for each command: the coordinator is a place more that no cache holds. */
  #isAvailable = false;
  readonly uplink: Uplink | null;
  #existing: ExistingParts = NO_PARTS;
  readonly coordinator: Coordinator;
  readonly lease: Lease;
  readonly pulse: Pulse;
  readonly children: Children;
  readonly owned: OwnedChildren;
  readonly reporter: Reporter;
  /** A child has used a session of ours: we are known as the parent. */
  isEstablished = false;
  readonly #vigil: Vigil;
  #operations: ChildOperations | null = null;
  #departure: Departure | null = null;
  #ending: Ending | null = null;
  #rivalry: Rivalry | null = null;
  #connection: Subscription | null = null;
  #isCountScheduled = false;

  constructor(path: string, options: ResolvedNodeOptions) {
    this.core = new NodeCore(path, options);
    const { core } = this;
    const parent = parentPath(core.path);
    this.children = new Children(core, new ChildInbox(this));
    this.owned = new OwnedChildren(this);
    this.uplink = parent === null ? null : new Uplink(core, parent, new ParentInbox(this));
    this.coordinator = new Coordinator(core, parent !== null, this);
    this.pulse = new Pulse(this);
    this.#vigil = new Vigil(core, this.children, this.uplink);
    this.reporter = new Reporter(this);
    this.lease = new Lease(this);
  }

  // Parts that are made when they are needed first: ten thousand idle leaves hold none of them.

  /** Those of them that there are. */
  get existing(): Readonly<ExistingParts> {
    return this.#existing;
  }

  get operations(): ChildOperations {
    return (this.#operations ??= new ChildOperations(this));
  }

  get ending(): Ending {
    return (this.#ending ??= new Ending(this));
  }

  get departure(): Departure {
    return (this.#departure ??= new Departure(this));
  }

  get rivalry(): Rivalry {
    return (this.#rivalry ??= new Rivalry(this));
  }

  get executor(): Executor {
    return (this.#parts.executor ??= this.#newExecutor(this.core.options.commands));
  }

  get synchronizer(): Synchronizer {
    return (this.#parts.synchronizer ??= new Synchronizer(this.core, this.children));
  }

  get router(): CommandRouter {
    return this.existingRouter ?? this.#newRouter();
  }

  get requests(): Requests {
    return (this.#parts.requests ??= this.#newRequests());
  }

  get #requestExecutor(): Executor {
    return (this.#parts.requestExecutor ??= this.#newExecutor(this.core.options.requests));
  }

  get #parts(): ExistingParts {
    if (this.#existing === NO_PARTS) this.#existing = { ...NO_PARTS };
    return this.#existing;
  }

  #newRouter(): CommandRouter {
    this.existingRouter = new CommandRouter(this);
    if (this.uplink !== null) this.uplink.commands = this.existingRouter;
    return this.existingRouter;
  }

  #newRequests(): Requests {
    const { core, uplink } = this;
    const sendUp = (message: UpMessage): void => uplink?.send(message);
    const hasUplink = uplink !== null;
    const requests = new Requests({ core, executor: this.#requestExecutor, hasUplink, sendUp });
    // The session may have been opened long before the first request.
    if (uplink?.channel) requests.calls.opened({ sameExecutor: true });
    requests.calls.grant(uplink?.channel?.peerCredit ?? 0);
    return requests;
  }

  // What the parts need to know of each other

  /** The node runs, is not stopping, and has sessions with its children or seeks them. */
  get isRunning(): boolean {
    return this.phase === "running" && this.coordinator.isCoordinating;
  }

  get isStarted(): boolean {
    return this.phase !== "created";
  }

  get isRoot(): boolean {
    return this.uplink === null;
  }

  /** Handlers of commands that run, and commands that wait for one. */
  get running(): number {
    return this.#existing.executor?.running ?? 0;
  }

  get queued(): number {
    return this.#existing.executor?.queued ?? 0;
  }

  /** The version of the parent's document that is here; 0 for none. */
  get receivedVersion(): number {
    return this.#existing.synchronizer?.receivedVersion ?? 0;
  }

  /** Commands of the parent are under way, or several requests to it. */
  get isBusy(): boolean {
    const { requests } = this.#existing;
    return this.existingRouter?.isBusy === true || (requests?.calls.size ?? 0) > 1;
  }

  /** Requests that can wait for a handler. */
  get requestSlots(): number {
    return this.#existing.requestExecutor?.freeSlots ?? this.core.options.queueMax;
  }

  /** Resolves when the node is over; never rejects. */
  get ended(): Promise<EndReason> {
    return this.ending.ended;
  }

  /** What was told to parent and children; empty before the end begins. */
  get why(): string {
    return this.#departure?.why ?? "";
  }

  /** What is left of the time to end, milliseconds; Infinity while nobody wants the end. */
  get leftMs(): number {
    return this.#departure?.leftMs ?? Infinity;
  }

  /** What is left of that for a child. */
  get childMs(): number {
    return this.#departure?.childMs ?? Infinity;
  }

  /** May be called again after it failed, which only the epoch store can make it. */
  async start(): Promise<void> {
    const { transport } = this.core.options;
    if (this.uplink === null) this.core.epoch = Object.freeze([await this.#rootEpoch()]);
    if (this.phase !== "created") return;
    this.phase = "running";
    transport.locals?.add(this.core.boot);
    this.core.ownedBy(this);
    this.#connection = transport.onConnection(this.#connectionChanged.bind(this));
    this.children.listen();
    this.coordinator.start();
    this.pulse.quicken();
    if (this.uplink === null) return this.requestCoordination();
    this.uplink.listen();
    this.uplink.seek();
  }

  async #rootEpoch(): Promise<number> {
    const { epochStore, clock } = this.core.options;
    return epochStore === null ? Math.floor(clock.wallNow()) : await storedEpoch(epochStore, this.core.path, 1);
  }

  /** Finishes what was accepted and refuses new work; the node stays in the tree. */
  async drain(): Promise<void> {
    await Promise.all([this.executor.drain(), this.#requestExecutor.drain()]);
  }

  /** Of what was accepted, that is also what was passed on. */
  async #workDone(): Promise<void> {
    await Promise.all([this.drain(), this.existingRouter?.idle()]);
  }

  #newExecutor(commands: Commands): Executor {
    return new Executor(this, handlersOf(commands));
  }

  /** Whether a handler may start, of which the parent is to hear. */
  mayStart(nowMs: number): boolean {
    // A parent in our thread stood still with us.
    const isValid = this.uplink?.isLocal === true || this.lease.isValid(nowMs);
    if (this.core.isCalm) this.pulse.enliven();
    return isValid;
  }

  /** Work was done, for a parent that requires progress. */
  progressed(): void {
    this.core.progress++;
    if (this.core.isCalm) this.pulse.enliven();
  }

  // Ending's and departure's

  /** From now on nothing new is accepted; resolves when what was accepted has ended. */
  stopAccepting(): Promise<void> {
    if (this.phase === "running") this.phase = "stopping";
    this.coordinator.stopRetrying();
    return this.#workDone();
  }

  finish(reason: EndReason): void {
    this.ending.finish(reason);
  }

  untilEnded(timeoutMs: number): Promise<void> {
    return this.ending.untilEnded(timeoutMs);
  }

  transportClosed(): void {
    this.ending.transportClosed();
  }

  // Coordination

  callChildren(): void {
    this.children.call();
  }

  reportUp(): void {
    this.reporter.announceState();
  }

  cleanUp(failure: string): Promise<void> | null {
    return this.ending.failed(failure);
  }

  retry(): void {
    if (this.uplink === null) this.requestCoordination();
    else this.uplink.seek();
  }

  /** The parent wants the end of the tree from here down, or its work is done. */
  shutDown(timeoutMs: number, why: string): void {
    void this.departure.begin({ reason: "shutdown", why, timeoutMs, isTree: true });
  }

  /** Declares the node failed. */
  fail(reason: string, { dependencyDown = false } = {}): void {
    // Elsewhere it changes nothing, and must not excuse the next failure.
    if (!this.coordinator.isCoordinating) return;
    this.ending.isDependencyDown = dependencyDown;
    this.coordinator.send({ type: "fault.raised", reason });
  }

  /** Its significant children have ended. */
  finished(why: string): void {
    this.shutDown(this.core.options.shutdownTimeoutMs, why);
  }

  requestCoordination(budgetMs?: number): void {
    const budget = budgetMs === undefined ? {} : { budgetMs };
    this.children.expectAnew();
    this.coordinator.send({ type: "coordination.requested", counts: this.children.counts, ...budget });
  }

  entered(change: StateChange): void {
    const { atMs, path, from, state, reasons, failure } = change;
    this.#isAvailable = this.coordinator.isAvailable;
    this.core.log.info({ event: "state.changed", atMs, path, from, state, reasons, failure }, `${from} → ${state}`);
    this.core.emitter.emit("state.changed", change);
    if (this.phase !== "running") return;
    if (state === "CONNECTING") this.owned.start();
    this.pulse.quicken();
  }

  /** Null when the node can work; otherwise why not. */
  refusal(): Outcome | null {
    if (this.phase !== "running") return refused("DRAINING", `${this.core.path} is stopping`);
    if (this.#isAvailable) return null;
    return refused("NOT_READY", `${this.core.path} is ${this.coordinator.state}`);
  }

  // Children

  noteEstablished(): void {
    this.isEstablished = true;
  }

  decided(link: ChildLink | undefined, decision: SupervisionDecision): void {
    this.ending.notices.decided(link, decision);
  }

  probe(): void {
    this.children.probe();
  }

  superseded(epoch: Epoch): void {
    this.ending.fenced(epoch);
  }

  tellParent(epoch: Epoch): void {
    this.uplink?.tellNewerParent(epoch);
  }

  /** One event for the machine a turn, however many children changed. */
  scheduleCounts(): void {
    if (this.#isCountScheduled) return;
    this.#isCountScheduled = true;
    this.core.options.clock.defer(() => {
      this.#isCountScheduled = false;
      // Children that leave because we shut them down are not missed.
      if (this.phase !== "running") return;
      this.coordinator.send({ type: "children.changed", counts: this.children.counts });
      this.reporter.schedule();
    });
  }

  // Beating

  get childrenSentMs(): number | null {
    return this.children.lastSentMs;
  }

  get uplinkSentMs(): number | null {
    return this.uplink?.channel?.lastSentMs ?? null;
  }

  get uplinkPromiseMs(): number {
    return this.pulse.uplinkPromiseMs;
  }

  get isUplinkLocal(): boolean {
    return this.uplink === null ? this.core.staysInThread : this.uplink.isLocal;
  }

  get areChildrenLocal(): boolean {
    return this.children.areLocal;
  }

  get hasNews(): boolean {
    return this.reporter.hasNews;
  }

  get lookAtMs(): number {
    return this.#vigil.lookAtMs(this.owned.requiresProgress);
  }

  beatChildren(nextInMs: number): void {
    this.children.beat(nextInMs);
  }

  beatUplink(nextInMs: number): void {
    this.reporter.beat(nextInMs);
  }

  judge(nowMs: number): void {
    this.#vigil.judge(nowMs);
    this.owned.judge(nowMs);
  }

  stalled(latenessMs: number): void {
    this.#vigil.noteStall(latenessMs);
    this.lease.noteStall(latenessMs);
  }

  probeParent(): void {
    this.reporter.send({ sequenced: true });
  }

  leaseRenewed(): void {
    this.#existing.executor?.resume();
    this.#existing.requestExecutor?.resume();
  }

  forgive(nowMs: number): void {
    this.#vigil.forgive(nowMs);
    this.owned.forgive(nowMs);
  }

  #connectionChanged(connected: boolean): void {
    const { log, path, emitter } = this.core;
    if (connected) log.info({ event: "transport.reconnected", path }, "the transport is connected again");
    else
      log.warn({ event: "transport.disconnected", path }, "the transport is disconnected; nobody is judged meanwhile");
    emitter.emit("transport.changed", { connected });
    // Within a thread nothing is cut off but by its end.
    if (!connected && this.core.staysInThread) return this.core.transportClosed();
    this.core.troubled();
    this.forgive(this.core.now());
    if (!connected || this.phase !== "running") return;
    for (const link of this.children.open()) link.channel?.reconnected();
    // Who gave us up meanwhile waits for its next announcement otherwise.
    if (this.coordinator.isCoordinating) this.children.probe();
    this.uplink?.reconnected();
    this.pulse.quicken();
  }

  // Ending

  endCalls(why: string): void {
    this.existingRouter?.closeParking(why);
    this.executor.close(why);
    this.#requestExecutor.close(why);
    this.children.endCalls(why);
  }

  /** Ends every part; returns false if that was done before. */
  close(): boolean {
    if (this.phase === "ended") return false;
    if (this.phase !== "created") this.coordinator.send({ type: "shutdown.requested" });
    this.phase = "ended";
    this.core.end();
    this.owned.halt();
    this.pulse.stop();
    this.reporter.close();
    this.endCalls("the node has ended");
    this.#existing.requests?.calls.close("the node has ended");
    this.children.close();
    this.uplink?.close();
    this.coordinator.stop();
    this.#connection?.unsubscribe();
    this.core.options.transport.locals?.delete(this.core.boot);
    return true;
  }
}
