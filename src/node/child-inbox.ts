/** What comes of what children say within their sessions, and of their coming and going. */
import { type Epoch, formatEpoch } from "../../machines/epoch.js";
import type { LinkState } from "../../machines/link.js";
import { LAYOUTS } from "../protocol/layouts.js";
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
import type { ChildrenPort } from "./children.js";
import type { NodeRuntime } from "./runtime.js";

const ACKS = LAYOUTS["heartbeat.acks"];

/** The parts of the node that its children's words concern. */
type ChildInboxPort = Pick<
  NodeRuntime,
  | "core"
  | "children"
  | "requests"
  | "synchronizer"
  | "reporter"
  | "owned"
  | "coordinator"
  | "pulse"
  | "rivalry"
  | "ending"
  | "phase"
  | "existing"
  | "requestSlots"
  | "isRunning"
  | "isEstablished"
  | "noteEstablished"
  | "scheduleCounts"
>;

export class ChildInbox implements ChildrenPort {
  readonly #port: ChildInboxPort;

  constructor(port: ChildInboxPort) {
    this.#port = port;
  }

  deliver(link: ChildLink, message: Message | UnknownMessage): void {
    const { core } = this.#port;
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
        return this.#port.requests.receive(link, message);
      case "status.cancelRequest":
        return this.#port.requests.cancel(link, message.requestId);
      case "status.syncRequest":
        return this.#port.existing.synchronizer?.childHas(link, message.version);
      case "status.data":
        return this.#data(link, message.data);
      case "status.leaving":
        return this.#port.children.left(link, message.reason);
      case "complete.shutdown":
        return this.#port.children.left(link, "shut down");
      case "error.node":
        return this.#failed(link, message);
      case "error.unsupported":
        if (message.type === ACKS.type && message.unknownKind === ACKS.number) link.channel?.acknowledgeAlone();
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

  linkChanged(link: ChildLink, from: LinkState): void {
    const { core, ending, owned, coordinator } = this.#port;
    const change = { atMs: core.now(), id: link.id, from, state: link.state, epoch: formatEpoch(link.epoch) };
    core.log.info({ event: "child.changed", path: core.path, ...change }, `child ${link.id}: ${from} → ${link.state}`);
    core.emitter.emit("child.changed", change);
    ending.notices.linkChanged(link, { isOwned: owned.has(link.id), isJudging: coordinator.isCoordinating });
    owned.linkChanged(link);
    if (link.state === "opening") {
      this.#port.noteEstablished();
      if (!link.isLocal || owned.requiresProgress) this.#port.pulse.keepPromise();
    }
    this.#port.scheduleCounts();
  }

  linksChanged(): void {
    this.#port.scheduleCounts();
  }

  isCoordinating(): boolean {
    return this.#port.core.epoch.length > 0 && this.#port.isRunning;
  }

  willCoordinate(): boolean {
    return this.#port.phase === "running";
  }

  takesOffers(): boolean {
    return this.#port.phase !== "ended" && this.#port.coordinator.isCoordinating;
  }

  requestCredit(link: ChildLink): number {
    return link.requestsTaken + this.#port.requestSlots;
  }

  initBudgetMs(): number {
    return this.#port.coordinator.childBudgetMs;
  }

  nextInMs(isLocal: boolean): number {
    return this.#port.pulse.promiseFor(isLocal);
  }

  syncVersion(): number {
    return this.#port.existing.synchronizer?.version ?? 0;
  }

  newerParentSeen(epoch: Epoch, isCertain: boolean): boolean {
    return this.#port.rivalry.seen(epoch, isCertain);
  }

  /** A parent that other children obey is not turned away by one. */
  refusedAsDuplicate(): void {
    if (!this.#port.isEstablished) this.#port.ending.duplicate();
  }

  owns(id: string): boolean {
    return this.#port.owned.owns(id);
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
    this.#port.existing.synchronizer?.childHas(link, report.syncVersion);
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
