/** Commands that come from the parent: run here, or passed on to the child that leads to their target. */
import { estimateBytes } from "../protocol/codec.js";
import { type CommandRun, STATUSES, type UpMessage } from "../protocol/messages.js";
import { splitTarget } from "../protocol/path.js";
import type { Call, CallSink, Outcome } from "./call.js";
import { refused } from "./call.js";
import type { OutgoingCall } from "./call-table.js";
import { type ChildLink, toCommandRun } from "./child-link.js";
import type { Children } from "./children.js";
import type { NodeCore } from "./core.js";
import type { Executor } from "./executor.js";
import type { Synchronizer } from "./synchronizer.js";

export interface CommandRouterPort {
  readonly core: NodeCore;
  readonly children: Children;
  readonly executor: Executor;
  readonly synchronizer: Synchronizer;
  /** Null when the node can work; otherwise why not. */
  refusal(): Outcome | null;
  sendUp(message: UpMessage): void;
}

export class CommandRouter {
  readonly #port: CommandRouterPort;
  /** Commands passed on, by id: to whom a cancel goes. */
  readonly #relayed = new Map<string, ChildLink>();
  /** Commands waiting for a version of the parent's document. */
  #parked = 0;
  /** Commands of this session that arrived. */
  #taken = 0;

  constructor(port: CommandRouterPort) {
    this.#port = port;
  }

  /** Commands of this session that we take in all. */
  get credit(): number {
    return this.#taken + this.#port.executor.freeSlots;
  }

  newSession(): void {
    this.#taken = 0;
  }

  receive(message: CommandRun): void {
    this.#taken++;
    const sink = this.#answerUp(message.commandId);
    const refusal = this.#port.refusal();
    if (refusal !== null) return sink.settle(refusal);
    const { synchronizer, core } = this.#port;
    if (message.minSyncVersion <= synchronizer.receivedVersion) return this.#start(message, sink, message.deadlineMs);
    if (this.#parked >= core.options.queueMax) return sink.settle(refused("OVERLOADED", "too many wait for a sync"));
    this.#park(message, sink);
  }

  cancel(commandId: string): void {
    const link = this.#relayed.get(commandId);
    if (link === undefined) this.#port.executor.cancel(commandId);
    else link.calls.cancel(commandId);
  }

  /** The user of this node cancels a command that it gave. */
  cancelBelow(commandId: string, target: string): void {
    this.#port.children.get(splitTarget(target).childId)?.calls.cancel(commandId);
  }

  /** Hands a call to the child that leads to `target`, or refuses it. */
  submit(call: OutgoingCall, target: string): void {
    const { childId, rest } = splitTarget(target);
    const link = this.#port.children.get(childId);
    if (link === undefined) return call.sink.settle(refused("UNKNOWN_CHILD", `there is no child ${childId}`));
    const isComing = link.isAttached || link.state === "opening";
    if (!isComing && !call.idempotent) {
      return call.sink.settle(refused("UNAVAILABLE", `child ${childId} is ${link.state}`));
    }
    link.calls.submit({ ...call, target: rest });
  }

  #start(message: CommandRun, sink: CallSink, deadlineMs: number): void {
    if (message.target === "") this.#port.executor.accept(toCall(message, deadlineMs), sink);
    else this.#relay(message, sink, deadlineMs);
  }

  #park(message: CommandRun, sink: CallSink): void {
    const { synchronizer, core } = this.#port;
    const deadlineAtMs = core.now() + message.deadlineMs;
    this.#parked++;
    this.#port.sendUp({ kind: "status.syncRequest", seq: 0, version: synchronizer.receivedVersion });
    synchronizer.whenReceived(message.minSyncVersion, () => {
      this.#parked--;
      this.#start(message, sink, deadlineAtMs - core.now());
    });
  }

  #relay(message: CommandRun, sink: CallSink, deadlineMs: number): void {
    const { core, children } = this.#port;
    const { childId } = splitTarget(message.target);
    const link = children.get(childId);
    const call: OutgoingCall = {
      id: message.commandId,
      name: message.name,
      target: "",
      input: message.input,
      deadlineAtMs: core.now() + deadlineMs,
      idempotent: message.idempotent,
      minSyncVersion: 0,
      meta: message.meta,
      sink: this.#relaySink(message.commandId, sink),
    };
    if (estimateBytes(toCommandRun(call, core)) > core.maxBodyBytes()) {
      return sink.settle(refused("TOO_LARGE_FOR_HOP", `${core.path} cannot pass on a message of this size`));
    }
    if (link !== undefined) this.#relayed.set(message.commandId, link);
    this.submit(call, message.target);
  }

  #relaySink(commandId: string, sink: CallSink): CallSink {
    return {
      progress: (value) => sink.progress(value),
      settle: (outcome) => {
        this.#relayed.delete(commandId);
        sink.settle(outcome);
      },
    };
  }

  /** Answers go into whatever session is open when they are ready: a re-sent command is answered from the cache. */
  #answerUp(commandId: string): CallSink {
    const { core } = this.#port;
    return {
      progress: (value) => {
        if (value.length <= core.maxBodyBytes()) {
          this.#port.sendUp({ kind: "status.progress", seq: 0, commandId, value });
        }
      },
      settle: (outcome) => this.#port.sendUp(toAnswer(commandId, outcome, core.maxBodyBytes())),
    };
  }
}

function toCall({ commandId, name, input, meta }: CommandRun, deadlineMs: number): Call {
  return { id: commandId, name, input, deadlineMs, meta };
}

function toAnswer(commandId: string, outcome: Outcome, maxBytes: number): UpMessage {
  if (outcome.status === "completed" && outcome.output.length <= maxBytes) {
    return { kind: "complete.command", seq: 0, commandId, output: outcome.output };
  }
  const isTooLarge = outcome.status === "completed";
  return {
    kind: "error.command",
    seq: 0,
    commandId,
    status: STATUSES.indexOf(isTooLarge ? "failed" : outcome.status),
    code: isTooLarge ? "RESULT_NOT_SENDABLE" : outcome.code,
    message: isTooLarge ? "the result is too large to be passed on" : outcome.message,
    handlerCode: outcome.handlerCode,
  };
}
