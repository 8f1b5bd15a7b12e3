/** The public face of a node. */
import type { CoordinationState } from "../../machines/coordination.js";
import { formatEpoch } from "../../machines/epoch.js";
import {
  type CommandError,
  InvalidOptionError,
  NodeEndedError,
  PayloadTooLargeError,
  WaitTimeoutError,
  WrongStateError,
} from "../errors.js";
import { randomId } from "../health/clock.js";
import { assertPath } from "../protocol/path.js";
import { encodePayload } from "../protocol/payload.js";
import { toCommandRun } from "./child-link.js";
import {
  type CommandOptions,
  type CommandOutcome,
  dispatch,
  type DispatchPort,
  prepareCall,
  type PreparedCall,
  type RequestOptions,
} from "./dispatch.js";
import type { EndReason, NodeEvents } from "./events.js";
import { completionsNeeded, type FanOut, type FanOutOptions, runFanOut } from "./fan-out.js";
import { delay, type NodeOptions, resolveNodeOptions } from "./options.js";
import { NodeRuntime } from "./runtime.js";
import type { SyncedDocument } from "./synchronizer.js";
import { type ChildView, childView, countSubtree, type NodeStatus } from "./views.js";

export interface WaitOptions {
  readonly signal?: AbortSignal;
  /** Rejects with WAIT_TIMED_OUT after this long, milliseconds. @default no limit */
  readonly timeoutMs?: number;
}

export interface StopOptions {
  /** The absolute deadline, milliseconds from now. @default the node's shutdownTimeoutMs */
  readonly timeoutMs?: number;
  /** Told to parent and children. @default "stop" or "shutdown" */
  readonly reason?: string;
}

/** A node of the tree. Create with `createNode`, end with `stop`, `shutdownTree` or `await using`. */
export interface Node extends AsyncDisposable {
  readonly path: string;
  readonly state: CoordinationState;
  /** The incarnation, dotted; empty before it was granted. Grows with each restart: a fencing token. */
  readonly epoch: string;
  /** What the node knows of itself and its subtree. */
  readonly status: NodeStatus;
  /** The document last received from the parent, with its age; null before the first. */
  readonly synced: SyncedDocument | null;
  /** Why the node ended; never rejects. */
  readonly ended: Promise<EndReason>;

  /** Takes part in the tree; resolves when the node listens. Wait for `until("SYNCHRONIZED")` before using it. */
  start(): Promise<void>;
  /** Leaves in order: finishes accepted work, tells parent and children, ends. Children of others go on. Idempotent. */
  stop(options?: StopOptions): Promise<void>;
  /** Shuts down everything below, children in reverse order of start, then this node. Idempotent. */
  shutdownTree(options?: StopOptions): Promise<void>;
  /** Finishes accepted calls and refuses new ones; the node stays in the tree. */
  drain(): Promise<void>;
  /** Tries again at once after FAILED, or calls missing children again while DEGRADED. */
  recover(): void;
  /** Declares the node failed: it cleans up, tells its parent and tries again after its backoff. */
  fail(reason: string): void;

  /**
   * Runs a command at one node below: a child's id, or a path below this node (`orders.eu`).
   *
   * @throws CommandError by rejection, with what is known of its effect in `status`; the signal's reason when it aborts;
   * InvalidPathError, InvalidOptionError, UnsupportedPayloadError, PayloadTooLargeError for bad input
   */
  command<Output = unknown>(target: string, name: string, input?: unknown, options?: CommandOptions): Promise<Output>;
  /** As `command`, but resolves to the outcome as data, whatever it is. Rejects for bad input only. */
  tryCommand<Output = unknown>(
    target: string,
    name: string,
    input?: unknown,
    options?: CommandOptions,
  ): Promise<CommandOutcome<Output>>;
  /**
   * Runs one command at several nodes in parallel, or with `"*"` at all children that are ready.
   *
   * @throws InvalidPathError, InvalidOptionError, UnsupportedPayloadError, PayloadTooLargeError
   */
  fanOut<Output = unknown>(
    targets: readonly string[] | "*",
    name: string,
    input?: unknown,
    options?: FanOutOptions,
  ): FanOut<Output>;
  /** Asks upward: the nearest ancestor that serves `name` answers. Rejects as `command` does. */
  request<Output = unknown>(name: string, input?: unknown, options?: RequestOptions): Promise<Output>;
  /** Sends data of the node's own to its parent, which sees it as `child.reported`. Lost if there is no parent now. */
  report(data: unknown): void;
  /** Gives the children a new version of the shared document; returns the version. */
  synchronize(document: unknown): number;

