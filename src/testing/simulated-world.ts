/**
 * A user's own tree in virtual time: each process is simulated, so that it can be killed, stopped and cut off, and a
 * whole run follows from one seed.
 */
import { InvalidOptionError } from "../errors.js";
import type { Clock, Random } from "../health/clock.js";
import type { Node } from "../node/node.js";
import { exitOfEnd } from "../supervision/exit.js";
import type { ChildExit, StartContext, StartedChild, Starter } from "../supervision/starter.js";
import type { Transport } from "../transport/transport.js";
import { seededRandom } from "./prng.js";
import { SimulatedClock } from "./simulated-clock.js";
import type { SimulatedHost } from "./simulated-host.js";
import { type NetworkFaults, SimulatedNetwork } from "./simulated-network.js";

/** What a node of a simulated process is created with: `createNode({ path, ...here })`. */
export interface Here {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
}

export interface SimulatedWorldOptions {
  /** Everything that happens follows from it. */
  readonly seed: number;
  /** What happens to messages. @default none, 1 to 5 ms on the way */
  readonly network?: NetworkFaults;
}

/** What may happen to a process during `shake`. */
export type WorldFault = "kill" | "pause" | "disconnect" | "hold" | "isolate";

export interface ShakeOptions {
  /** How long faults go on, milliseconds. */
  readonly forMs: number;
  /** Time between two faults, milliseconds. @default 500 */
  readonly intervalMs?: number;
  /** Longest duration of one fault, milliseconds; most are much shorter. @default 10_000 */
  readonly longestMs?: number;
  /** @default all */
  readonly faults?: readonly WorldFault[];
  /** What must always hold: called after every step; whatever it throws ends the run. */
  readonly check?: () => void;
}

interface Member {
  readonly name: string;
  readonly build: (here: Here) => Node;
  readonly host: SimulatedHost;
  readonly node: Node;
}

const ALL_FAULTS: readonly WorldFault[] = ["kill", "pause", "disconnect", "hold", "isolate"];

/** Longest time until a child's process runs, until its exit is known, and until it notices its parent's, milliseconds. */
const START_MS = 100;
const NOTICE_MS = 20;

export class SimulatedWorld {
  readonly clock = new SimulatedClock();
  readonly network: SimulatedNetwork;
  readonly random: Random;
  /** The faults of `shake` so far, for whoever reads a failure. */
  readonly log: string[] = [];
  readonly #calm: NetworkFaults;
  readonly #members = new Map<string, Member>();
  /** Where each node runs, also those that starters brought to life. */
  readonly #places: { readonly node: Node; readonly host: SimulatedHost }[] = [];
  readonly #undo = new Set<() => void>();

  constructor({ seed, network = {} }: SimulatedWorldOptions) {
    if (!Number.isSafeInteger(seed) || seed < 0) throw new InvalidOptionError("seed", seed, "an integer >= 0");
    this.random = seededRandom(seed * 2 + 1);
    this.network = new SimulatedNetwork({ clock: this.clock, random: seededRandom(seed * 2), faults: network });
    this.#calm = network;
  }

  /** Adds a process and starts its node; `build` is called again at each restart. */
  process(name: string, build: (here: Here) => Node): Node {
    const host = this.#host(name);
    const node = build(hereOf(host));
    this.#members.set(name, { name, build, host, node });
    this.#places.push({ node, host });
    void node.start();
    return node;
  }

  /** The node that runs, or ran last, in a process. */
  node(name: string): Node {
    return this.#member(name).node;
  }

  /** Kills a process like SIGKILL. */
  kill(name: string): void {
    this.#member(name).host.kill();
  }

  /** Starts a process again that was killed or whose node has ended. */
  restart(name: string): Node {
    const { host, build } = this.#member(name);
    host.kill();
    return this.process(name, build);
  }

  /** The process as the network sees it: to pause, disconnect, or kill it at a certain message. */
  host(name: string): SimulatedHost {
    return this.#member(name).host;
  }

