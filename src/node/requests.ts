/** Requests: what a node asks upward, answered by the nearest ancestor that serves the name. */
import { estimateBytes } from "../protocol/codec.js";
import { randomId } from "../health/clock.js";
import { STATUSES, type CommandReply, type StatusRequest, type UpMessage } from "../protocol/messages.js";
import { type CallSink, completed, type Outcome, refused, uncompleted } from "./call.js";
import type { OutgoingCall } from "./call-entry.js";
import { CallTable } from "./call-table.js";
import type { ChildLink } from "./child-link.js";
import { CommonCalls } from "./common-calls.js";
import type { NodeCore } from "./core.js";
import type { Executor } from "./executor.js";
import { Registry } from "./registry.js";
import { RelayMemory } from "./relay-memory.js";

export interface RequestsPort {
  readonly core: NodeCore;
  /** Runs the handlers of `options.requests`. */
  readonly executor: Executor;
  /** Whether there is a parent to pass on to. */
  readonly hasUplink: boolean;
  sendUp(message: UpMessage): void;
}

interface Relayed {
  /** Of the call upward. */
  readonly id: string;
  readonly sink: CallSink;
  /** In which it last arrived. */
  session: string;
}

export class Requests {
  /** Requests under way to the parent: our own and those passed on. */
  readonly calls: CallTable;
  readonly #port: RequestsPort;
  /** Requests of children passed on, by child and id. */
  readonly #relayed = new Registry<Relayed>();
  readonly #memory: RelayMemory;

  constructor(port: RequestsPort) {
    this.#port = port;
    this.#memory = new RelayMemory(port.core.options.outcomesMax, port.core.options.outcomesMaxBytes);
    this.calls = new CallTable({
      clock: port.core.options.clock,
      queueMax: port.core.options.linkQueueMax,
      // A parent that only broadcasts grants nothing: the first request makes it answer, and the answer grants the rest.
      firstCredit: 1,
      id: "",
      hasHadOthers: false,
      commonCalls: new CommonCalls(),
      transmit: (call) => this.#transmit(call),
      transmitCancel: (requestId) => port.sendUp({ kind: "status.cancelRequest", seq: 0, requestId }),
    });
  }

  /** Asks upward on behalf of this node. */
  submit(call: OutgoingCall): void {
    if (this.#port.hasUplink) this.calls.submit(call);
    else
      call.sink.settle(refused("UNKNOWN_COMMAND", `no ancestor serves ${JSON.stringify(call.content.name)}`), call.id);
  }

  /** A child asks: answered here if served here, else passed on. */
  receive(link: ChildLink, message: StatusRequest): void {
    link.requestsTaken++;
    const sink = this.#replyDown(link, message.requestId);
    const { core, executor, hasUplink } = this.#port;
    const { requestId, name } = message;
    if (Object.hasOwn(core.options.requests, name) || !hasUplink) {
      return executor.accept(requestKey(link, requestId), message, sink);
    }
    if (!this.#isKnown(link, requestId, sink)) this.#relay(link, message, sink);
  }

  /** Sent again over a new session: it is answered, or will be. */
  #isKnown(link: ChildLink, requestId: string, sink: CallSink): boolean {
    const key = requestKey(link, requestId);
    const relayed = this.#relayed.get(key);
    if (relayed !== undefined) {
      relayed.session = sessionOf(link);
      return true;
    }
    const outcome = this.#memory.recall(key, sessionOf(link));
    if (outcome !== undefined) sink.settle(outcome, requestId);
    return outcome !== undefined;
  }

  #relay(link: ChildLink, message: StatusRequest, sink: CallSink): void {
    const { core } = this.#port;
    const { requestId, name, input, deadlineMs, meta } = message;
    // Siblings may use one id: upward each gets one of its own.
    const id = randomId(core.options.random, 16);
    const key = requestKey(link, requestId);
    if (estimateBytes(message) > core.maxBodyBytes()) {
      const why = `${core.path} cannot pass on a message of this size`;
      return sink.settle(refused("TOO_LARGE_FOR_HOP", why), requestId);
    }
    const relayed: CallSink = {
      progress: () => {},
      settle: (outcome) => {
        this.#memory.note(key, outcome, this.#relayed.get(key)?.session ?? sessionOf(link));
        this.#relayed.delete(key);
        sink.settle(outcome, requestId);
      },
    };
    this.#relayed.add(key, { id, sink: relayed, session: sessionOf(link) });
    const deadlineAtMs = core.now() + deadlineMs;
    const content = { name, input, deadlineAtMs, idempotent: false, minSyncVersion: 0, meta };
    this.calls.submit({ id, target: "", content, sink: relayed });
  }

  cancel(link: ChildLink, requestId: string): void {
    const relayed = this.#relayed.get(requestKey(link, requestId));
    if (relayed === undefined) this.#port.executor.cancel(requestKey(link, requestId));
    else this.calls.cancel(relayed.id, relayed.sink);
  }

  /** The parent's answer. */
  replied(message: CommandReply): void {
    const status = STATUSES[message.status];
    if (status === undefined) return;
    const { code, message: text, handlerCode, output } = message;
    const outcome =
      status === "completed"
        ? completed(output)
        : uncompleted(status, code as Exclude<Outcome["code"], "">, text, handlerCode);
    this.calls.answered(message.requestId, outcome);
  }

  #transmit({ id, content }: OutgoingCall): void {
    const { core } = this.#port;
    const { name, input, meta, deadlineAtMs } = content;
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
      settle: (outcome) => {
        const { status, code, message, handlerCode, output } = this.#sendable(outcome);
        const answer = { status: STATUSES.indexOf(status), code, message, handlerCode, output };
        link.send({ kind: "command.reply", seq: 0, requestId, ...answer });
      },
    };
  }

  /** An outcome that came over a larger transport may not fit into ours. */
  #sendable(outcome: Outcome): Outcome {
    if (outcome.output.length <= this.#port.core.maxBodyBytes()) return outcome;
    return uncompleted("failed", "RESULT_NOT_SENDABLE", "the result is too large to be passed on");
  }
}

function sessionOf(link: ChildLink): string {
  return link.channel?.session ?? "";
}

/** Requests of different children may bear the same id. */
function requestKey(link: ChildLink, requestId: string): string {
  return `${link.id}/${requestId}`;
}
