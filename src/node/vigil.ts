/** Judges who has fallen silent: the children, the parent, and whether it may be our own fault. */
import { isMassSilence } from "../../machines/failure-detector.js";
import type { ChildLink } from "./child-link.js";
import type { Children } from "./children.js";
import type { NodeCore } from "./core.js";
import type { Uplink } from "./uplink.js";

export class Vigil {
  readonly #core: NodeCore;
  readonly #children: Children;
  readonly #uplink: Uplink | null;
  #massSilenceAtMs: number | null = null;

  constructor(core: NodeCore, children: Children, uplink: Uplink | null) {
    this.#core = core;
    this.#children = children;
    this.#uplink = uplink;
  }

  judge(nowMs: number): void {
    this.#judgeChildren(nowMs);
    this.#uplink?.judge(nowMs);
  }

  /** Forgives everyone's silence: our own connection was down. */
  forgive(nowMs: number): void {
    for (const link of this.#children.open()) link.forgive(nowMs);
    this.#uplink?.forgive(nowMs);
  }

  #judgeChildren(nowMs: number): void {
    const silent: ChildLink[] = [];
    let open = 0;
    for (const link of this.#children.open()) {
      open++;
      if (link.judge(nowMs) !== "alive") silent.push(link);
    }
    if (this.#suspectsSelf(silent, open, nowMs)) return;
    for (const link of silent) sentence(link, nowMs);
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
