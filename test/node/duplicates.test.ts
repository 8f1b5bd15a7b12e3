/** Two processes for one path, as children or as parents: one stays, the other learns of it and ends. */
import { describe, expect, test } from "vitest";
import { DuplicatePathError, NodeFencedError } from "../../src/index.js";
import { record, World } from "./kit.js";

describe("two children", () => {
  test("the later one takes the path over, the earlier one is told and ends", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const first = world.node({ path: "shop.a" });
    await world.up(shop, first);
    const told = record(first, "node.fenced");
    const second = world.node({ path: "shop.a" });
    await world.up(second);
    expect(await world.settle(first.ended, 5_000)).toBe("fenced");
    expect(told).toHaveLength(1);
    const error = told[0]?.error;
    expect(error).toBeInstanceOf(NodeFencedError);
    expect(error).toMatchObject({ code: "NODE_FENCED", path: "shop.a", byEpoch: second.epoch });
    expect([shop.state, second.state, first.state]).toEqual(["SYNCHRONIZED", "SYNCHRONIZED", "DISCONNECTED"]);
    expect(shop.child("a")?.epoch).toBe(second.epoch);
    await world.run(60_000);
    expect(second.state).toBe("SYNCHRONIZED");
  });

  test("commands go to the later one only", async () => {
    const world = new World();
    const ran: string[] = [];
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const first = world.node({ path: "shop.a", commands: { who: () => ran.push("first") } });
    await world.up(shop, first);
    await world.up(world.node({ path: "shop.a", commands: { who: () => ran.push("second") } }));
    await world.settle(first.ended, 5_000);
    for (let n = 0; n < 5; n++) await world.settle(shop.command("a", "who"));
    expect(ran).toEqual(Array.from({ length: 5 }, () => "second"));
  });

  test("a loop of fenced processes that start again ends: the incumbent stays", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    await shop.start();
    const reasons: string[] = [];
    /** Two deployments whose process manager restarts what ended. */
    const deploy = (): void => {
      const node = world.node({ path: "shop.a" });
      void node.start();
      void node.ended.then((reason) => {
        reasons.push(reason);
        if (reasons.length < 30) world.clock.setTimeout(deploy, 500);
      });
    };
    deploy();
    await world.run(1_000);
    deploy();
    await world.run(20_000);
    expect(reasons.slice(0, 3)).toEqual(["fenced", "fenced", "fenced"]);
    expect(reasons.slice(3).length).toBeGreaterThan(0);
    expect(new Set(reasons.slice(3))).toEqual(new Set(["duplicatePath"]));
    const { epoch } = shop.child("a") ?? {};
    await world.run(10_000);
    expect(shop.child("a")).toMatchObject({ link: "alive", epoch });
  });

  test("the refused newcomer gets a DuplicatePathError", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    await world.up(shop, world.node({ path: "shop.a" }));
    for (let n = 0; n < 3; n++) {
      await world.up(world.node({ path: "shop.a" }));
      await world.run(1_000);
    }
    const newcomer = world.node({ path: "shop.a" });
    const told = record(newcomer, "node.fenced");
    await newcomer.start();
    expect(await world.settle(newcomer.ended, 5_000)).toBe("duplicatePath");
    const error = told[0]?.error;
    expect(error).toBeInstanceOf(DuplicatePathError);
    expect(error).toMatchObject({ code: "DUPLICATE_PATH", path: "shop.a" });
  });

  test("a minute later the path can be taken over again", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    await world.up(shop, world.node({ path: "shop.a" }));
    for (let n = 0; n < 3; n++) {
      await world.up(world.node({ path: "shop.a" }));
      await world.run(1_000);
    }
    await world.run(60_000);
    const late = world.node({ path: "shop.a" });
    await world.up(late);
    await world.run(10);
    expect(shop.child("a")?.epoch).toBe(late.epoch);
  });

  test("a service that crashes and restarts in a loop is no duplicate", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    await shop.start();
    for (let n = 0; n < 20; n++) {
      const node = world.node({ path: "shop.a" });
      await world.up(node);
      await world.run(500);
      world.kill(node);
    }
    await world.up(world.node({ path: "shop.a" }));
    expect(shop.state).toBe("SYNCHRONIZED");
  });

  test("an old, late or doubled announcement displaces nobody", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const first = world.node({ path: "shop.a" });
    await world.up(shop, first);
    await world.run(1_000);
    const old = world.sent("ready.announce");
    world.kill(first);
    const second = world.node({ path: "shop.a", commands: { hello: () => "hello" } });
    await world.up(second, shop);
    const recent = world.sent("ready.announce");
    const { epoch } = second;
    for (const { subject, payload } of [...old, ...recent, ...old]) {
      world.broker.publish(subject, payload);
      await world.run(50);
    }
    await world.run(10_000);
    expect([shop.state, second.state, second.epoch, shop.child("a")?.epoch]).toEqual([
      "SYNCHRONIZED",
      "SYNCHRONIZED",
      epoch,
      epoch,
    ]);
    expect(await world.settle(shop.command("a", "hello"))).toBe("hello");
  });
});

