/**
 * One running node: wires its machine, links, calls and beat together.
 *
 * N1. A node without an epoch runs nothing and opens no session.
 * N2. Nothing that arrives throws into the runtime: what does not fit is counted and dropped.
 * N3. After the end no timer, subscription or unsettled promise of the node is left.
 */
import type { CoordinationState } from "../../machines/coordination.js";
import { type Epoch, formatEpoch } from "../../machines/epoch.js";
import { isMassSilence } from "../../machines/failure-detector.js";
import type { LinkState } from "../../machines/link.js";
import { DuplicatePathError, NodeFencedError } from "../errors.js";
import { type Message, STATES, STATUSES, type StatusReport, type UnknownMessage } from "../protocol/messages.js";
import { parentPath } from "../protocol/path.js";
import { decodePayload } from "../protocol/payload.js";
import type { Subscription } from "../transport/transport.js";
import { type Outcome, refused, uncompleted, completed } from "./call.js";
import type { ChildLink } from "./child-link.js";
import { Children } from "./children.js";
import { CommandRouter } from "./command-router.js";
import { Coordinator } from "./coordinator.js";
import { NodeCore } from "./core.js";
import type { EndReason, StateChange } from "./events.js";
import { Executor } from "./executor.js";
import { type Commands, handlerLookup } from "./handlers.js";
import type { ResolvedNodeOptions } from "./options.js";
import { Pulse } from "./pulse.js";
import { Requests } from "./requests.js";
import { reserveMs, shutdownChildren, untilTrue, withDeadline } from "./shutdown.js";
import { Synchronizer } from "./synchronizer.js";
import { Uplink } from "./uplink.js";
import { countSubtree, toBits } from "./views.js";

type Phase = "created" | "running" | "stopping" | "ended";

/** Subtree news travel upward at most this often. */
const REPORT_INTERVAL_MS = 100;

export class NodeRuntime {
  readonly core: NodeCore;
  readonly children: Children;
  readonly executor: Executor;
  readonly requests: Requests;
  readonly router: CommandRouter;
  readonly synchronizer: Synchronizer;
  readonly coordinator: Coordinator;
  readonly uplink: Uplink | null;
  phase: Phase = "created";
  readonly ended: Promise<EndReason>;
  readonly #pulse: Pulse;
  readonly #requestExecutor: Executor;
  readonly #subscriptions: Subscription[] = [];
  #resolveEnded: (reason: EndReason) => void = () => {};
  #countsScheduled = false;
  #reportTimer: object | null = null;
  #massSilenceAtMs: number | null = null;
  /** A message that the parent must acknowledge is under way, because this process was stalled. */
  #isConfirming = false;
  #establishedOnce = false;
  #stopping: Promise<void> | null = null;
  /** When the shutdown under way must be over. */
  #deadlineAtMs = Infinity;

