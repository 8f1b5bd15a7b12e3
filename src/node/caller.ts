/** The calls that a node's user makes: commands down, fan-outs, requests up. */
import { type CommandError, InvalidOptionError, NodeEndedError, WrongStateError } from "../errors.js";
import { assertPath } from "../protocol/path.js";
import { BroadcastCall } from "./broadcast-call.js";
import type { CallSink } from "./call.js";
import type { OutgoingCall } from "./call-entry.js";
import { type ChildLink, toCommandRun } from "./child-link.js";
import type { NodeCore } from "./core.js";
import {
  type CommandOptions,
  type CommandOutcome,
  Dispatch,
  type DispatchPort,
  type DispatchTaker,
  prepareCall,
  type PreparedCall,
  type RequestOptions,
  type Uncompleted,
} from "./dispatch.js";
import { completionsNeeded, type FanOut, type FanOutCalls, type FanOutOptions, runFanOut } from "./fan-out.js";
import type { NodeRuntime } from "./runtime.js";

const NO_OPTIONS: CommandOptions = {};

export class Caller implements DispatchPort {
  readonly core: NodeCore;
  readonly #runtime: NodeRuntime;

  constructor(runtime: NodeRuntime) {
    this.core = runtime.core;
    this.#runtime = runtime;
  }

  command<Output>(target: string, name: string, input?: unknown, options = NO_OPTIONS): Promise<Output> {
    return new Promise((resolve: (value: Output) => void, reject) =>
      this.#command(target, name, input, options, new ValuePromise(this, resolve, reject, options.signal)),
    );
  }

  tryCommand<Output>(
    target: string,
    name: string,
    input?: unknown,
    options = NO_OPTIONS,
  ): Promise<CommandOutcome<Output>> {
    return new Promise((resolve: (outcome: CommandOutcome<Output>) => void) =>
      this.#command(target, name, input, options, new OutcomeTaker(this, resolve)),
    );
  }

