/**
 * One running node: wires its machine, links, calls and beat together.
 *
 * N1. A node without an epoch runs nothing and opens no session.
 * N2. Nothing that arrives throws into the runtime: what does not fit is counted and dropped.
 * N3. After the end no timer, subscription or unsettled promise of the node is left.
 */
import { formatEpoch } from "../../machines/epoch.js";
import type { LinkState } from "../../machines/link.js";
import type { Message, UnknownMessage } from "../protocol/messages.js";
import { parentPath } from "../protocol/path.js";
import type { Subscription } from "../transport/transport.js";
import { type Outcome, refused } from "./call.js";
import { ChildInbox } from "./child-inbox.js";
import type { ChildLink } from "./child-link.js";
import { ChildOperations } from "./child-operations.js";
import { Children, type ChildrenPort } from "./children.js";
import { CommandRouter } from "./command-router.js";
import { Coordinator, type CoordinatorPort } from "./coordinator.js";
import { NodeCore } from "./core.js";
import { Departure } from "./departure.js";
import type { EndReason, StateChange } from "./events.js";
import { Ending } from "./ending.js";
import { Executor } from "./executor.js";
import { type Commands, handlerLookup } from "./handlers.js";
import { Lease } from "./lease.js";
import { positiveInteger } from "./option-checks.js";
import type { ResolvedNodeOptions } from "./options.js";
import { OwnedChildren } from "./owned-children.js";
import { ParentInbox } from "./parent-inbox.js";
import { Pulse, type PulsePort } from "./pulse.js";
import { Reporter } from "./reporter.js";
import { Requests } from "./requests.js";
import { Rivalry } from "./rivalry.js";
import { reserveMs } from "./shutdown.js";
import { Synchronizer } from "./synchronizer.js";
import { Uplink, type UplinkPort } from "./uplink.js";
import { Vigil } from "./vigil.js";

type Phase = "created" | "running" | "stopping" | "ended";

export class NodeRuntime {
  readonly core: NodeCore;
  readonly children: Children;
  readonly owned: OwnedChildren;
  readonly operations: ChildOperations;
  readonly uplink: Uplink | null;
  readonly executor: Executor;
  readonly requests: Requests;
  readonly router: CommandRouter;
  readonly synchronizer: Synchronizer;
  readonly coordinator: Coordinator;
  readonly departure: Departure;
  phase: Phase = "created";
  readonly #requestExecutor: Executor;
  readonly #reporter: Reporter;
  readonly #childInbox: ChildInbox;
  readonly #parentInbox: ParentInbox;
  readonly #lease: Lease;
  readonly #rivalry: Rivalry;
  readonly #vigil: Vigil;
  readonly #pulse: Pulse;
  readonly #ending: Ending;
  readonly #subscriptions: Subscription[] = [];
  #isCountScheduled = false;
  /** A child has used a session of ours: we are known as the parent. */
  #isEstablished = false;

