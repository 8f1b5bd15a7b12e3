/**
 * The virtual world of the benchmark `detection`: one parent, remote children, and the detectors of other systems, all
 * over the same network with the same loss, delays and stalls. One seed gives one trace.
 *
 * A1. Each child is a simulated process of its own; what stalls or dies is the process, with everything in it.
 * A2. The others' detectors run in the parent's process and are fed by beaters in the children's: they see the same stalls.
 * A3. A process that stood still runs for at least `RUNNING_MIN_MS` before it does so again.
 */
import { createNode, type LinkState, type Node, type Random } from "fractal-tree";
import { seededRandom, SimulatedClock, type SimulatedHost, SimulatedNetwork } from "fractal-tree/testing";
import { type Detector, DETECTORS, type Opinion } from "./detection-peers.js";

export interface Conditions {
  /** Probability that a message is lost. */
  readonly drop: number;
  /** Longest time on the way, milliseconds; the shortest is one. */
  readonly maxDelayMs: number;
  /** Shortest and longest time for which a child's event loop stands still, milliseconds; null for never. */
  readonly stallsMs: readonly [number, number] | null;
  /** Whether the parent's does so as well. */
  readonly parentStalls: boolean;
}

export interface ArenaOptions extends Conditions {
  readonly seed: number;
  readonly children: number;
  /** Whether the other systems' detectors run, too. */
  readonly peers: boolean;
}

/** What a detector says of a child, at the time at which it says so. */
export interface Finding {
  readonly detector: string;
  readonly child: string;
  readonly opinion: Opinion;
  readonly atMs: number;
}

export const OURS = "fractal-tree";
/** The heartbeat interval has grown to its maximum. */
const SETTLING_MS = 20_000;
const RUNNING_MIN_MS = 5_000;
const RUNNING_MAX_MS = 35_000;

interface Member {
  readonly host: SimulatedHost;
  readonly node: Node;
}

export class Arena {
  readonly clock = new SimulatedClock();
  readonly random: Random;
  readonly ids: readonly string[];
  readonly #options: ArenaOptions;
  readonly #network: SimulatedNetwork;
  readonly #parent: Member;
  readonly #members = new Map<string, Member>();
  readonly #detectors: readonly Detector[];
  #findings: Finding[] = [];

  constructor(options: ArenaOptions) {
    this.#options = options;
    const { seed, drop, maxDelayMs, children, peers } = options;
    this.random = seededRandom(seed);
    this.#network = new SimulatedNetwork({ clock: this.clock, random: this.random, faults: { drop, maxDelayMs } });
    this.ids = Array.from({ length: children }, (_, n) => `c${n}`);
    this.#parent = this.#newMember("parent", "shop", this.ids);
    this.#parent.node.on("child.changed", ({ id, state }) => this.#linkChanged(id, state));
    const { clock, transport } = this.#parent.host;
    const tell = (detector: string, child: string, opinion: Opinion): void => this.#find(detector, child, opinion);
    this.#detectors = peers ? DETECTORS.map((create) => create({ clock, transport, tell })) : [];
    for (const id of this.ids) this.spawn(id);
  }

  /** Starts everybody, lets the heartbeat intervals grow, and forgets what was found until then. */
  async settle(): Promise<void> {
    await this.#parent.node.start();
    const isReady = (): boolean => this.#parent.node.state === "SYNCHRONIZED";
    if (!(await this.clock.runUntil(isReady, { withinMs: 60_000 }))) throw new Error("the arena did not get ready");
    await this.clock.advance(SETTLING_MS);
    if (this.#options.parentStalls) this.#stallLater(this.#parent.host);
    this.takeFindings();
  }

  /** What was found since the last call, in the order of time. */
  takeFindings(): readonly Finding[] {
    const found = this.#findings;
    this.#findings = [];
    return found;
  }

  /** A child's process dies without a word. */
  kill(id: string): void {
    this.#members.get(id)?.host.kill();
  }

  /** Starts a child's process, in the place of a dead one if there was one. */
  spawn(id: string): void {
    const member = this.#newMember(id, `shop.${id}`, []);
    this.#members.set(id, member);
    void member.node.start();
    for (const detector of this.#detectors) detector.beat(id, member.host);
    this.#stallLater(member.host);
  }

  #newMember(name: string, path: string, ids: readonly string[]): Member {
    const host = this.#network.host(name);
    const { clock, random, transport } = host;
    return { host, node: createNode({ path, clock, random, transport, children: ids.map((id) => ({ id })) }) };
  }

  /** A session that is opened anew was given up by one side: that is a death, too. */
  #linkChanged(id: string, state: LinkState): void {
    if (state === "opening") this.#find(OURS, id, "dead");
    else if (state === "suspect" || state === "dead" || state === "alive") this.#find(OURS, id, state);
  }

  #find(detector: string, child: string, opinion: Opinion): void {
    this.#findings.push({ detector, child, opinion, atMs: this.clock.now() });
  }

  #stallLater(host: SimulatedHost): void {
    const { stallsMs } = this.#options;
    if (stallsMs === null) return;
    const [leastMs, mostMs] = stallsMs;
    this.clock.setTimeout(
      () => {
        const stallMs = between(this.random, leastMs, mostMs);
        if (!host.isAlive) return;
        host.pause(stallMs);
        this.clock.setTimeout(() => this.#stallLater(host), stallMs);
      },
      between(this.random, RUNNING_MIN_MS, RUNNING_MAX_MS),
    );
  }
}

function between(random: Random, least: number, most: number): number {
  return least + random() * (most - least);
}
