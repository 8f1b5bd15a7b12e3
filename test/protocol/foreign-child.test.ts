/**
 * A child written from `docs/protocol.md` alone, as somebody in another language would: MessagePack, a transport, timers
 * and the numbers of the document; nothing of `src/protocol` or `src/node`. Its parent is a real node.
 */
import { pack, unpack } from "msgpackr";
import { describe, expect, test } from "vitest";
import type { ChildExit, NodeOptions, Starter } from "../../src/index.js";
import type { Clock, Timer } from "../../src/health/clock.js";
import type { Transport } from "../../src/transport/transport.js";
import { World } from "../node/kit.js";
import { decisionsOf } from "../supervision/kit.js";

type Wire = readonly unknown[];

interface ForeignOptions {
  readonly path: string;
  readonly boot: string;
  readonly transport: Pick<Transport, "publish" | "subscribe">;
  readonly timers: Pick<Clock, "setTimeout" | "clearTimeout">;
  readonly commands?: Readonly<Record<string, (input: unknown) => unknown>>;
  /** Called at the end of the child. */
  readonly ended?: () => void;
}

/** Section 18: the smallest child. */
class ForeignChild {
  state: "alone" | "open" | "ending" | "ended" = "alone";
  epoch: readonly number[] = [];
  /** Documents that arrived. */
  readonly documents: unknown[] = [];
  readonly #options: ForeignOptions;
  readonly #subscriptions: { unsubscribe(): void }[] = [];
  readonly #timers = new Map<string, Timer>();
  readonly #outcomes = new Map<string, unknown[]>();
  #isSeeking = false;
  #attempt = 0;
  #parentEpoch: readonly number[] = [];
  #session = "";
  #broadcastSession = "";
  /** The parent has spoken in this session. */
  #isConfirmed = false;
  #unicast = new Incoming(0);
  #broadcast = new Incoming(0);
  #nextSeq = 1;
  #unacknowledged: unknown[][] = [];
  #commandsTaken = 0;
  #syncVersion = 0;
  /** The parent starts this child again when it ends. */
  #isOwned = false;
  /** Calls that ended. */
  #progress = 0;

  constructor(options: ForeignOptions) {
    this.#options = options;
  }

  /** Every answer has reached the parent. */
  get isDrained(): boolean {
    return this.#unacknowledged.length === 0;
  }

  start(): void {
    const { transport, path } = this.#options;
    const parent = path.slice(0, path.lastIndexOf("."));
    this.#subscriptions.push(
      transport.subscribe(`ft.local.down.${path}`, (bytes) => this.#receive(bytes, { isDirect: true })),
      transport.subscribe(`ft.local.all.${parent}`, (bytes) => this.#receive(bytes, { isDirect: false })),
    );
    this.#announce();
  }

  // 5. Sessions

  #announce(): void {
    const { boot } = this.#options;
    this.#isSeeking = true;
    this.#attempt++;
    this.#publish("", [9, 0, 0, "local", boot, this.#attempt, this.epoch, this.#parentEpoch, 1, 1]);
    this.#after("announce", 200, () => this.#announce());
  }

