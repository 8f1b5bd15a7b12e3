/**
 * What a watcher knows of one path, and when it believes that the node there has ended.
 *
 * W1. Who has ended does not speak: a notice is believed at once only if nothing that was heard lately can contradict
 *     it. Otherwise it waits, and is dropped when the one that it may be about is heard again. So neither a process that
 *     was replaced long ago, nor a parent that lost sight of a living child, makes a watcher mourn the present one.
 * W2. An end before the watch began is not its end; it only says why nobody is there.
 * W3. One incarnation's end is reported once.
 */
import { compareEpochs, type Epoch, formatEpoch } from "../../machines/epoch.js";
import type { ExitKind } from "../../machines/child-spec.js";
import type { EndNotice } from "../protocol/end-notice.js";

/** The end of one incarnation, as a watcher learned it. */
export interface NodeEnd {
  readonly path: string;
  /** The incarnation that ended, dotted; empty if only its silence was noticed and nobody said its epoch. */
  readonly epoch: string;
  readonly kind: ExitKind;
  /** For people and logs. `noproc`: nobody was there when the watch began; `silent`: it was heard, but is no more. */
  readonly reason: string;
}

/** How long a doubtful notice waits to be contradicted, milliseconds: two of the longest promises and a lost beat. */
const CONFIRM_MS = 5_000;

/** After its notice, what was on the way from the ended node may still arrive for this long, milliseconds. */
const IN_FLIGHT_MS = 500;

/** Sessions that are remembered for each direction. */
const SESSIONS_MAX = 8;

interface HeardSession {
  readonly firstMs: number;
  lastMs: number;
}

type Direction = "up" | "all";

interface Doubt {
  readonly notice: EndNotice;
  atMs: number;
  /** Nothing had been heard yet: whoever is heard is the one that is watched. */
  readonly isEarly: boolean;
}

export class WatchedNode {
  readonly path: string;
  /** When the watch began. */
  readonly #sinceMs: number;
  readonly #sessions: Readonly<Record<Direction, Map<string, HeardSession>>> = { up: new Map(), all: new Map() };
  #lastHeardMs: number;
  #isHeard = false;
  #isOver = false;
  /** It is over because nothing was heard: its notice, if it comes after all, tells nothing new. */
  #isSilent = false;
  /** The newest epoch that was heard as living. */
  #liveEpoch: Epoch = [];
  #liveEpochMs = -Infinity;
  /** The newest incarnation whose end was reported, or lies before the watch. */
  #endedEpoch: Epoch = [];
  #doubt: Doubt | null = null;
  /** What became of whoever was there before the watch. */
  #earlier: EndNotice | null = null;

  constructor(path: string, { sinceMs, nowMs }: { readonly sinceMs: number; readonly nowMs: number }) {
    this.path = path;
    this.#sinceMs = sinceMs;
    this.#lastHeardMs = nowMs;
  }

  /** Its latest incarnation has ended, and no other was heard. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** A notice waits to be contradicted or believed. */
  get isInDoubt(): boolean {
    return this.#doubt !== null;
  }

