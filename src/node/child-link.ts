/**
 * One child as its parent holds it: its state, its session, the calls sent to it and the latest news of it.
 */
import {
  createDetector,
  type Detector,
  excuse,
  forgive,
  heard,
  judge,
  overdueAfterMs,
  promise,
  type Verdict,
} from "../../machines/failure-detector.js";
import type { Epoch } from "../../machines/epoch.js";
import { type LinkEventType, type LinkState, linkTable } from "../../machines/link.js";
import { NO_TAKEOVERS } from "../../machines/takeover-limit.js";
import { type Clock, NEVER_MS } from "../health/clock.js";
import type { CommandRun, Frame, Message, Meta, StatusReport, UnknownMessage } from "../protocol/messages.js";
import { downSubject } from "../protocol/subjects.js";
import type { CallContent, OutgoingCall } from "./call-entry.js";
import { CallTable, type CallTablePort } from "./call-table.js";
import { Channel, type ChannelPort } from "./channel.js";
import type { CommonCalls } from "./common-calls.js";
import { type NodeCore, type Outlet, UNJUDGED } from "./core.js";
import type { FrameLetter } from "./frame-letter.js";
import { type Report, sharedReport } from "./shared-report.js";
import type { Speaker } from "./speakers.js";

/** A session offered to a process that announced itself; it counts only once that process uses it. */
export interface Offer {
  readonly boot: string;
  readonly attempt: number;
  readonly session: string;
  readonly epoch: Epoch;
  readonly version: number;
  readonly broadcastStart: number;
  readonly offeredAtMs: number;
}

/** A child as its parent knows it. */
export interface EndedChild {
  readonly path: string;
  readonly epoch: Epoch;
  /** Its latest session. */
  readonly session: string;
}

/** The process that held the path before, to fence it when it speaks. */
export interface Predecessor {
  readonly boot: string;
  readonly session: string;
  contested: boolean;
}

export interface ChildLinkPort {
  readonly core: NodeCore;
  readonly commonCalls: CommonCalls;
  deliver(link: ChildLink, message: Message | UnknownMessage): void;
  changed(link: ChildLink, from: LinkState): void;
  /** A session is offered. */
  offered(): void;
  /** What a channel owes is due at this time, unless something else tells it. */
  awaitAck(channel: Channel, atMs: number): void;
  /** Upward requests that we take from this child in all. */
  requestCredit(link: ChildLink): number;
}

export class ChildLink implements ChannelPort, CallTablePort, Speaker<ChildLink> {
  readonly #port: ChildLinkPort;
  channel: Channel | null = null;
  state: LinkState = "absent";
  /** The child runs in our thread: it cannot die without us. */
  isLocal = false;
  detector: Detector | null = null;
  #calls: CallTable | null = null;
  broadcastAck = 0;
  readonly id: string;
  readonly #outlet: Outlet;
  /** Another process has had a session with us: it may still take itself for the child, and hear broadcasts. */
  hasHadOthers = false;
  heardOn = "";
  follower: ChildLink | null = null;
  /** Whoever had the latest session, which is over, may still take itself for the child. */
  #mayLinger = false;
  offer: Offer | null = null;
  /** Calls may flow. */
  #isReady = false;
  /** Requests of this session that arrived. */
  requestsTaken = 0;
  readonly path: string;
  readonly critical: boolean;
  /** Listed in the options: expected even while absent. */
  readonly listed: boolean;
  /** It is to be there: a child that has finished is declared, but not missed. */
  wanted = true;
  /** It has been ready since it came. */
  proven = false;
  boot = "";
  /** The announcement that the latest session answered. */
  attempt = 0;
  epoch: Epoch = [];
  /** Its latest session, also when that is over. */
  session = "";
  /** Why that is over. */
  endedWhy = "";
  /** Who held the path until the latest session was opened, if it had one then. */
  displaced: EndedChild | null = null;
  predecessor: Predecessor | null = null;
  takeovers = NO_TAKEOVERS;
  report: Report | null = null;
  reportAtMs = 0;
  /** Called once the session ends: a shutdown waits for it. */
  onClosed: (() => void) | null = null;
  /** In this session. */
  #hasReported = false;
  /** The process that was last given calls. */
  #callsBoot = "";

  constructor(port: ChildLinkPort, id: string, options: { readonly critical: boolean; readonly listed: boolean }) {
    this.#port = port;
    this.id = id;
    this.path = `${port.core.path}.${id}`;
    this.critical = options.critical;
    this.listed = options.listed;
    this.#outlet = port.core.outlet(downSubject(port.core.options.transport, this.path));
  }

