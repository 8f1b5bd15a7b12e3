/** The public face of a node. */
import type { CoordinationState } from "../../machines/coordination.js";
import { formatEpoch } from "../../machines/epoch.js";
import { CommandError, InvalidOptionError, NodeEndedError, PayloadTooLargeError, WrongStateError } from "../errors.js";
import { encodePayload } from "../protocol/payload.js";
import { TEXT_LENGTH_MAX } from "./call.js";
import { Caller } from "./caller.js";
import type { CommandOptions, CommandOutcome, RequestOptions } from "./dispatch.js";
import type { EndReason, NodeEvents } from "./events.js";
import type { FanOut, FanOutOptions } from "./fan-out.js";
import type { ChildSpec, DynamicChild } from "./child-options.js";
import type { ChildCount, ChildInfo } from "./child-operations.js";
import { atLeast, delay, flag, known, record } from "./option-checks.js";
import { type NodeOptions, resolveNodeOptions } from "./options.js";
import { NodeRuntime } from "./runtime.js";
import type { SyncedDocument } from "./synchronizer.js";
import { type ChildView, childView, countSubtree, type NodeStatus } from "./views.js";
import { untilState, type WaitOptions } from "./wait.js";
import { type NodeWatch, watchNode, type WatchOptions } from "./watch.js";

export interface StopOptions {
  /** The absolute deadline, milliseconds from now. @default the node's shutdownTimeoutMs */
  readonly timeoutMs?: number;
  /** Told to parent and children. @default "stop" or "shutdown" */
  readonly reason?: string;
}

export interface FailOptions {
  /** It lacks something that is not its own fault: a parent that starts it again does not count the restart. @default false */
  readonly dependencyDown?: boolean;
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
  /** Declares the node failed: it cleans up, tells its parent and tries again after its backoff, or ends if it is owned. */
  fail(reason: string, options?: FailOptions): void;
  /** Notes that work was done, for a parent that requires progress. Calls that end are noted by themselves. */
  progress(): void;

  /**
   * Declares a further child and starts it; with a template, `{ id, args }` make one from it. Resolves when it is ready, or
   * at once for a remote one.
   *
   * @throws ChildExistsError, ChildNotStartedError (it is then not declared), InvalidOptionError, InvalidPathError,
   * WrongStateError
   */
  startChild(child: ChildSpec | DynamicChild): Promise<ChildInfo>;
  /**
   * Ends a child; resolves when it is gone. Its declaration stays, unless it is temporary or was made from the template.
   *
   * @throws ChildNotFoundError, InvalidOptionError
   */
  terminateChild(id: string): Promise<void>;
  /**
   * Starts a child that was terminated or has finished.
   *
   * @throws ChildNotFoundError, ChildRunningError, ChildNotStartedError; InvalidOptionError for an id that is no text;
   * WrongStateError for a remote child, or when the node does not run; NodeEndedError when it ends meanwhile
   */
  restartChild(id: string): Promise<ChildInfo>;
  /** Forgets a child that does not run. @throws ChildNotFoundError, ChildRunningError, InvalidOptionError */
  deleteChild(id: string): void;
  /** How a child was declared. @throws ChildNotFoundError */
  getChildSpec(id: string): ChildSpec;
  /** The declared children as their supervisor sees them, in order. */
  whichChildren(): readonly ChildInfo[];
  countChildren(): ChildCount;

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
   * For `"*"` one message goes to all, if all are ready and a process that was replaced or taken for dead can do no harm:
   * there was none, or the command is `idempotent`. Otherwise each child is sent its own.
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
  /**
   * Sends data of the node's own to its parent, which sees it as `child.reported`. Lost if there is no parent now.
   *
   * @throws CommandError OVERLOADED while `linkQueueMax` messages wait for the parent's acknowledgement,
   * UnsupportedPayloadError, PayloadTooLargeError
   */
  report(data: unknown): void;
  /** Gives the children a new version of the shared document; returns the version. @throws NodeEndedError */
  synchronize(document: unknown): number;

  /** The cached view of all children, with the age of each. */
  children(): readonly ChildView[];
  child(id: string): ChildView | undefined;

  /** Waits for a state, now or later. @throws WaitTimeoutError, NodeEndedError, the signal's reason */
  until(state: CoordinationState, options?: WaitOptions): Promise<void>;
  /**
   * Watches the end of any node of the tree, by its path from the root, as `watchNode` does with this node's transport.
   * The watch outlives the node until it is closed; `silenceMs` must be above this node's `failureDetector.deadMs`.
   *
   * @throws InvalidOptionError, InvalidPathError, TransportClosedError, the signal's reason
   */
  watch(path: string, options?: WatchOptions): NodeWatch;
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
  const resolved = resolveNodeOptions(options);
  return new RunningNode(new NodeRuntime(options.path, resolved));
}

