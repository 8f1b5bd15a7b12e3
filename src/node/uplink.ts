/**
 * A node's link to its parent, from the child's side.
 *
 * U1. The parent alone opens sessions; the child announces itself, with backoff, until it gets one.
 * U2. An INIT.open counts only if it answers the latest announcement of this very process.
 * U3. A parent with an older epoch than one already seen is told so and not obeyed.
 */
import { compareEpochs, type Epoch, formatEpoch, isEpochPossible } from "../../machines/epoch.js";
import {
  createDetector,
  type Detector,
  forgive,
  heard,
  judge,
  overdueAfterMs,
  promise,
} from "../../machines/failure-detector.js";
import { LOCAL_HEALTH_MAX } from "../../machines/local-health.js";
import { isTakeoverAllowed, NO_TAKEOVERS, noteTakeover } from "../../machines/takeover-limit.js";
import type { Clock, Random } from "../health/clock.js";
import {
  type CommandRun,
  type Frame,
  type HeartbeatAcks,
  type InitOpen,
  type InitProbe,
  type Message,
  PROTOCOL_VERSION_MAX,
  PROTOCOL_VERSION_MIN,
  type UnknownMessage,
  type UpMessage,
} from "../protocol/messages.js";
import { broadcastSubject, downSubject, upSubject } from "../protocol/subjects.js";
import type { Subscription } from "../transport/transport.js";
import { ackIn } from "./acknowledger.js";
import { Announcer, type AnnouncerPort } from "./announcer.js";
import { Channel, type ChannelPort } from "./channel.js";
import { type NodeCore, type Outlet, UNJUDGED } from "./core.js";
import { type Carried, decodeBroadcast, decodeCarried, frameApart, type FrameLetter } from "./frame-letter.js";
import { RateLimit } from "./rate-limit.js";

export interface UplinkPort {
  deliver(message: Message | UnknownMessage): void;
  /** A session was opened: by the same parent process as before, or another. */
  opened(options: { readonly budgetMs: number; readonly sameParent: boolean }): void;
  /** The parent fell silent, or took leave. */
  lost(): void;
  /** The session is over. */
  closed(): void;
  /** The silent parent was heard again. */
  regained(): void;
  /** This process was superseded, or refused. */
  superseded(epoch: Epoch): void;
  refusedAsDuplicate(): void;
  /** Requests of this session that the parent takes in all. */
  granted(credit: number): void;
  /** Whether other calls over this link are under way. */
  isBusy(): boolean;
}

/** Who takes the parent's commands. */
export interface CommandTaker {
  receive(message: CommandRun): void;
  /** Commands of this session that it takes in all. */
  readonly credit: number;
}

/** The parent that held our session before, to refuse it when it speaks. */
interface FormerParent {
  readonly boot: string;
  readonly session: string;
  readonly broadcastSession: string;
  contested: boolean;
}

const FENCE_INTERVAL_MS = 1_000;
/** How long the parent has to answer, before the same word again is believed. Less than its interval between two. */
const ANSWER_MS = 500;

export class Uplink implements ChannelPort, AnnouncerPort {
  readonly #core: NodeCore;
  channel: Channel | null = null;
  #broadcastSession = "";
  #detector: Detector | null = null;
  /** The parent runs in our thread: it cannot die without us. */
  isLocal = false;
  #isSilent = false;
  /** Known here once there is one: what leads to it otherwise are places that no cache holds. */
  commands: CommandTaker | null = null;
  /** For whoever waits until the parent has acknowledged something: it may have. */
  onAcknowledged: (() => void) | null = null;
  readonly #outlet: Outlet;
  readonly #port: UplinkPort;
  readonly #parentPath: string;
  readonly #announcer: Announcer;
  #down: Subscription | null = null;
  #broadcasts: Subscription | null = null;
  #fenceLimit: RateLimit | null = null;
  /** The latest session, also when it is over. */
  session = "";
  #parentHealth = 0;
  #parentBoot = "";
  /** The parent starts this node again when it ends. */
  isOwned = false;
  #parentEpoch: Epoch = [];
  #former: FormerParent | null = null;
  #takeovers = NO_TAKEOVERS;
  /** Epoch of the newer parent whose call is answered. */
  #rivalEpoch: Epoch = [];
  /** What the parent was asked when somebody fenced us. */
  #doubt: { readonly channel: Channel; readonly seq: number; readonly atMs: number } | null = null;

