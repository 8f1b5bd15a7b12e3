/**
 * What is shot at: a root, a node below it, a child of that node, and a sibling, all at work, in virtual time. What the
 * honest see of each other is noted, so that a test can say that nothing of it changed.
 */
import { expect } from "vitest";
import type { Node, NodeOptions } from "../../src/index.js";
import { World } from "../node/kit.js";

/** From the root down. */
export const PATHS = ["shop", "shop.a", "shop.b", "shop.a.x"] as const;
export type Path = (typeof PATHS)[number];

/** Of the links to the node and to its child, and one that nobody has. */
export const SUBJECTS = ["up.shop.a", "down.shop.a", "all.shop", "up.shop.a.x", "down.shop.a.x", "all.shop.a"]
  .concat("up.shop.a.ghost")
  .map((subject) => `ft.local.${subject}`);

const CALL_EVERY_MS = 200;
const CALL_TIMEOUT_MS = 5_000;
const RESTART_MS = 100;
/** Within this virtual time after an attack the tree is SYNCHRONIZED: death, an init timeout and a backoff in turn. */
const RECOVERY_MS = 120_000;

export class LiveTree {
  readonly world: World;
  /** What the honest nodes told since the tree stood: changes of state, of links, of documents, ends. */
  readonly events: string[] = [];
  /** Of the calls: "completed", or why not. */
  readonly outcomes: string[] = [];
  /** How often a handler ran, by call. */
  readonly runs = new Map<string, number>();
  /** Processes that ended by themselves, and why. */
  readonly ends: string[] = [];
  #isTended = true;
  readonly #nodes = new Map<Path, Node>();
  #calls = 0;
  #isBusy = true;
  #pendingCalls = 0;

  readonly #limits: Partial<NodeOptions>;

  private constructor(seed: number, limits: Partial<NodeOptions>) {
    this.world = new World({ seed });
    this.#limits = limits;
  }

  /** A tree that has lived already: there are frames of former processes and sessions on its wire. */
  static async grow(seed: number, limits: Partial<NodeOptions> = {}): Promise<LiveTree> {
    const tree = new LiveTree(seed, limits);
    for (const path of PATHS) await tree.start(path);
    await tree.isWhole();
    tree.node("shop").synchronize({ version: "first" });
    await tree.world.run(300);
    for (const path of ["shop.a", "shop.a.x"] as const) {
      tree.world.kill(tree.node(path));
      await tree.start(path);
      await tree.isWhole();
      await tree.world.run(500);
    }
    for (const path of PATHS) tree.#listen(tree.node(path));
    tree.#call();
    await tree.world.run(400);
    return tree;
  }

  node(path: Path): Node {
    return this.#nodes.get(path) ?? expect.fail(`there is no ${path}`);
  }

  /** Starts a process at a path, in place of the one that was there. */
  async start(path: Path): Promise<void> {
    const node = this.world.node({ ...this.#limits, ...this.#options(path), path });
    this.#nodes.set(path, node);
    void this.#tend(path, node);
    await node.start();
  }

  #options(path: Path): Partial<NodeOptions> {
    const count = (call: string): number => {
      const runs = (this.runs.get(call) ?? 0) + 1;
      this.runs.set(call, runs);
      return runs;
    };
    const idle = (): Promise<never> => new Promise(() => {});
    const commands = { count, idle };
    if (path === "shop") return { children: [{ id: "a" }, { id: "b" }], requests: { count } };
    return path === "shop.a" ? { children: [{ id: "x" }], commands } : { commands };
  }

  #listen(node: Node): void {
    const note = (event: string): void => void this.events.push(`${node.path} ${event}`);
    node.on("state.changed", ({ state, failure }) => note(`is ${state} ${failure ?? ""}`));
    node.on("child.changed", ({ id, state }) => note(`sees ${id} ${state}`));
    node.on("child.reported", () => note("was reported to"));
    node.on("sync.received", ({ version }) => note(`got document ${version}`));
    node.on("node.fenced", ({ error }) => note(error.code));
    node.on("node.ended", ({ reason }) => note(`ended: ${reason}`));
  }

  /** Commands two levels down and to the sibling, and a request two levels up, again and again. */
  #call(): void {
    if (!this.#isBusy) return;
    this.world.clock.setTimeout(() => this.#call(), CALL_EVERY_MS);
    for (const call of this.#round()) {
      this.#pendingCalls++;
      void call.then((outcome) => {
        this.#pendingCalls--;
        this.outcomes.push(outcome);
      });
    }
  }

  /** Two levels down, to the sibling, two levels up: "completed", or why not. Never rejects. */
  #round(): Promise<string>[] {
    const options = { timeoutMs: CALL_TIMEOUT_MS };
    const input = (): string => `call ${this.#calls++}`;
    const shop = this.node("shop");
    const calls = [
      shop.command("a.x", "count", input(), options),
      shop.command("b", "count", input(), options),
      this.node("shop.a.x").request("count", input(), options),
    ];
    return calls.map((call) => call.then(() => "completed", String));
  }

  /** Ends the work and waits until each call has its outcome: their deadline sees to it. */
  async calm(): Promise<void> {
    this.#isBusy = false;
    await this.world.until(() => this.#pendingCalls === 0, "all calls are settled", 2 * CALL_TIMEOUT_MS);
  }

  /** What honest nodes see of each other. */
  view(): readonly unknown[] {
    return PATHS.map((path) => {
      const node = this.node(path);
      const links = node.children().flatMap(({ id, link, epoch, listed }) => (listed ? [{ id, link, epoch }] : []));
      return { path, state: node.state, epoch: node.epoch, document: node.synced?.document, links };
    });
  }

  isSynchronized(): boolean {
    return PATHS.every((path) => isComplete(this.node(path)));
  }

  isWhole(): Promise<void> {
    return this.world.until(() => this.isSynchronized(), "the tree is SYNCHRONIZED", RECOVERY_MS);
  }

  /** Whether calls get through. */
  async serves(): Promise<boolean> {
    const outcomes = await this.world.settle(Promise.all(this.#round()), 2 * CALL_TIMEOUT_MS);
    return outcomes.every((outcome) => outcome === "completed");
  }

  /** As whoever runs the processes would, starts anew what ends. */
  async #tend(path: Path, node: Node): Promise<void> {
    const reason = await node.ended;
    if (!this.#isTended) return;
    this.ends.push(`${path} ${reason}`);
    this.world.clock.setTimeout(() => this.#isTended && void this.start(path), RESTART_MS);
  }

  async end(): Promise<void> {
    this.#isTended = false;
    await this.world.end(...this.#nodes.values());
  }
}

/** SYNCHRONIZED, or missing only somebody who joined, failed and may come back: that a joiner may do so is documented. */
function isComplete(node: Node): boolean {
  const areListedThere = node.children().every(({ listed, link }) => !listed || link === "alive");
  const { state, reasons } = node.status;
  return areListedThere && (state === "SYNCHRONIZED" || (state === "DEGRADED" && reasons.join() === "children"));
}