  /** The cached view of all children, with the age of each. */
  children(): readonly ChildView[];
  child(id: string): ChildView | undefined;

  /** Waits for a state, now or later. @throws WaitTimeoutError, NodeEndedError, the signal's reason */
  until(state: CoordinationState, options?: WaitOptions): Promise<void>;
  /** Adds a listener; the returned function removes it. */
  on<K extends keyof NodeEvents>(name: K, listener: (event: NodeEvents[K]) => void): () => void;
  /** Events from now on, for `for await`; ends with the node or the signal. */
  events<K extends keyof NodeEvents>(
    name: K,
    options?: Pick<WaitOptions, "signal">,
  ): AsyncIterableIterator<NodeEvents[K]>;
}

/**
 * Creates a node; `start` makes it take part.
 *
 * @throws InvalidOptionError, InvalidPathError
 */
export function createNode(options: NodeOptions): Node {
  return new RunningNode(new NodeRuntime(resolveNodeOptions(options)));
}

class RunningNode implements Node {
  readonly path: string;
  readonly ended: Promise<EndReason>;
  readonly #runtime: NodeRuntime;
  #starting: Promise<void> | null = null;

  constructor(runtime: NodeRuntime) {
    this.#runtime = runtime;
    this.path = runtime.core.path;
    this.ended = runtime.ended;
  }

  get state(): CoordinationState {
    return this.#runtime.coordinator.state;
  }