  constructor(options: ResolvedNodeOptions) {
    this.core = new NodeCore(options);
    const { core } = this;
    const parent = parentPath(options.path);
    const hasUplink = parent !== null;
    this.children = new Children(core, this.#childrenPort());
    this.owned = new OwnedChildren({
      core,
      children: this.children,
      failed: (reason) => this.fail(reason),
      finished: (why) => this.#shutdown(core.options.shutdownTimeoutMs, why),
      childMs: () => this.departure.childMs,
    });
    this.operations = this.#newOperations();
    this.uplink = parent === null ? null : new Uplink(core, parent, this.#uplinkPort());
    this.#ending = this.#newEnding();
    this.executor = this.#newExecutor(options.commands);
    this.#requestExecutor = this.#newExecutor(options.requests);
    this.synchronizer = new Synchronizer(core, this.children);
    this.coordinator = new Coordinator(core, hasUplink, this.#coordinatorPort());
    this.#pulse = new Pulse(core, this.#pulsePort());
    this.#vigil = new Vigil(core, this.children, this.uplink);
    const { children, uplink, executor, synchronizer, coordinator } = this;
    const sendUp = (message: Parameters<Uplink["send"]>[0]): void => uplink?.send(message);
    const promiseMs = (): number => this.#pulse.uplinkPromiseMs;
    this.#reporter = new Reporter({ core, uplink, coordinator, executor, children, synchronizer, promiseMs });
    this.requests = new Requests({ core, executor: this.#requestExecutor, hasUplink, sendUp });
    this.router = new CommandRouter({ core, children, executor, synchronizer, sendUp, refusal: () => this.#refusal() });
    this.#childInbox = new ChildInbox({
      core,
      children,
      requests: this.requests,
      synchronizer,
      reporter: this.#reporter,
      owned: this.owned,
    });
    this.#parentInbox = this.#newParentInbox();
    this.#lease = this.#newLease();
    this.#rivalry = new Rivalry({
      core,
      isRoot: !hasUplink,
      isEstablished: () => this.#isEstablished,
      probe: () => children.probe(),
      superseded: (epoch) => this.#ending.fenced(epoch),
      tellParent: (epoch) => this.uplink?.tellNewerParent(epoch),
    });
    this.departure = this.#newDeparture();
  }

  /** Resolves when the node is over; never rejects. */
  get ended(): Promise<EndReason> {
    return this.#ending.ended;
  }

  /** May be called again after it failed, which only the epoch store can make it. */
  async start(): Promise<void> {
    const { transport } = this.core.options;
    if (this.uplink === null) this.core.epoch = [await this.#rootEpoch()];
    if (this.phase !== "created") return;
    this.phase = "running";
    this.core.onTransportClosed = () => this.#ending.transportClosed();
    this.#subscriptions.push(transport.onConnection((connected) => this.#connectionChanged(connected)));
    this.children.listen();
    this.coordinator.start();
    this.#pulse.quicken();
    if (this.uplink === null) return this.#requestCoordination();
    this.uplink.listen();
    this.uplink.seek();
  }

  async #rootEpoch(): Promise<number> {
    const { epochStore, clock, path } = this.core.options;
    if (epochStore === null) return Math.floor(clock.wallNow());
    return positiveInteger("epochStore.next()", await epochStore.next(path, 1));
  }

  /** Finishes what was accepted and refuses new work; the node stays in the tree. */
  async drain(): Promise<void> {
    await Promise.all([this.executor.drain(), this.#requestExecutor.drain()]);
  }

  /** Of what was accepted, that is also what was passed on. */
  async #workDone(): Promise<void> {
    await Promise.all([this.drain(), this.router.idle()]);
  }

  #isOver(): boolean {
    return this.phase === "ended";
  }

  // Parts

  #newExecutor(commands: Commands): Executor {
    const { clock, concurrency, queueMax, outcomesMax, outcomesMaxBytes, path } = this.core.options;
    return new Executor({
      clock,
      concurrency,
      queueMax,
      outcomesMax,
      outcomesMaxBytes,
      maxResultBytes: () => this.core.maxBodyBytes(),
      handler: handlerLookup(commands, { path, epoch: () => this.core.epoch }),
      mayStart: () => this.#lease.isValid(),
      progressed: () => this.core.progress++,
    });
  }

  #newParentInbox(): ParentInbox {
    const { core, uplink, router, requests, synchronizer } = this;
    const shutdown = (timeoutMs: number, why: string): void => this.#shutdown(timeoutMs, why);
    return new ParentInbox({ core, uplink, router, requests, synchronizer, reporter: this.#reporter, shutdown });
  }

  #newLease(): Lease {
    return new Lease({
      core: this.core,
      uplink: this.uplink,
      pulse: this.#pulse,
      probeParent: () => this.#reporter.send({ sequenced: true }),
      renewed: () => {
        this.executor.resume();
        this.#requestExecutor.resume();
      },
    });
  }

  #newOperations(): ChildOperations {
    const { core, children, owned } = this;
    return new ChildOperations({
      core,
      children,
      owned,
      isRunning: () => this.phase === "running" && this.coordinator.isCoordinating,
      shutDownRemote: (link) => this.departure.shutDown(link),
    });
  }

  #newEnding(): Ending {
    const { core, children, uplink, owned } = this;
    return new Ending({
      core,
      children,
      uplink,
      owned,
      departure: () => this.departure,
      endCalls: (why) => this.#endCalls(why),
      close: () => this.#close(),
    });
  }