  #receive(bytes: Uint8Array, { isDirect }: { readonly isDirect: boolean }): void {
    const [, session, ack, , , messages] = unpack(bytes) as [number, string, number, number, number, Wire[]];
    if (session === "") return messages.forEach((message) => this.#receiveOutside(message, isDirect));
    if (this.state === "alone" || session !== (isDirect ? this.#session : this.#broadcastSession)) return;
    this.#after("silence", 11_000, () => this.#lose());
    if (isDirect) this.#isConfirmed = true;
    if (isDirect) this.#takeAck(ack);
    this.#take(messages.filter(([, , seq]) => this.#isConfirmed || seq === 0));
  }

  #receiveOutside(message: Wire, isDirect: boolean): void {
    switch (nameOf(message)) {
      case "INIT.open":
        return this.#offered(message);
      case "INIT.probe":
        if (this.#isSeeking || (this.state === "open" && (isDirect || isNewer(message[5], this.#parentEpoch)))) {
          this.#announce();
        }
        return;
      case "SHUTDOWN.fenced":
        if (message[3] === this.#options.boot && isNewer(message[4], this.epoch)) this.end();
        return;
      default:
    }
  }

  #offered(message: Wire): void {
    const [, , , treeId, , parentEpoch, boot, attempt, session, epoch, , broadcastSession, broadcastSeq] = message;
    const owned = message[16];
    if (treeId !== "local" || boot !== this.#options.boot || attempt !== this.#attempt) return;
    if (!this.#isSeeking) return;
    this.#isSeeking = false;
    this.#stop("announce");
    this.state = "open";
    this.#parentEpoch = parentEpoch as number[];
    this.#isOwned = owned as boolean;
    this.#session = session as string;
    this.epoch = epoch as number[];
    this.#broadcastSession = broadcastSession as string;
    this.#isConfirmed = false;
    this.#unicast = new Incoming(0);
    this.#broadcast = new Incoming(broadcastSeq as number);
    this.#nextSeq = 1;
    this.#unacknowledged = [];
    this.#commandsTaken = 0;
    this.#send([9, 1, 0, 2], this.#report());
    this.#beat();
  }

  #lose(): void {
    this.state = "alone";
    for (const name of this.#timers.keys()) this.#stop(name);
    this.#announce();
  }

  // 7. Delivery

  #take(messages: readonly Wire[]): void {
    for (const message of messages) {
      const seq = message[2] as number;
      if (seq === 0) this.#handle(message);
      else (seq > 0 ? this.#unicast : this.#broadcast).take(Math.abs(seq), () => this.#handle(message));
      if (seq !== 0) this.#after("acknowledge", 10, () => this.#send([6, 0, 0]));
    }
  }

  #takeAcks(acks: readonly (string | number)[]): void {
    const at = acks.indexOf(this.#session);
    if (at !== -1) this.#takeAck(acks[at + 1] as number);
  }

  #takeAck(ack: number): void {
    const before = this.#unacknowledged.length;
    this.#unacknowledged = this.#unacknowledged.filter(([, , seq]) => (seq as number) > ack);
    if (this.#unacknowledged.length < before) this.#repeatLater(200);
    if (this.state === "ending" && this.isDrained) this.end();
  }

  #sendSequenced(message: unknown[]): void {
    message[2] = this.#nextSeq++;
    this.#unacknowledged.push(message);
    this.#send(message);
    if (this.#unacknowledged.length === 1) this.#repeatLater(200);
  }

  #repeatLater(delayMs: number): void {
    this.#after("repeat", delayMs, () => {
      const [oldest] = this.#unacknowledged;
      if (oldest === undefined) return;
      this.#send(oldest);
      this.#repeatLater(Math.min(5_000, delayMs * 2));
    });
  }

