/**
 * Tells whoever watches that nodes have ended: a node its own end, a parent those of its children.
 *
 * N1. Delivery is at most once, so a notice is repeated while the speaker lives, with its age.
 * N2. One incarnation's end is told once by one speaker, for the reason that it learned first; a certain end follows one
 *     that was concluded from silence.
 * N3. Descendants first: what was said of children lately is said again before the own end.
 * N4. Of a child that the node started itself, its supervisor knows the end and the cause; of others, the link does.
 */
import { compareEpochs, type Epoch } from "../../machines/epoch.js";
import type { SupervisedExit, SupervisionDecision } from "../../machines/supervision.js";
import type { Timer } from "../health/clock.js";
import { encodeEndNotice, type EndNotice } from "../protocol/end-notice.js";
import { endSubject } from "../protocol/subjects.js";
import { exitOfEnd } from "../supervision/exit.js";
import type { ChildLink, EndedChild } from "./child-link.js";
import type { NodeCore } from "./core.js";
import type { EndReason } from "./events.js";

/** When a notice is repeated, milliseconds after it was first published. */
const REPEATS_MS = [200, 1_000, 5_000] as const;

/** Notices that are repeated at one time; beyond it further ones are said once. */
const NOTICES_MAX = 1_024;

/** How long a notice is kept by a transport that is disconnected, milliseconds. */
const NOTICE_TTL_MS = 5_000;

/** What a link tells of a child that was shut down. */
const SHUT_DOWN = "shut down";

/** By which sessions the node itself was heard last. */
export type OwnSessions = Pick<EndNotice, "session" | "broadcastSession">;

interface Told {
  readonly path: string;
  readonly notice: Omit<EndNotice, "ageMs">;
  readonly atMs: number;
  /** Place in REPEATS_MS of the next repetition. */
  next: number;
}

export class EndNotices {
  readonly #core: NodeCore;
  /** Of what is still repeated, by path. */
  readonly #told = new Map<string, Told>();
  /** The latest end that was told of each child. */
  readonly #latest = new WeakMap<EndedChild, { readonly epoch: Epoch; readonly isCertain: boolean }>();
  #timer: Timer | null = null;

  constructor(core: NodeCore) {
    this.#core = core;
  }

  /** The supervisor has decided about a child. While its session is open, somebody else has taken the path over. */
  decided(link: ChildLink | undefined, { exit, reason }: SupervisionDecision): void {
    if (exit !== null && link?.isOpen === false) this.childEnded(link, { kind: exit, reason });
  }

  /** A link changed; `isJudging` unless the node has given its children up itself. */
  linkChanged(
    link: ChildLink,
    { isOwned, isJudging }: { readonly isOwned: boolean; readonly isJudging: boolean },
  ): void {
    const { state, displaced, endedWhy } = link;
    if (displaced !== null) this.childEnded(displaced, { kind: "failed", reason: "fenced" });
    link.displaced = null;
    if (isOwned) return;
    if (state === "left") this.childEnded(link, exitOfLeave(endedWhy));
    const isLost = state === "dead" && isJudging;
    if (isLost) this.childEnded(link, { kind: "failed", reason: endedWhy }, { isCertain: false });
  }

  /** A child has ended; `isCertain` unless that is concluded from its silence. Who never had an epoch was never there. */
  childEnded(child: EndedChild, { kind, reason }: SupervisedExit, { isCertain = true } = {}): void {
    const { path, epoch, session } = child;
    if (epoch.length === 0 || this.#isKnown(child, isCertain)) return;
    this.#latest.set(child, { epoch, isCertain });
    const speaker = isCertain ? "parent" : "silence";
    this.#tell(path, { epoch, kind, reason, speaker, session, broadcastSession: "" });
  }

  /** The node itself has ended. Nothing is repeated any more. One that was refused never held the path. */
  ended(end: EndReason, texts: { readonly why: string; readonly failure: string | null }, sessions: OwnSessions): void {
    const { path, epoch } = this.#core;
    const atMs = this.#core.now();
    for (const told of this.#told.values()) this.#publish(told, atMs);
    this.#told.clear();
    if (this.#timer !== null) this.#core.options.clock.clearTimeout(this.#timer);
    this.#timer = null;
    if (epoch.length === 0 || end === "duplicatePath") return;
    const { kind, reason } = exitOfOwnEnd(end, texts);
    this.#publish({ path, notice: { epoch, kind, reason, speaker: "node", ...sessions }, atMs }, atMs);
  }

  #isKnown(child: EndedChild, isCertain: boolean): boolean {
    const latest = this.#latest.get(child);
    if (latest === undefined) return false;
    const order = compareEpochs(child.epoch, latest.epoch);
    return order < 0 || (order === 0 && (latest.isCertain || !isCertain));
  }

  #tell(path: string, notice: Told["notice"]): void {
    const told: Told = { path, notice, atMs: this.#core.now(), next: 0 };
    this.#publish(told, told.atMs);
    this.#told.delete(path);
    if (this.#core.isOver || this.#told.size >= NOTICES_MAX) return;
    this.#told.set(path, told);
    this.#schedule();
  }

  #publish({ path, notice, atMs }: Omit<Told, "next">, nowMs: number): void {
    const { transport } = this.#core.options;
    const bytes = encodeEndNotice({ ...notice, ageMs: nowMs - atMs });
    this.#core.publishBytes(endSubject(transport, path), bytes, NOTICE_TTL_MS);
  }

  #schedule(): void {
    const { clock } = this.#core.options;
    if (this.#timer !== null) return;
    let dueAtMs = Infinity;
    for (const told of this.#told.values()) dueAtMs = Math.min(dueAtMs, dueAtMsOf(told));
    if (dueAtMs === Infinity) return;
    this.#timer = clock.setTimeout(() => this.#repeat(), Math.max(1, Math.min(dueAtMs - clock.now(), REPEATS_MS[0])));
  }

  #repeat(): void {
    this.#timer = null;
    if (this.#core.isOver) return;
    const nowMs = this.#core.now();
    for (const told of this.#told.values()) {
      if (dueAtMsOf(told) > nowMs) continue;
      told.next++;
      this.#publish(told, nowMs);
      if (told.next === REPEATS_MS.length) this.#told.delete(told.path);
    }
    this.#schedule();
  }
}

/** In-process starters end a node so. */
const KILLED = "killed";

function exitOfOwnEnd(end: EndReason, { why, failure }: { readonly why: string; readonly failure: string | null }) {
  const { kind, reason } = exitOfEnd(end, failure);
  if (end !== "stopped" && end !== "shutdown") return { kind, reason };
  return { kind: why === KILLED ? "failed" : kind, reason: why } as const;
}

function exitOfLeave(why: string): SupervisedExit {
  if (why === "fenced" || why === "duplicatePath") return { kind: "failed", reason: why };
  return why === SHUT_DOWN ? { kind: "shutdown", reason: "shutdown" } : { kind: "normal", reason: why };
}

function dueAtMsOf({ atMs, next }: Told): number {
  return atMs + (REPEATS_MS[next] ?? Infinity);
}
