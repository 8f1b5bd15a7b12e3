/** A real node with a real parent and three real children, each in a process of its own as far as it can tell. */
import type { InspectionEvent } from "xstate";
import { type ChildSpec, createNode, type Node, type NodeOptions } from "../../../src/index.js";
import { CHILD_IDS, type ChildId, type ChildMode, edgeBetween, THRESHOLDS } from "./model.js";
import { type Cuts, type Host, NODE, PARENT, type Stage } from "./stage.js";

/** All times of a play, milliseconds. */
export interface Timing {
  readonly heartbeat: NonNullable<NodeOptions["heartbeat"]>;
  readonly failureDetector: NonNullable<NodeOptions["failureDetector"]>;
  readonly initTimeoutMs: number;
  readonly recoveryTimeoutMs: number;
  readonly cleanupTimeoutMs: number;
  readonly retryMs: number;
  /** Longest wait for anything but those timeouts. */
  readonly patienceMs: number;
  /** How long a situation is watched after it was reached. */
  readonly settleMs: number;
}

/** How a parent is lost: it is silent for a while, it is silent until it counts as dead, or it takes leave. */
export type Loss = "silence" | "death" | "leave";

/** How a child fails: it reports its failure, or its process dies. */
export type Failure = "report" | "death";

export interface Style {
  readonly loss: Loss;
  readonly failure: Failure;
}

const NEVER_MS = 600_000;

interface Member {
  readonly host: Host;
  readonly node: Node;
  mode: ChildMode;
  isOver: boolean;
}

export class Family {
  readonly timing: Timing;
  readonly style: Style;
  readonly stage: Stage;
  /** Ids of the transitions that the node's machine took, in order, over all its incarnations. */
  readonly taken: string[] = [];
  /** States that the node told to have entered, in order, over all its incarnations. */
  readonly entered: string[] = [];
  node: Node;
  parent: Node;
  #nodeHost: Host;
  #parentHost: Host;
  #cuts: Cuts = { parent: true, children: true };
  /** The cleanup that waits for `release`; see `#clockThatHolds`. */
  #held: (() => void) | null = null;
  #isCleanupNext = false;
  #turn = false;
  #hasParent = true;
  readonly #children = new Map<ChildId, Member>();