  #send(...messages: Wire[]): void {
    this.#stop("acknowledge");
    this.#publish(this.#session, ...messages);
  }

  #publish(session: string, ...messages: Wire[]): void {
    const inSession = session !== "";
    const header = [1, session, inSession ? this.#unicast.count : 0, inSession ? this.#broadcast.count : 0];
    const credit = inSession ? this.#commandsTaken + 100 : 0;
    this.#options.transport.publish(`ft.local.up.${this.#options.path}`, pack([...header, credit, messages]));
  }

  // 8. Signs of life

  #beat(): void {
    this.#after("beat", 450, () => {
      this.#send(this.#report());
      this.#beat();
    });
  }

  #report(): Wire {
    return [7, 0, 0, 500, 0, 2, 0, 0, 0, 1, 1, this.#syncVersion, this.#progress];
  }

  // 9. Commands, 11. the document, 13. shutting down, 14. unknown kinds

  #handle(message: Wire): void {
    switch (nameOf(message)) {
      case "COMMAND.run":
        return this.#run(message);
      case "SYNC.full":
        this.#syncVersion = message[3] as number;
        this.documents.push(decoded(message[4]));
        return this.#send(this.#report());
      case "SHUTDOWN.stop":
        this.#send([6, 1, 0]);
        if (this.state !== "ending") this.#sendSequenced([10, 1, 0]);
        this.state = "ending";
        return;
      case "SHUTDOWN.leaving":
        return this.#lose();
      case "COMMAND.cancel":
      case "COMMAND.reply":
      case "HEARTBEAT.acks":
        return this.#takeAcks(message[3] as (string | number)[]);
      case "HEARTBEAT.beat":
      case "HEARTBEAT.ack":
      case "HEARTBEAT.unsupported":
        return;
      default:
        this.#send([8, 2, 0, message[0], message[1]]);
    }
  }

  #run(message: Wire): void {
    const id = message[3] as string;
    this.#commandsTaken++;
    const known = this.#outcomes.get(id);
    if (known !== undefined) return this.#sendSequenced([...known]);
    const outcome = this.#outcome(message);
    this.#outcomes.set(id, outcome);
    this.#progress++;
    this.#sendSequenced([...outcome]);
  }

  #outcome([, , , id, target, name, input]: Wire): unknown[] {
    const command = this.#options.commands?.[name as string];
    if (target !== "") return [8, 0, 0, id, 4, "UNKNOWN_CHILD", "no children here", ""];
    if (command === undefined) return [8, 0, 0, id, 4, "UNKNOWN_COMMAND", "no such command", ""];
    try {
      const output = command(decoded(input));
      return [10, 0, 0, id, output === undefined ? new Uint8Array(0) : pack(output)];
    } catch (error) {
      return [8, 0, 0, id, 1, "HANDLER_FAILED", (error as Error).message, "E_FOREIGN"];
    }
  }

  /** Section 13: it cannot go on. Before it ends, what it said has to leave the process. */
  fail(reason: string, { dependencyDown = false } = {}): void {
    this.#send([8, 3, 0, reason, dependencyDown]);
    if (this.#isOwned) this.#after("beat", 10, () => this.end());
    else this.#lose();
  }

  // Timers, by name

  #after(name: string, delayMs: number, callback: () => void): void {
    this.#stop(name);
    this.#timers.set(name, this.#options.timers.setTimeout(callback, delayMs));
  }

  #stop(name: string): void {
    const timer = this.#timers.get(name);
    if (timer !== undefined) this.#options.timers.clearTimeout(timer);
    this.#timers.delete(name);
  }

  end(): void {
    this.state = "ended";
    this.#options.ended?.();
    for (const name of this.#timers.keys()) this.#stop(name);
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
  }
}

/** The receiving side of one sequence. */
class Incoming {
  count: number;
  readonly #early = new Map<number, () => void>();

  constructor(start: number) {
    this.count = start;
  }

  take(seq: number, handle: () => void): void {
    if (seq <= this.count || seq > this.count + 4_096) return;
    this.#early.set(seq, handle);
    for (let next = this.#early.get(this.count + 1); next !== undefined; next = this.#early.get(this.count + 1)) {
      this.count++;
      this.#early.delete(this.count);
      next();
    }
  }
}

/** Section 4: the kinds that go down. */
const NAMES: Readonly<Record<string, string>> = {
  "1.0": "INIT.probe",
  "1.1": "INIT.open",
  "2.0": "COMMAND.run",
  "2.1": "COMMAND.cancel",
  "2.2": "COMMAND.reply",
  "3.0": "SYNC.full",
  "4.0": "HEARTBEAT.beat",
  "4.1": "HEARTBEAT.ack",
  "4.2": "HEARTBEAT.unsupported",
  "4.3": "HEARTBEAT.acks",
  "5.0": "SHUTDOWN.stop",
  "5.1": "SHUTDOWN.leaving",
  "5.2": "SHUTDOWN.fenced",
};