describe("two parents", () => {
  test("the later root takes the children over, the earlier one is told and ends", async () => {
    const world = new World();
    const first = world.node({ path: "shop", children: [{ id: "a" }, { id: "b" }] });
    const children = ["a", "b"].map((id) => world.node({ path: `shop.${id}` }));
    await world.up(first, ...children);
    await world.run(1_000);
    const epochs = children.map(({ epoch }) => epoch);
    const second = world.node({ path: "shop", children: [{ id: "a" }, { id: "b" }] });
    await world.up(second);
    expect(await world.settle(first.ended, 10_000)).toBe("fenced");
    await world.run(10_000);
    expect([second, ...children].map(({ state }) => state)).toEqual(Array.from({ length: 3 }, () => "SYNCHRONIZED"));
    expect(children.map(({ epoch }) => epoch)).toEqual(epochs);
  });

  test("a parent that stood still while it was replaced ends", async () => {
    const world = new World();
    const first = world.node({ path: "shop", children: [{ id: "a" }] });
    const a = world.node({ path: "shop.a" });
    await world.up(first, a);
    await world.run(1_000);
    world.processOf(first).stop();
    await world.run(20_000);
    const second = world.node({ path: "shop", children: [{ id: "a" }] });
    await world.up(second, a);
    world.processOf(first).continue();
    expect(await world.settle(first.ended, 20_000)).toBe("fenced");
    expect([second.state, a.state]).toEqual(["SYNCHRONIZED", "SYNCHRONIZED"]);
  });

  test("a replaced node in the middle ends, and its children go to its successor", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const first = world.node({ path: "shop.a", children: [{ id: "x" }] });
    const x = world.node({ path: "shop.a.x" });
    await world.up(shop, first, x);
    const second = world.node({ path: "shop.a", children: [{ id: "x" }] });
    await world.up(second);
    expect(await world.settle(first.ended, 10_000)).toBe("fenced");
    await world.run(5_000);
    expect([shop.state, second.state, x.state]).toEqual(["SYNCHRONIZED", "SYNCHRONIZED", "SYNCHRONIZED"]);
    expect(second.child("x")?.link).toBe("alive");
  });

  test("a loop of fenced roots that start again ends", async () => {
    const world = new World();
    const a = world.node({ path: "shop.a" });
    await a.start();
    const reasons: string[] = [];
    const deploy = (): void => {
      const node = world.node({ path: "shop", children: [{ id: "a" }] });
      void node.start();
      void node.ended.then((reason) => {
        reasons.push(reason);
        if (reasons.length < 40) world.clock.setTimeout(deploy, 500);
      });
    };
    deploy();
    await world.run(2_000);
    deploy();
    await world.run(30_000);
    expect(reasons).toContain("duplicatePath");
    expect(reasons.filter((reason) => reason === "fenced").length).toBeLessThanOrEqual(4);
    expect(a.state).toBe("SYNCHRONIZED");
  });
});