  #command(target: string, name: string, input: unknown, options: CommandOptions, taker: DispatchTaker): void {
    const call = prepareCall(this.core, requireTarget(target), name, input, options);
    this.#requireStarted();
    const id = options.commandId ?? this.core.newCallId();
    new Dispatch(this, call, target, id, taker).start(options.signal);
  }

  fanOut<Output>(
    targets: readonly string[] | "*",
    name: string,
    input?: unknown,
    options: FanOutOptions = {},
  ): FanOut<Output> {
    const links = targets === "*" ? this.#runtime.children.roster.attached : [];
    const first = targets === "*" ? links[0]?.id : targets[0];
    const needed = completionsNeeded(options.until, targets === "*" ? Infinity : targets.length);
    const call = prepareCall(this.core, first ?? "", name, input, options);
    this.#requireStarted();
    if (targets !== "*") for (const target of targets) assertPath("targets", target);
    const plan = { name, path: this.core.path, needed, signal: options.signal };
    if (targets === "*" && this.#canBroadcast(call, links)) {
      return runFanOut({ ...plan, targets: links.length, ...this.#broadcast(call, links) });
    }
    const paths = targets === "*" ? links.map(({ id }) => id) : [...new Set(targets)];
    return runFanOut({ ...plan, targets: paths.length, ...this.#each(call, paths, links) });
  }

  request<Output>(name: string, input?: unknown, options: RequestOptions = NO_OPTIONS): Promise<Output> {
    return new Promise((resolve: (value: Output) => void, reject) => {
      const call = prepareCall(this.core, "", name, input, options);
      this.#requireStarted();
      const taker = new ValuePromise(null, resolve, reject, options.signal);
      new Dispatch(this.#requestPort(), call, "", this.core.newCallId(), taker).start(options.signal);
    });
  }

  /** Hands a command to the child that leads to its target. */
  submit(call: OutgoingCall, target: string): void {
    this.#runtime.router.submit(call, target);
  }

  cancel(id: string, target: string, sink: CallSink): void {
    this.#runtime.router.cancelBelow(id, target, sink);
  }

  #requireStarted(): void {
    const { phase } = this.#runtime;
    if (phase === "created")
      throw new WrongStateError(`node ${this.#runtime.core.path} is not started; call start() first`);
    if (phase === "ended") throw new NodeEndedError(this.#runtime.core.path, "create a new one");
  }

  #requestPort(): DispatchPort {
    const { core } = this;
    const { requests } = this.#runtime;
    return {
      core,
      submit: (call) => requests.submit(call),
      cancel: (id, _target, sink) => requests.calls.cancel(id, sink),
    };
  }

  /**
   * One publish instead of one for each child: only if the children that are meant are those that are there. A process
   * that was replaced or taken for dead hears it too until it knows: if there may be one, the command must bear being run
   * twice.
   */
  #canBroadcast({ idempotent }: PreparedCall, links: readonly ChildLink[]): boolean {
    const { roster, broadcaster } = this.#runtime.children;
    return links.length >= 2 && broadcaster.hasRoom && roster.isReachable({ alone: !idempotent });
  }

  /** A message for each. `links` are those of all children, if all are meant. */
  #each(content: PreparedCall, paths: readonly string[], links: readonly ChildLink[]): FanOutCalls<Dispatch> {
    const { router } = this.#runtime;
    return {
      // Targets behind one child share links on the way, so each call needs an id of its own.
      calls: (done) => {
        const taker = new OutcomeTaker(this, done);
        return paths.map((path) => new Dispatch(this, content, path, this.core.newCallId(), taker));
      },
      start: (dispatch, place) => {
        const link = links[place];
        if (link === undefined) return dispatch.start();
        dispatch.startHandedOver();
        router.submitTo(link, dispatch);
      },
    };
  }

  /** Hands one call to all links as sent, and publishes once. What is sent again goes to one child alone. */
  #broadcast(content: PreparedCall, links: readonly ChildLink[]): FanOutCalls<BroadcastCall> {
    const { broadcaster, roster } = this.#runtime.children;
    const { calls } = roster;
    const id = this.core.newCallId();
    return {
      calls: (done) => [
        new BroadcastCall({ port: this, content, id, calls, links, done, taker: new OutcomeTaker(this, done) }),
      ],
      start: (call) => {
        call.sent();
        broadcaster.send(toCommandRun({ id, target: "", content }, this.core));
      },
    };
  }

  /** Tells the log and the user's listeners of a command that was not, or may not have been, delivered. */
  tellUndelivered(name: string, status: Uncompleted, error: CommandError): void {
    if (status !== "notStarted" && status !== "unknown") return;
    const { log, emitter } = this.core;
    // Users' listeners run outside of whatever settled the call.
    queueMicrotask(() => {
      log.warn({ event: "command.undelivered", path: error.path, name, code: error.code }, error.message);
      emitter.emit("command.undelivered", { path: error.path, name, error });
    });
  }
}

/** Settles the promise of a value. Whoever is told besides of what was not delivered is null for requests. */
class ValuePromise<Value> implements DispatchTaker {
  readonly #caller: Caller | null;
  readonly #resolve: (value: Value) => void;
  readonly #reject: (reason: unknown) => void;
  readonly #signal: AbortSignal | undefined;

  constructor(
    caller: Caller | null,
    resolve: (value: Value) => void,
    reject: (reason: unknown) => void,
    signal: AbortSignal | undefined,
  ) {
    this.#caller = caller;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#signal = signal;
  }

  completed(value: unknown): void {
    this.#resolve(value as Value);
  }

  uncompleted(status: Uncompleted, error: CommandError, { content }: Dispatch): void {
    this.#caller?.tellUndelivered(content.name, status, error);
    this.#reject(status === "cancelled" && this.#signal?.aborted === true ? this.#signal.reason : error);
  }
}

/** Passes the outcome on as data. */
class OutcomeTaker<Output> implements DispatchTaker {
  readonly #caller: Caller;
  readonly #take: (outcome: CommandOutcome<Output>) => void;

  constructor(caller: Caller, take: (outcome: CommandOutcome<Output>) => void) {
    this.#caller = caller;
    this.#take = take;
  }

  completed(value: unknown, { path, id, attempts, durationMs }: Dispatch): void {
    const output = value as Output;
    this.#take({ status: "completed", target: path, commandId: id, value: output, attempts, durationMs });
  }

  uncompleted(status: Uncompleted, error: CommandError, dispatch: Dispatch): void {
    const { path, id, attempts, durationMs } = dispatch;
    this.#caller.tellUndelivered(dispatch.content.name, status, error);
    this.#take({ status, target: path, commandId: id, error, attempts, durationMs });
  }
}

function requireTarget(target: string): string {
  if (target === "") throw new InvalidOptionError("target", target, "the id of a child or a path below this node");
  return target;
}