  #newDeparture(): Departure {
    const { core, children, uplink, owned } = this;
    return new Departure({
      core,
      children,
      uplink,
      owned,
      stopAccepting: () => {
        if (this.phase === "running") this.phase = "stopping";
        this.coordinator.stopRetrying();
        return this.#workDone();
      },
      endCalls: () => this.#endCalls("the node is stopping"),
      finish: (reason) => this.#ending.finish(reason),
      untilEnded: (timeoutMs) => this.#ending.untilEnded(timeoutMs),
      isStarted: () => this.phase !== "created",
    });
  }

  // Coordination

  #coordinatorPort(): CoordinatorPort {
    return {
      callChildren: () => this.children.probe(),
      reportUp: () => this.#reporter.announceState(),
      cleanUp: (failure) => this.#ending.failed(failure),
      retry: () => (this.uplink === null ? this.#requestCoordination() : this.uplink.seek()),
      entered: (entry) => this.#entered(entry),
    };
  }

  #shutdown(timeoutMs: number, why: string): void {
    void this.departure.begin({ reason: "shutdown", why, timeoutMs, isTree: true });
  }

  /** Declares the node failed. */
  fail(reason: string, { dependencyDown = false } = {}): void {
    // Elsewhere it changes nothing, and must not excuse the next failure.
    if (!this.coordinator.isCoordinating) return;
    this.#ending.isDependencyDown = dependencyDown;
    this.coordinator.send({ type: "fault.raised", reason });
  }

  #requestCoordination(budgetMs?: number): void {
    const budget = budgetMs === undefined ? {} : { budgetMs };
    this.children.expectAnew();
    this.coordinator.send({ type: "coordination.requested", counts: this.children.counts, ...budget });
  }

  #entered(entry: Omit<StateChange, "path">): void {
    const { path, log, emitter } = this.core;
    const change = { ...entry, path };
    log.info({ event: "state.changed", ...change }, `${entry.from} → ${entry.state}`);
    emitter.emit("state.changed", change);
    if (this.phase !== "running") return;
    if (entry.state === "CONNECTING") this.owned.supervision.start();
    this.#pulse.quicken();
  }

  #refusal(): Outcome | null {
    if (this.phase !== "running") return refused("DRAINING", `${this.core.path} is stopping`);
    if (this.coordinator.isAvailable) return null;
    return refused("NOT_READY", `${this.core.path} is ${this.coordinator.state}`);
  }

  // Uplink

  #uplinkPort(): UplinkPort {
    return {
      deliver: (message) => this.#parentInbox.receive(message),
      opened: (session) => this.#uplinkOpened(session),
      lost: () => this.#uplinkLost(),
      closed: () => this.#uplinkClosed(),
      regained: () => {
        this.coordinator.send({ type: "uplink.opened" });
        this.#lease.reconsider();
      },
      superseded: (epoch) => this.#ending.fenced(epoch),
      refusedAsDuplicate: () => this.#ending.duplicate(),
      acknowledged: (frame) => {
        this.requests.calls.grant(frame.credit);
        this.#lease.acknowledged();
      },
      commandCredit: () => this.router.credit,
    };
  }

  #uplinkOpened({ budgetMs, sameParent }: { readonly budgetMs: number; readonly sameParent: boolean }): void {
    const { core, coordinator } = this;
    core.log.info({ event: "session.opened", path: core.path, epoch: formatEpoch(core.epoch) }, "session opened");
    if (!sameParent) {
      this.synchronizer.forgetReceived();
      this.router.closeParking("another parent counts its documents anew");
    }
    this.router.newSession();
    this.requests.calls.opened({ sameExecutor: sameParent });
    if (coordinator.isCoordinating) coordinator.send({ type: "uplink.opened" });
    else this.#requestCoordination(Math.max(1, budgetMs - reserveMs(budgetMs)));
    // The first frame in the session is what makes it count; it also says that the subtree was ready all along.
    this.#reporter.announceState();
    this.#pulse.quicken();
    this.#lease.opened();
  }

  #uplinkLost(): void {
    this.coordinator.send({ type: "uplink.lost" });
    const { onOrphaned, shutdownTimeoutMs } = this.core.options;
    if (onOrphaned !== "stop" || this.uplink?.channel !== null) return;
    void this.departure.begin({ reason: "orphaned", why: "orphaned", timeoutMs: shutdownTimeoutMs, isTree: true });
  }

  /** Without a parent the orphan policy decides what goes on. */
  #uplinkClosed(): void {
    this.requests.calls.suspend();
    this.#lease.reconsider();
  }

  // Children

  #childrenPort(): ChildrenPort {
    return {
      isCoordinating: () => this.phase === "running" && this.core.epoch.length > 0 && this.coordinator.isCoordinating,
      takesOffers: () => !this.#isOver() && this.coordinator.isCoordinating,
      owns: (id) => this.owned.supervision.owns(id),
      linksChanged: () => this.#scheduleCounts(),
      deliver: (link: ChildLink, message: Message | UnknownMessage) => this.#childInbox.receive(link, message),
      linkChanged: (link, from) => this.#linkChanged(link, from),
      requestCredit: (link) => link.requestsTaken + this.#requestExecutor.freeSlots,
      initBudgetMs: () => this.coordinator.childBudgetMs,
      nextInMs: () => this.#pulse.childrenPromiseMs,
      syncVersion: () => this.synchronizer.version,
      newerParentSeen: (epoch, isCertain) => this.#rivalry.seen(epoch, isCertain),
      // A parent that other children obey is not turned away by one.
      refusedAsDuplicate: () => {
        if (!this.#isEstablished) this.#ending.duplicate();
      },
    };
  }

  #linkChanged(link: ChildLink, from: LinkState): void {
    const { core } = this;
    const change = { atMs: core.now(), id: link.id, from, state: link.state, epoch: formatEpoch(link.epoch) };
    core.log.info({ event: "child.changed", path: core.path, ...change }, `child ${link.id}: ${from} → ${link.state}`);
    core.emitter.emit("child.changed", change);
    const isOwned = this.owned.supervision.has(link.id);
    this.#ending.notices.linkChanged(link, { isOwned, isJudging: this.coordinator.isCoordinating });
    this.owned.linkChanged(link);
    if (link.state === "opening") {
      this.#isEstablished = true;
      this.#pulse.keepPromise();
    }
    this.#scheduleCounts();
  }

  /** One event for the machine a turn, however many children changed. */
  #scheduleCounts(): void {
    if (this.#isCountScheduled) return;
    this.#isCountScheduled = true;
    this.core.options.clock.defer(() => {
      this.#isCountScheduled = false;
      // Children that leave because we shut them down are not missed.
      if (this.phase !== "running") return;
      this.coordinator.send({ type: "children.changed", counts: this.children.counts });
      this.#reporter.schedule();
    });
  }

  // Beating

  #pulsePort(): PulsePort {
    return {
      children: { sentMs: () => this.children.lastSentMs, beat: (nextInMs) => this.children.beat(nextInMs) },
      uplink: {
        sentMs: () => this.uplink?.channel?.lastSentMs ?? null,
        beat: (nextInMs) => this.#reporter.beat(nextInMs),
      },
      judge: (nowMs) => {
        this.#vigil.judge(nowMs);
        this.owned.judge(nowMs);
      },
      forgive: (nowMs) => this.#forgive(nowMs),
      stalled: (latenessMs) => {
        this.#vigil.noteStall(latenessMs);
        this.#lease.noteStall(latenessMs);
      },
      lookAtMs: () => this.#vigil.lookAtMs,
    };
  }

  #forgive(nowMs: number): void {
    this.#vigil.forgive(nowMs);
    this.owned.forgive(nowMs);
  }

  #connectionChanged(connected: boolean): void {
    const { log, path, emitter } = this.core;
    if (connected) log.info({ event: "transport.reconnected", path }, "the transport is connected again");
    else
      log.warn({ event: "transport.disconnected", path }, "the transport is disconnected; nobody is judged meanwhile");
    emitter.emit("transport.changed", { connected });
    this.core.troubled();
    this.#forgive(this.core.now());
    if (!connected || this.phase !== "running") return;
    for (const link of this.children.open()) link.channel?.reconnected();
    // Who gave us up meanwhile waits for its next announcement otherwise.
    if (this.coordinator.isCoordinating) this.children.probe();
    this.uplink?.reconnected();
    this.#pulse.quicken();
  }

  // Ending

  #endCalls(why: string): void {
    this.router.closeParking(why);
    this.executor.close(why);
    this.#requestExecutor.close(why);
    this.children.endCalls(why);
  }

  /** Ends every part; returns false if that was done before. */
  #close(): boolean {
    if (this.#isOver()) return false;
    if (this.phase !== "created") this.coordinator.send({ type: "shutdown.requested" });
    this.phase = "ended";
    this.core.end();
    this.owned.supervision.halt();
    this.#pulse.stop();
    this.#reporter.close();
    this.#endCalls("the node has ended");
    this.requests.calls.close("the node has ended");
    this.children.close();
    this.uplink?.close();
    this.coordinator.stop();
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    return true;
  }
}
