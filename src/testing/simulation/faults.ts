/** Carries out a schedule of faults; everything done is undone by `end`. */
import type { Random } from "../../health/clock.js";
import { seededRandom } from "../prng.js";
import type { Fault, FaultKind, FaultSchedule } from "./schedule.js";
import { isActive, isLiving, pausedMs, type SimulatedProcess, type Span } from "./process.js";
import type { SimulatedTree } from "./simulated-tree.js";

export class Faults {
  readonly log: string[] = [];
  readonly #tree: SimulatedTree;
  readonly #undo = new Set<() => void>();
  #isOver = false;

  constructor(tree: SimulatedTree, schedule: FaultSchedule) {
    this.#tree = tree;
    tree.network.setFaults(schedule.network);
    for (const fault of schedule.faults) this.#later(fault.atMs, () => this.#do(fault), false);
  }

  /** Ends all faults now: who is dead is started again, who is paused continues, the network is good. */
  end(): void {
    this.#isOver = true;
    for (const undo of this.#undo) undo();
    this.#tree.network.heal();
    this.#tree.network.setFaults({});
    this.#tree.startFailure = 0;
    this.#tree.revive();
    this.#note("over");
  }

  #note(what: string): void {
    this.log.push(`${Math.round(this.#tree.nowMs)} ${what}`);
    this.#tree.journal.note(`fault: ${what}`);
  }

  /** Acts later, or when the faults end if it `undoes` something. */
  #later(afterMs: number, act: () => void, undoes = true): void {
    const once = (): void => {
      if (this.#undo.delete(once) && (undoes || !this.#isOver)) act();
    };
    this.#undo.add(once);
    this.#tree.clock.setTimeout(once, afterMs);
  }

  #do(fault: Fault): void {
    if (!this.#isOver) this.#acts[fault.kind](fault);
  }

