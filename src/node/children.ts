/**
 * The children of one node: who is there, who may come, and which process holds each path.
 *
 * R1. Only a process that uses the session it was offered becomes the child: an announcement alone, perhaps late or
 *     doubled, displaces nobody.
 * R2. A path has one live session. Who held it before is told so, once for each interval, and stops.
 * R3. Memory is bounded by `childrenMax`, whatever arrives.
 */
import { compareEpochs, type Epoch, isEpochPossible } from "../../machines/epoch.js";
import type { LinkState } from "../../machines/link.js";
import { noteTakeover } from "../../machines/takeover-limit.js";
import { type ChildCounts, NO_CHILDREN } from "../../machines/thresholds.js";
import type { Decoded } from "../protocol/codec.js";
import {
  type DownMessage,
  type ErrorDuplicate,
  type ErrorFenced,
  type Frame,
  type Message,
  PROTOCOL_VERSION_MAX,
  PROTOCOL_VERSION_MIN,
  type UnknownMessage,
} from "../protocol/messages.js";
import { broadcastSubject, childrenSubject, downSubject, senderId } from "../protocol/subjects.js";
import type { Subscription } from "../transport/transport.js";
import { Admission } from "./admission.js";
import { Broadcaster } from "./broadcaster.js";
import type { Channel } from "./channel.js";
import { ChildLink, type ChildLinkPort, type Offer } from "./child-link.js";
import { ChildTally } from "./child-tally.js";
import type { CommonCalls } from "./common-calls.js";
import type { NodeCore } from "./core.js";
import { type Carried, decodeCarried, frameApart } from "./frame-letter.js";
import { RateLimit } from "./rate-limit.js";
import { rememberLatest } from "../protocol/remember-latest.js";
import { Roster } from "./roster.js";
import { Speakers } from "./speakers.js";

export interface ChildrenPort {
  /** Whether sessions may be opened: the node has an epoch and coordinates. */
  isCoordinating(): boolean;
  /** Whether that will be so if all goes well. */
  willCoordinate(): boolean;
  /** Whether sessions that were offered count when they are used: also while stopping, to take leave of who came late. */
  takesOffers(): boolean;
  deliver(link: ChildLink, message: Message | UnknownMessage): void;
  linkChanged(link: ChildLink, from: LinkState): void;
  /** The census of the children changed otherwise. */
  linksChanged(): void;
  requestCredit(link: ChildLink): number;
  initBudgetMs(): number;
  /** What a child is promised for the next beat, milliseconds. */
  nextInMs(isLocal: boolean): number;
  syncVersion(): number;
  /** A child has seen a newer parent of our path. Returns whether our epoch was raised above it. */
  newerParentSeen(epoch: Epoch, certain: boolean): boolean;
  /** A child refuses us: too many parents claim our path. */
  refusedAsDuplicate(): void;
  /** Whether the node itself starts the child again. */
  owns(id: string): boolean;
}

/** Children that left whose farewells are remembered. */
const FAREWELLS_MAX = 1_000;
const FENCE_INTERVAL_MS = 1_000;
const PROBE_INTERVAL_MS = 500;

/** Never written to. */
const NOBODY = new Map<string, ChildLink>();

export class Children implements ChildLinkPort {
  readonly core: NodeCore;
  readonly #port: ChildrenPort;
  /** Made for the first child, as everything here: most nodes have none. */
  #links = NOBODY;
  #speakers: Speakers<ChildLink> | null = null;
  #tally: ChildTally | null = null;
  #broadcaster: Broadcaster | null = null;
  #roster: Roster | null = null;
  #admission: Admission | null = null;
  /** Of sessions that ended with a farewell, the last number that arrived; oldest first. */
  #farewells: Map<string, number> | null = null;
  #fenceLimit: RateLimit | null = null;
  #probeLimit: RateLimit | null = null;
  #subscription: Subscription | null = null;

