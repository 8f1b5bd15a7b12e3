/** What seeded simulations of whole trees broke (test/simulation), each as the smallest story that still breaks it. */
import { describe, expect, test } from "vitest";
import { decodeFrame, encodeFrame } from "../../src/protocol/codec.js";
import type { DownMessage, InitOpen, Message, ReadyAnnounce, UpMessage } from "../../src/protocol/messages.js";
import { encodePayload } from "../../src/protocol/payload.js";
import { World } from "./kit.js";

type Header = { readonly session?: string; readonly ack?: number; readonly credit?: number };

/** One end of a link that says exactly what a test wants, when it wants it. */
class Puppet {
  readonly heard: Message[] = [];
  readonly #world: World;
  readonly #to: string;

  constructor(world: World, options: { readonly to: string; readonly from: readonly string[] }) {
    this.#world = world;
    this.#to = options.to;
    const direction = options.to.includes(".up.") ? "down" : "up";
    for (const subject of options.from) {
      world.broker.subscribe(subject, (payload) => {
        const decoded = decodeFrame(payload, direction);
        if (decoded.kind === "frame") this.heard.push(...(decoded.frame.messages as Message[]));
      });
    }
  }

  say(messages: readonly (UpMessage | DownMessage)[], { session = "", ack = 0, credit = 100 }: Header = {}): void {
    this.shout(this.#to, messages, { session, ack, credit });
  }

  shout(
    subject: string,
    messages: readonly (UpMessage | DownMessage)[],
    { session = "", ack = 0, credit = 0 }: Header,
  ) {
    const frame = encodeFrame({ version: 1, session, ack, broadcastAck: 0, credit, messages: [...messages] });
    this.#world.broker.publish(subject, frame);
  }

  all<K extends Message["kind"]>(kind: K): readonly Extract<Message, { kind: K }>[] {
    return this.heard.filter((message): message is Extract<Message, { kind: K }> => message.kind === kind);
  }
}

function announce(fields: Partial<ReadyAnnounce>): ReadyAnnounce {
  const grants = { epoch: [], parentEpoch: [], versionMin: 1, versionMax: 1 };
  return { kind: "ready.announce", seq: 0, treeId: "local", childBoot: "puppet", attempt: 1, ...grants, ...fields };
}

function offer(fields: Partial<InitOpen>): InitOpen {
  const identity = { treeId: "local", parentBoot: "puppet", parentEpoch: [5], childBoot: "", attempt: 1, version: 1 };
  const session = { session: "s1", epoch: [5, 1], broadcastSession: "cast", broadcastSeq: 0, syncVersion: 0 };
  return {
    kind: "init.open",
    seq: 0,
    ...identity,
    ...session,
    initBudgetMs: 5_000,
    nextInMs: 10_000,
    owned: false,
    ...fields,
  };
}

function run(commandId: string, seq: number): DownMessage {
  const call = { commandId, target: "", name: "count", input: encodePayload(null, "input"), deadlineMs: 60_000 };
  return { kind: "command.run", seq, ...call, idempotent: false, minSyncVersion: 0, meta: null };
}

function puppetChild(world: World, id = "x"): Puppet {
  const path = `shop.${id}`;
  return new Puppet(world, { to: `ft.local.up.${path}`, from: [`ft.local.down.${path}`, "ft.local.all.shop"] });
}

/** A parent at "shop" for a real node at "shop.a", which has announced itself. */
async function puppetParent(world: World, handler: () => unknown = () => null) {
  const parent = new Puppet(world, { to: "ft.local.down.shop.a", from: ["ft.local.up.shop.a"] });
  const node = world.node({ path: "shop.a", commands: { count: handler } });
  await node.start();
  await world.until(() => parent.heard.length > 0);
  const latest = (): ReadyAnnounce => parent.all("ready.announce").at(-1) as ReadyAnnounce;
  const open = async (fields: Partial<InitOpen> = {}): Promise<void> => {
    parent.say([offer({ childBoot: latest().childBoot, attempt: latest().attempt, ...fields })]);
    await world.run(10);
  };
  return { parent, node, latest, open };
}

describe("calls", () => {
  test("a relay that failed and came back ran a command again at a new process: it remembers what it passed on", async () => {
    const world = new World();
    let runs = 0;
    const commands = { work: () => (runs++, new Promise(() => {})) };
    const shop = world.node({ path: "shop", children: [{ id: "a" }, { id: "b" }] });
    const relay = world.node({ path: "shop.a", children: [{ id: "x" }] });
    const worker = world.node({ path: "shop.a.x", commands });
    await world.up(shop, world.node({ path: "shop.b" }), relay, worker);
    const outcome = shop.tryCommand("a.x", "work", null, { timeoutMs: 60_000 });
    await world.until(() => runs === 1);
    relay.fail("the test says so");
    world.kill(worker);
    await world.up(world.node({ path: "shop.a.x", commands }), relay);
    expect(await world.settle(outcome)).toMatchObject({ status: "unknown", error: { code: "EXECUTOR_LOST" } });
    expect(runs).toBe(1);
  });

  test("a relay took a command sent again for a new attempt, as it crossed the answer: it had not come in that session", async () => {
    const world = new World();
    let runs = 0;
    const commands = { count: () => (runs++, new Promise(() => {})) };
    const { parent, node, open } = await puppetParent(world);
    await open();
    const worker = world.node({ path: "shop.a.x", commands });
    await world.up(worker);
    await world.until(() => node.child("x")?.link === "alive");
    parent.say([{ ...run("one", 1), target: "x" } as DownMessage], { session: "s1" });
    await world.until(() => runs === 1);
    parent.say([probe()]);
    await world.run(200);
    await open({ session: "s2" });
    world.kill(worker);
    await world.up(world.node({ path: "shop.a.x", commands }));
    await world.run(1_000);
    parent.heard.length = 0;
    parent.say([{ ...run("one", 1), target: "x" } as DownMessage], { session: "s2" });
    await world.run(1_000);
    expect(runs).toBe(1);
    expect(parent.all("error.command").at(-1)).toMatchObject({ code: "EXECUTOR_LOST" });
  });

  test("a command sent again to a stopping node was told not to have started: its outcome is known", async () => {
    const world = new World();
    let runs = 0;
    const { parent, node, open } = await puppetParent(world, () => (++runs === 1 ? "done" : new Promise(() => {})));
    await open();
    parent.say([run("one", 1), run("two", 2)], { session: "s1" });
    await world.until(() => runs === 2);
    void node.stop({ timeoutMs: 10_000 });
    await world.run(1_000);
    parent.heard.length = 0;
    parent.say([run("one", 3)], { session: "s1" });
    await world.run(100);
    expect([parent.all("complete.command").length, parent.all("error.command").length]).toEqual([1, 0]);
  });

  test("a fan-out to twelve warned of a leak of abort listeners: many targets are no leak", async () => {
    const world = new World();
    const warnings: string[] = [];
    const warned = (warning: Error): void => void warnings.push(warning.name);
    process.on("warning", warned);
    const shop = world.node({ path: "shop" });
    const children = Array.from({ length: 12 }, (_, n) =>
      world.node({ path: `shop.c${n}`, commands: { ok: () => 1 } }),
    );
    await world.up(shop, ...children);
    await world.until(() => shop.children().every(({ link }) => link === "alive") && shop.children().length === 12);
    expect(await world.settle(shop.fanOut("*", "ok").outcomes)).toHaveLength(12);
    process.off("warning", warned);
    expect(warnings).toEqual([]);
  });
});

function probe(): DownMessage {
  const identity = { treeId: "local", parentBoot: "puppet", parentEpoch: [5] };
  return { kind: "init.probe", seq: 0, ...identity, versionMin: 1, versionMax: 1 };
}

describe("epochs", () => {
  test("a parent offered a process the epoch of an earlier offer: what the process has by now counts", async () => {
    const world = new World();
    const shop = world.node({ path: "shop" });
    await shop.start();
    const child = puppetChild(world);
    child.say([announce({ attempt: 1 })]);
    await world.run(10);
    // Another parent's offer was taken meanwhile.
    child.say([announce({ attempt: 2, epoch: [3, 3] })]);
    await world.run(10);
    const [first, second] = child.all("init.open");
    expect(first?.epoch).not.toEqual([3, 3]);
    expect(second?.epoch).toEqual([3, 3]);
  });

  test("a late offer of another parent changed the epoch of a living process: it keeps its own", async () => {
    const world = new World();
    const { parent, node, open, latest } = await puppetParent(world);
    const { attempt } = latest();
    await open({ attempt });
    parent.say([probe()]);
    await open({ attempt, session: "s2", parentBoot: "other", parentEpoch: [6], epoch: [6, 1] });
    expect(node.epoch).toBe("5.1");
  });

  test("an established root rose above its successor, which then ended: an announcement alone does not make it", async () => {
    const world = new World();
    const shop = world.node({ path: "shop" });
    await world.up(shop, world.node({ path: "shop.a" }));
    await world.until(() => shop.child("a")?.link === "alive");
    const { epoch } = shop;
    const newer = [Number(epoch) + 5_000];
    puppetChild(world).say([announce({ epoch: [...newer, 1], parentEpoch: newer })]);
    await world.run(5_000);
    expect(shop.epoch).toBe(epoch);
    // Nobody obeys that other root: it is dead, and its children must not be lost.
    await world.run(10_000);
    expect(Number(shop.epoch)).toBeGreaterThan(newer[0] as number);
  });

  test("a child that had obeyed a dead successor was refused for ever: its parent ends, to be started anew", async () => {
    const world = new World();
    const shop = world.node({ path: "shop" });
    const a = world.node({ path: "shop.a" });
    await world.up(shop, a);
    const newer = [Number(shop.epoch), 99];
    const child = new Puppet(world, { to: "ft.local.up.shop.a.x", from: [] });
    child.say([announce({ epoch: [...newer, 1], parentEpoch: newer })]);
    await world.run(5_000);
    expect(a.state).toBe("SYNCHRONIZED");
    await world.run(10_000);
    expect(await world.settle(a.ended)).toBe("fenced");
  });
});

describe("broadcasts", () => {
  test("a process whose offer came late ran what was broadcast to others: it waits for the parent's word", async () => {
    const world = new World();
    let runs = 0;
    const { parent, open } = await puppetParent(world, () => ++runs);
    await open();
    parent.shout("ft.local.all.shop", [run("one", -1)], { session: "cast" });
    await world.run(1_000);
    expect(runs).toBe(0);
    parent.say([run("one", -1)], { session: "s1" });
    await world.run(100);
    expect(runs).toBe(1);
  });

  test("a session used late missed broadcasts that were forgotten: their places are filled", async () => {
    const world = new World();
    const shop = world.node({ path: "shop" });
    const children = ["a", "b"].map((id) => world.node({ path: `shop.${id}` }));
    await world.up(shop, ...children);
    await world.until(() => shop.children().every(({ link }) => link === "alive"));
    const child = puppetChild(world);
    child.say([announce({})]);
    await world.run(10);
    const { session = "", broadcastSeq = -1 } = child.all("init.open").at(-1) ?? {};
    for (const n of [1, 2]) {
      shop.synchronize({ n });
      await world.run(1_000);
    }
    child.heard.length = 0;
    child.say([{ kind: "ready.subtree", seq: 1, state: 2 }], { session });
    await world.run(100);
    const places = child.heard.filter(({ seq }) => seq < 0).map(({ seq }) => -seq);
    expect(places).toEqual([broadcastSeq + 1, broadcastSeq + 2]);
  });

  test("a doubled announcement left an offer that nobody takes: there is no second one", async () => {
    const world = new World();
    const shop = world.node({ path: "shop" });
    await shop.start();
    const child = puppetChild(world);
    child.say([announce({})]);
    await world.run(10);
    const { session = "" } = child.all("init.open").at(-1) ?? {};
    child.say([{ kind: "ready.subtree", seq: 1, state: 2 }], { session });
    await world.run(10);
    child.say([announce({})]);
    await world.run(100);
    expect(child.all("init.open")).toHaveLength(1);
  });
});

describe("a lost READY", () => {
  /** A child whose READY, and all reports of its first second, are lost; what else it says gets through. */
  async function unheard(requestEveryMs: number) {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }], requests: { ask: () => null } });
    const a = world.node({ path: "shop.a" });
    const lost = new Set(["ready.subtree", "status.report"]);
    world.processOf(a).passes = ({ kinds }) => world.nowMs >= 1_000 || !kinds.some((kind) => lost.has(kind));
    await Promise.all([shop.start(), a.start()]);
    await world.run(500);
    for (let atMs = 500; atMs < 10_000; atMs += requestEveryMs) {
      void a.request("ask", null);
      await world.run(requestEveryMs);
    }
    return shop;
  }

  test.each([100, 400])(
    "is made good by the answer to a question, though requests keep beats away (%i ms)",
    async (everyMs) => {
      const shop = await unheard(everyMs);
      expect(shop.children()).toMatchObject([{ link: "alive", status: { state: "SYNCHRONIZED" } }]);
      expect(shop.state).toBe("SYNCHRONIZED");
    },
  );
});