  readonly #acts: Readonly<Record<FaultKind, (fault: Fault) => void>> = {
    kill: ({ path, forMs }) => this.#kill(this.#tree.holder(path), forMs),
    killAtMessage: (fault) => this.#killAtMessage(fault),
    massKill: (fault) => this.#massKill(fault),
    storm: (fault) => this.#storm(fault),
    pause: ({ path, forMs }) => this.#pause(this.#active(path), forMs),
    stall: ({ path, forMs }) => this.#repeat(path, { times: 4, everyMs: 700, pauseMs: Math.min(forMs, 650) }),
    slow: ({ path }) => this.#repeat(path, { times: 20, everyMs: 120, pauseMs: 90 }),
    disconnect: ({ path, forMs }) => this.#disconnect(this.#active(path), forMs),
    hold: ({ path, forMs }) => this.#hold(path, forMs),
    blackout: ({ forMs }) => this.#blackout(forMs),
    partition: (fault) => this.#partition(fault),
    rival: ({ path }) => this.#rival(path),
    usurp: (fault) => this.#usurp(fault),
    feud: ({ path }) => this.#feud(path),
    redeploy: ({ path, forMs }) => this.#redeploy(path, forMs),
    shutdown: ({ path, forMs }) => this.#shutdown(path, forMs),
    fail: ({ path }) => this.#fail(path, { dependencyDown: false }),
    dependencyDown: ({ path }) => this.#fail(path, { dependencyDown: true }),
    recover: ({ path }) => this.#active(path)?.node.recover(),
    child: (fault) => this.#child(fault),
  };

  #active(path: string): SimulatedProcess | undefined {
    return this.#tree.claimants(path).findLast(isActive);
  }

  #kill(process: SimulatedProcess | undefined, forMs: number): void {
    if (process === undefined) return;
    this.#note(`kill ${process.name} for ${forMs}`);
    const paths = this.#tree.everyone().filter(({ host }) => host === process.host);
    this.#tree.kill(process);
    this.#later(forMs, () => {
      for (const { path } of paths) this.#tree.reviveOne(path);
    });
  }

  /** Just before it sends, or reads, its next message but some. */
  #killAtMessage({ path, forMs, draw }: Fault): void {
    const process = this.#active(path);
    if (process === undefined) return;
    const nth = 1 + Math.floor(draw * 20);
    const direction = (draw * 1_000) % 1 < 0.5 ? "sent" : "received";
    this.#note(`kill ${process.name} at its message ${nth} ${direction}`);
    process.host.atMessage(nth, direction, () => {
      if (!this.#isOver) this.#kill(process, forMs);
    });
  }

  #massKill({ forMs, draw }: Fault): void {
    const random = seededRandom(Math.floor(draw * 2 ** 31));
    for (const process of this.#tree.living()) if (random() < 0.5 && isLiving(process)) this.#kill(process, forMs);
  }

  /** Kills a path again and again as soon as it is back. */
  #storm({ path, draw }: Fault): void {
    let left = 2 + Math.floor(draw * 6);
    const strike = (): void => {
      const process = this.#active(path);
      if (this.#isOver || left-- === 0) return;
      if (process !== undefined) this.#kill(process, 100);
      this.#tree.clock.setTimeout(strike, 400);
    };
    strike();
  }

  #pause(process: SimulatedProcess | undefined, forMs: number): void {
    if (process === undefined) return;
    this.#note(`pause ${process.name} for ${forMs}`);
    this.#later(forMs, this.#tree.pause(process));
  }

  /** An event loop that is blocked for a moment, again and again. */
  #repeat(path: string, { times, everyMs, pauseMs }: { times: number; everyMs: number; pauseMs: number }): void {
    for (let i = 0; i < times; i++) {
      this.#later(1 + i * everyMs, () => this.#pause(this.#active(path), pauseMs), false);
    }
  }

  #disconnect(process: SimulatedProcess | undefined, forMs: number): void {
    if (process === undefined) return;
    this.#note(`disconnect ${process.name} for ${forMs}`);
    process.host.disconnect();
    const heal = this.#cutOff([process]);
    this.#later(forMs, () => {
      process.host.reconnect();
      heal();
    });
  }

  /** What it sends and is sent comes late, all at once. */
  #hold(path: string, forMs: number): void {
    const process = this.#active(path);
    if (process === undefined) return;
    this.#note(`hold messages of ${process.name} for ${forMs}`);
    const heal = this.#cutOff([process]);
    const release = this.#tree.network.hold(process.host.name);
    this.#later(forMs, () => {
      release();
      heal();
    });
  }

  /** The server is gone: everybody is disconnected at once, and sends late what it kept. */
  #blackout(forMs: number): void {
    const living = this.#tree.everyone();
    this.#note(`blackout for ${forMs}`);
    for (const { host } of living) host.disconnect();
    const heal = this.#cutOff(living);
    this.#later(forMs, () => {
      for (const { host } of living) host.reconnect();
      heal();
    });
  }

  #partition({ path, forMs, draw }: Fault): void {
    const isInside = (process: SimulatedProcess): boolean => `${process.path}.`.startsWith(`${path}.`);
    const living = this.#tree.everyone();
    const here = living.filter(isInside).map(({ host }) => host.name);
    const there = living.filter((process) => !isInside(process)).map(({ host }) => host.name);
    this.#note(`partition below ${path} for ${forMs}: ${draw < 0.5 ? "both ways" : draw < 0.75 ? "out" : "in"}`);
    if (draw < 0.75) this.#tree.network.cut(here, there);
    if (draw < 0.5 || draw >= 0.75) this.#tree.network.cut(there, here);
    const span: Span = [this.#tree.nowMs, Infinity];
    this.#tree.cutOffs.push(span);
    this.#later(forMs, () => {
      this.#tree.network.heal();
      span[1] = this.#tree.nowMs;
    });
  }

  /** Notes that messages of these do not arrive in time; the returned function notes the end of it. */
  #cutOff(processes: readonly SimulatedProcess[]): () => void {
    const span: Span = [this.#tree.nowMs, Infinity];
    const hosts = new Set(processes.map(({ host }) => host));
    for (const process of this.#tree.everyone()) if (hosts.has(process.host)) process.cutOffs.push(span);
    return () => {
      span[1] = this.#tree.nowMs;
    };
  }

  /** A second process claims the path: a deployment that starts the new one before it ends the old one. */
  #rival(path: string): void {
    if (this.#tree.holder(path) === undefined) return;
    this.#note(`rival at ${path}`);
    this.#tree.spawn(path);
  }

  /** A process stands still, another one takes its place meanwhile, and it wakes. */
  #usurp({ path, forMs, draw }: Fault): void {
    const process = this.#active(path);
    if (process === undefined) return;
    this.#pause(process, 2_500 + forMs);
    this.#later(100 + draw * 1_000, () => this.#rival(path), false);
  }

  /** Two deployments of one path, each of which starts again when it is fenced. */
  #feud(path: string): void {
    if (this.#tree.holder(path) === undefined || path === "t") return;
    this.#note(`feud at ${path}`);
    let left = 6;
    const join = (): void => {
      if (this.#isOver || left-- === 0 || this.#tree.claimants(path).length > 2) return;
      const rival = this.#tree.spawn(path);
      rival.node.on("node.ended", ({ reason }) => {
        if (reason === "fenced" || reason === "duplicatePath") this.#tree.clock.setTimeout(join, 300);
      });
    };
    join();
    join();
  }

  #redeploy(path: string, forMs: number): void {
    const process = this.#active(path);
    if (process === undefined) return;
    this.#note(`redeploy ${process.name}`);
    process.isDismissed = true;
    this.#endWithin(process, 2_000, process.node.stop({ timeoutMs: 2_000 }));
    this.#later(forMs, () => this.#tree.reviveOne(path));
  }

  #shutdown(path: string, forMs: number): void {
    const process = this.#active(path);
    if (process === undefined) return;
    this.#note(`shut down below ${process.name}`);
    process.isDismissed = true;
    this.#endWithin(process, 3_000, process.node.shutdownTree({ timeoutMs: 3_000 }));
    this.#later(forMs, () => this.#tree.revive());
  }

  #fail(path: string, options: { readonly dependencyDown: boolean }): void {
    const process = this.#active(path);
    if (process === undefined) return;
    this.#note(`fail ${process.name}`);
    process.node.fail("the test says so", options);
  }

  /** A child that comes and goes at run time. */
  #child({ path, draw }: Fault): void {
    const process = this.#active(path);
    if (process === undefined) return;
    this.#note(`child at ${process.name}`);
    void comeAndGo(this.#tree, process, seededRandom(Math.floor(draw * 2 ** 31)));
  }

  /** Whoever ends in order does so by its deadline. */
  #endWithin(process: SimulatedProcess, timeoutMs: number, ended: Promise<void>): void {
    const atMs = this.#tree.nowMs;
    const check = async (): Promise<void> => {
      await ended;
      const lateMs = this.#tree.nowMs - atMs - timeoutMs - pausedMs(process, atMs, this.#tree.nowMs);
      const { journal } = this.#tree;
      if (lateMs > 200) journal.violated("shutdown-deadline", `${process.name} ended ${lateMs} ms after its deadline`);
      if (isLiving(process)) journal.violated("shutdown-deadline", `${process.name} has stopped, but lives`);
    };
    void check();
  }
}