  constructor(core: NodeCore, port: ChildrenPort) {
    this.core = core;
    this.#port = port;
    for (const { id, critical } of core.options.children) this.#add(id, { critical, listed: true });
  }

  get counts(): ChildCounts {
    return this.#tally?.counts ?? NO_CHILDREN;
  }

  /** What is published once for all. */
  get broadcaster(): Broadcaster {
    return (this.#broadcaster ??= new Broadcaster(this));
  }

  /** Whom a command to all is for. */
  get roster(): Roster {
    return (this.#roster ??= new Roster(this.core, () => this.#links.values()));
  }

  get #admitting(): Admission {
    return (this.#admission ??= new Admission(this, this.#port));
  }

  get hasOpen(): boolean {
    for (const link of this.#links.values()) if (link.isOpen) return true;
    return false;
  }

  /** Whether those of them that have a session run in our thread. */
  get areLocal(): boolean {
    if (!this.core.staysInThread) return false;
    for (const link of this.#links.values()) if (link.isOpen && !link.isLocal) return false;
    return true;
  }

  get size(): number {
    return this.#links.size;
  }

  get(id: string): ChildLink | undefined {
    return this.#links.get(id);
  }

  all(): Iterable<ChildLink> {
    return this.#links.values();
  }

  get openCount(): number {
    return this.roster.openCount;
  }

  *open(): Generator<ChildLink> {
    for (const link of this.#links.values()) if (link.isOpen) yield link;
  }

  listen(): void {
    const subject = childrenSubject(this.core.options.transport, this.core.path);
    this.#subscription ??= this.core.listen(subject, this.#hear.bind(this));
  }

  /** When every open child was last sent something: the oldest such time; null without open children. */
  get lastSentMs(): number | null {
    let oldest = Infinity;
    for (const link of this.#links.values()) if (link.isOpen) oldest = Math.min(oldest, link.lastSentMs);
    return oldest === Infinity ? null : Math.max(oldest, this.#broadcaster?.lastSentMs ?? 0, 0);
  }

  /** One heartbeat for all. */
  beat(nextInMs: number): void {
    this.broadcaster.publish({ kind: "heartbeat.beat", seq: 0, nextInMs, localHealth: this.core.localHealth });
  }

  /** Coordination begins: offers sessions to those who announced themselves before, and calls the others. */
  call(): void {
    this.#admission?.begin();
    this.probe();
  }

  /** Asks whoever is there to announce itself. */
  probe(): void {
    const subject = broadcastSubject(this.core.options.transport, this.core.path);
    this.core.publish(this.core.outlet(subject), frameApart([this.#probeMessage()]));
  }

  /** A child takes leave: acknowledges everything up to that, now and whenever it asks again. */
  left(link: ChildLink, reason: string): void {
    const { channel } = link;
    if (channel === null) return;
    rememberLatest((this.#farewells ??= new Map()), channel.session, channel.receivedSeq, FAREWELLS_MAX);
    channel.acknowledge();
    channel.flush();
    link.close("child.left", reason);
    if (!link.listed) this.forget(link);
  }

  /** Takes an offer back: who has accepted it meanwhile is told why nobody answers. */
  withdraw(link: ChildLink, message: DownMessage): void {
    if (link.offer !== null) this.tell(link.id, message, { session: link.offer.session });
    link.offer = null;
  }

  /** Ends all sessions, keeping who the children were. */
  disconnect(why: string): void {
    for (const link of this.#links.values()) {
      link.offer = null;
      if (link.isOpen) link.close("child.died", why);
    }
  }

  /** Another attempt to coordinate begins: who died or failed before is expected like everyone else. */
  expectAnew(): void {
    for (const link of this.#links.values()) link.apply("child.expected");
  }

  /** Declares a child at run time; one that joined by itself becomes a declared one by leaving first. */
  declare(id: string, critical: boolean): void {
    this.#add(id, { critical, listed: true });
    this.#port.linksChanged();
  }

  /** Forgets a declared child. */
  undeclare(link: ChildLink): void {
    link.channel?.close();
    link.endCalls("the child is no longer declared");
    this.#remove(link);
    this.#port.linksChanged();
  }

  /** Whether a declared child is missed while it is not there. */
  want(link: ChildLink, wanted: boolean): void {
    if (link.wanted === wanted) return;
    this.#tally?.remove(link);
    link.wanted = wanted;
    this.#tally?.add(link);
    this.#port.linksChanged();
  }

  /** Its supervisor saw it end: also what was offered to it is void. */
  gone(link: ChildLink, why: string): void {
    link.offer = null;
    if (link.isOpen) link.close("child.died", why);
    else link.callsLost(why);
  }

  /** Forgets a joined child that is gone. */
  forget(link: ChildLink): void {
    if (link.listed || link.isOpen) return;
    link.endCalls("the child left");
    this.#remove(link);
    this.#admitting.forget(link);
  }

  /** Adds a child that nobody declared. */
  join(id: string): ChildLink {
    return this.#add(id, { critical: false, listed: false });
  }

  #remove(link: ChildLink): void {
    this.#tally?.remove(link);
    this.#links.delete(link.id);
    this.roster.removed(link);
    this.#speakers?.forget(link);
  }

  /** Ends the calls that children have not answered. */
  endCalls(why: string): void {
    for (const link of this.#links.values()) link.endCalls(why);
    this.#roster?.changed();
  }

  close(): void {
    this.#subscription?.unsubscribe();
    this.#subscription = null;
    this.#admission?.close();
    for (const link of this.#links.values()) {
      link.channel?.close();
    }
    this.#broadcaster?.close();
  }

  #add(id: string, options: { readonly critical: boolean; readonly listed: boolean }): ChildLink {
    const link = new ChildLink(this, id, options);
    if (this.#links === NOBODY) this.#links = new Map();
    this.#links.set(id, link);
    this.#roster?.changed();
    (this.#tally ??= new ChildTally()).add(link);
    return link;
  }

  // Of the links

  deliver(link: ChildLink, message: Message | UnknownMessage): void {
    this.#port.deliver(link, message);
  }

  get commonCalls(): CommonCalls {
    return this.roster.calls;
  }

  changed(link: ChildLink, from: LinkState): void {
    this.#roster?.changed();
    this.#tally?.change(link, from);
    this.#port.linkChanged(link, from);
  }

  offered(): void {
    this.#roster?.changed();
  }

  awaitAck(channel: Channel, atMs: number): void {
    this.broadcaster.awaitAck(channel, atMs);
  }

  requestCredit(link: ChildLink): number {
    return this.#port.requestCredit(link);
  }

  // What arrives

  #hear(carried: Carried, subject: string): void {
    const link = this.#speakers?.expected(subject) ?? this.#speakerOn(subject);
    this.#receive(decodeCarried(carried, "up"), link?.id ?? senderId(subject), link);
  }

  #speakerOn(subject: string): ChildLink | undefined {
    const link = this.#links.get(senderId(subject));
    if (link !== undefined) (this.#speakers ??= new Speakers()).note(link, subject);
    return link;
  }

  #receive(decoded: Decoded, id: string, link: ChildLink | undefined): void {
    if (decoded.kind === "malformed") return this.core.drop(id, decoded.reason);
    const { frame } = decoded;
    if (frame.session === "") return this.#receiveSessionless(id, frame);
    if (link !== undefined && this.#isCurrent(link, frame.session)) {
      link.noteHeard();
      link.channel?.receive(frame);
    } else {
      this.#receiveStale(id, link, frame);
    }
  }

  /** Whether the session is the link's; an offered one becomes so by being used. */
  #isCurrent(link: ChildLink, session: string): boolean {
    const { channel, offer } = link;
    if (channel !== null && channel.session === session) return true;
    if (offer === null || offer.session !== session || !this.#port.takesOffers()) return false;
    this.#accept(link, offer);
    return true;
  }

  #accept(link: ChildLink, offer: Offer): void {
    const { boot, channel } = link;
    const displaced = channel !== null && boot !== offer.boot;
    if (displaced) link.predecessor = { boot, session: channel.session, contested: false };
    this.#admitting.accepted(link);
    link.accept(offer);
    // The child takes no broadcast before it knows that the session is its own.
    link.channel?.acknowledge();
    this.broadcaster.catchUp(link);
    link.channel?.flush();
    if (displaced) this.fence(link, boot);
  }

  #receiveStale(id: string, link: ChildLink | undefined, frame: Frame): void {
    this.core.drop(id, "stale session");
    const predecessor = link?.predecessor;
    if (link !== undefined && predecessor?.session === frame.session) {
      if (!predecessor.contested) link.takeovers = noteTakeover(link.takeovers, this.core.now());
      predecessor.contested = true;
      this.#fenceLimit ??= new RateLimit(this.core.options.clock, FENCE_INTERVAL_MS);
      if (this.#fenceLimit.allows(predecessor.boot)) this.fence(link, predecessor.boot);
      return;
    }
    this.#probeLimit ??= new RateLimit(this.core.options.clock, PROBE_INTERVAL_MS);
    if (this.#probeLimit.allows(id)) this.#answerStale(id, frame);
  }

  /**
   * Who has left speaks again because our acknowledgement was lost, and waits for it, also while we stop. Anyone is asked to
   * announce itself: who left does not, but somebody else may have said the farewell.
   */
  #answerStale(id: string, { session, messages }: Frame): void {
    const ack = this.#farewells?.get(session) ?? messages.find(isFarewell)?.seq;
    if (ack !== undefined) this.tell(id, { kind: "heartbeat.ack", seq: 0 }, { session, ack });
    if (this.#port.isCoordinating()) this.tell(id, this.#probeMessage());
  }

  #receiveSessionless(id: string, frame: Frame): void {
    for (const message of frame.messages) {
      if (message.kind === "ready.announce") this.#admitting.announced(id, message);
      else if (message.kind === "error.fenced" || message.kind === "error.duplicate") this.#accused(id, message);
      else this.core.drop(id, "no session");
    }
  }

  /** A child tells that it obeys another parent of our path, which outranks us or has the same epoch. */
  #accused(id: string, message: ErrorFenced | ErrorDuplicate): void {
    if (message.boot !== this.core.boot) return this.core.drop(id, "addressed to another process");
    if (message.kind === "error.duplicate") return this.#port.refusedAsDuplicate();
    if (compareEpochs(message.epoch, this.core.epoch) < 0) return this.core.drop(id, "stale epoch");
    if (!isEpochPossible(message.epoch)) return this.core.drop(id, "impossible epoch");
    this.#port.newerParentSeen(message.epoch, true);
  }

  /** Tells a process that it was superseded. */
  fence(link: ChildLink, boot: string): void {
    this.tell(link.id, { kind: "shutdown.fenced", seq: 0, boot, epoch: link.epoch });
  }

  #probeMessage(): DownMessage {
    return {
      kind: "init.probe",
      seq: 0,
      treeId: this.core.options.treeId,
      parentBoot: this.core.boot,
      parentEpoch: this.core.epoch,
      versionMin: PROTOCOL_VERSION_MIN,
      versionMax: PROTOCOL_VERSION_MAX,
    };
  }

  /** Tells one child something outside the present session. */
  tell(id: string, message: DownMessage, { session = "", ack = 0 } = {}): void {
    const { transport } = this.core.options;
    const outlet = this.core.outlet(downSubject(transport, `${this.core.path}.${id}`));
    this.core.publish(outlet, frameApart([message], session, ack));
  }
}

function isFarewell({ kind }: Message | UnknownMessage): boolean {
  return kind === "status.leaving" || kind === "complete.shutdown";
}
