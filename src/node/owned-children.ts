/**
 * The children that a node starts itself: brings together what the links see, what the supervisor decides and what the
 * starters do.
 */
import type { LinkState } from "../../machines/link.js";
import { formatEpoch } from "../../machines/epoch.js";
import { type SupervisedExit, type SupervisionDecision } from "../../machines/supervision.js";
import { Supervision, type SupervisionPort } from "../supervision/supervision.js";
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
  fail(reason: string): void;
  /** The node's work is done: significant children have ended. */
  finished(reason: string): void;
  /** Something was decided about a child; its link, if there is one. */
  decided(link: ChildLink | undefined, decision: SupervisionDecision): void;
  /** The longest time that a child may take to end, milliseconds: the node's own is limited while it ends. */
  readonly childMs: number;
}

interface ProgressSeen {
  progress: number;
  atMs: number;
}

export class OwnedChildren {
  readonly #port: OwnedChildrenPort;
  /** Made when the first child is declared, as everything here: most nodes start none. */
  #supervision: Supervision | null = null;
  /** Of some child, now or before: the children are to be looked at. */
  requiresProgress = false;
  #isStarted = false;
  #progress: Map<ChildLink, ProgressSeen> | null = null;
  /** Of those children that are declared, how each is started. */
  #ownerships: Map<string, ResolvedOwnership> | null = null;
  /** Why the link of a child failed, until its end is dealt with. */
  #failures: Map<string, SupervisedExit> | null = null;

  constructor(port: OwnedChildrenPort) {
    this.#port = port;
    for (const spec of port.core.options.children) if (spec.owned !== null) this.declare(spec.id, spec.owned);
  }

