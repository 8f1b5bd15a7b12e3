/**
 * The children that a node starts itself: brings together what the links see, what the supervisor decides and what the
 * starters do.
 */
import type { LinkState } from "../../machines/link.js";
import { formatEpoch } from "../../machines/epoch.js";
import { type SupervisedExit, type SupervisionDecision } from "../../machines/supervision.js";
import { Supervision } from "../supervision/supervision.js";
import type { OwnedChildSpec, ResolvedChildSpec, ResolvedOwnership } from "./child-options.js";
import type { ChildLink } from "./child-link.js";
import type { Children } from "./children.js";
import type { NodeCore } from "./core.js";
import type { SupervisionEvent } from "./events.js";
import type { ShutdownOptions } from "./shutdown.js";

export interface OwnedChildrenPort {
  readonly core: NodeCore;
  readonly children: Children;
  /** The node can go on no longer: its restarts are used up. */
  failed(reason: string): void;
  /** The node's work is done: significant children have ended. */
  finished(reason: string): void;
  /** The longest time that a child may take to end, milliseconds: the node's own is limited while it ends. */
  childMs(): number;
}

interface ProgressSeen {
  progress: number;
  atMs: number;
}

export class OwnedChildren {
  readonly supervision: Supervision;
  readonly #port: OwnedChildrenPort;
  readonly #progress = new Map<ChildLink, ProgressSeen>();
  /** Of those children that are declared, how each is started. */
  readonly #ownerships = new Map<string, ResolvedOwnership>();
  /** Why the link of a child failed, until its end is dealt with. */
  readonly #failures = new Map<string, SupervisedExit>();

  constructor(port: OwnedChildrenPort) {
    this.#port = port;
    const { core, children } = port;
    const { clock, random, transport, supervision } = core.options;
    this.supervision = new Supervision(
      {
        path: core.path,
        clock,
        random,
        transport,
        gone: (id, reason) => this.#withLink(id, (link) => children.gone(link, reason)),
        isLinked: (id) => !core.isOver && children.get(id)?.isOpen === true,
        tellStop: (id, timeoutMs) => this.#tellStop(id, timeoutMs),
        wanted: (id, wanted) => this.#withLink(id, (link) => children.want(link, wanted)),
        forgotten: (id) => this.#forgotten(id),
        decided: (decision) => this.#decided(decision),
        failed: (reason) => port.failed(reason),
        shutdown: (reason) => port.finished(reason),
        childMs: () => port.childMs(),
      },
      supervision,
    );
    for (const spec of core.options.children) if (spec.owned !== null) this.declare(spec.id, spec.owned);
  }

  declare(id: string, owned: ResolvedOwnership, options?: { readonly isTrial: boolean }): void {
    this.#ownerships.set(id, owned);
    this.supervision.declare(owned, options);
  }

  /** How a child was declared; undefined for a remote one. */
  spec(id: string): OwnedChildSpec | undefined {
    return this.#ownerships.get(id)?.spec;
  }

  /** Adds a child at run time, whose first start its user waits for. */
  add({ id, critical, owned }: ResolvedChildSpec): void {
    this.#port.children.declare(id, critical);
    if (owned !== null) this.declare(id, owned, { isTrial: true });
  }

  /** How the node's end deals with the children that it started. */
  shutdownOptions(): Pick<ShutdownOptions, "endOwned" | "isOrdered"> {
    const { supervision } = this;
    return {
      endOwned: (id) => (supervision.isActive(id) ? supervision.end(id) : null),
      isOrdered: ({ id, listed }) => listed && supervision.spec(id)?.plan.isDynamic !== true,
    };
  }

  /** The node has FAILED: children of others look for a recovered parent; its own are still to be told to end. */
  leaveOthers(reason: string): void {
    const { children } = this.#port;
    const { supervision } = this;
    const leaving = { kind: "shutdown.leaving", seq: 0, reason } as const;
    if (!supervision.hasActive) {
      children.broadcaster.publish(leaving);
      return children.disconnect(reason);
    }
    for (const link of children.all()) {
      if (supervision.isActive(link.id)) continue;
      link.offer = null;
      if (!link.isOpen) continue;
      link.send(leaving);
      link.channel?.flush();
      link.close("child.died", reason);
    }
  }

