/**
 * Judges who has fallen silent: the children, the parent, and whether it may be our own fault.
 *
 * V1. Who is overdue is asked for a sign of life, again and again, before and after it becomes suspect.
 * V2. When many are silent, or many would ask one parent, the asking stays bounded: it must not make an overload worse.
 * V3. Silence is counted in time during which this process ran: while it stood still it asked nobody and heard nothing.
 */
import { isMassSilence, probeIntervalMs } from "../../machines/failure-detector.js";
import type { ChildLink } from "./child-link.js";
import type { Children } from "./children.js";
import type { NodeCore } from "./core.js";
import type { Uplink } from "./uplink.js";

/** Children asked at one look: when thousands fall silent together, each is asked more rarely. */
const ASKED_MAX = 500;

export class Vigil {
  readonly #core: NodeCore;
  readonly #children: Children;
  readonly #uplink: Uplink | null;
  readonly #probeIntervalMs: number;
  /** Children that were overdue when we last looked. */
  #overdue = 0;
  #looks = 0;
  #massSilenceAtMs: number | null = null;

  constructor(core: NodeCore, children: Children, uplink: Uplink | null) {
    this.#core = core;
    this.#children = children;
    this.#uplink = uplink;
    this.#probeIntervalMs = probeIntervalMs(core.options.heartbeat.minMs);
  }

  /** When somebody's silence, or progress, is to be looked at next; Infinity while nobody is there. */
  lookAtMs(mustSeeProgress: boolean): number {
    const nowMs = this.#core.now();
    const usualMs = nowMs + this.#usualMs(mustSeeProgress);
    const soonestMs = nowMs + this.#core.options.heartbeat.minMs;
    const uplinkAtMs = Math.max(soonestMs, this.#uplink?.overdueAtMs ?? Infinity);
    if (!this.#children.hasOpen) return uplinkAtMs;
    return Math.min(this.#overdue > 0 ? nowMs + this.#probeIntervalMs : usualMs, uplinkAtMs);
  }

  /** Who runs in our thread is looked at rarely: it says so when it ends. */
  #usualMs(mustSeeProgress: boolean): number {
    const { heartbeat, localIntervalMs } = this.#core.options;
    return this.#children.areLocal && !mustSeeProgress ? localIntervalMs : heartbeat.minMs;
  }

  judge(nowMs: number): void {
    if (this.#children.size > 0) this.#judgeChildren(nowMs);
    this.#uplink?.judge(nowMs);
  }

  /** Forgives everyone's silence: our own connection was down. */
  forgive(nowMs: number): void {
    for (const link of this.#children.open()) link.forgive(nowMs);
    this.#uplink?.forgive(nowMs);
  }

  /** This process did not run for that long although it was due. */
  noteStall(stalledMs: number): void {
    if (stalledMs <= this.#probeIntervalMs) return;
    const nowMs = this.#core.now();
    for (const link of this.#children.open()) link.excuse(nowMs, stalledMs);
  }

  #judgeChildren(nowMs: number): void {
    const overdue: ChildLink[] = [];
    let open = 0;
    for (const link of this.#children.all()) {
      if (!link.isOpen) continue;
      open++;
      if (link.isOverdue(nowMs)) overdue.push(link);
    }
    this.#ask(overdue);
    const silent = overdue.filter((link) => link.judge(nowMs) !== "alive");
    if (this.#suspectsSelf(silent, open, nowMs)) return;
    for (const link of silent) sentence(link, nowMs);
  }

  /** Asks them all, or so many of them that all have their turn. */
  #ask(overdue: readonly ChildLink[]): void {
    this.#overdue = overdue.length;
    const turns = Math.ceil(overdue.length / ASKED_MAX);
    const turn = this.#looks++ % Math.max(1, turns);
    for (let place = turn; place < overdue.length; place += turns) overdue[place]?.channel?.probe();
  }

  /** When most fall silent at once the fault is likelier ours: verdicts wait, but no longer than one pause. */
  #suspectsSelf(silent: readonly ChildLink[], open: number, nowMs: number): boolean {
    const isNew = silent.some(({ state }) => state === "alive");
    if (!isNew || !isMassSilence(silent.length, open)) {
      if (silent.length === 0) this.#massSilenceAtMs = null;
      return false;
    }
    if (this.#massSilenceAtMs === null) this.#core.troubled();
    this.#massSilenceAtMs ??= nowMs;
    return nowMs - this.#massSilenceAtMs < this.#core.options.failureDetector.pauseMs;
  }
}

function sentence(link: ChildLink, nowMs: number): void {
  if (link.judge(nowMs) === "dead") link.close("child.died", "the child fell silent");
  else link.apply("child.silent");
}