  /** A starter for children in simulated processes of their own, in place of `childProcess` or `workerThread`. */
  starter(build: (here: Here, context: StartContext) => Node): Starter {
    return { start: (context) => this.#startChild(build, context) };
  }

  /** Lets `ms` of virtual time pass. */
  run(ms: number): Promise<void> {
    return this.clock.advance(ms);
  }

  /** Lets time pass until the condition holds; returns whether it did within so many milliseconds. */
  until(condition: () => boolean, { withinMs }: { readonly withinMs: number }): Promise<boolean> {
    return this.clock.runUntil(condition, { withinMs });
  }

  /**
   * Faults at random, one after another, each undone after a while; all are undone at the end, and who is dead is
   * restarted.
   */
  async shake({
    forMs,
    intervalMs = 500,
    longestMs = 10_000,
    faults = ALL_FAULTS,
    check,
  }: ShakeOptions): Promise<void> {
    for (const untilMs = this.clock.now() + forMs; this.clock.now() < untilMs;) {
      this.#harm(faults, 50 + this.random() ** 3 * longestMs);
      await this.#watch(intervalMs, check);
    }
    this.heal();
  }

  /** Ends all faults now. */
  heal(): void {
    for (const undo of this.#undo) undo();
    this.#undo.clear();
    this.network.heal();
    this.network.setFaults(this.#calm);
  }

  async #watch(ms: number, check: (() => void) | undefined): Promise<void> {
    const untilMs = this.clock.now() + ms;
    const isBroken = (): boolean => {
      check?.();
      return false;
    };
    await this.clock.runUntil(isBroken, { withinMs: ms });
    await this.clock.advance(untilMs - this.clock.now());
  }

  #member(name: string): Member {
    const member = this.#members.get(name);
    if (member === undefined) throw new InvalidOptionError("name", name, "that of a process of this world");
    return member;
  }

  #host(name: string): SimulatedHost {
    return this.network.host(`${name}@${this.#places.length}`);
  }

  #harm(faults: readonly WorldFault[], forMs: number): void {
    const members = [...this.#members.values()];
    const member = members[Math.floor(this.random() * members.length)];
    const fault = faults[Math.floor(this.random() * faults.length)];
    if (member === undefined || fault === undefined) return;
    this.log.push(`${Math.round(this.clock.now())} ${fault} ${member.name} for ${Math.round(forMs)}`);
    const undo = this.#acts[fault](member);
    const once = (): void => {
      if (this.#undo.delete(once)) undo();
    };
    this.#undo.add(once);
    this.clock.setTimeout(once, forMs);
  }

  /** Each does one harm, and returns what undoes it. */
  readonly #acts: Readonly<Record<WorldFault, (member: Member) => () => void>> = {
    kill: ({ name, host }) => {
      host.kill();
      return () => void (this.host(name).isAlive || this.restart(name));
    },
    pause: ({ host }) => {
      host.pause();
      return () => host.resume();
    },
    disconnect: ({ host }) => {
      host.disconnect();
      return () => host.reconnect();
    },
    hold: ({ host }) => this.network.hold(host.name),
    isolate: ({ host }) => this.#isolate(host),
  };

  #isolate(host: SimulatedHost): () => void {
    const others = this.#places.map((place) => place.host.name).filter((name) => name !== host.name);
    this.network.partition([host.name], others);
    return () => this.network.heal();
  }

  async #startChild(build: (here: Here, context: StartContext) => Node, context: StartContext): Promise<StartedChild> {
    await new Promise<void>((resolve) => void context.clock.setTimeout(resolve, this.random() * START_MS));
    context.signal.throwIfAborted();
    const host = this.#host(context.path);
    const node = build(hereOf(host), context);
    this.#places.push({ node, host });
    this.#endWithParent(host, context.path);
    void node.start();
    const kill = (): void => host.kill();
    return { exited: this.#exitOf(node, host, context.clock), stop: stopper(node, host), kill };
  }

  /** The process ends with its node; its parent learns it a little later, and only while it runs itself. */
  #exitOf(node: Node, host: SimulatedHost, parentClock: Clock): Promise<ChildExit> {
    let exit: ChildExit = { kind: "failed", reason: "SIGKILL" };
    const ended = async (): Promise<void> => {
      exit = exitOfEnd(await node.ended, node.status.failure);
      host.kill();
    };
    void ended();
    return new Promise((resolve) => {
      host.onKilled(() => void parentClock.setTimeout(() => resolve(exit), this.random() * NOTICE_MS));
    });
  }

  /** A forked process notices the closed channel of its parent's. */
  #endWithParent(host: SimulatedHost, path: string): void {
    const parentPath = path.slice(0, path.lastIndexOf("."));
    const parent = this.#places.findLast((place) => place.node.path === parentPath && place.host.isAlive);
    parent?.host.onKilled(() => void this.clock.setTimeout(() => host.kill(), this.random() * NOTICE_MS));
  }
}

function hereOf({ transport, clock, random }: SimulatedHost): Here {
  return { transport, clock, random };
}

/** Asks a node to end, as soon as its process runs. */
function stopper(node: Node, host: SimulatedHost): (timeoutMs: number) => void {
  return (timeoutMs) => void host.clock.setTimeout(() => void node.shutdownTree({ timeoutMs }), 1);
}