  get epoch(): string {
    return formatEpoch(this.#runtime.core.epoch);
  }

  get synced(): SyncedDocument | null {
    return this.#runtime.synchronizer.received;
  }

  get status(): NodeStatus {
    const { core, coordinator, executor, children } = this.#runtime;
    return {
      path: core.path,
      state: coordinator.state,
      reasons: coordinator.reasons,
      failure: coordinator.state === "FAILED" ? coordinator.context.failure : null,
      epoch: this.epoch,
      running: executor.running,
      queued: executor.queued,
      ...countSubtree(children, coordinator.isAvailable),
      localHealth: core.localHealth,
      dropped: Object.fromEntries(core.dropped),
    };
  }

  async start(): Promise<void> {
    const { phase } = this.#runtime;
    if (phase === "stopping" || phase === "ended") {
      throw new WrongStateError(`node ${this.path} has ended; create a new one`);
    }
    this.#starting ??= this.#runtime.start();
    try {
      await this.#starting;
    } catch (error) {
      this.#starting = null;
      throw error;
    }
  }

  async stop({ timeoutMs, reason = "stop" }: StopOptions = {}): Promise<void> {
    await this.#runtime.departure.begin({
      reason: "stopped",
      why: shortened("reason", reason),
      timeoutMs: this.#deadline(timeoutMs),
      isTree: false,
    });
  }

  async shutdownTree({ timeoutMs, reason = "shutdown" }: StopOptions = {}): Promise<void> {
    await this.#runtime.departure.begin({
      reason: "shutdown",
      why: shortened("reason", reason),
      timeoutMs: this.#deadline(timeoutMs),
      isTree: true,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  drain(): Promise<void> {
    return this.#runtime.drain();
  }

  recover(): void {
    this.#runtime.coordinator.send({ type: "recovery.requested" });
  }

  fail(reason: string): void {
    this.#runtime.coordinator.send({ type: "fault.raised", reason: shortened("reason", reason) });
  }

  async command<Output>(target: string, name: string, input?: unknown, options: CommandOptions = {}): Promise<Output> {
    const outcome = await this.tryCommand<Output>(target, name, input, options);
    return this.#unwrap(outcome, options.signal);
  }

  async tryCommand<Output>(
    target: string,
    name: string,
    input?: unknown,
    options: CommandOptions = {},
  ): Promise<CommandOutcome<Output>> {
    const call = prepareCall(this.#runtime.core, requireTarget(target), name, input, options);
    this.#requireStarted();
    const outcome = await dispatch(this.#commandPort(), call, options.signal);
    this.#tellUndelivered(call, outcome);
    return outcome as CommandOutcome<Output>;
  }

  fanOut<Output>(
    targets: readonly string[] | "*",
    name: string,
    input?: unknown,
    options: FanOutOptions = {},
  ): FanOut<Output> {
    const ids = targets === "*" ? Array.from(this.#runtime.children.attached(), ({ id }) => id) : targets;
    const needed = completionsNeeded(options.until, ids.length);
    const { core } = this.#runtime;
    const template = prepareCall(core, ids[0] ?? "", name, input, options);
    this.#requireStarted();
    const isBroadcast = targets === "*" && this.#canBroadcast(ids.length);
    const port = isBroadcast ? this.#broadcastPort() : this.#commandPort();
    const toCall = (target: string): PreparedCall =>
      isBroadcast ? { ...template, target } : this.#ownCall(template, target);
    const calls = new Map(ids.map((id) => [id, toCall(id)]));
    return runFanOut({
      name,
      path: core.path,
      targets: [...calls.keys()],
      needed,
      signal: options.signal,
      start: async (target, signal) => {
        const call = calls.get(target) as PreparedCall;
        const outcome = await dispatch(port, call, signal);
        this.#tellUndelivered(call, outcome);
        return outcome;
      },
    });
  }

  async request<Output>(name: string, input?: unknown, options: RequestOptions = {}): Promise<Output> {
    const { core, requests } = this.#runtime;
    const call = prepareCall(core, "", name, input, options);
    this.#requireStarted();
    const port: DispatchPort = {
      core,
      submit: (outgoing) => requests.submit(outgoing),
      cancel: ({ commandId }, sink) => requests.calls.cancel(commandId, sink),
    };
    const outcome = await dispatch(port, call, options.signal);
    return this.#unwrap(outcome as CommandOutcome<Output>, options.signal);
  }

  report(data: unknown): void {
    const bytes = encodePayload(data, "data");
    const maxBytes = this.#runtime.core.maxBodyBytes();
    if (bytes.length > maxBytes) throw new PayloadTooLargeError(bytes.length, maxBytes);
    this.#runtime.uplink?.send({ kind: "status.data", seq: 0, data: bytes });
  }

  synchronize(document: unknown): number {
    return this.#runtime.synchronizer.publish(document);
  }

  children(): readonly ChildView[] {
    const nowMs = this.#runtime.core.now();
    return Array.from(this.#runtime.children.all(), (link) => childView(link, nowMs));
  }

  child(id: string): ChildView | undefined {
    const link = this.#runtime.children.get(id);
    return link === undefined ? undefined : childView(link, this.#runtime.core.now());
  }

  until(state: CoordinationState, { signal, timeoutMs }: WaitOptions = {}): Promise<void> {
    const limitMs = timeoutMs === undefined ? null : delay("timeoutMs", timeoutMs);
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason as Error);
      if (this.state === state) return resolve();
      const { clock, emitter } = { clock: this.#runtime.core.options.clock, emitter: this.#runtime.core.emitter };
      if (this.#runtime.phase === "ended") return reject(new NodeEndedError(this.path, "it cannot reach a state"));
      const settle = (act: () => void): void => {
        for (const undo of undos) undo();
        act();
      };
      const abort = (): void => settle(() => reject(signal?.reason as Error));
      const expire = (): void => settle(() => reject(new WaitTimeoutError(`${this.path} ${state}`, limitMs ?? 0)));
      const timer = limitMs === null ? null : clock.setTimeout(expire, limitMs);
      const undos = [
        emitter.on("state.changed", (change) => change.state === state && settle(resolve)),
        emitter.on("node.ended", ({ reason }) => settle(() => reject(new NodeEndedError(this.path, reason)))),
        () => signal?.removeEventListener("abort", abort),
        () => timer !== null && clock.clearTimeout(timer),
      ];
      signal?.addEventListener("abort", abort, { once: true });
    });
  }

  on<K extends keyof NodeEvents>(name: K, listener: (event: NodeEvents[K]) => void): () => void {
    return this.#runtime.core.emitter.on(name, listener);
  }

  events<K extends keyof NodeEvents>(
    name: K,
    { signal }: Pick<WaitOptions, "signal"> = {},
  ): AsyncIterableIterator<NodeEvents[K]> {
    return this.#runtime.core.emitter.stream(name, signal);
  }

  #deadline(timeoutMs: number | undefined): number {
    return delay("timeoutMs", timeoutMs ?? this.#runtime.core.options.shutdownTimeoutMs);
  }

  #requireStarted(): void {
    const { phase } = this.#runtime;
    if (phase === "created") throw new WrongStateError(`node ${this.path} is not started; call start() first`);
    if (phase === "ended") throw new NodeEndedError(this.path, "create a new one");
  }

  #commandPort(): DispatchPort {
    const { core, router } = this.#runtime;
    return {
      core,
      submit: (call, target) => router.submit(call, target),
      cancel: ({ commandId, target }, sink) => router.cancelBelow(commandId, target, sink),
    };
  }

  /** Targets behind one child share links on the way, so each call needs an id of its own; one broadcast has one. */
  #ownCall(template: PreparedCall, target: string): PreparedCall {
    assertPath("targets", target);
    return { ...template, target, commandId: randomId(this.#runtime.core.options.random, 16) };
  }

  /** One publish instead of one for each child: only if it reaches exactly the children that are meant. */
  #canBroadcast(targets: number): boolean {
    const { children } = this.#runtime;
    if (targets < 2 || !children.isSettled() || !children.broadcaster.hasRoom) return false;
    for (const link of children.attached()) if (!link.calls.hasCredit) return false;
    return true;
  }

  /** Hands the first call of each target to its link as sent, and publishes once for all of them. */
  #broadcastPort(): DispatchPort {
    const { core, children } = this.#runtime;
    const port = this.#commandPort();
    const started = new Set<string>();
    let isPublished = false;
    return {
      ...port,
      submit: (call, target) => {
        const link = children.get(target);
        if (started.has(target) || link === undefined) return port.submit(call, target);
        started.add(target);
        link.calls.submitSent(call);
        if (isPublished) return;
        isPublished = true;
        children.broadcaster.send(toCommandRun(call, core));
      },
    };
  }

  #unwrap<Output>(outcome: CommandOutcome<Output>, signal: AbortSignal | undefined): Output {
    if (outcome.status === "completed") return outcome.value;
    if (outcome.status === "cancelled") signal?.throwIfAborted();
    throw outcome.error;
  }

  #tellUndelivered(call: PreparedCall, outcome: CommandOutcome): void {
    if (outcome.status !== "notStarted" && outcome.status !== "unknown") return;
    const { core } = this.#runtime;
    const error: CommandError = outcome.error;
    core.log.warn({ event: "command.undelivered", path: error.path, name: call.name, code: error.code }, error.message);
    core.emitter.emit("command.undelivered", { path: error.path, name: call.name, error });
  }
}

const REASON_LENGTH_MAX = 1_000;

/** @throws InvalidOptionError */
function shortened(option: string, text: unknown): string {
  if (typeof text !== "string") throw new InvalidOptionError(option, text, "a string");
  return text.slice(0, REASON_LENGTH_MAX);
}

function requireTarget(target: string): string {
  if (target === "") throw new InvalidOptionError("target", target, "the id of a child or a path below this node");
  return target;
}