  /** A frame of the node was heard; `session` is empty outside sessions. */
  heard(direction: Direction, session: string, nowMs: number): void {
    if (this.#isOver && !this.#revive(direction, session)) return;
    this.#lastHeardMs = nowMs;
    this.#isHeard = true;
    if (session === "") return;
    const record = this.#remember(direction, session, nowMs);
    const doubt = this.#doubt;
    if (doubt === null || nowMs <= doubt.atMs + IN_FLIGHT_MS) return;
    if (this.#contradicts(doubt, direction, session, record)) this.#doubt = null;
  }

  /** The node said its epoch: that incarnation lives, whatever its parent concluded from silence. */
  epochHeard(epoch: Epoch, nowMs: number): void {
    if (compareEpochs(epoch, this.#liveEpoch) < 0) return;
    this.#liveEpoch = epoch;
    this.#liveEpochMs = nowMs;
    const doubt = this.#doubt;
    if (doubt === null || nowMs <= doubt.atMs + IN_FLIGHT_MS) return;
    if (this.#isLive(doubt.notice, nowMs)) this.#doubt = null;
  }

  /** Takes a notice; returns the end if it is to be believed now. */
  noticed(notice: EndNotice, nowMs: number): NodeEnd | null {
    if (compareEpochs(notice.epoch, this.#endedEpoch) <= 0) return null;
    if (this.#isSilent) return this.#endedBefore(notice);
    if (nowMs - notice.ageMs < this.#sinceMs) return this.#endedBefore(notice);
    if (this.#isOutdated(notice) || this.#isDoubtedAlready(notice)) return null;
    const isEarly = !this.#isHeard && nowMs < this.#sinceMs + CONFIRM_MS / 2;
    const doubt = { notice, atMs: nowMs, isEarly };
    if (!isEarly && !this.#isContradicted(doubt)) return this.#over(notice);
    this.#doubt = doubt;
    return null;
  }

  /** Looks at the time; returns the end if it is to be believed by now. */
  check(nowMs: number, silenceMs: number): NodeEnd | null {
    if (this.#isOver) return null;
    const doubt = this.#doubt;
    if (doubt !== null && nowMs >= doubt.atMs + CONFIRM_MS) return this.#over(doubt.notice);
    return nowMs - this.#lastHeardMs < silenceMs ? null : this.#silent();
  }

  /** Our own silence, or the transport's, was not its. */
  excuse(nowMs: number, ms: number): void {
    this.#lastHeardMs = Math.min(nowMs, this.#lastHeardMs + ms);
    if (this.#doubt !== null) this.#doubt.atMs = Math.min(nowMs, this.#doubt.atMs + ms);
  }

  /** Only a new session shows that another incarnation has come: what was on the way does not. */
  #revive(direction: Direction, session: string): boolean {
    if (session === "" || this.#sessions[direction].has(session)) return false;
    this.#isOver = false;
    this.#isSilent = false;
    return true;
  }

  #remember(direction: Direction, session: string, nowMs: number): HeardSession {
    const sessions = this.#sessions[direction];
    const record = sessions.get(session) ?? { firstMs: nowMs, lastMs: nowMs };
    record.lastMs = nowMs;
    // In the order of their latest frame.
    sessions.delete(session);
    sessions.set(session, record);
    const [oldest] = sessions.keys();
    if (sessions.size > SESSIONS_MAX && oldest !== undefined) sessions.delete(oldest);
    return record;
  }

  #endedBefore(notice: EndNotice): null {
    this.#earlier = notice;
    this.#endedEpoch = notice.epoch;
    return null;
  }

  /** It is about a predecessor of whoever was heard since, and not about somebody who was heard before that one. */
  #isOutdated({ epoch, session, broadcastSession }: EndNotice): boolean {
    if (compareEpochs(epoch, this.#liveEpoch) >= 0) return false;
    return !this.#sessions.up.has(session) && !this.#sessions.all.has(broadcastSession);
  }

  #isDoubtedAlready({ epoch, speaker }: EndNotice): boolean {
    if (this.#doubt === null) return false;
    const { notice } = this.#doubt;
    const order = compareEpochs(epoch, notice.epoch);
    return order < 0 || (order === 0 && (speaker === "silence" || notice.speaker !== "silence"));
  }

  #isLive({ speaker, epoch }: EndNotice, nowMs: number): boolean {
    if (speaker !== "silence" || compareEpochs(epoch, this.#liveEpoch) !== 0) return false;
    return this.#liveEpochMs >= nowMs - CONFIRM_MS;
  }

  #isContradicted(doubt: Doubt): boolean {
    if (this.#isLive(doubt.notice, doubt.atMs)) return true;
    for (const direction of ["up", "all"] as const) {
      for (const [session, record] of this.#sessions[direction]) {
        const isLate = record.lastMs < doubt.atMs - CONFIRM_MS;
        if (!isLate && this.#contradicts(doubt, direction, session, record)) return true;
      }
    }
    return false;
  }

  /**
   * Whether a process that is heard in this session cannot be one that came after the end. Of a node that is only
   * concluded to be dead, every sign of life is one; of one that said so, or whose exit was seen, those that come from a
   * session that is not its own and is not younger.
   */
  #contradicts({ notice, atMs, isEarly }: Doubt, direction: Direction, session: string, heard: HeardSession): boolean {
    if (notice.speaker === "silence") return true;
    const own = direction === "up" ? notice.session : notice.broadcastSession;
    if (own === "" || own === session) return false;
    const known = this.#sessions[direction].get(own);
    if (known !== undefined) return heard.firstMs < known.firstMs;
    return isEarly || heard.firstMs <= atMs;
  }

  #silent(): NodeEnd {
    const { path } = this;
    const earlier = this.#earlier;
    this.#isOver = true;
    this.#isSilent = true;
    this.#doubt = null;
    if (this.#isHeard) return { path, epoch: formatEpoch(this.#liveEpoch), kind: "failed", reason: "silent" };
    if (earlier === null) return { path, epoch: "", kind: "failed", reason: "noproc" };
    return { path, epoch: formatEpoch(earlier.epoch), kind: earlier.kind, reason: earlier.reason };
  }

  #over({ epoch, kind, reason }: EndNotice): NodeEnd {
    this.#isOver = true;
    this.#doubt = null;
    this.#endedEpoch = epoch;
    return { path: this.path, epoch: formatEpoch(epoch), kind, reason };
  }
}
