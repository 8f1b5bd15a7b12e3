/**
 * The virtual world of the benchmark `heartbeats`: one parent and its children with default options, each in a simulated
 * process of its own. One seed gives one course of events.
 */
import { createNode, type Node, type Transport } from "fractal-tree";
import { seededRandom, SimulatedClock, SimulatedNetwork } from "fractal-tree/testing";
import { decodeFrame } from "../src/protocol/codec.js";
import { quantile } from "./rows.js";

export interface WorldOptions {
  readonly seed: number;
  /** How often each child is sent a command, milliseconds; null for quiet links. */
  readonly commandEveryMs: number | null;
  /** Probability that a message is lost. */
  readonly drop: number;
}

const CHILDREN = 20;
/** The heartbeat interval has grown to its maximum. */
const SETTLING_MS = 20_000;
const MINUTE_MS = 60_000;
/** From one death to the next: each child has long settled when its turn comes again. */
const KILL_INTERVAL_MS = 3_000;
const DOWN_MS = 15_000;
/** What makes a frame more than a sign of life: only these would be sent without any heartbeat. */
const WORK: ReadonlySet<string> = new Set(["command.run", "complete.command", "error.command"]);
const SIGNS: ReadonlySet<string> = new Set(["heartbeat.beat", "status.report"]);

export class World {
  readonly #options: WorldOptions;
  readonly #clock = new SimulatedClock();
  readonly #network: SimulatedNetwork;
  readonly #parent: Node;
  readonly #ids = Array.from({ length: CHILDREN }, (_, n) => `c${n}`);
  readonly #hosts = new Map<string, { kill(): void }>();
  readonly #suspectedAtMs = new Map<string, number>();
  #signs = 0;
  #suspicions = 0;

  constructor(options: WorldOptions) {
    this.#options = options;
    const random = seededRandom(options.seed);
    this.#network = new SimulatedNetwork({ clock: this.#clock, random, faults: { drop: options.drop } });
    this.#parent = this.#newNode("parent", "shop", this.#ids);
    this.#parent.on("child.changed", ({ id, state }) => {
      if (state !== "suspect") return;
      this.#suspicions++;
      this.#suspectedAtMs.set(id, this.#clock.now());
    });
    for (const id of this.#ids) this.#spawn(id);
  }

  /** Starts everybody and lets the heartbeat intervals grow. */
  async settle(): Promise<void> {
    await this.#parent.start();
    const isReady = (): boolean => this.#parent.state === "SYNCHRONIZED";
    if (!(await this.#clock.runUntil(isReady, { withinMs: 60_000 }))) throw new Error("the world did not get ready");
    if (this.#options.commandEveryMs !== null) this.#command(this.#options.commandEveryMs);
    await this.#clock.advance(SETTLING_MS);
  }

  /** Frames that only say that somebody lives, per node and minute. */
  async signsPerMinute(minutes: number): Promise<number> {
    const before = this.#signs;
    await this.#clock.advance(minutes * MINUTE_MS);
    return (this.#signs - before) / minutes / (CHILDREN + 1);
  }

  /** While nobody dies, per child and hour. */
  async falseSuspicionsPerHour(minutes: number): Promise<number> {
    const before = this.#suspicions;
    await this.#clock.advance(minutes * MINUTE_MS);
    return (this.#suspicions - before) / ((CHILDREN * minutes) / 60);
  }

  /** From a death to its suspicion, milliseconds. */
  async detectionP99Ms(kills: number): Promise<number> {
    const random = seededRandom(this.#options.seed + 1);
    const latenciesMs: number[] = [];
    for (let n = 0; n < kills; n++) {
      await this.#clock.advance(KILL_INTERVAL_MS * (0.5 + random()));
      const id = this.#ids[n % CHILDREN] ?? "";
      const killedAtMs = this.#clock.now();
      this.#suspectedAtMs.delete(id);
      this.#hosts.get(id)?.kill();
      this.#clock.setTimeout(() => {
        latenciesMs.push((this.#suspectedAtMs.get(id) ?? Infinity) - killedAtMs);
        this.#spawn(id);
      }, DOWN_MS);
    }
    await this.#clock.advance(2 * DOWN_MS);
    return quantile(latenciesMs, 0.99);
  }

  #spawn(id: string): void {
    void this.#newNode(id, `shop.${id}`, []).start();
  }

  #newNode(name: string, path: string, ids: readonly string[]): Node {
    const host = this.#network.host(name);
    this.#hosts.set(name, host);
    const isParent = ids.length > 0;
    const transport = tapped(host.transport, (frame) => this.#note(frame, isParent ? "down" : "up"));
    const commands = { work: () => null };
    const children = ids.map((id) => ({ id }));
    return createNode({ path, transport, clock: host.clock, random: host.random, children, commands });
  }

  #note(payload: Uint8Array, direction: "up" | "down"): void {
    const decoded = decodeFrame(payload, direction);
    // A leaf asks once whether it has children.
    if (decoded.kind === "malformed") return;
    const kinds = decoded.frame.messages.map(({ kind }) => kind);
    if (kinds.some((kind) => SIGNS.has(kind)) && !kinds.some((kind) => WORK.has(kind))) this.#signs++;
  }

  /** To all children alike, but not at the same moment. */
  #command(everyMs: number): void {
    for (const [place, id] of this.#ids.entries()) {
      const next = (): void => {
        void this.#parent.tryCommand(id, "work", null, { timeoutMs: everyMs });
        this.#clock.setTimeout(next, everyMs);
      };
      this.#clock.setTimeout(next, (everyMs * place) / CHILDREN);
    }
  }
}

function tapped(inner: Transport, note: (payload: Uint8Array) => void): Transport {
  return {
    namespace: inner.namespace,
    tree: inner.tree,
    maxPayloadBytes: inner.maxPayloadBytes,
    get connected() {
      return inner.connected;
    },
    publish: (subject, payload, options) => {
      note(payload);
      inner.publish(subject, payload, options);
    },
    subscribe: (subject, listener) => inner.subscribe(subject, listener),
    onConnection: (listener) => inner.onConnection(listener),
    close: () => inner.close(),
  };
}