describe("epochs of roots", () => {
  test("a root whose clock is behind raises its epoch above what its children have seen", async () => {
    const world = new World();
    const first = world.node({ path: "shop", children: [{ id: "a" }] });
    const a = world.node({ path: "shop.a" });
    await world.up(first, a);
    await world.run(20_000);
    world.kill(first);
    const process = world.process();
    const slow = { ...process.clock, wallNow: () => 1_000_000 };
    const second = world.node({ path: "shop", children: [{ id: "a" }], process, clock: slow });
    await world.up(second, a);
    expect(Number(second.epoch)).toBeGreaterThan(Number(first.epoch));
    const late = world.node({ path: "shop.late" });
    await world.up(late);
    expect(late.epoch.startsWith(`${second.epoch}.`)).toBe(true);
  });

  test("an epochStore gives the epoch, whatever the clock says", async () => {
    const world = new World();
    const asked: unknown[] = [];
    let last = 41;
    const next = async (path: string, atLeast: number): Promise<number> => {
      asked.push([path, atLeast]);
      await Promise.resolve();
      return (last = Math.max(last + 1, atLeast));
    };
    const first = world.node({ path: "shop", children: [{ id: "a" }], epochStore: { next } });
    const a = world.node({ path: "shop.a" });
    await world.up(first, a);
    expect([first.epoch, a.epoch]).toEqual(["42", "42.1"]);
    world.kill(first);
    const second = world.node({ path: "shop", children: [{ id: "a" }], epochStore: { next } });
    await world.up(second, a);
    expect([second.epoch, a.epoch]).toEqual(["43", "42.1"]);
    expect(asked).toEqual([
      ["shop", 1],
      ["shop", 1],
    ]);
  });

  test("a root with an epochStore that meets a newer one's child takes its new epoch from the store, once it can", async () => {
    const world = new World();
    const asked: number[] = [];
    let last = 7;
    let isDown = false;
    const next = (_path: string, atLeast: number): number => {
      asked.push(atLeast);
      if (isDown) throw new Error("no store");
      return (last = Math.max(last + 1, atLeast));
    };
    const newer = world.node({ path: "shop", children: [{ id: "a" }], epochStore: { next: () => 50 } });
    const a = world.node({ path: "shop.a" });
    await world.up(newer, a);
    world.kill(newer);
    await world.run(20_000);
    const shop = world.node({ path: "shop", children: [{ id: "a" }], epochStore: { next } });
    await shop.start();
    isDown = true;
    await world.run(5_000);
    expect([shop.epoch, shop.child("a")?.link]).toEqual(["8", "absent"]);
    isDown = false;
    await world.until(() => shop.child("a")?.link === "alive", "the child", 60_000);
    expect([shop.epoch, last]).toEqual(["51", 51]);
    expect(new Set(asked.slice(1))).toEqual(new Set([51]));
  });

  test("an epochStore that fails fails the start, which can be tried again", async () => {
    const world = new World();
    const error = new Error("no store");
    const answers: (() => number)[] = [
      () => {
        throw error;
      },
      () => 7,
    ];
    const shop = world.node({ path: "shop", epochStore: { next: () => answers.shift()?.() ?? 0 } });
    expect(await world.failure(shop.start())).toBe(error);
    expect(shop.state).toBe("DISCONNECTED");
    await world.up(shop);
    expect(shop.epoch).toBe("7");
  });

  test.each([0, -1, 1.5, Number.NaN, 2 ** 60, "8"])("an epochStore that returns %s is refused", async (epoch) => {
    const world = new World();
    const shop = world.node({ path: "shop", epochStore: { next: () => epoch as number } });
    const error = await world.failure(shop.start());
    expect(error).toMatchObject({ code: "INVALID_OPTION", option: "epochStore.next()", value: epoch });
  });

  test("a restarted child never gets an epoch below one that it had, over restarts of its parent", async () => {
    const world = new World();
    const epochs: number[][] = [];
    let shop = world.node({ path: "shop", children: [{ id: "a" }] });
    await shop.start();
    for (let n = 0; n < 6; n++) {
      const a = world.node({ path: "shop.a" });
      await world.up(a);
      epochs.push(a.epoch.split(".").map(Number));
      await world.run(100);
      world.kill(a);
      if (n % 2 === 1) {
        world.kill(shop);
        await world.run(10);
        shop = world.node({ path: "shop", children: [{ id: "a" }] });
        await world.up(shop, world.node({ path: "shop.a" }));
      }
    }
    for (const [n, [root = 0, counter = 0]] of epochs.entries()) {
      const [nextRoot = Infinity, nextCounter = Infinity] = epochs[n + 1] ?? [];
      expect(nextRoot > root || (nextRoot === root && nextCounter > counter)).toBe(true);
    }
  });
});
