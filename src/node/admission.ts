/**
 * Who may become a child: answers announcements with offers.
 *
 * A1. A process that announced itself has one offer at most, and the one that it asked for last.
 * A2. Whoever was superseded is told so; whoever comes where children displace each other in turn is turned away.
 * A3. Those who announced themselves before we coordinate, and those who never used an offer, are bounded by `childrenMax`.
 */
import { compareEpochs, type Epoch, grantEpoch, isEpochPossible } from "../../machines/epoch.js";
import { isTakeoverAllowed } from "../../machines/takeover-limit.js";
import { randomId } from "../health/clock.js";
import { PROTOCOL_VERSION_MAX, PROTOCOL_VERSION_MIN, type ReadyAnnounce } from "../protocol/messages.js";
import type { ChildLink, Offer } from "./child-link.js";
import type { Children, ChildrenPort } from "./children.js";
import type { NodeCore } from "./core.js";
import { rememberLatest } from "../protocol/remember-latest.js";

/** How long an offer that nobody uses can keep broadcasts from being used, a joining child's place, and later offers. */
const OFFER_TTL_MS = 10_000;
/** An announcement is not worth remembering for longer: whoever lives has repeated it. */
const WAITING_TTL_MS = 12_000;
/** Joined children that left whose epochs are remembered. */
const FORMER_MAX = 1_000;

interface Waiting {
  readonly message: ReadyAnnounce;
  readonly atMs: number;
}

/** What it needs of the children. */
type Host = Pick<Children, "core" | "get" | "size" | "join" | "forget" | "broadcaster" | "tell" | "fence">;

export class Admission {
  readonly #core: NodeCore;
  readonly #host: Host;
  readonly #port: ChildrenPort;
  /** Joined, but never used a session; oldest first. */
  #newcomers: Set<ChildLink> | null = null;
  /** Of joined children that left, the epoch that they had, by id; oldest first. */
  #formerEpochs: Map<string, Epoch> | null = null;
  /** The latest announcements of those who wait for us to coordinate, by id. */
  #waiting: Map<string, Waiting> | null = null;
  #grants = 0;

  constructor(host: Host, port: ChildrenPort) {
    this.#core = host.core;
    this.#host = host;
    this.#port = port;
  }

  /** Coordination begins: offers sessions to those who announced themselves before. */
  begin(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    const sinceMs = this.#core.now() - WAITING_TTL_MS;
    for (const [id, { message, atMs }] of waiting) if (atMs >= sinceMs) this.announced(id, message);
  }