  constructor(options: ResolvedNodeOptions) {
    this.core = new NodeCore(options);
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve));
    const parent = parentPath(options.path);
    this.children = new Children(this.core, this.#childrenPort());
    this.synchronizer = new Synchronizer(this.core, this.children);
    this.executor = this.#newExecutor(options.commands);
    this.#requestExecutor = this.#newExecutor(options.requests);
    this.uplink = parent === null ? null : new Uplink(this.core, parent, this.#uplinkPort());
    this.router = new CommandRouter({
      core: this.core,
      children: this.children,
      executor: this.executor,
      synchronizer: this.synchronizer,
      refusal: () => this.#refusal(),
      sendUp: (message) => this.uplink?.send(message),
    });
    this.requests = new Requests({
      core: this.core,
      executor: this.#requestExecutor,
      hasUplink: parent !== null,
      sendUp: (message) => this.uplink?.send(message),
    });
    this.coordinator = new Coordinator(this.core, parent !== null, this.#coordinatorPort());
    this.#pulse = new Pulse(this.core, this.#pulsePort());
  }

  async start(): Promise<void> {
    if (this.phase !== "created") return;
    this.phase = "running";
    const { transport, epochStore, clock } = this.core.options;
    if (this.uplink === null) {
      const nowMs = Math.floor(clock.wallNow());
      this.core.epoch = [epochStore === null ? nowMs : await epochStore.next(this.core.path, 1)];
      if (this.#isOver()) return;
    }
    this.#subscriptions.push(transport.onConnection((connected) => this.#connectionChanged(connected)));
    this.children.listen();
    this.coordinator.start();
    this.#pulse.quicken();
    if (this.uplink === null) return this.#requestCoordination();
    this.uplink.listen();
    this.uplink.seek();
  }

  /** Finishes what was accepted and refuses new work; the node stays in the tree. */
  drain(): Promise<void> {
    return Promise.all([this.executor.drain(), this.#requestExecutor.drain()]).then(() => {});
  }

  recover(): void {
    this.coordinator.send({ type: "recovery.requested" });
  }

  fail(reason: string): void {
    this.coordinator.send({ type: "fault.raised", reason });
  }

  /** Leaves the tree: finishes accepted work, tells parent and children, ends. */
  stop(timeoutMs: number, reason: string): Promise<void> {
    return this.#end("stopped", timeoutMs, reason, false);
  }

  /** Shuts down everything below, then this node. */
  shutdownTree(timeoutMs: number, reason: string): Promise<void> {
    return this.#end("shutdown", timeoutMs, reason, true);
  }

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
      mayStart: () => this.#mayStart(),
      onChange: () => {},
    });
  }

  // Coordination

  #requestCoordination(budgetMs?: number): void {
    const budget = budgetMs === undefined ? {} : { budgetMs };
    this.coordinator.send({ type: "coordination.requested", counts: this.children.counts, ...budget });
  }

  #coordinatorPort() {
    return {
      callChildren: () => this.children.probe(),
      reportUp: () => this.#reportState(),
      cleanUp: (failure: string) => this.#cleanUp(failure),
      retry: () => (this.uplink === null ? this.#requestCoordination() : this.uplink.seek()),
      entered: (entry: Omit<StateChange, "path">) => this.#entered(entry),
    };
  }

  #entered(entry: Omit<StateChange, "path">): void {
    const { path, log, emitter } = this.core;
    const change = { ...entry, path };
    log.info({ event: "state.changed", ...change }, `${entry.from} → ${entry.state}`);
    emitter.emit("state.changed", change);
    if (this.phase === "running") this.#pulse.quicken();
  }

  #reportState(): void {
    this.uplink?.send({ kind: "ready.subtree", seq: 0, state: STATES.indexOf(this.coordinator.state) });
    this.#sendReport();
  }

  #sendReport(sequenced = false): void {
    this.uplink?.send(this.#report(this.#pulse.uplinkPromiseMs), sequenced);
  }

  #report(nextInMs: number): StatusReport {
    const { coordinator, executor, children, core, synchronizer } = this;
    return {
      kind: "status.report",
      seq: 0,
      nextInMs,
      localHealth: core.localHealth,
      state: STATES.indexOf(coordinator.state),
      reasons: toBits(coordinator.reasons),
      running: executor.running,
      queued: executor.queued,
      ...countSubtree(children, coordinator.isAvailable),
      syncVersion: synchronizer.receivedVersion,
    };
  }

  /** FAILED: tell the parent, let the children look for a recovered parent, end what is open. */
  #cleanUp(reason: string): void {
    this.core.log.error({ event: "node.failed", path: this.core.path, reason }, `node failed: ${reason}`);
    this.uplink?.send({ kind: "error.node", seq: 0, reason });
    this.uplink?.channel?.flush();
    this.children.broadcaster.publish({ kind: "shutdown.leaving", seq: 0, reason });
    this.children.disconnect(reason);
    this.uplink?.end();
  }

  #scheduleCounts(): void {
    if (this.#countsScheduled) return;
    this.#countsScheduled = true;
    this.core.options.clock.defer(() => {
      this.#countsScheduled = false;
      if (this.#isOver()) return;
      this.coordinator.send({ type: "children.changed", counts: this.children.counts });
      this.#scheduleReport();
    });
  }

  /** Subtree health is data: it travels coalesced and never as a transition. */
  #scheduleReport(): void {
    if (this.uplink === null) return;
    this.#reportTimer ??= this.core.options.clock.setTimeout(() => {
      this.#reportTimer = null;
      if (!this.#isOver()) this.#sendReport();
    }, REPORT_INTERVAL_MS);
  }

  #isOver(): boolean {
    return this.phase === "ended";
  }

  // Working

  #refusal(): Outcome | null {
    if (this.phase !== "running") return refused("DRAINING", `${this.core.path} is stopping`);
    if (this.coordinator.isAvailable) return null;
    return refused("NOT_READY", `${this.core.path} is ${this.coordinator.state}`);
  }

  /**
   * The self-lease: a process that was stopped may have been replaced. Before it starts anything, its parent must have
   * acknowledged a message sent after it woke.
   */
  #mayStart(): boolean {
    if (this.#isConfirming || this.#isPaused()) return false;
    const { heartbeat, failureDetector } = this.core.options;
    if (this.uplink?.channel == null || this.#pulse.isSteady(heartbeat.maxMs + failureDetector.pauseMs)) return true;
    this.#confirm();
    return false;
  }

  #confirm(): void {
    this.#isConfirming = true;
    this.core.troubled();
    this.core.log.warn({ event: "node.stalled", path: this.core.path }, "stalled: waiting for the parent's word");
    this.#sendReport(true);
  }

  #isPaused(): boolean {
    return this.core.options.onOrphaned === "pause" && this.uplink !== null && !this.uplink.isOpen;
  }

  #resumeWork(): void {
    this.#isConfirming = false;
    this.executor.resume();
    this.#requestExecutor.resume();
  }

  // Uplink

  #uplinkPort() {
    return {
      deliver: (message: Message | UnknownMessage) => this.#fromParent(message),
      opened: (session: { readonly budgetMs: number; readonly sameParent: boolean }) => this.#uplinkOpened(session),
      lost: () => {
        this.coordinator.send({ type: "uplink.lost" });
      },
      closed: () => this.requests.calls.suspend(),
      regained: () => {
        this.coordinator.send({ type: "uplink.opened" });
        this.#resumeWork();
      },
      superseded: (epoch: Epoch) => this.#fenced(epoch),
      refusedAsDuplicate: () => this.#duplicate(),
      acknowledged: (frame: { readonly credit: number }) => {
        this.requests.calls.grant(frame.credit);
        if (this.#isConfirming && this.uplink?.channel?.unacknowledged === 0) this.#resumeWork();
      },
      commandCredit: () => this.router.credit,
    };
  }

  #uplinkOpened({ budgetMs, sameParent }: { readonly budgetMs: number; readonly sameParent: boolean }): void {
    const { core, coordinator } = this;
    core.log.info({ event: "session.opened", path: core.path, epoch: formatEpoch(core.epoch) }, "session opened");
    if (!sameParent) this.synchronizer.forgetReceived();
    this.router.newSession();
    this.requests.calls.opened({ sameExecutor: sameParent });
    if (coordinator.isAvailable) coordinator.send({ type: "uplink.opened" });
    else this.#requestCoordination(Math.max(1, budgetMs - reserveMs(budgetMs)));
    // The first frame in the session is what makes it count; it also says that the subtree was ready all along.
    this.#reportState();
    this.#pulse.quicken();
    this.#resumeWork();
  }

  #fromParent(message: Message | UnknownMessage): void {
    switch (message.kind) {
      case "command.run":
        return this.router.receive(message);
      case "command.cancel":
        return this.router.cancel(message.commandId);
      case "command.reply":
        return this.requests.replied(message);
      case "sync.full":
        return this.#synced(message);
      case "heartbeat.beat":
        return this.uplink?.notePromise(message.nextInMs);
      case "heartbeat.ack":
        return;
      case "shutdown.stop":
        return this.#shutdownByParent(message.remainingMs, message.reason);
      case "shutdown.leaving":
        return this.#parentLeft(message.reason);
      case "unknown":
        return this.#unsupported(message);
      default:
        return this.core.drop("parent", `unexpected ${message.kind}`);
    }
  }

  #synced(message: Parameters<Synchronizer["take"]>[0]): void {
    if (!this.synchronizer.take(message)) return;
    const received = this.#readSynced();
    if (received !== null) this.core.emitter.emit("sync.received", received);
    this.#scheduleReport();
  }

  #readSynced() {
    try {
      return this.synchronizer.received;
    } catch {
      this.core.drop("parent", "garbled document");
      return null;
    }
  }

  #unsupported({ type, unknownKind }: UnknownMessage): void {
    this.core.drop("parent", "unknown kind");
    this.uplink?.send({ kind: "error.unsupported", seq: 0, type, unknownKind });
  }

  #parentLeft(reason: string): void {
    this.core.log.info({ event: "parent.left", path: this.core.path, reason }, "the parent takes leave");
    this.uplink?.lose();
    this.#orphaned();
  }

  #orphaned(): void {
    if (this.core.options.onOrphaned !== "stop") return;
    void this.#end("orphaned", this.core.options.shutdownTimeoutMs, "orphaned", true);
  }

  #shutdownByParent(remainingMs: number, reason: string): void {
    this.uplink?.send({ kind: "ack.shutdown", seq: 0 });
    void this.#end("shutdown", Math.max(1, remainingMs), reason, true);
  }

  // Children

  #childrenPort() {
    return {
      isCoordinating: () =>
        this.phase === "running" && this.core.epoch.length > 0 && this.#isCoordinatingState(this.coordinator.state),
      deliver: (link: ChildLink, message: Message | UnknownMessage) => this.#fromChild(link, message),
      linkChanged: (link: ChildLink, from: LinkState) => this.#linkChanged(link, from),
      requestCredit: (link: ChildLink) => link.requestsTaken + this.#requestExecutor.freeSlots,
      initBudgetMs: () => this.coordinator.context.initBudgetMs,
      nextInMs: () => this.#pulse.childrenPromiseMs,
      syncVersion: () => this.synchronizer.version,
      newerParentSeen: (epoch: Epoch, certain: boolean) => this.#newerParentSeen(epoch, certain),
      refusedAsDuplicate: () => this.#duplicate(),
    };
  }

  #isCoordinatingState(state: CoordinationState): boolean {
    return state === "CONNECTING" || state === "SYNCHRONIZED" || state === "DEGRADED";
  }

  #linkChanged(link: ChildLink, from: LinkState): void {
    const { core } = this;
    const change = { atMs: core.now(), id: link.id, from, state: link.state, epoch: formatEpoch(link.epoch) };
    core.log.info({ event: "child.changed", path: core.path, ...change }, `child ${link.id}: ${from} → ${link.state}`);
    core.emitter.emit("child.changed", change);
    if (link.state === "opening") this.#establishedOnce = true;
    this.#scheduleCounts();
  }

  #fromChild(link: ChildLink, message: Message | UnknownMessage): void {
    switch (message.kind) {
      case "status.report":
        return this.#childReported(link, message);
      case "ready.subtree":
        return link.ready();
      case "complete.command":
        return link.calls.answered(message.commandId, completed(message.output));
      case "error.command":
        return this.#commandFailed(link, message);
      case "status.progress":
        return link.calls.progress(message.commandId, message.value);
      case "status.request":
        return this.requests.receive(link, message);
      case "status.cancelRequest":
        return this.requests.cancel(link, message.requestId);
      case "status.syncRequest":
        return this.synchronizer.childHas(link, message.version);
      case "status.data":
        return this.#childData(link, message.data);
      case "status.leaving":
        return this.#childLeft(link, message.reason);
      case "complete.shutdown":
        return this.#childLeft(link, "shut down");
      case "error.node":
        return link.close("child.failed", message.reason);
      case "ack.frame":
      case "ack.shutdown":
        return;
      case "unknown":
        this.core.drop(link.id, "unknown kind");
        return link.send({
          kind: "heartbeat.unsupported",
          seq: 0,
          type: message.type,
          unknownKind: message.unknownKind,
        });
      default:
        return this.core.drop(link.id, `unexpected ${message.kind}`);
    }
  }

  /** A report repeats what READY and ERROR say, so that losing those does no harm. */
  #childReported(link: ChildLink, report: StatusReport): void {
    const before = link.report;
    link.noteReport(report);
    const state = STATES[report.state];
    if (state === "SYNCHRONIZED" || state === "DEGRADED") link.ready();
    this.synchronizer.childHas(link, report.syncVersion);
    if (before?.nodes !== report.nodes || before.available !== report.available) this.#scheduleReport();
  }

  #commandFailed(link: ChildLink, message: Extract<Message, { kind: "error.command" }>): void {
    const status = STATUSES[message.status];
    if (status === undefined || status === "completed") return this.core.drop(link.id, "bad status");
    const { code, message: text, handlerCode, commandId } = message;
    link.calls.answered(commandId, uncompleted(status, code as Exclude<Outcome["code"], "">, text, handlerCode));
  }

  #childData(link: ChildLink, data: Uint8Array): void {
    try {
      this.core.emitter.emit("child.reported", { id: link.id, data: decodePayload(data, "data") });
    } catch {
      this.core.drop(link.id, "garbled data");
    }
  }

  #childLeft(link: ChildLink, reason: string): void {
    link.channel?.acknowledge();
    link.channel?.flush();
    link.close("child.left", reason);
    if (!link.listed) this.children.forget(link);
  }

  // Fencing

  /** A newer parent of our path was seen. A root that only starts may outrank it; anyone else is superseded. */
  #newerParentSeen(epoch: Epoch, certain: boolean): boolean {
    if (this.uplink === null && (!certain || !this.#establishedOnce)) {
      this.core.epoch = [(epoch[0] ?? 0) + 1];
      this.children.probe();
      return true;
    }
    if (certain) this.#fenced(epoch);
    return false;
  }

  #fenced(epoch: Epoch): void {
    this.#stopLoudly("fenced", new NodeFencedError(this.core.path, formatEpoch(epoch)));
  }

  #duplicate(): void {
    this.#stopLoudly("duplicatePath", new DuplicatePathError(this.core.path));
  }

  /** Nobody may miss that a process stopped itself. */
  #stopLoudly(reason: "fenced" | "duplicatePath", error: NodeFencedError | DuplicatePathError): void {
    if (this.#isOver()) return;
    const { core } = this;
    core.log.error({ event: "node.fenced", path: core.path, code: error.code }, error.message);
    if (core.options.logger === null && !core.emitter.hasListeners("node.fenced")) process.emitWarning(error);
    core.emitter.emit("node.fenced", { error });
    this.uplink?.send({ kind: "status.leaving", seq: 0, reason });
    this.uplink?.channel?.flush();
    this.#finish(reason);
  }

  // Beating and judging

  #pulsePort() {
    return {
      children: { sentMs: () => this.#childrenSentMs(), beat: (nextInMs: number) => this.#beatChildren(nextInMs) },
      uplink: {
        sentMs: () => this.uplink?.channel?.lastSentMs ?? null,
        beat: (nextInMs: number) => this.uplink?.send(this.#report(nextInMs)),
      },
      judge: (nowMs: number) => this.#judge(nowMs),
      forgive: (nowMs: number) => this.#forgive(nowMs),
      uplinkSuspectAtMs: () => this.uplink?.suspectAtMs ?? Infinity,
    };
  }

  #childrenSentMs(): number | null {
    let oldest: number | null = null;
    for (const link of this.children.open()) oldest = Math.min(oldest ?? Infinity, link.lastSentMs);
    return oldest === null ? null : Math.max(oldest, this.children.broadcaster.lastSentMs, 0);
  }

  #beatChildren(nextInMs: number): void {
    const { localHealth } = this.core;
    this.children.broadcaster.publish({ kind: "heartbeat.beat", seq: 0, nextInMs, localHealth });
  }

  #judge(nowMs: number): void {
    this.#judgeChildren(nowMs);
    const wasOpen = this.uplink?.channel != null;
    this.uplink?.judge(nowMs);
    if (wasOpen && this.uplink?.channel === null) this.#orphaned();
  }

  #judgeChildren(nowMs: number): void {
    const silent: ChildLink[] = [];
    let open = 0;
    for (const link of this.children.open()) {
      open++;
      if (link.judge(nowMs) !== "alive") silent.push(link);
    }
    if (this.#suspectSelf(silent, open, nowMs)) return;
    for (const link of silent) this.#sentence(link, nowMs);
  }

  #sentence(link: ChildLink, nowMs: number): void {
    if (link.judge(nowMs) === "dead") link.close("child.died", "the child fell silent");
    else if (link.state === "alive") link.apply("child.silent");
  }

  /** When most fall silent at once the fault is likelier ours: verdicts wait, but not for longer than a death takes. */
  #suspectSelf(silent: readonly ChildLink[], open: number, nowMs: number): boolean {
    const isNew = silent.some(({ state }) => state === "alive");
    if (!isNew || !isMassSilence(silent.length, open)) {
      if (silent.length === 0) this.#massSilenceAtMs = null;
      return false;
    }
    this.#massSilenceAtMs ??= nowMs;
    this.core.troubled();
    return nowMs - this.#massSilenceAtMs < this.core.options.failureDetector.pauseMs;
  }

  #forgive(nowMs: number): void {
    for (const link of this.children.open()) link.forgive(nowMs);
    this.uplink?.forgive(nowMs);
  }

  #connectionChanged(connected: boolean): void {
    const { log, path } = this.core;
    log.warn({ event: connected ? "transport.reconnected" : "transport.disconnected", path }, "transport changed");
    this.core.troubled();
    this.#forgive(this.core.now());
    if (!connected || this.phase !== "running") return;
    for (const link of this.children.open()) link.channel?.reconnected();
    this.uplink?.channel?.reconnected();
    this.#pulse.quicken();
  }

  // Ending

  #end(reason: EndReason, timeoutMs: number, why: string, isTree: boolean): Promise<void> {
    this.#deadlineAtMs = Math.min(this.#deadlineAtMs, this.core.now() + timeoutMs);
    this.#stopping ??= this.#runShutdown(reason, why, isTree);
    return this.#stopping;
  }

  async #runShutdown(reason: EndReason, why: string, isTree: boolean): Promise<void> {
    if (this.phase !== "running") return this.#finish(reason);
    this.phase = "stopping";
    this.coordinator.stopRetrying();
    this.core.log.info({ event: "node.stopping", path: this.core.path, reason: why }, "stopping");
    const deadlineAtMs = this.#deadlineAtMs;
    const drained = this.drain();
    this.#resumeWork();
    if (isTree) await shutdownChildren(this.core, [...this.children.open()], { deadlineAtMs, reason: why });
    await withDeadline(this.core, drained, deadlineAtMs);
    if (this.#isOver()) return;
    this.executor.close("the node is stopping");
    this.#requestExecutor.close("the node is stopping");
    await this.#takeLeave(reason, why, isTree);
    this.#finish(reason);
  }

  async #takeLeave(reason: EndReason, why: string, isTree: boolean): Promise<void> {
    if (!isTree) this.children.broadcaster.publish({ kind: "shutdown.leaving", seq: 0, reason: why });
    for (const link of this.children.open()) link.channel?.flush();
    const channel = this.uplink?.channel;
    if (channel == null) return;
    if (reason === "shutdown") channel.send({ kind: "complete.shutdown", seq: 0 });
    else channel.send({ kind: "status.leaving", seq: 0, reason: why });
    channel.flush();
    const lingerMs = reserveMs(this.core.options.shutdownTimeoutMs);
    const untilMs = Math.max(this.core.now() + RESERVE_MS, Math.min(this.#deadlineAtMs, this.core.now() + lingerMs));
    await untilTrue(this.core, () => channel.isDrained() || this.uplink?.channel !== channel, untilMs);
  }

  #finish(reason: EndReason): void {
    if (this.#isOver()) return;
    const { core } = this;
    if (this.phase !== "created") this.coordinator.send({ type: "shutdown.requested" });
    this.phase = "ended";
    this.#pulse.stop();
    if (this.#reportTimer !== null) core.options.clock.clearTimeout(this.#reportTimer);
    this.executor.close("the node has ended");
    this.#requestExecutor.close("the node has ended");
    this.requests.calls.close("the node has ended");
    this.children.close();
    this.uplink?.close();
    this.coordinator.stop();
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    core.log.info({ event: "node.ended", path: core.path, reason }, `ended: ${reason}`);
    // After the last change of state was told.
    core.options.clock.defer(() => {
      core.emitter.emit("node.ended", { reason });
      core.emitter.close();
      this.#resolveEnded(reason);
    });
  }
}

/** What a leaving node waits for its parent's acknowledgement at least. */
const RESERVE_MS = 50;