  constructor(stage: Stage, timing: Timing, style: Style) {
    this.stage = stage;
    this.timing = timing;
    this.style = style;
    stage.cut(this.#cuts);
    this.#parentHost = stage.host(PARENT);
    this.parent = this.#createParent(this.#parentHost);
    this.#nodeHost = stage.host(NODE);
    this.node = this.#createNode(this.#nodeHost);
  }

  async start(): Promise<void> {
    await Promise.all([this.parent.start(), this.node.start()]);
  }

  cut(cuts: Partial<Cuts>): void {
    this.#cuts = { ...this.#cuts, ...cuts };
    this.stage.cut(this.#cuts);
  }

  /** Longest that a transition can take to come. */
  get longestMs(): number {
    const { initTimeoutMs, recoveryTimeoutMs, cleanupTimeoutMs, retryMs, patienceMs } = this.timing;
    return Math.max(initTimeoutMs, recoveryTimeoutMs, cleanupTimeoutMs, retryMs) + patienceMs;
  }

  until(condition: () => boolean, withinMs = this.timing.patienceMs): Promise<boolean> {
    return this.stage.until(condition, withinMs);
  }

  /** The child's link as the node sees it. */
  link(id: ChildId): string {
    return this.node.child(id)?.link ?? "none";
  }

  /** True at every second call. */
  takesTurn(): boolean {
    this.#turn = !this.#turn;
    return this.#turn;
  }

  /** The parent is lost, in the way of this play's style. */
  async loseParent(): Promise<void> {
    const { loss } = this.style;
    this.#hasParent = loss !== "leave";
    if (loss === "leave") return this.parent.stop({ timeoutMs: this.timing.patienceMs });
    this.cut({ parent: true });
    if (loss === "death") await this.until(() => false);
  }

  /** The parent can be reached again; one that took leave is started anew. */
  async regainParent(): Promise<void> {
    this.cut({ parent: false });
    if (!this.#hasParent) await this.replaceParent();
  }

  /** The parent's process dies, and a new one starts at once. */
  async replaceParent(): Promise<void> {
    this.#hasParent = true;
    this.#parentHost.kill();
    this.#parentHost = this.stage.host(PARENT);
    this.parent = this.#createParent(this.#parentHost);
    await this.parent.start();
  }

  /** The node's process is over; a new one starts, out of its parent's reach. */
  async replaceNode(): Promise<void> {
    this.#nodeHost.kill();
    this.#held = null;
    this.cut({ parent: true });
    this.#nodeHost = this.stage.host(NODE);
    this.node = this.#createNode(this.#nodeHost);
    await this.node.start();
  }

  /** Lets the cleanup that was held back run. */
  release(): void {
    const held = this.#held;
    this.#held = null;
    held?.();
  }

  /** Whether a child of this kind runs: one that becomes ready, or one that never does. */
  runs(id: ChildId, mode: ChildMode): boolean {
    const member = this.#children.get(id);
    return member !== undefined && !member.isOver && member.mode === mode;
  }

  /** Starts a child in a new process; the old one, if any, dies without a word. */
  async place(id: ChildId, mode: ChildMode): Promise<void> {
    this.#children.get(id)?.host.kill();
    const host = this.stage.host(id);
    // A child that is to fail must not be ready before.
    const node = this.#createChild(host, id, mode === "ready" ? [] : [{ id: "never" }]);
    const member: Member = { host, node, mode, isOver: false };
    void node.ended.then(() => (member.isOver = true));
    this.#children.set(id, member);
    await node.start();
  }

  /** The child fails, in the way of this play's style. */
  fail(id: ChildId): void {
    const member = this.#children.get(id);
    if (member === undefined) return;
    member.mode = "failed";
    if (this.style.failure === "report") member.node.fail("broken");
    else member.host.kill();
  }

  /** Another child joins and leaves again: the census changes, and is what it was before. */
  async receiveGuest(): Promise<void> {
    const host = this.stage.host("guest");
    const guest = createNode({ ...this.#common(host), path: "top.node.guest" });
    await guest.start();
    await this.until(() => this.node.child("guest")?.link === "alive");
    void guest.stop({ timeoutMs: this.timing.patienceMs });
    await this.until(() => this.node.child("guest") === undefined);
    host.kill();
  }

  /** Ends all processes. */
  close(): void {
    for (const { host } of this.#children.values()) host.kill();
    this.#nodeHost.kill();
    this.#parentHost.kill();
  }

  #createNode(host: Host): Node {
    const { timing } = this;
    const node = createNode({
      ...this.#common(host),
      path: "top.node",
      clock: this.#clockThatHolds(host),
      children: CHILD_IDS.map((id) => ({ id, critical: id === "c" })),
      thresholds: THRESHOLDS,
      initTimeoutMs: timing.initTimeoutMs,
      recoveryTimeoutMs: timing.recoveryTimeoutMs,
      cleanupTimeoutMs: timing.cleanupTimeoutMs,
      backoff: { baseMs: timing.retryMs, maxMs: timing.retryMs },
      inspect: (event) => this.#note(event),
    });
    node.on("state.changed", ({ state }) => {
      this.entered.push(state);
      this.#isCleanupNext = state === "FAILED";
    });
    return node;
  }

  /**
   * The runtime cleans up at the end of the turn in which the node failed, so that nobody ever meets a node that stays
   * FAILED. To drive the machine's FAILED too, the cleanup is held back: it is what is deferred right after FAILED was
   * entered.
   */
  #clockThatHolds({ clock }: Host): Host["clock"] {
    return {
      now: () => clock.now(),
      wallNow: () => clock.wallNow(),
      setTimeout: (callback, delayMs) => clock.setTimeout(callback, delayMs),
      clearTimeout: (timer) => clock.clearTimeout(timer),
      defer: (callback) => {
        if (!this.#isCleanupNext) return clock.defer(callback);
        this.#isCleanupNext = false;
        this.#held = callback;
      },
    };
  }

  #createParent(host: Host): Node {
    return createNode({
      ...this.#common(host),
      path: "top",
      children: [{ id: "node" }],
      thresholds: { failed: { count: 2 } },
      initTimeoutMs: NEVER_MS,
    });
  }

  #createChild(host: Host, id: ChildId, children: readonly ChildSpec[]): Node {
    return createNode({
      ...this.#common(host),
      path: `top.node.${id}`,
      children,
      initTimeoutMs: NEVER_MS,
      backoff: { baseMs: NEVER_MS, maxMs: NEVER_MS },
    });
  }

  #common({ clock, random, transport }: Host) {
    const { heartbeat, failureDetector } = this.timing;
    return { clock, random, transport, heartbeat, failureDetector };
  }

  /** What the machine of the real node does, as XState tells it. */
  #note(inspected: InspectionEvent): void {
    if (inspected.type !== "@xstate.microstep") return;
    // oxlint-disable-next-line no-underscore-dangle -- XState's only word on which transitions were taken
    for (const { source, eventType, target } of inspected._transitions) {
      const to = target?.[0]?.key ?? source.key;
      this.taken.push(edgeBetween(source.key, eventType, to).id);
    }
  }
}