  constructor(core: NodeCore, parentPath: string, port: UplinkPort) {
    this.#core = core;
    this.#port = port;
    this.#parentPath = parentPath;
    this.#outlet = core.outlet(upSubject(core.options.transport, core.path));
    this.#announcer = new Announcer(this);
  }

  /** A session is open and the parent is not silent. */
  get isOpen(): boolean {
    return this.channel !== null && !this.#isSilent;
  }

  get #health(): number {
    return Math.max(this.#core.localHealth, this.#parentHealth);
  }

  get parentBoot(): string {
    return this.#parentBoot;
  }

  /** When the parent's promise is over, for the next look; Infinity without a session. */
  get overdueAtMs(): number {
    if (this.#detector === null || this.isLocal) return Infinity;
    return this.#detector.lastHeardMs + overdueAfterMs(this.#detector, this.#core.options.failureDetector);
  }

  listen(): void {
    const { path, options } = this.#core;
    this.#down = this.#core.listen(downSubject(options.transport, path), this.#receive.bind(this));
    const all = broadcastSubject(options.transport, this.#parentPath);
    this.#broadcasts = this.#core.listen(all, this.#receiveBroadcast.bind(this));
  }

  // Of the channel and of the announcer

  get clock(): Clock {
    return this.#core.options.clock;
  }

  get isLossless(): boolean {
    return this.#core.staysInThread;
  }

  get random(): Random {
    return this.#core.options.random;
  }

  get heardAtMs(): number {
    return this.isLocal || this.#detector === null ? this.#core.now() : this.#detector.lastHeardMs;
  }

  get maxPayloadBytes(): number {
    return this.#core.options.transport.maxPayloadBytes;
  }

  get ackKind(): "ack.frame" {
    return "ack.frame";
  }

  publish(frame: FrameLetter, ttlMs: number): void {
    this.#core.publish(this.#outlet, frame, ttlMs);
  }

  deliver(message: Message | UnknownMessage): void {
    if (message.kind === "command.run" && this.commands !== null) this.commands.receive(message);
    else if (message.kind === "heartbeat.acks") this.#takeAcks(message);
    else this.#port.deliver(message);
  }

  awaitAck(channel: Channel, atMs: number): void {
    channel.wakeAt(atMs);
  }

  drop(reason: string): void {
    this.#core.drop(this.#parentPath, reason);
  }

  credit(): number {
    return this.commands?.credit ?? this.#core.options.queueMax;
  }

  isBusy(): boolean {
    return this.#port.isBusy();
  }

  onHeader(frame: Frame): void {
    this.#port.granted(frame.credit);
    this.onAcknowledged?.();
  }

  overrun(): void {
    this.lose();
  }

  /** Announces the node until a parent opens a session. */
  seek(): void {
    this.#announcer.start();
  }

  /** Sends within the session; without one the message is dropped. */
  send(message: UpMessage, sequenced?: boolean): void {
    this.channel?.send(message, sequenced);
  }

  /** The parent tells many children at once what it has of them. */
  #takeAcks({ acks }: HeartbeatAcks): void {
    const { channel } = this;
    channel?.takeAck(ackIn(acks, channel.session));
    this.onAcknowledged?.();
  }

  judge(nowMs: number): void {
    if (this.#detector === null) return;
    if (this.isLocal) return this.#core.isLocal(this.#parentBoot) ? undefined : this.lose();
    if (nowMs >= this.overdueAtMs) this.channel?.probe();
    const verdict = judge(this.#detector, nowMs, this.#core.options.failureDetector, this.#health);
    if (verdict === "alive") return;
    if (!this.#isSilent) this.#fallSilent();
    if (verdict === "dead") this.lose();
  }

  forgive(nowMs: number): void {
    if (this.#detector !== null) forgive(this.#detector, nowMs);
  }

  /** Ends the session and looks for a parent again. */
  lose(): void {
    this.end();
    this.#port.lost();
    this.seek();
  }

  /** Ends the session without looking for another. */
  end(): void {
    this.#announcer.stop();
    if (this.channel === null) return;
    this.#former = this.#asFormer(this.channel);
    this.channel.close();
    this.channel = null;
    this.#detector = null;
    this.#isSilent = false;
    this.isLocal = false;
    this.#port.closed();
  }

  /** The transport is back: what was said into the outage is said again. */
  reconnected(): void {
    if (this.channel === null) this.#announcer.hurry();
    else this.channel.reconnected();
  }

  /** The session stays for the last words; no other one will be opened. */
  retire(): void {
    this.#announcer.retire();
  }

  close(): void {
    this.#announcer.stop();
    this.#down?.unsubscribe();
    this.#broadcasts?.unsubscribe();
    this.#down = this.#broadcasts = null;
    this.channel?.close();
    this.channel = null;
    this.#detector = null;
  }

  /** Lets the parent know that a newer one was seen at its path; it finds out whether that one lives. */
  tellNewerParent(parentEpoch: Epoch): void {
    if (compareEpochs(parentEpoch, this.#parentEpoch) > 0) this.announce(this.#announcer.attempt, parentEpoch);
  }

  announce(attempt: number, parentEpoch = this.#parentEpoch): void {
    this.#tell({
      kind: "ready.announce",
      seq: 0,
      treeId: this.#core.options.treeId,
      childBoot: this.#core.boot,
      attempt,
      epoch: this.#core.epoch,
      parentEpoch,
      versionMin: PROTOCOL_VERSION_MIN,
      versionMax: PROTOCOL_VERSION_MAX,
    });
  }

  #receive(carried: Carried): void {
    const decoded = decodeCarried(carried, "down");
    if (decoded.kind === "malformed") return this.#core.drop(this.#parentPath, decoded.reason);
    const { frame } = decoded;
    if (frame.session === "") return this.#receiveSessionless(frame, true);
    if (this.channel === null || frame.session !== this.channel.session) return this.#receiveStale(frame.session);
    this.#noteHeard();
    this.channel?.receive(frame);
  }

  /** Header fields mean nothing on the broadcast subject. */
  #receiveBroadcast(carried: Carried): void {
    const decoded = decodeBroadcast(carried);
    if (decoded.kind === "malformed") return this.#core.drop(this.#parentPath, decoded.reason);
    const { frame } = decoded;
    if (frame.session === "") return this.#receiveSessionless(frame, false);
    if (this.channel === null || frame.session !== this.#broadcastSession) return this.#receiveStale(frame.session);
    this.#noteHeard();
    this.channel?.receiveBroadcast(frame);
  }

  #noteHeard(): void {
    if (this.#detector === null) return;
    if (!this.isLocal) heard(this.#detector, this.#core.now(), this.#core.options.failureDetector);
    if (!this.#isSilent) return;
    this.#isSilent = false;
    this.#port.regained();
  }

  /** The parent's promise of its next beat, and its own troubles, which widen our patience. */
  notePromise(nextInMs: number, parentHealth = 0): void {
    this.#parentHealth = Math.min(LOCAL_HEALTH_MAX, parentHealth);
    if (this.#detector !== null) promise(this.#detector, nextInMs, this.#core.options.failureDetector);
  }

  #fallSilent(): void {
    this.#isSilent = true;
    this.#port.lost();
  }

  #receiveStale(session: string): void {
    this.#core.drop(this.#parentPath, "stale session");
    const former = this.#former;
    if (former === null || (session !== former.session && session !== former.broadcastSession)) return;
    if (former.boot === this.#parentBoot || !this.isOpen) return;
    this.#fenceParent(former.boot);
  }

  #receiveSessionless(frame: Frame, isDirect: boolean): void {
    for (const message of frame.messages) {
      if (message.kind === "init.probe") this.#probed(message, isDirect);
      else if (message.kind === "init.open") this.#offered(message);
      else if (message.kind === "shutdown.fenced" && message.boot === this.#core.boot) this.#fenced(message.epoch);
      else if (message.kind === "shutdown.duplicate" && message.boot === this.#core.boot) this.#refused();
      else this.#core.drop(this.#parentPath, "no session");
    }
  }

  #fenced(epoch: Epoch): void {
    if (compareEpochs(epoch, this.#core.epoch) <= 0) return this.#core.drop(this.#parentPath, "stale epoch");
    if (this.#isOfAnotherParent(epoch)) return this.#core.drop(this.#parentPath, "fenced by another parent");
    this.#port.superseded(epoch);
  }

  /**
   * Our parent is there and granted no such epoch, as far as we know: the word may be that of another one, dead for long or
   * outranked since. It is asked: who has been displaced gets no answer within the session, but the same word again.
   */
  #isOfAnotherParent(epoch: Epoch): boolean {
    const { channel } = this;
    const grantor = epoch.slice(0, this.#parentEpoch.length);
    if (channel === null || !this.isOpen || compareEpochs(grantor, this.#parentEpoch) === 0) return false;
    const nowMs = this.#core.now();
    const isAsked =
      this.#doubt !== null && this.#doubt.channel === channel && channel.acknowledgedSeq < this.#doubt.seq;
    if (isAsked) return nowMs - (this.#doubt?.atMs ?? nowMs) < ANSWER_MS;
    channel.probe();
    this.#doubt = { channel, seq: channel.sentSeq, atMs: nowMs };
    this.#tellRarely(grantor);
    return true;
  }

  /** If both live, each takes us for its own: ours finds out whether it is outranked, or outranks the other. */
  #tellRarely(parentEpoch: Epoch): void {
    this.#fenceLimit ??= new RateLimit(this.clock, FENCE_INTERVAL_MS);
    if (this.#fenceLimit.allows(formatEpoch(parentEpoch))) this.tellNewerParent(parentEpoch);
  }

  /** An established process is not turned away by a late refusal. */
  #refused(): void {
    if (this.channel === null) this.#port.refusedAsDuplicate();
  }

  /**
   * A parent calls. The one that we obey already knows us, unless it calls us alone (it lost our session) or has a new
   * epoch.
   */
  #probed(message: InitProbe, isDirect: boolean): void {
    if (!this.#isAcceptable(message)) return;
    const isNews = message.parentBoot !== this.#parentBoot || compareEpochs(message.parentEpoch, this.#parentEpoch) > 0;
    if (!this.#announcer.isSeeking && (this.channel === null || !(isDirect || isNews))) return;
    const isRival = this.channel !== null && message.parentBoot !== this.#parentBoot;
    if (isRival) this.#rivalEpoch = message.parentEpoch;
    this.#announcer.startSoon({ isRival });
  }

  /** Whether a parent may call or open a session; otherwise it is told why not. */
  #isAcceptable({ treeId, parentBoot, parentEpoch }: InitProbe | InitOpen): boolean {
    if (treeId !== this.#core.options.treeId) {
      this.#core.drop(this.#parentPath, "foreign tree");
      return false;
    }
    if (parentBoot === this.#parentBoot || !this.isOpen) return true;
    if (compareEpochs(parentEpoch, this.#parentEpoch) <= 0) {
      this.#fenceParent(parentBoot);
      return false;
    }
    if (isTakeoverAllowed(this.#takeovers, this.#core.now())) return true;
    this.#tell({ kind: "error.duplicate", seq: 0, boot: parentBoot });
    return false;
  }

  #offered(message: InitOpen): void {
    if (message.childBoot !== this.#core.boot) return this.#core.drop(this.#parentPath, "addressed to another process");
    if (message.session === this.channel?.session) return this.channel.acknowledge();
    const fault = this.#faultOf(message);
    if (fault !== null) return this.#core.drop(this.#parentPath, fault);
    if (!this.#isAcceptable(message)) return;
    if (!this.#isOutrankedOffer(message)) this.#accept(message);
  }

  /**
   * Both parents hear the announcement that a newer one called for, and the present one is quick to answer it. It counts
   * if it has raised its epoch above the other's since it opened our session: the other must learn of that.
   */
  #isOutrankedOffer({ parentBoot, parentEpoch }: InitOpen): boolean {
    if (!this.#announcer.isAnsweringRival || parentBoot !== this.#parentBoot) return false;
    return compareEpochs(parentEpoch, this.#rivalEpoch) <= 0;
  }

  /** Why an offer cannot count, whoever made it; null when it can. */
  #faultOf({ attempt, epoch, parentEpoch, version }: InitOpen): string | null {
    if (!this.#announcer.isSeeking || attempt !== this.#announcer.attempt) return "stale offer";
    // Made by another parent before this process had an epoch: it keeps the one it has.
    const own = this.#core.epoch;
    if (own.length > 0 && compareEpochs(epoch, own) !== 0) return "stale offer";
    // No parent could ever outrank it.
    if (!isEpochPossible(parentEpoch)) return "impossible epoch";
    if (compareEpochs(parentEpoch, this.#parentEpoch) < 0) return "stale epoch";
    return version < PROTOCOL_VERSION_MIN || version > PROTOCOL_VERSION_MAX ? "protocol version" : null;
  }

  #accept(message: InitOpen): void {
    this.#announcer.stop();
    const sameParent = message.parentBoot === this.#parentBoot;
    if (this.channel !== null) {
      this.#former = this.#asFormer(this.channel);
      this.channel.close();
    }
    this.#parentBoot = message.parentBoot;
    this.isLocal = this.#core.isLocal(message.parentBoot);
    this.#parentEpoch = message.parentEpoch;
    this.#broadcastSession = message.broadcastSession;
    this.isOwned = message.owned;
    this.session = message.session;
    this.#core.epoch = message.epoch;
    this.#isSilent = false;
    this.#detector = this.isLocal ? UNJUDGED : createDetector(this.#core.now(), 0);
    this.notePromise(message.nextInMs);
    const { version, session, broadcastSeq } = message;
    this.channel = new Channel(this, { version, session, broadcastStart: broadcastSeq });
    this.#port.opened({ budgetMs: message.initBudgetMs, sameParent });
  }

  #asFormer(channel: Channel): FormerParent {
    const { session } = channel;
    return { boot: this.#parentBoot, session, broadcastSession: this.#broadcastSession, contested: false };
  }

  /** A parent that speaks although it was superseded: when we were its child, two are known to be alive. */
  #fenceParent(boot: string): void {
    if (this.#former?.boot === boot && !this.#former.contested) {
      this.#takeovers = noteTakeover(this.#takeovers, this.#core.now());
      this.#former.contested = true;
    }
    this.#fenceLimit ??= new RateLimit(this.clock, FENCE_INTERVAL_MS);
    if (this.#fenceLimit.allows(boot)) this.#tell({ kind: "error.fenced", seq: 0, boot, epoch: this.#parentEpoch });
  }

  /** Tells the parent something outside any session. */
  #tell(message: UpMessage): void {
    this.#core.publish(this.#outlet, frameApart([message]));
  }
}