const EXPECTED = new Set([
  "WRONG_STATE",
  "NODE_ENDED",
  "CHILD_EXISTS",
  "CHILD_NOT_FOUND",
  "CHILD_RUNNING",
  "CHILD_NOT_STARTED",
]);

/** Every operation settles, in one of the ways that it states. */
async function comeAndGo(tree: SimulatedTree, process: SimulatedProcess, random: Random): Promise<void> {
  const id = `x${Math.floor(random() * 3)}`;
  const { node, host } = process;
  const kinds = ["inProcess", "process"] as const;
  const start = tree.starter(kinds[Math.floor(random() * 2)] ?? "process", () => process);
  const restarts = ["transient", "temporary", "permanent"] as const;
  const restart = restarts[Math.floor(random() * 3)] ?? "temporary";
  const rest = (): Promise<void> => new Promise((resolve) => void host.clock.setTimeout(resolve, random() * 2_000));
  await attempt(tree, process, () => node.startChild({ id, start, restart, shutdown: 500 }));
  await rest();
  if (random() < 0.3) await attempt(tree, process, () => node.terminateChild(id));
  if (random() < 0.3) await attempt(tree, process, () => node.restartChild(id));
  await rest();
  await attempt(tree, process, () => node.terminateChild(id));
  await attempt(tree, process, async () => node.deleteChild(id));
}

async function attempt(tree: SimulatedTree, process: SimulatedProcess, act: () => Promise<unknown>): Promise<void> {
  // What a dead process had in mind to do is nobody's open promise.
  if (!process.host.isAlive) return;
  process.open++;
  try {
    await act();
  } catch (error) {
    const { code = "", message = "" } = error as { code?: string; message?: string };
    if (!EXPECTED.has(code)) tree.journal.violated("one-outcome", `${process.name}: ${code} ${message}`);
  }
  if (process.host.isAlive) process.open--;
}
