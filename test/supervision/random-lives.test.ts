/**
 * Supervised families of real nodes in random circumstances: children that fail, finish, start slowly or not at all, do not
 * end when told; users who start, terminate, restart and delete; supervisors that fail and recover. Whatever happened, all
 * that was promised is settled, no two incarnations of a child ever live together, and once nothing happens any more the
 * family is whole.
 */
import { describe, expect, test } from "vitest";
import { seededRandom } from "../../src/testing/prng.js";
import type { Node, NodeOptions, OwnedChildSpec, SupervisionOptions } from "../../src/index.js";
import { Cast, ENDS, type Part } from "../conformance/kit.js";

const IDS = ["a", "b", "c", "d", "e"];
/** Children of children. */
const LEAVES = IDS.map((id) => `${id}1`);
const ALL = [...IDS, ...LEAVES];
const STEPS = 40;

class Life {
  readonly cast = new Cast();
  readonly shop: Node;
  readonly #random: () => number;
  readonly #promised: Promise<unknown>[] = [];
  #settled = 0;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    const children = IDS.slice(0, 3).map((id) => this.#spec(id));
    this.shop = this.cast.world.node({ path: "shop", children, supervision: this.#supervision() });
  }

  /** Things happen. */
  async live(): Promise<void> {
    await this.shop.start();
    for (let step = 0; step < STEPS; step++) {
      this.#happen();
      await this.cast.world.run(this.#pick([0, 1, 20, 300, 2_000, 20_000]));
      const doubled = ALL.filter((id) => this.cast.alive(id) > 1);
      if (doubled.length > 0) throw new Error(`two of ${doubled.join(" and ")}: ${this.cast.journal.join(", ")}`);
    }
    this.cast.faults.clear();
  }

  /** Nothing happens any more: until the family is whole and all promises are settled. */
  async rest(): Promise<void> {
    await this.cast.world.until(
      () => this.shop.state === "SYNCHRONIZED" && this.#isWhole(),
      "the family is whole",
      600_000,
    );
  }

  /** The declared children that are neither running nor ended for good. */
  get undecided(): readonly string[] {
    const { shop } = this;
    return shop.whichChildren().flatMap(({ id, state }) => (state === "running" || state === "stopped" ? [] : [id]));
  }

  /** The ids of those whose nodes have not ended, or whose processes are not gone. */
  get living(): readonly string[] {
    return ALL.filter((id) => this.cast.alive(id) > 0);
  }

  /** Some are supervisors themselves. */
  #spec(id: string): OwnedChildSpec {
    if (this.#random() < 0.7) return this.#leaf(id);
    const supervision = this.#supervision();
    const spec = this.#leaf(id, { children: [this.#leaf(`${id}1`)], supervision, shutdownTimeoutMs: 1_000 });
    // Its start includes the starts below it.
    return { ...spec, startTimeoutMs: 15_000 };
  }

  #leaf(id: string, node: Partial<NodeOptions> = {}): OwnedChildSpec {
    const part: Part = {
      restart: this.#pick(["permanent", "permanent", "transient", "temporary"]),
      shutdown: this.#pick([100, 5_000, "brutal_kill", "infinity"]),
      startsInMs: this.#pick([0, 0, 10, 2_000]),
      exitsInMs: this.#pick([0, 0, 50, 3_000]),
      isDeaf: this.#random() < 0.1,
      startTimeoutMs: this.#pick([1_000, 15_000]),
    };
    // Who starts too slowly for its own limit never starts.
    const startTimeoutMs = Math.max(part.startTimeoutMs ?? 0, 2 * (part.startsInMs ?? 0));
    // Who cannot be made to end is killed in time.
    const shutdown = part.isDeaf === true && part.shutdown === "infinity" ? 1_000 : part.shutdown;
    return this.cast.child(id, { ...part, node, startTimeoutMs, ...(shutdown === undefined ? {} : { shutdown }) });
  }

  #supervision(): SupervisionOptions {
    return {
      strategy: this.#pick(["one_for_one", "one_for_all", "rest_for_one"]),
      childIntensity: this.#pick([0, 1, 3, 10]),
      periodMs: this.#pick([1_000, 30_000]),
      cooldownMs: this.#pick([null, null, 5_000]),
      backoff: { baseMs: 10, maxMs: 1_000 },
    };
  }

  #happen(): void {
    const id = this.#pick(IDS);
    const anybody = this.#pick(ALL);
    const what = this.#pick([
      "end",
      "end",
      "end",
      "fault",
      "heal",
      "start",
      "terminate",
      "restart",
      "delete",
      "fail",
    ] as const);
    if (what === "end") this.#end(anybody);
    else if (what === "fault") this.cast.faults.set(anybody, new Error("no database"));
    else if (what === "heal") this.cast.faults.clear();
    else if (what === "start") this.#promise(this.shop.startChild(this.#spec(id)));
    else if (what === "terminate") this.#promise(this.shop.terminateChild(id));
    else if (what === "restart") this.#promise(this.shop.restartChild(id));
    else if (what === "delete") this.#promise(Promise.resolve().then(() => this.shop.deleteChild(id)));
    else if (this.#random() < 0.3) this.shop.fail("out of luck");
  }

  #end(id: string): void {
    const node = this.cast.nodes(id).at(-1);
    if (node !== undefined) ENDS[this.#pick(["normal", "shutdown", "failed", "failed"])](node);
  }

  /** Refusals are fine: many make no sense. */
  #promise(promise: Promise<unknown>): void {
    const settled = (): void => void this.#settled++;
    this.#promised.push(promise.then(settled, settled));
  }

  #isWhole(): boolean {
    return this.undecided.length === 0 && this.#settled === this.#promised.length;
  }

  #pick<const T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)] as T;
  }
}

describe("random lives", () => {
  test.each(Array.from({ length: 40 }, (_, index) => index + 1))("seed %i", async (seed) => {
    const life = new Life(seed);
    await life.live();
    await life.rest();
    const running = life.shop.whichChildren().filter(({ state }) => state === "running");
    expect(running.map(({ id }) => id).toSorted()).toEqual(life.living.filter((id) => IDS.includes(id)));
    await life.cast.world.settle(life.shop.stop());
    expect(life.living).toEqual([]);
  });
});
