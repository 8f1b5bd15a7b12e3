/**
 * How a node is over: by failure, because it was superseded, or at the end of its departure. In each case the children that
 * it started end first.
 */
import { type Epoch, formatEpoch } from "../../machines/epoch.js";
import { DuplicatePathError, NodeFencedError } from "../errors.js";
import type { Children } from "./children.js";
import type { NodeCore } from "./core.js";
import { EndNotices } from "./end-notices.js";
import type { EndReason } from "./events.js";
import type { OwnedChildren } from "./owned-children.js";
import type { Uplink } from "./uplink.js";

export interface EndingPort {
  readonly core: NodeCore;
  readonly children: Children;
  readonly uplink: Uplink | null;
  readonly owned: OwnedChildren;
  /** What was told to parent and children; empty before the end begins. */
  readonly why: string;
  /** What is left of the time to end, milliseconds; Infinity while nobody wants the end. */
  readonly leftMs: number;
  endCalls(why: string): void;
  /** Ends every part of the node, whose state is over from then on. Returns false if that was so before. */
  close(): boolean;
}

/** What `stop` waits beyond its deadline for the confirmed exits of children that were killed, milliseconds. */
const KILL_CONFIRMATION_MS = 1_000;

/** Ends that children of starters with `outlivesParent` do not survive: whoever ended the node meant the tree. */
const ENDS_WITH_ALL: ReadonlySet<EndReason> = new Set<EndReason>(["shutdown", "failed", "dependencyDown"]);

export class Ending {
  /** Resolves when the node is over, and so are its own children; never rejects. */
  readonly ended: Promise<EndReason>;
  readonly notices: EndNotices;
  /** What is failing the node is not its own fault. */
  isDependencyDown = false;
  readonly #port: EndingPort;
  /** Why it failed last. */
  #failure: string | null = null;
  #resolveEnded: (reason: EndReason) => void = () => {};

  constructor(port: EndingPort) {
    this.#port = port;
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve));
    this.notices = new EndNotices(port.core);
  }

  /**
   * FAILED: tells the parent, ends the own children, lets the others look for a recovered parent, ends what is open. Returns
   * null when that is done at once.
   */
  failed(reason: string): Promise<void> | null {
    const { core, owned, uplink } = this.#port;
    const dependencyDown = this.isDependencyDown;
    this.isDependencyDown = false;
    this.#failure = reason;
    core.log.error({ event: "node.failed", path: core.path, reason }, `node failed: ${reason}`);
    const endsForGood = core.options.onFailed === "end" || uplink?.isOwned === true;
    uplink?.send({ kind: "error.node", seq: 0, reason, dependencyDown });
    uplink?.channel?.flush();
    owned.halt();
    owned.leaveOthers(reason);
    uplink?.end();
    const ended = owned.hasActive ? owned.supervision.endAll(core.options.shutdownTimeoutMs) : null;
    if (!endsForGood) return ended;
    const finish = (): void => this.finish(dependencyDown ? "dependencyDown" : "failed");
    if (ended === null) finish();
    return ended?.then(finish) ?? null;
  }

  fenced(epoch: Epoch): void {
    this.#stopLoudly("fenced", new NodeFencedError(this.#port.core.path, formatEpoch(epoch)));
  }

  duplicate(): void {
    this.#stopLoudly("duplicatePath", new DuplicatePathError(this.#port.core.path));
  }

  /** Its owner closed the transport first: without it there is nothing left to do. */
  transportClosed(): void {
    const { log, path } = this.#port.core;
    log.error({ event: "transport.closed", path }, "the transport was closed under a running node; stop nodes first");
    this.finish("transportClosed");
  }

  finish(reason: EndReason): void {
    if (!this.#port.close()) return;
    const { owned } = this.#port;
    if (!ENDS_WITH_ALL.has(reason)) owned.release();
    if (!owned.hasActive) return this.#over(reason);
    // It was superseded, or its time is over: its children end with it, and it has not ended before.
    const timeoutMs = Math.min(this.#port.core.options.shutdownTimeoutMs, this.#port.leftMs);
    void owned.supervision.endAll(timeoutMs).then(() => this.#over(reason));
  }

  /**
   * Resolves when the last of the own children is certainly gone. Those that are left after this time are killed; who does
   * not go in spite of that is not waited for without end.
   */
  async untilEnded(timeoutMs: number): Promise<void> {
    const { clock } = this.#port.core.options;
    const { owned } = this.#port;
    if (!owned.hasActive) return;
    const { supervision } = owned;
    await new Promise<void>((resolve) => {
      const kill = clock.setTimeout(() => supervision.killAll("the node's time to end is over"), timeoutMs);
      const giveUp = clock.setTimeout(resolve, timeoutMs + KILL_CONFIRMATION_MS);
      void this.ended.then(() => {
        clock.clearTimeout(kill);
        clock.clearTimeout(giveUp);
        return resolve();
      });
    });
  }

  /** Nobody may miss that a process stopped itself. */
  #stopLoudly(reason: "fenced" | "duplicatePath", error: NodeFencedError | DuplicatePathError): void {
    const { core, uplink, children } = this.#port;
    if (core.isOver) return;
    core.log.error({ event: "node.fenced", path: core.path, code: error.code }, error.message);
    if (core.options.logger === null && !core.emitter.hasListeners("node.fenced")) process.emitWarning(error);
    core.emitter.emit("node.fenced", { error });
    this.#port.endCalls("the node was superseded");
    // Speaking once more tells the parent that two processes are alive at this path.
    uplink?.send({ kind: "status.leaving", seq: 0, reason });
    uplink?.channel?.flush();
    // Children in our thread do not judge us by our silence.
    for (const link of children.open()) {
      if (!link.isLocal) continue;
      link.send({ kind: "shutdown.leaving", seq: 0, reason });
      link.channel?.flush();
    }
    this.finish(reason);
  }

  #over(reason: EndReason): void {
    const { core, uplink, children, owned } = this.#port;
    const { session = "" } = uplink ?? {};
    const texts = { why: this.#port.why, failure: this.#failure };
    this.notices.ended(reason, texts, { session, broadcastSession: children.broadcaster.session });
    owned.close();
    core.log.info({ event: "node.ended", path: core.path, reason }, `ended: ${reason}`);
    core.emitter.emit("node.ended", { reason });
    core.emitter.close();
    this.#resolveEnded(reason);
  }
}
