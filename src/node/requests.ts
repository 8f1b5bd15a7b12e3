/** Requests: what a node asks upward, answered by the nearest ancestor that serves the name. */
import { STATUSES, type CommandReply, type StatusRequest, type UpMessage } from "../protocol/messages.js";
import { type CallSink, type Outcome, refused } from "./call.js";
import { CallTable, type OutgoingCall } from "./call-table.js";
import type { ChildLink } from "./child-link.js";
import type { NodeCore } from "./core.js";
import type { Executor } from "./executor.js";

export interface RequestsPort {
  readonly core: NodeCore;
  /** Runs the handlers of `options.requests`. */
  readonly executor: Executor;
  /** Whether there is a parent to pass on to. */
  readonly hasUplink: boolean;
  sendUp(message: UpMessage): void;
}

export class Requests {
  /** Requests under way to the parent: our own and those passed on. */
  readonly calls: CallTable;
  readonly #port: RequestsPort;

  constructor(port: RequestsPort) {
    this.#port = port;
    this.calls = new CallTable({
      clock: port.core.options.clock,
      queueMax: port.core.options.linkQueueMax,
      // A parent that only broadcasts grants nothing: the first request makes it answer, and the answer grants the rest.
      firstCredit: 1,
      transmit: (call) => this.#transmit(call),
      transmitCancel: (requestId) => port.sendUp({ kind: "status.cancelRequest", seq: 0, requestId }),
    });
  }

  /** Asks upward on behalf of this node. */
  submit(call: OutgoingCall): void {
    if (this.#port.hasUplink) this.calls.submit(call);
    else call.sink.settle(refused("UNKNOWN_COMMAND", `no ancestor serves ${JSON.stringify(call.name)}`));
  }

  /** A child asks: answered here if served here, else passed on. */
  receive(link: ChildLink, message: StatusRequest): void {
    link.requestsTaken++;
    const sink = this.#replyDown(link, message.requestId);
    const { core, executor, hasUplink } = this.#port;
    const { requestId, name, input, deadlineMs, meta } = message;
    if (Object.hasOwn(core.options.requests, name) || !hasUplink) {
      return executor.accept({ id: requestKey(link, requestId), name, input, deadlineMs, meta }, sink);
    }
    const deadlineAtMs = core.now() + deadlineMs;
    this.submit({
      id: requestId,
      name,
      target: "",
      input,
      deadlineAtMs,
      idempotent: false,
      minSyncVersion: 0,
      meta,
      sink,
    });
  }

  cancel(link: ChildLink, requestId: string): void {
    this.#port.executor.cancel(requestKey(link, requestId));
    this.calls.cancel(requestId);
  }

  /** The parent's answer. */
  replied(message: CommandReply): void {
    const status = STATUSES[message.status];
    if (status === undefined) return;
    const { code, message: text, handlerCode, output } = message;
    this.calls.answered(message.requestId, {
      status,
      code: code as Outcome["code"],
      message: text,
      handlerCode,
      output,
    });
  }

  #transmit({ id, name, input, meta, deadlineAtMs }: OutgoingCall): void {
    const { core } = this.#port;
    this.#port.sendUp({
      kind: "status.request",
      seq: 0,
      requestId: id,
      name,
      input,
      get deadlineMs() {
        return Math.max(0, Math.ceil(deadlineAtMs - core.now()));
      },
      meta,
    });
  }

  #replyDown(link: ChildLink, requestId: string): CallSink {
    return {
      progress: () => {},
      settle: ({ status, code, message, handlerCode, output }) =>
        link.send({
          kind: "command.reply",
          seq: 0,
          requestId,
          status: STATUSES.indexOf(status),
          code,
          message,
          handlerCode,
          output,
        }),
    };
  }
}

/** Requests of different children may bear the same id. */
function requestKey(link: ChildLink, requestId: string): string {
  return `${link.id}/${requestId}`;
}
