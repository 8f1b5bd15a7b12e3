/**
 * Judges who has fallen silent: the children, the parent, and whether it may be our own fault.
 *
 * V1. Who is overdue is asked for a sign of life, again and again, before and after it becomes suspect.
 * V2. Nobody is dead who was not asked often enough: while we stood still ourselves we asked nobody.
 */
import { isMassSilence, probeIntervalMs, probesBeforeDeath } from "../../machines/failure-detector.js";
import type { ChildLink } from "./child-link.js";
import type { Children } from "./children.js";
import type { NodeCore } from "./core.js";
import type { Uplink } from "./uplink.js";

export class Vigil {
  readonly #core: NodeCore;
  readonly #children: Children;
  readonly #uplink: Uplink | null;
  readonly #probeIntervalMs: number;
  readonly #probesBeforeDeath: number;
  /** Overdue children, and how often each was asked since it was last heard. */
  readonly #asked = new Map<ChildLink, number>();
  #massSilenceAtMs: number | null = null;

  constructor(core: NodeCore, children: Children, uplink: Uplink | null) {
    this.#core = core;
    this.#children = children;
    this.#uplink = uplink;
    const { heartbeat, failureDetector } = core.options;
    this.#probeIntervalMs = probeIntervalMs(heartbeat.minMs);
    this.#probesBeforeDeath = probesBeforeDeath(this.#probeIntervalMs, failureDetector);
  }

  /** When somebody's silence is to be looked at next; Infinity while nobody is there. */
  get lookAtMs(): number {
    const nowMs = this.#core.now();
    const soonMs = nowMs + this.#probeIntervalMs;
    const uplinkAtMs = Math.max(soonMs, this.#uplink?.overdueAtMs ?? Infinity);
    if (this.#children.lastSentMs === null) return uplinkAtMs;
    const childrenAtMs = this.#asked.size > 0 ? soonMs : nowMs + this.#core.options.heartbeat.minMs;
    return Math.min(childrenAtMs, uplinkAtMs);
  }

  judge(nowMs: number): void {
    this.#judgeChildren(nowMs);
    this.#uplink?.judge(nowMs);
  }

  /** Forgives everyone's silence: our own connection was down. */
  forgive(nowMs: number): void {
    this.#asked.clear();
    for (const link of this.#children.open()) link.forgive(nowMs);
    this.#uplink?.forgive(nowMs);
  }

  #judgeChildren(nowMs: number): void {
    const silent: ChildLink[] = [];
    let open = 0;
    for (const link of this.#children.open()) {
      open++;
      if (!link.isOverdue(nowMs)) continue;
      this.#ask(link);
      if (link.judge(nowMs) !== "alive") silent.push(link);
    }
    this.#forgetHeard(nowMs);
    if (this.#suspectsSelf(silent, open, nowMs)) return;
    for (const link of silent) this.#sentence(link, nowMs);
  }

  #ask(link: ChildLink): void {
    this.#asked.set(link, (this.#asked.get(link) ?? 0) + 1);
    link.channel?.probe();
  }

  #forgetHeard(nowMs: number): void {
    for (const link of this.#asked.keys()) if (!link.isOverdue(nowMs)) this.#asked.delete(link);
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

  #sentence(link: ChildLink, nowMs: number): void {
    const isAsked = (this.#asked.get(link) ?? 0) > this.#probesBeforeDeath;
    if (isAsked && link.judge(nowMs) === "dead") link.close("child.died", "the child fell silent");
    else link.apply("child.silent");
  }
}