  get supervision(): Supervision {
    if (this.#supervision !== null) return this.#supervision;
    this.#supervision = this.#newSupervision();
    if (this.#isStarted) this.#supervision.start();
    return this.#supervision;
  }

  /** Starts whoever is to run, now or once it is declared. */
  start(): void {
    this.#isStarted = true;
    this.#supervision?.start();
  }

  /** Starts nothing any more, whatever is scheduled. */
  halt(): void {
    this.#isStarted = false;
    this.#supervision?.halt();
  }

  /** Whether the node starts a child of this id. */
  has(id: string): boolean {
    return this.#supervision?.has(id) === true;
  }

  /** Whether it is to run: its ends are ours to deal with. */
  owns(id: string): boolean {
    return this.#supervision?.owns(id) === true;
  }

  /** Whether an incarnation of it may live. */
  isActive(id: string): boolean {
    return this.#supervision?.isActive(id) === true;
  }

  get hasActive(): boolean {
    return this.#supervision?.hasActive === true;
  }

  /** Lets those go on that outlive their parent. */
  release(): void {
    this.#isStarted = false;
    this.#supervision?.release();
  }

  /** The node is over. */
  close(): void {
    this.#supervision?.close();
  }

  declare(id: string, owned: ResolvedOwnership, options?: { readonly isTrial: boolean }): void {
    (this.#ownerships ??= new Map()).set(id, owned);
    this.requiresProgress ||= owned.progress !== null;
    this.supervision.declare(owned, options);
  }

  /** How a child was declared; undefined for a remote one. */
  spec(id: string): OwnedChildSpec | undefined {
    return this.#ownerships?.get(id)?.spec;
  }

  /** Adds a child at run time, whose first start its user waits for. */
  add({ id, critical, owned }: ResolvedChildSpec): void {
    this.#port.children.declare(id, critical);
    if (owned !== null) this.declare(id, owned, { isTrial: true });
  }

  /** How the node's end deals with the children that it started. */
  shutdownOptions(): Pick<ShutdownOptions, "endOwned" | "isOrdered"> {
    return {
      endOwned: (id) => (this.isActive(id) ? this.supervision.end(id) : null),
      isOrdered: ({ id, listed }) => listed && this.#supervision?.spec(id)?.plan.isDynamic !== true,
    };
  }

  /** The node has FAILED: children of others look for a recovered parent; its own are still to be told to end. */
  leaveOthers(reason: string): void {
    const { children } = this.#port;
    const leaving = { kind: "shutdown.leaving", seq: 0, reason } as const;
    if (!this.hasActive) {
      children.broadcaster.publish(leaving);
      return children.disconnect(reason);
    }
    for (const link of children.all()) {
      if (this.isActive(link.id)) continue;
      children.withdraw(link, leaving);
      if (!link.isOpen) continue;
      link.send(leaving);
      link.channel?.flush();
      link.close("child.died", reason);
    }
  }

  /** A child's link changed: what that means for its incarnation. */
  linkChanged(link: ChildLink): void {
    const { id, state } = link;
    if (!this.has(id)) return;
    const { supervision } = this;
    if (state === "opening") supervision.linkOpened(id);
    else if (state === "alive") supervision.linkReady(id);
    else if (ENDED.has(state)) this.#linkEnded(link);
  }

  /** The child says that it failed, and why. */
  noteFailure(id: string, exit: SupervisedExit): void {
    if (this.has(id)) (this.#failures ??= new Map()).set(id, exit);
  }

  /** Ends who makes no progress. Told at each look at the children. */
  judge(nowMs: number): void {
    if (this.#ownerships === null) return;
    for (const [id, { progress }] of this.#ownerships) {
      const link = progress === null ? undefined : this.#port.children.get(id);
      if (progress === null || link === undefined) continue;
      const stuckMs = nowMs - this.#lastProgress(link, progress.whileIdle, nowMs).atMs;
      if (stuckMs < progress.withinMs) continue;
      this.#progress?.delete(link);
      this.supervision.condemn(id, `no progress for ${Math.round(stuckMs)} ms`);
    }
  }

  /** Our own silence, or the transport's, is not theirs. */
  forgive(nowMs: number): void {
    for (const seen of this.#progress?.values() ?? []) seen.atMs = nowMs;
    this.#supervision?.forgive();
  }

  #lastProgress(link: ChildLink, whileIdle: boolean, nowMs: number): ProgressSeen {
    const { report } = link;
    const isBusy = report !== null && (whileIdle || report.running + report.queued > 0);
    const seen = this.#progress?.get(link);
    if (seen !== undefined && isBusy && link.isAttached && seen.progress === report.progress) return seen;
    const now: ProgressSeen = { progress: report?.progress ?? 0, atMs: nowMs };
    (this.#progress ??= new Map()).set(link, now);
    return now;
  }

  #newSupervision(): Supervision {
    const { core, children } = this.#port;
    const { clock, random, transport, supervision } = core.options;
    const port: SupervisionPort = {
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
      failed: (reason) => this.#port.fail(reason),
      shutdown: (reason) => this.#port.finished(reason),
      childMs: () => this.#port.childMs,
    };
    return new Supervision(port, supervision);
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
    const exit = this.#failures?.get(id) ?? EXITS[state] ?? EXITS.dead;
    this.#failures?.delete(id);
    this.#progress?.delete(link);
    // While another incarnation is on its way it is missing, but it has not failed.
    link.apply("child.expected");
    this.supervision.linkEnded(id, exit as SupervisedExit, { kill: state === "dead" });
  }

  #forgotten(id: string): void {
    this.#ownerships?.delete(id);
    this.#withLink(id, (link) => {
      this.#progress?.delete(link);
      this.#port.children.undeclare(link);
    });
  }

  #decided(decision: SupervisionDecision): void {
    const { core, children } = this.#port;
    const link = children.get(decision.id);
    const epoch = formatEpoch(link?.epoch ?? []);
    const event: SupervisionEvent = { atMs: core.now(), epoch, ...decision };
    const fields = { event: `supervision.${decision.decision}`, path: core.path, ...event };
    const text = `child ${decision.id} ${decision.decision}${decision.reason === "" ? "" : `: ${decision.reason}`}`;
    if (LOUD.has(decision.decision)) core.log.warn(fields, text);
    else core.log.info(fields, text);
    this.#port.decided(link, decision);
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