  /** A session is open, whether or not its subtree is ready. */
  get isOpen(): boolean {
    return this.channel !== null;
  }

  /** Its subtree is ready; it may be suspect. */
  get isAttached(): boolean {
    return this.state === "alive" || this.state === "suspect";
  }

  /** The calls sent to it; made for the first, since most children get none. */
  get calls(): CallTable {
    if (this.#calls !== null) return this.#calls;
    this.#calls = new CallTable(this);
    if (this.#isReady) this.#openCalls(this.#calls, true);
    return this.#calls;
  }

  /** Somebody who is not the child may hear what is broadcast to all. */
  get isOverheard(): boolean {
    return this.hasHadOthers || (this.#mayLinger && !this.#hasEnded);
  }

  /** Who has, or had last, a session runs no more. We know that of our own thread alone: what a supervisor saw end may be another. */
  get #hasEnded(): boolean {
    return this.isLocal && !this.#port.core.isLocal(this.boot);
  }

  /** Calls that were not answered. */
  get pending(): number {
    return this.#calls?.size ?? 0;
  }

  get lastSentMs(): number {
    return this.channel?.lastSentMs ?? NEVER_MS;
  }

  /** Whether it has, or will have, all broadcasts up to this number without our sending them again. */
  hasBroadcast(seq: number): boolean {
    return this.isLocal || this.broadcastAck >= seq;
  }

  /** Sends within the session; without one the message is dropped. */
  send(message: Message, sequenced?: boolean): void {
    this.channel?.send(message, sequenced);
  }

  propose(offer: Offer): void {
    this.offer = offer;
    this.#port.offered();
  }

  /** Takes the session that the child accepted by using it. */
  accept(offer: Offer): void {
    const { core } = this.#port;
    const { path, epoch, session, boot } = this;
    this.displaced = this.isOpen && boot !== offer.boot ? { path, epoch, session } : null;
    this.channel?.close();
    this.offer = null;
    // Who left in order runs nothing that comes later.
    this.hasHadOthers ||= boot !== offer.boot && (this.isOpen || this.#mayLinger) && !this.#hasEnded;
    this.#mayLinger = false;
    this.session = offer.session;
    this.boot = offer.boot;
    this.attempt = offer.attempt;
    this.epoch = offer.epoch;
    this.requestsTaken = 0;
    this.broadcastAck = offer.broadcastStart;
    this.isLocal = core.isLocal(offer.boot);
    this.detector = this.isLocal ? UNJUDGED : createDetector(core.now(), core.options.heartbeat.minMs);
    const { version, session: opened } = offer;
    this.channel = new Channel(this, { version, session: opened, broadcastStart: 0 });
    this.#isReady = false;
    this.#hasReported = false;
    this.#calls?.suspend();
    this.apply("session.opened");
  }

  /** The subtree is ready: calls may flow. */
  ready(): void {
    if (this.state !== "opening") return;
    this.apply("child.ready");
    if (this.#calls !== null) this.#openCalls(this.#calls, this.#callsBoot === this.boot);
    this.#callsBoot = this.boot;
    this.#isReady = true;
  }

  /** Ends the session; `event` says why. Calls of a child that failed are kept: the same process will come back. */
  close(event: "child.died" | "child.failed" | "child.left", why: string): void {
    this.channel?.close();
    this.channel = null;
    this.detector = null;
    this.endedWhy = why;
    this.#mayLinger = event !== "child.left";
    this.#isReady = false;
    if (event === "child.failed") this.#calls?.suspend();
    else if (event === "child.left") this.#calls?.left(why);
    else this.#calls?.lost(why);
    this.apply(event);
    this.onClosed?.();
  }

  apply(event: LinkEventType): void {
    const from = this.state;
    const to = linkTable[from][event];
    if (to === undefined) return;
    this.state = to;
    this.#port.changed(this, from);
    if (to === "alive") this.proven = true;
    if (to === "left") this.proven = false;
  }

  noteHeard(): void {
    if (this.detector === null) return;
    const { core } = this.#port;
    if (!this.isLocal) heard(this.detector, core.now(), core.options.failureDetector);
    if (this.state === "suspect") this.apply("child.heard");
  }

  noteReport(report: StatusReport): void {
    this.report = sharedReport(report);
    this.#hasReported = true;
    this.reportAtMs = this.#port.core.now();
    if (this.detector !== null) {
      promise(this.detector, report.nextInMs, this.#port.core.options.failureDetector);
    }
  }

  /** Its promise is over, or it has said much but not how it is: it is to be asked. */
  isOverdue(nowMs: number): boolean {
    if (this.detector === null) return false;
    if (this.state === "opening" && !this.#hasReported) return true;
    const { core } = this.#port;
    if (this.isLocal) return !core.isLocal(this.boot);
    return nowMs - this.detector.lastHeardMs >= overdueAfterMs(this.detector, core.options.failureDetector);
  }

  /** The child's own troubles widen our patience too. */
  judge(nowMs: number): Verdict {
    if (this.detector === null) return "alive";
    const { core } = this.#port;
    if (this.isLocal) return core.isLocal(this.boot) ? "alive" : this.#verdictOnGone;
    const health = Math.max(core.localHealth, this.report?.localHealth ?? 0);
    return judge(this.detector, nowMs, core.options.failureDetector, health);
  }

  /** Its farewell may just be on its way. */
  get #verdictOnGone(): Verdict {
    return this.state === "alive" ? "suspect" : "dead";
  }

  forgive(nowMs: number): void {
    if (this.detector !== null) forgive(this.detector, nowMs);
  }

  excuse(nowMs: number, stalledMs: number): void {
    if (this.detector !== null) excuse(this.detector, nowMs, stalledMs);
  }

  /** Its process is certainly gone. */
  callsLost(why: string): void {
    this.#calls?.lost(why);
  }

  /** Ends the calls that it has not answered. */
  endCalls(why: string): void {
    this.#calls?.close(why);
  }

  #openCalls(calls: CallTable, sameExecutor: boolean): void {
    calls.opened({ sameExecutor });
    calls.grant(this.channel?.peerCredit ?? 0);
  }

  // Of the channel and of the calls

  get ackKind(): "heartbeat.ack" {
    return "heartbeat.ack";
  }

  get commonCalls(): CommonCalls {
    return this.#port.commonCalls;
  }

  get firstCredit(): number {
    return 0;
  }

  get clock(): Clock {
    return this.#port.core.options.clock;
  }

  get heardAtMs(): number {
    return this.isLocal || this.detector === null ? this.#port.core.now() : this.detector.lastHeardMs;
  }

  get maxPayloadBytes(): number {
    return this.#port.core.options.transport.maxPayloadBytes;
  }

  get queueMax(): number {
    return this.#port.core.options.linkQueueMax;
  }

  publish(frame: FrameLetter, ttlMs: number): void {
    this.#port.core.publish(this.#outlet, frame, ttlMs);
  }

  deliver(message: Message | UnknownMessage): void {
    this.#port.deliver(this, message);
  }

  awaitAck(channel: Channel, atMs: number): void {
    this.#port.awaitAck(channel, atMs);
  }

  drop(reason: string): void {
    this.#port.core.drop(this.id, reason);
  }

  credit(): number {
    return this.#port.requestCredit(this);
  }

  isBusy(): boolean {
    return this.pending > 1;
  }

  onHeader(frame: Frame): void {
    this.broadcastAck = Math.max(this.broadcastAck, frame.broadcastAck);
    if (this.isAttached) this.#calls?.grant(frame.credit);
  }

  overrun(): void {
    this.close("child.died", "the child acknowledges nothing");
  }

  transmit(call: OutgoingCall): void {
    this.send(toCommandRun(call, this.#port.core), true);
  }

  transmitCancel(commandId: string): void {
    this.send({ kind: "command.cancel", seq: 0, commandId });
  }
}

export function toCommandRun(call: Omit<OutgoingCall, "sink">, core: NodeCore): CommandRun {
  return new OutgoingRun(call, core);
}

/** Says what its call says, which it need not copy; but the call's target changes when it is handed to another link. */
class OutgoingRun implements CommandRun {
  seq = 0;
  readonly commandId: string;
  readonly target: string;
  readonly #content: CallContent;
  readonly #core: NodeCore;

  constructor({ id, target, content }: Omit<OutgoingCall, "sink">, core: NodeCore) {
    this.commandId = id;
    this.target = target;
    this.#content = content;
    this.#core = core;
  }

  get kind(): "command.run" {
    return "command.run";
  }

  get name(): string {
    return this.#content.name;
  }

  get input(): Uint8Array {
    return this.#content.input;
  }

  get idempotent(): boolean {
    return this.#content.idempotent;
  }

  get minSyncVersion(): number {
    return this.#content.minSyncVersion;
  }

  get meta(): Meta | null {
    return this.#content.meta;
  }

  /** Read when the message is written, also when it is written again. */
  get deadlineMs(): number {
    return Math.max(0, Math.ceil(this.#content.deadlineAtMs - this.#core.now()));
  }
}