function nameOf([type, kind]: Wire): string | undefined {
  return NAMES[`${type as number}.${kind as number}`];
}

/** Section 3: no bytes are undefined. */
function decoded(payload: unknown): unknown {
  return (payload as Uint8Array).length === 0 ? undefined : unpack(payload as Uint8Array);
}

/** Section 6: like words in a dictionary. */
function isNewer(epoch: unknown, than: readonly number[]): boolean {
  const list = epoch as readonly number[];
  for (const [i, number] of list.entries()) {
    const other = than[i];
    if (other === undefined || number !== other) return other === undefined || number > other;
  }
  return false;
}

// The tests

function foreign(world: World, id: string, options: Partial<ForeignOptions> = {}): ForeignChild {
  const { broker: transport, clock: timers } = world;
  return new ForeignChild({ path: `shop.${id}`, boot: `boot-of-${id}`, transport, timers, ...options });
}

/** Starts foreign children, as a program of another language would be started: nothing but its end is seen of it. */
function starter(world: World, children: ForeignChild[]): Starter {
  return {
    start: ({ id, generation }) => {
      let child: ForeignChild | undefined;
      const exited = new Promise<ChildExit>((resolve) => {
        const ended = (): void => resolve({ kind: "failed", reason: "exit code 1" });
        child = foreign(world, id, { boot: `boot-${generation}`, commands: COMMANDS, ended });
        children.push(child);
        child.start();
      });
      return Promise.resolve({ exited, stop: () => {}, kill: () => child?.end() });
    },
  };
}

const COMMANDS = {
  reserve: (input: unknown) => ({ reserved: (input as { qty: number }).qty }),
  nothing: () => undefined,
  fail: () => {
    throw new Error("out of stock");
  },
};

async function pair(world: World, options: Partial<NodeOptions> = {}) {
  const shop = world.node({ path: "shop", children: [{ id: "a" }], ...options });
  const child = foreign(world, "a", { commands: COMMANDS });
  child.start();
  await world.up(shop);
  return { shop, child };
}