class RunningNode implements Node {
  readonly #runtime: NodeRuntime;
  #caller: Caller | null = null;
  #starting: Promise<void> | null = null;

  constructor(runtime: NodeRuntime) {
    this.#runtime = runtime;
  }

  get path(): string {
    return this.#runtime.core.path;
  }

  get ended(): Promise<EndReason> {
    return this.#runtime.ended;
  }

  get #calls(): Caller {
    return (this.#caller ??= new Caller(this.#runtime));
  }

  get state(): CoordinationState {
    return this.#runtime.coordinator.state;
  }

  get epoch(): string {
    return formatEpoch(this.#runtime.core.epoch);
  }

  get synced(): SyncedDocument | null {
    return this.#runtime.existing.synchronizer?.received ?? null;
  }

  get status(): NodeStatus {
    const { core, coordinator, children, running, queued } = this.#runtime;
    return {
      path: core.path,
      state: coordinator.state,
      reasons: coordinator.reasons,
      failure: coordinator.state === "FAILED" ? coordinator.context.failure : null,
      epoch: this.epoch,
      running,
      queued,
      ...countSubtree(children, coordinator.isAvailable),
      localHealth: core.localHealth,
      connected: core.options.transport.connected,
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

  fail(reason: string, { dependencyDown = false }: FailOptions = {}): void {
    this.#runtime.fail(shortened("reason", reason), { dependencyDown: flag("dependencyDown", dependencyDown) });
  }

  progress(): void {
    this.#runtime.progressed();
  }

  startChild(child: ChildSpec | DynamicChild): Promise<ChildInfo> {
    return this.#runtime.operations.start(child);
  }

  terminateChild(id: string): Promise<void> {
    return this.#runtime.operations.terminate(id);
  }

  restartChild(id: string): Promise<ChildInfo> {
    return this.#runtime.operations.restart(id);
  }

  deleteChild(id: string): void {
    this.#runtime.operations.delete(id);
  }

  getChildSpec(id: string): ChildSpec {
    return this.#runtime.operations.spec(id);
  }

  whichChildren(): readonly ChildInfo[] {
    return this.#runtime.operations.which();
  }

  countChildren(): ChildCount {
    return this.#runtime.operations.count();
  }

  command<Output>(target: string, name: string, input?: unknown, options: CommandOptions = {}): Promise<Output> {
    return this.#calls.command(target, name, input, options);
  }

  tryCommand<Output>(
    target: string,
    name: string,
    input?: unknown,
    options: CommandOptions = {},
  ): Promise<CommandOutcome<Output>> {
    return this.#calls.tryCommand(target, name, input, options);
  }

  fanOut<Output>(
    targets: readonly string[] | "*",
    name: string,
    input?: unknown,
    options: FanOutOptions = {},
  ): FanOut<Output> {
    return this.#calls.fanOut(targets, name, input, options);
  }

  request<Output>(name: string, input?: unknown, options: RequestOptions = {}): Promise<Output> {
    return this.#calls.request(name, input, options);
  }

  report(data: unknown): void {
    const bytes = encodePayload(data, "data");
    const maxBytes = this.#runtime.core.maxBodyBytes();
    if (bytes.length > maxBytes) throw new PayloadTooLargeError(bytes.length, maxBytes);
    const channel = this.#runtime.uplink?.channel;
    if (!channel) return;
    if (channel.sentSeq - channel.acknowledgedSeq >= this.#runtime.core.options.linkQueueMax)
      throw overloaded(this.path);
    channel.send({ kind: "status.data", seq: 0, data: bytes });
  }

  synchronize(document: unknown): number {
    if (this.#runtime.phase === "ended") throw new NodeEndedError(this.path, "create a new one");
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

  until(state: CoordinationState, options: WaitOptions = {}): Promise<void> {
    return untilState(this.#runtime, state, options);
  }

  watch(path: string, options: WatchOptions = {}): NodeWatch {
    const { transport, clock, failureDetector } = this.#runtime.core.options;
    known("options", record("options", options), ["subtree", "silenceMs", "signal"]);
    const { silenceMs } = options;
    if (silenceMs !== undefined)
      atLeast("silenceMs", silenceMs, "failureDetector.deadMs + 1", failureDetector.deadMs + 1);
    return watchNode({ ...options, transport, clock, path });
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
}

function overloaded(path: string): CommandError {
  const message = "the parent does not keep up with the reports";
  return new CommandError({ status: "notStarted", code: "OVERLOADED", message, path, name: "report", commandId: "" });
}

/** @throws InvalidOptionError */
function shortened(option: string, text: unknown): string {
  if (typeof text !== "string") throw new InvalidOptionError(option, text, "a string");
  return text.slice(0, TEXT_LENGTH_MAX);
}