  /** A child's link changed: what that means for its incarnation. */
  linkChanged(link: ChildLink): void {
    const { supervision } = this;
    const { id, state } = link;
    if (!supervision.has(id)) return;
    if (state === "opening") supervision.linkOpened(id);
    else if (state === "alive") supervision.linkReady(id);
    else if (ENDED.has(state)) this.#linkEnded(link);
  }

  /** The child says that it failed, and why. */
  noteFailure(id: string, exit: SupervisedExit): void {
    if (this.supervision.has(id)) this.#failures.set(id, exit);
  }

  /** Ends who makes no progress. Told at each look at the children. */
  judge(nowMs: number): void {
    for (const [id, { progress }] of this.#ownerships) {
      const link = progress === null ? undefined : this.#port.children.get(id);
      if (progress === null || link === undefined) continue;
      const stuckMs = nowMs - this.#lastProgress(link, progress.whileIdle, nowMs).atMs;
      if (stuckMs < progress.withinMs) continue;
      this.#progress.delete(link);
      this.supervision.condemn(id, `no progress for ${Math.round(stuckMs)} ms`);
    }
  }

  /** Our own silence, or the transport's, is not theirs. */
  forgive(nowMs: number): void {
    for (const seen of this.#progress.values()) seen.atMs = nowMs;
    this.supervision.forgive();
  }

  #lastProgress(link: ChildLink, whileIdle: boolean, nowMs: number): ProgressSeen {
    const { report } = link;
    const isBusy = report !== null && (whileIdle || report.running + report.queued > 0);
    const seen = this.#progress.get(link);
    if (seen !== undefined && isBusy && link.isAttached && seen.progress === report.progress) return seen;
    const now: ProgressSeen = { progress: report?.progress ?? 0, atMs: nowMs };
    this.#progress.set(link, now);
    return now;
  }

  #withLink(id: string, act: (link: ChildLink) => void): void {
    const link = this.#port.children.get(id);
    if (link !== undefined) act(link);
  }

  #tellStop(id: string, timeoutMs: number): void {
    const message = { kind: "shutdown.stop", seq: 0, remainingMs: timeoutMs, reason: "supervisor" } as const;
    this.#withLink(id, (link) => link.send(message));
  }

  #linkEnded(link: ChildLink): void {
    const { id, state } = link;
    const exit = this.#failures.get(id) ?? EXITS[state] ?? EXITS.dead;
    this.#failures.delete(id);
    this.#progress.delete(link);
    // While another incarnation is on its way it is missing, but it has not failed.
    link.apply("child.expected");
    this.supervision.linkEnded(id, exit as SupervisedExit, { kill: state === "dead" });
  }

  #forgotten(id: string): void {
    this.#ownerships.delete(id);
    this.#withLink(id, (link) => {
      this.#progress.delete(link);
      this.#port.children.undeclare(link);
    });
  }

  #decided(decision: SupervisionDecision): void {
    const { core, children } = this.#port;
    const epoch = formatEpoch(children.get(decision.id)?.epoch ?? []);
    const event: SupervisionEvent = { atMs: core.now(), epoch, ...decision };
    const fields = { event: `supervision.${decision.decision}`, path: core.path, ...event };
    const text = `child ${decision.id} ${decision.decision}${decision.reason === "" ? "" : `: ${decision.reason}`}`;
    if (LOUD.has(decision.decision)) core.log.warn(fields, text);
    else core.log.info(fields, text);
    core.emitter.emit("supervision.decided", event);
  }
}

const ENDED: ReadonlySet<LinkState> = new Set<LinkState>(["dead", "failed", "left"]);

const EXITS: Partial<Readonly<Record<LinkState, SupervisedExit>>> = {
  dead: { kind: "failed", reason: "it fell silent" },
  failed: { kind: "failed", reason: "it failed" },
  left: { kind: "normal", reason: "it left" },
};

/** Decisions that somebody may have to look after. */
const LOUD: ReadonlySet<string> = new Set(["restarting", "cooling", "killed", "escalated"]);