describe("a child from the document", () => {
  test("becomes ready, whoever is there first", async () => {
    for (const isFirst of [true, false]) {
      const world = new World();
      const shop = world.node({ path: "shop", children: [{ id: "a" }] });
      const child = foreign(world, "a");
      if (isFirst) child.start();
      await world.run(1_000);
      await shop.start();
      await world.run(1_000);
      if (!isFirst) child.start();
      await world.until(() => shop.state === "SYNCHRONIZED");
      expect(shop.child("a")).toMatchObject({ link: "alive", epoch: `${shop.epoch}.1`, status: { nodes: 1 } });
      expect([child.state, child.epoch.join(".")]).toEqual(["open", `${shop.epoch}.1`]);
    }
  });

  test("stays alive by its beats alone", async () => {
    const world = new World();
    const { shop } = await pair(world);
    const links: string[] = [];
    shop.on("child.changed", ({ state }) => links.push(state));
    await world.run(120_000);
    expect([links, shop.child("a")?.link, shop.status.dropped]).toEqual([[], "alive", {}]);
  });

  test("answers commands, and acknowledges them so that none is repeated", async () => {
    const world = new World();
    const { shop, child } = await pair(world);
    const sinceMs = world.nowMs;
    expect(await world.settle(shop.command("a", "reserve", { sku: "A1", qty: 2 }))).toEqual({ reserved: 2 });
    expect(await world.settle(shop.command("a", "nothing"))).toBeUndefined();
    expect(await world.failure(shop.command("a", "fail"))).toMatchObject({
      code: "HANDLER_FAILED",
      status: "failed",
      handlerCode: "E_FOREIGN",
      message: "fail at shop.a: out of stock",
    });
    expect(await world.failure(shop.command("a", "unheard"))).toMatchObject({ code: "UNKNOWN_COMMAND" });
    expect(await world.failure(shop.command("a.x", "reserve"))).toMatchObject({ code: "UNKNOWN_CHILD" });
    await world.run(5_000);
    expect(world.sent("command.run", { sinceMs })).toHaveLength(5);
    expect(child.isDrained).toBe(true);
  });

  test("gives as much credit as it takes", async () => {
    const world = new World();
    const { shop } = await pair(world);
    const answers = Array.from({ length: 500 }, (_, qty) => shop.command("a", "reserve", { qty }));
    expect(await world.settle(Promise.all(answers))).toEqual(answers.map((_, qty) => ({ reserved: qty })));
  });

  test("repeats an answer that was lost", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const lost: Uint8Array[] = [];
    const { broker } = world;
    const transport: ForeignOptions["transport"] = {
      subscribe: (subject, listener) => broker.subscribe(subject, listener),
      publish: (subject, bytes) => {
        const isAnswer = (unpack(bytes) as [Wire, Wire, Wire, Wire, Wire, Wire[]])[5].some(([type]) => type === 10);
        if (isAnswer && lost.length < 3) lost.push(bytes);
        else broker.publish(subject, bytes);
      },
    };
    foreign(world, "a", { commands: COMMANDS, transport }).start();
    await world.up(shop);
    const startedAtMs = world.nowMs;
    expect(await world.settle(shop.command("a", "reserve", { qty: 1 }))).toEqual({ reserved: 1 });
    expect([lost.length, world.nowMs - startedAtMs]).toEqual([3, 200 + 400 + 800]);
  });

  test("runs one key once", async () => {
    const world = new World();
    const { shop } = await pair(world);
    const call = (qty: number) => world.settle(shop.command("a", "reserve", { qty }, { commandId: "order-17" }));
    expect([await call(1), await call(2)]).toEqual([{ reserved: 1 }, { reserved: 1 }]);
  });

  test("takes part in broadcasts and gets what it missed", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }, { id: "b" }] });
    const children = ["a", "b"].map((id) => foreign(world, id, { commands: COMMANDS }));
    for (const child of children) child.start();
    await world.up(shop);
    world.processOf(shop).passes = ({ subject }) => !subject.includes(".all.");
    shop.synchronize({ flags: 1 });
    await world.run(100);
    world.processOf(shop).passes = () => true;
    const { outcomes } = shop.fanOut("*", "reserve", { qty: 3 }, { idempotent: true });
    const values = (await world.settle(outcomes)).map((each) => each.status === "completed" && each.value);
    expect(values).toEqual([{ reserved: 3 }, { reserved: 3 }]);
    expect(children.map(({ documents }) => documents)).toEqual([[{ flags: 1 }], [{ flags: 1 }]]);
    await world.run(1_000);
    expect(shop.child("a")?.status?.syncVersion).toBe(1);
  });

  test("keeps its epoch under a restarted parent", async () => {
    const world = new World();
    const { shop, child } = await pair(world);
    const { epoch } = child;
    world.kill(shop);
    await world.run(2_000);
    const again = world.node({ path: "shop", children: [{ id: "a" }] });
    await world.up(again);
    expect(child.epoch).toEqual(epoch);
    expect(again.child("a")?.epoch).toBe(epoch.join("."));
  });

  test("seeks again when its parent leaves, and when it falls silent", async () => {
    for (const goes of ["stops", "dies"]) {
      const world = new World();
      const { shop, child } = await pair(world);
      if (goes === "stops") await world.settle(shop.stop());
      else world.kill(shop);
      await world.until(() => child.state === "alone");
      await world.up(world.node({ path: "shop", children: [{ id: "a" }] }));
      expect(child.state).toBe("open");
    }
  });

  test("goes on after an outage, and under a parent that failed and recovered", async () => {
    const world = new World();
    const { shop, child } = await pair(world);
    world.processOf(shop).disconnect();
    await world.run(5_000);
    world.processOf(shop).reconnect();
    await world.settle(shop.command("a", "nothing"));
    shop.fail("a moment");
    await world.up(shop);
    expect(child.state).toBe("open");
  });

  test("is superseded by its successor, and stops", async () => {
    const world = new World();
    const { shop, child } = await pair(world);
    const successor = foreign(world, "a", { boot: "another" });
    successor.start();
    await world.until(() => child.state === "ended");
    await world.up(shop);
    expect([successor.state, shop.child("a")?.epoch]).toEqual(["open", `${shop.epoch}.2`]);
  });

  test("answers kinds that it does not know, and is told of its own", async () => {
    const world = new World();
    const { shop } = await pair(world);
    const open = world.sent("init.open").at(-1)?.frame?.messages[0];
    const session = open?.kind === "init.open" ? open.session : "";
    world.broker.publish("ft.local.down.shop.a", pack([1, session, 0, 0, 0, [[3, 1, 0, "a difference"]]]));
    world.broker.publish("ft.local.up.shop.a", pack([1, session, 0, 0, 0, [[7, 42, 0]]]));
    await world.run(100);
    expect(shop.status.dropped).toEqual({ "unsupported by the child": 1, "unknown kind": 1 });
    expect(world.sent("heartbeat.unsupported")[0]?.frame?.messages).toMatchObject([{ type: 7, unknownKind: 42 }]);
  });

  test("recovers by itself from a failure, unless its parent owns it", async () => {
    const world = new World();
    const { shop, child } = await pair(world);
    child.fail("no database");
    await world.run(100);
    expect(child.state).not.toBe("ended");
    await world.up(shop);
    expect([child.state, shop.child("a")?.epoch]).toEqual(["open", `${shop.epoch}.1`]);
  });

  test("ends when it fails and its parent owns it, which tells whose fault it was", async () => {
    for (const dependencyDown of [false, true]) {
      const world = new World();
      const children: ForeignChild[] = [];
      const shop = world.node({ path: "shop", children: [{ id: "a", start: starter(world, children) }] });
      const decisions = decisionsOf(shop);
      await world.up(shop);
      children[0]?.fail("no database", { dependencyDown });
      await world.until(() => children.length === 2 && shop.state === "SYNCHRONIZED");
      expect(children[0]?.state).toBe("ended");
      expect(shop.child("a")?.epoch).toBe(`${shop.epoch}.2`);
      const restarting = decisions.find(({ decision }) => decision === "restarting");
      // The end of a program that failed by its own fault says more than its last words.
      const told = dependencyDown ? ["dependencyDown", "no database"] : ["failed", "exit code 1"];
      expect([restarting?.exit, restarting?.reason]).toEqual(told);
    }
  });

  test("makes progress with each call, which its parent can require", async () => {
    const world = new World();
    const children: ForeignChild[] = [];
    const requireProgress = { withinMs: 10_000, whileIdle: true };
    const shop = world.node({
      path: "shop",
      children: [{ id: "a", start: starter(world, children), requireProgress }],
    });
    await world.up(shop);
    for (let call = 0; call < 10; call++) {
      await world.settle(shop.command("a", "reserve", { qty: call }));
      await world.run(5_000);
    }
    expect(children).toHaveLength(1);
    await world.until(() => children.length === 2);
    expect(children[0]?.state).toBe("ended");
  });

  test("shuts down in order", async () => {
    const world = new World();
    const { shop, child } = await pair(world);
    const links: string[] = [];
    shop.on("child.changed", ({ state }) => links.push(state));
    const startedAtMs = world.nowMs;
    await world.settle(shop.shutdownTree({ timeoutMs: 5_000 }));
    expect(links).toEqual(["left"]);
    await world.until(() => child.state === "ended");
    expect(world.nowMs - startedAtMs).toBeLessThan(100);
    expect(world.clock.pending).toBe(0);
  });
});
