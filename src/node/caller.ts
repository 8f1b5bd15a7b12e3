/** The calls that a node's user makes: commands down, fan-outs, requests up. */
import { type CommandError, InvalidOptionError, NodeEndedError, WrongStateError } from "../errors.js";
import { randomId } from "../health/clock.js";
import { assertPath } from "../protocol/path.js";
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
import { completionsNeeded, type FanOut, type FanOutOptions, runFanOut } from "./fan-out.js";
import type { NodeRuntime } from "./runtime.js";

export class Caller {
  readonly #runtime: NodeRuntime;

  constructor(runtime: NodeRuntime) {
    this.#runtime = runtime;
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
    const needed = completionsNeeded(options.until, targets === "*" ? Infinity : ids.length);
    const { core } = this.#runtime;
    const template = prepareCall(core, ids[0] ?? "", name, input, options);
    this.#requireStarted();
    const isBroadcast = targets === "*" && this.#canBroadcast(template, ids.length);
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

  #requireStarted(): void {
    const { phase } = this.#runtime;
    if (phase === "created")
      throw new WrongStateError(`node ${this.#runtime.core.path} is not started; call start() first`);
    if (phase === "ended") throw new NodeEndedError(this.#runtime.core.path, "create a new one");
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

  /**
   * One publish instead of one for each child: only if the children that are meant are those that are there. A process
   * that was replaced or taken for dead hears it too until it knows, so the command must bear being run twice.
   */
  #canBroadcast({ idempotent }: PreparedCall, targets: number): boolean {
    const { children } = this.#runtime;
    if (!idempotent || targets < 2 || !children.isSettled() || !children.broadcaster.hasRoom) return false;
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

function requireTarget(target: string): string {
  if (target === "") throw new InvalidOptionError("target", target, "the id of a child or a path below this node");
  return target;
}