  announced(id: string, message: ReadyAnnounce): void {
    if (message.treeId !== this.#core.options.treeId) return this.#core.drop(id, "foreign tree");
    if (!isEpochPossible(message.parentEpoch)) return this.#core.drop(id, "impossible epoch");
    if (!this.#port.isCoordinating()) return this.#noteWaiting(id, message);
    const version = Math.min(message.versionMax, PROTOCOL_VERSION_MAX);
    if (version < Math.max(message.versionMin, PROTOCOL_VERSION_MIN)) return this.#core.drop(id, "protocol version");
    if (compareEpochs(message.parentEpoch, this.#core.epoch) > 0) {
      if (!this.#port.newerParentSeen(message.parentEpoch, false)) return this.#core.drop(id, "stale parent");
    }
    const link = this.#host.get(id) ?? this.#join(id);
    if (link !== null) this.#answer(link, message, version);
  }

  /** Its offer was used. */
  accepted(link: ChildLink): void {
    this.#newcomers?.delete(link);
  }

  /** A joined child is gone. */
  forget(link: ChildLink): void {
    this.#newcomers?.delete(link);
    if (link.epoch.length > 0) rememberLatest((this.#formerEpochs ??= new Map()), link.id, link.epoch, FORMER_MAX);
  }

  close(): void {
    this.#waiting = null;
  }

  /** Who came before we could answer: it gets its offer with the beginning instead of announcing itself again. */
  #noteWaiting(id: string, message: ReadyAnnounce): void {
    if (!this.#port.willCoordinate()) return;
    const waiting = (this.#waiting ??= new Map<string, Waiting>());
    rememberLatest(waiting, id, { message, atMs: this.#core.now() }, this.#core.options.childrenMax);
  }

  #join(id: string): ChildLink | null {
    const { acceptJoining, childrenMax } = this.#core.options;
    const isFull = (): boolean => this.#host.size >= childrenMax && !this.#evictNewcomer();
    if (!acceptJoining || isFull()) {
      this.#core.drop(id, acceptJoining ? "childrenMax reached" : "not a listed child");
      return null;
    }
    const link = this.#host.join(id);
    // An older incarnation that wakes up after the newer one left is still superseded.
    link.epoch = this.#formerEpochs?.get(id) ?? [];
    (this.#newcomers ??= new Set()).add(link);
    return link;
  }

  /** Makes room: who announced itself long ago and never used a session is forgotten. */
  #evictNewcomer(): boolean {
    for (const link of this.#newcomers ?? []) {
      if (link.offer !== null && !isOld(link.offer, this.#core)) return false;
      this.#host.forget(link);
      return true;
    }
    return false;
  }

  #answer(link: ChildLink, message: ReadyAnnounce, version: number): void {
    const { childBoot, attempt } = message;
    // Only while its session is open: afterwards a number that somebody invented must not keep the process out.
    const isLate = link.isOpen && link.boot === childBoot && attempt <= link.attempt;
    if (isLate) return this.#core.drop(link.id, "stale announcement");
    forgetOldOffer(link, this.#core);
    if (link.offer?.boot === childBoot && attempt <= link.offer.attempt) {
      if (attempt === link.offer.attempt) this.#sendOffer(link, link.offer);
      return;
    }
    const isRival = link.isOpen && link.boot !== childBoot;
    const epoch = this.#epochFor(link, message);
    if (epoch === null) return this.#host.fence(link, childBoot);
    if (isRival && !isTakeoverAllowed(link.takeovers, this.#core.now())) {
      return this.#host.tell(link.id, { kind: "shutdown.duplicate", seq: 0, boot: childBoot });
    }
    const offer = this.#newOffer(message, epoch, version);
    link.propose(offer);
    this.#sendOffer(link, offer);
  }

  /**
   * The epoch of an announced process: its own if it is the known one or a survivor of an earlier parent, a new one if
   * it just started, null if it was superseded. Its own counts before one that we offered when it had none: it keeps
   * that of the parent whose offer it took.
   */
  #epochFor(link: ChildLink, { childBoot, epoch }: ReadyAnnounce): Epoch | null {
    if (link.boot === childBoot && link.epoch.length > 0) return link.epoch;
    if (epoch.length > 0) return compareEpochs(epoch, link.epoch) > 0 ? epoch : null;
    if (link.offer?.boot === childBoot) return link.offer.epoch;
    return grantEpoch(this.#core.epoch, ++this.#grants);
  }

  #newOffer({ childBoot, attempt }: ReadyAnnounce, epoch: Epoch, version: number): Offer {
    const session = randomId(this.#core.options.random, 8);
    const offeredAtMs = this.#core.now();
    return {
      boot: childBoot,
      attempt,
      session,
      epoch,
      version,
      broadcastStart: this.#host.broadcaster.seq,
      offeredAtMs,
    };
  }

  #sendOffer(link: ChildLink, offer: Offer): void {
    this.#host.tell(link.id, {
      kind: "init.open",
      seq: 0,
      treeId: this.#core.options.treeId,
      parentBoot: this.#core.boot,
      parentEpoch: this.#core.epoch,
      childBoot: offer.boot,
      attempt: offer.attempt,
      session: offer.session,
      epoch: offer.epoch,
      version: offer.version,
      broadcastSession: this.#host.broadcaster.session,
      broadcastSeq: offer.broadcastStart,
      initBudgetMs: this.#port.initBudgetMs(),
      nextInMs: this.#port.nextInMs(this.#core.isLocal(offer.boot)),
      syncVersion: this.#port.syncVersion(),
      owned: this.#port.owns(link.id),
    });
  }
}

/** Who announced itself and died never uses its offer. */
export function forgetOldOffer(link: ChildLink, core: NodeCore): void {
  if (link.offer !== null && isOld(link.offer, core)) link.offer = null;
}

function isOld({ offeredAtMs }: Offer, core: NodeCore): boolean {
  return offeredAtMs < core.now() - OFFER_TTL_MS;
}
