/** What children say within their sessions, and what comes of it. */
import {
  type ErrorNode,
  type Message,
  STATES,
  STATUSES,
  type StatusReport,
  type UnknownMessage,
} from "../protocol/messages.js";
import { decodePayload } from "../protocol/payload.js";
import { completed, type Outcome, uncompleted } from "./call.js";
import type { ChildLink } from "./child-link.js";
import type { Children } from "./children.js";
import type { NodeCore } from "./core.js";
import type { OwnedChildren } from "./owned-children.js";
import type { Reporter } from "./reporter.js";
import type { Requests } from "./requests.js";
import type { Synchronizer } from "./synchronizer.js";

export interface ChildInboxPort {
  readonly core: NodeCore;
  readonly children: Children;
  readonly requests: Requests;
  readonly synchronizer: Synchronizer;
  readonly reporter: Reporter;
  readonly owned: OwnedChildren;
}

export class ChildInbox {
  readonly #port: ChildInboxPort;

  constructor(port: ChildInboxPort) {
    this.#port = port;
  }

  receive(link: ChildLink, message: Message | UnknownMessage): void {
    const { core, requests, synchronizer } = this.#port;
    switch (message.kind) {
      case "status.report":
        return this.#reported(link, message);
      case "ready.subtree":
        return this.#ready(link, message.state);
      case "complete.command":
        return link.calls.answered(message.commandId, completed(message.output));
      case "error.command":
        return this.#commandFailed(link, message);
      case "status.progress":
        return link.calls.progress(message.commandId, message.value);
      case "status.request":
        return requests.receive(link, message);
      case "status.cancelRequest":
        return requests.cancel(link, message.requestId);
      case "status.syncRequest":
        return synchronizer.childHas(link, message.version);
      case "status.data":
        return this.#data(link, message.data);
      case "status.leaving":
        return this.#port.children.left(link, message.reason);
      case "complete.shutdown":
        return this.#port.children.left(link, "shut down");
      case "error.node":
        return this.#failed(link, message);
      case "error.unsupported":
        return core.drop(link.id, "unsupported by the child");
      case "ack.frame":
      case "ack.shutdown":
        return;
      case "unknown":
        return this.#unsupported(link, message);
      default:
        return core.drop(link.id, `unexpected ${message.kind}`);
    }
  }

  #ready(link: ChildLink, stateIndex: number): void {
    const state = STATES[stateIndex];
    if (state === "SYNCHRONIZED" || state === "DEGRADED") link.ready();
  }

  /** A report repeats what READY says, so that losing that does no harm. */
  #reported(link: ChildLink, report: StatusReport): void {
    const before = link.report;
    link.noteReport(report);
    this.#ready(link, report.state);
    this.#port.synchronizer.childHas(link, report.syncVersion);
    if (before?.nodes !== report.nodes || before.available !== report.available) this.#port.reporter.schedule();
  }

  #commandFailed(link: ChildLink, message: Extract<Message, { kind: "error.command" }>): void {
    const status = STATUSES[message.status];
    if (status === undefined || status === "completed") return this.#port.core.drop(link.id, "bad status");
    const { code, message: text, handlerCode, commandId } = message;
    link.calls.answered(commandId, uncompleted(status, code as Exclude<Outcome["code"], "">, text, handlerCode));
  }

  #failed(link: ChildLink, { reason, dependencyDown }: ErrorNode): void {
    this.#port.owned.noteFailure(link.id, { kind: dependencyDown ? "dependencyDown" : "failed", reason });
    link.close("child.failed", reason);
  }

  #data(link: ChildLink, data: Uint8Array): void {
    try {
      this.#port.core.emitter.emit("child.reported", { id: link.id, data: decodePayload(data, "data") });
    } catch {
      this.#port.core.drop(link.id, "garbled data");
    }
  }

  #unsupported(link: ChildLink, { type, unknownKind }: UnknownMessage): void {
    this.#port.core.drop(link.id, "unknown kind");
    link.send({ kind: "heartbeat.unsupported", seq: 0, type, unknownKind });
  }
}
