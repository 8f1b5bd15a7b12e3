/** Watching ends from anywhere: which are reported, when, in what order, and which are not. */
import { describe, expect, test } from "vitest";
import {
  InvalidOptionError,
  InvalidPathError,
  memoryTransport,
  type Node,
  type NodeEnd,
  type NodeWatch,
  type WatchNodeOptions,
  watchNode,
} from "../../src/index.js";
import { encodeEndNotice, type EndNotice } from "../../src/protocol/end-notice.js";
import { declared, hosted } from "../supervision/kit.js";
import { type Process, type Publication, World } from "./kit.js";

type WatchParts = Partial<Omit<WatchNodeOptions, "path">> & { readonly process?: Process };

/** A watcher in a process of its own. */
function watch(world: World, path: string, { process = world.process(), ...options }: WatchParts = {}): NodeWatch {
  return watchNode({ transport: process.transport, clock: process.clock, path, ...options });
}

/** Ends as they are reported. */
function reports(watching: NodeWatch): NodeEnd[] {
  const ends: NodeEnd[] = [];
  void (async () => {
    for await (const end of watching) ends.push(end);
  })();
  return ends;
}

/** A parent and a remote child, and time enough for a watcher to hear both. */
async function remotePair(world: World) {
  const shop = world.node({ path: "shop", children: [{ id: "a" }] });
  const child = world.node({ path: "shop.a" });
  await world.up(shop, child);
  return { shop, child };
}

function isEnd({ kinds }: Publication): boolean {
  return kinds.includes("end");
}

function notice(world: World, path: string, fields: Partial<EndNotice>): void {
  const speech = { speaker: "node", ageMs: 0, session: "elsewhere", broadcastSession: "elsewhere" } as const;
  const bytes = encodeEndNotice({ epoch: [1], kind: "normal", reason: "old news", ...speech, ...fields });
  world.broker.publish(`ft.local.end.${path}`, bytes);
}

describe("the end of a remote child", () => {
  const ways: readonly [string, (child: Node, world: World) => void, Partial<NodeEnd>][] = [
    ["stops", (child) => void child.stop({ reason: "redeploy" }), { kind: "normal", reason: "redeploy" }],
    ["shuts down", (child) => void child.shutdownTree(), { kind: "shutdown", reason: "shutdown" }],
  ];

  test.each(ways)("that %s is known at once", async (_, end, expected) => {
    const world = new World();
    const { child } = await remotePair(world);
    const watching = watch(world, "shop.a");
    await world.run(3_000);
    const { epoch } = child;
    const startedAtMs = world.nowMs;
    end(child, world);
    expect(await world.settle(watching.ended)).toEqual({ path: "shop.a", epoch, ...expected });
    expect(world.nowMs - startedAtMs).toBeLessThan(100);
  });

  test("that its parent shuts down is known at once", async () => {
    const world = new World();
    const { shop, child } = await remotePair(world);
    const watching = watch(world, "shop.a");
    await world.run(3_000);
    const { epoch } = child;
    void shop.shutdownTree({ reason: "maintenance" });
    expect(await world.settle(watching.ended, 1_000)).toMatchObject({ path: "shop.a", epoch, kind: "shutdown" });
  });

  test.each([
    [false, "failed"],
    [true, "dependencyDown"],
  ] as const)("that fails for good (dependencyDown %s) is %s", async (dependencyDown, kind) => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const child = world.node({ path: "shop.a", onFailed: "end" });
    await world.up(shop, child);
    const watching = watch(world, "shop.a");
    await world.run(3_000);
    const { epoch } = child;
    child.fail("no database", { dependencyDown });
    expect(await world.settle(watching.ended, 1_000)).toEqual({ path: "shop.a", epoch, kind, reason: "no database" });
  });

  test("that fails and recovers is none", async () => {
    const world = new World();
    const { shop, child } = await remotePair(world);
    const watching = watch(world, "shop.a");
    const ends = reports(watching);
    await world.run(3_000);
    child.fail("a moment");
    await world.run(120_000);
    expect(shop.state).toBe("SYNCHRONIZED");
    expect(ends).toEqual([]);
    watching.close();
  });

  test("that dies is known when its parent gives it up", async () => {
    const world = new World();
    const { shop, child } = await remotePair(world);
    const watching = watch(world, "shop.a");
    await world.run(3_000);
    const { epoch } = child;
    world.kill(child);
    expect(await world.settle(watching.ended, 20_000)).toEqual({
      path: "shop.a",
      epoch,
      kind: "failed",
      reason: "the child fell silent",
    });
    expect(shop.child("a")?.link).toBe("dead");
  });

  test("whose parent is dead too is known by its own word", async () => {
    const world = new World();
    const { shop, child } = await remotePair(world);
    const watching = watch(world, "shop.a");
    await world.run(3_000);
    world.kill(shop);
    await world.run(30_000);
    void child.stop({ reason: "nobody needs me" });
    expect(await world.settle(watching.ended, 1_000)).toMatchObject({ kind: "normal", reason: "nobody needs me" });
  });

  test("whose parent died and comes back is none: it went on as an orphan", async () => {
    const world = new World();
    const { shop, child } = await remotePair(world);
    const watching = watch(world, "shop", { subtree: true });
    const ends = reports(watching);
    await world.run(3_000);
    world.kill(shop);
    await world.run(60_000);
    const again = world.node({ path: "shop", children: [{ id: "a" }] });
    await world.up(again);
    await world.run(60_000);
    expect(ends).toEqual([{ path: "shop", epoch: "", kind: "failed", reason: "silent" }]);
    expect(child.state).toBe("SYNCHRONIZED");
    watching.close();
  });

  test("that is displaced by its successor is known at once, and the successor's is not", async () => {
    const world = new World();
    const { child } = await remotePair(world);
    const watching = watch(world, "shop.a");
    await world.run(3_000);
    const { epoch } = child;
    world.processOf(child).stop();
    const successor = world.node({ path: "shop.a" });
    await world.up(successor);
    expect(await world.settle(watching.ended, 100)).toEqual({
      path: "shop.a",
      epoch,
      kind: "failed",
      reason: "fenced",
    });
    const later = watch(world, "shop.a");
    const ends = reports(later);
    await world.run(3_000);
    world.processOf(child).continue();
    await world.settle(child.ended);
    await world.run(60_000);
    expect(ends).toEqual([]);
    later.close();
  });
});

describe("the end of a root", () => {
  const ways: readonly [string, (shop: Node) => void, Partial<NodeEnd>][] = [
    ["stop", (shop) => void shop.stop(), { kind: "normal", reason: "stop" }],
    ["shutdownTree", (shop) => void shop.shutdownTree(), { kind: "shutdown", reason: "shutdown" }],
    ["fail", (shop) => shop.fail("no disk"), { kind: "failed", reason: "no disk" }],
  ];

  test.each(ways)("by %s is told by itself", async (_, end, expected) => {
    const world = new World();
    const shop = world.node({ path: "shop", onFailed: "end", children: [{ id: "a" }] });
    await world.up(shop, world.node({ path: "shop.a" }));
    const watching = watch(world, "shop");
    await world.run(3_000);
    const { epoch } = shop;
    end(shop);
    expect(await world.settle(watching.ended, 1_000)).toEqual({ path: "shop", epoch, ...expected });
  });

  test("that a newer one supersedes is fenced", async () => {
    const world = new World();
    const { shop } = await remotePair(world);
    const watching = watch(world, "shop");
    await world.run(3_000);
    const { epoch } = shop;
    await world.up(world.node({ path: "shop", children: [{ id: "a" }] }));
    expect(await world.settle(watching.ended, 10_000)).toEqual({
      path: "shop",
      epoch,
      kind: "failed",
      reason: "fenced",
    });
  });
});

describe("the end of an owned child", () => {
  test("whose process is killed is known at once, by the supervisor's word", async () => {
    const world = new World();
    const { incarnations, spec } = hosted(world, "a");
    const shop = world.node({ path: "shop", children: [spec] });
    await world.up(shop);
    const watching = watch(world, "shop.a");
    await world.run(3_000);
    const epoch = shop.child("a")?.epoch;
    incarnations.process.kill();
    const end = await world.settle(watching.ended, 100);
    expect(end).toMatchObject({ path: "shop.a", epoch, kind: "failed" });
    expect(end.reason).not.toBe("");
  });

  test("that fails has its kind and reason, and each incarnation's is told", async () => {
    const world = new World();
    const { incarnations, spec } = declared("a");
    const shop = world.node({ path: "shop", children: [spec] });
    await world.up(shop);
    const watching = watch(world, "shop.a", { subtree: true });
    const ends = reports(watching);
    await world.run(3_000);
    const epochs: string[] = [];
    for (const dependencyDown of [false, true]) {
      epochs.push(incarnations.latest.epoch);
      incarnations.latest.fail("no database", { dependencyDown });
      await world.run(20_000);
    }
    expect(ends).toEqual([
      { path: "shop.a", epoch: epochs[0], kind: "failed", reason: "no database" },
      { path: "shop.a", epoch: epochs[1], kind: "dependencyDown", reason: "no database" },
    ]);
    watching.close();
    await world.end(shop);
  });

  test("that is terminated is shut down", async () => {
    const world = new World();
    const { spec } = declared("a");
    const shop = world.node({ path: "shop", children: [spec] });
    await world.up(shop);
    const watching = watch(world, "shop.a");
    await world.run(3_000);
    await world.settle(shop.terminateChild("a"));
    expect(await world.settle(watching.ended, 100)).toMatchObject({ kind: "shutdown" });
    await world.end(shop);
  });

  test("that makes no progress is failed, although it was made to stop", async () => {
    const world = new World();
    const { spec } = hosted(world, "a", { requireProgress: { withinMs: 10_000, whileIdle: true } });
    const shop = world.node({ path: "shop", children: [spec] });
    await world.up(shop);
    const watching = watch(world, "shop.a");
    const end = await world.settle(watching.ended, 30_000);
    expect(end).toMatchObject({ kind: "failed" });
    expect(end.reason).toContain("no progress");
    await world.end(shop);
  });
});

describe("a subtree", () => {
  test("that is shut down ends from below", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const middle = world.node({ path: "shop.a", children: [{ id: "b" }, { id: "c" }] });
    const leaves = ["shop.a.b", "shop.a.c"].map((path) => world.node({ path }));
    await world.up(shop, middle, ...leaves);
    const watching = watch(world, "shop", { subtree: true });
    const ends = reports(watching);
    await world.run(3_000);
    await world.settle(shop.shutdownTree());
    await world.run(100);
    expect(ends.map(({ path, kind }) => `${path} ${kind}`)).toEqual([
      "shop.a.c shutdown",
      "shop.a.b shutdown",
      "shop.a shutdown",
      "shop shutdown",
    ]);
    expect(await watching.ended).toMatchObject({ path: "shop" });
    watching.close();
  });

  test("ends from below also for a watcher that has not heard everybody yet", async () => {
    for (let waitMs = 0; waitMs < 2_000; waitMs += 100) {
      const world = new World({ seed: waitMs + 2 });
      const nodes = ["shop", "shop.a", "shop.a.b"].map((path, i) =>
        world.node({ path, children: [[{ id: "a" }], [{ id: "b" }], []][i] ?? [] }),
      );
      await world.up(...nodes);
      await world.run(10_000);
      const watching = watch(world, "shop", { subtree: true });
      const ends = reports(watching);
      await world.run(waitMs);
      await world.settle((nodes[0] as Node).shutdownTree());
      await world.run(10_000);
      expect(ends.map(({ path }) => path)).toEqual(["shop.a.b", "shop.a", "shop"]);
      watching.close();
    }
  });

  test("is told from below also when each child's own notice is lost", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "a" }] });
    const middle = world.node({ path: "shop.a", children: [{ id: "b" }] });
    const leaf = world.node({ path: "shop.a.b" });
    await world.up(shop, middle, leaf);
    for (const node of [leaf, middle]) {
      world.processOf(node).passes = (publication) =>
        !isEnd(publication) || !publication.subject.endsWith(`.${node.path}`);
    }
    const watching = watch(world, "shop", { subtree: true });
    const ends = reports(watching);
    await world.run(3_000);
    await world.settle(shop.shutdownTree());
    await world.run(100);
    expect(ends.map(({ path }) => path)).toEqual(["shop.a.b", "shop.a", "shop"]);
    watching.close();
  });

  test("that dies with its process is told from below, when it has been silent for long enough", async () => {
    const world = new World();
    const process = world.process();
    const nodes = ["shop", "shop.a", "shop.a.b"].map((path) => {
      const children = path === "shop.a.b" ? [] : [{ id: path === "shop" ? "a" : "b" }];
      return world.node({ path, process, children });
    });
    await world.up(...nodes);
    const watching = watch(world, "shop", { subtree: true, silenceMs: 20_000 });
    const ends = reports(watching);
    await world.run(3_000);
    process.kill();
    await world.run(23_000);
    expect(ends.map(({ path, kind, reason }) => `${path} ${kind} ${reason}`)).toEqual([
      "shop.a.b failed silent",
      "shop.a failed silent",
      "shop failed silent",
    ]);
    watching.close();
  });

  test("without the option is not reported, nor are nodes with a similar name", async () => {
    const world = new World();
    const { child } = await remotePair(world);
    const other = world.node({ path: "shop2" });
    await world.up(other);
    const watching = watch(world, "shop");
    const ends = reports(watching);
    await world.run(3_000);
    await world.end(child, other);
    await world.run(10_000);
    expect(ends).toEqual([]);
    watching.close();
  });
});

describe("notices", () => {
  test("are repeated, so that lost ones do no harm", async () => {
    const world = new World();
    const { shop, child } = await remotePair(world);
    let lost = 0;
    for (const node of [shop, child]) {
      world.processOf(node).passes = (publication) => !isEnd(publication) || (lost < 4 && lost++ < 0);
    }
    const watching = watch(world, "shop.a");
    await world.run(3_000);
    const { epoch } = child;
    void child.stop({ reason: "redeploy" });
    await world.run(900);
    world.processOf(shop).passes = () => true;
    expect(await world.settle(watching.ended, 200)).toEqual({
      path: "shop.a",
      epoch,
      kind: "normal",
      reason: "redeploy",
    });
  });

  test("of one end are told a few times and then no more", async () => {
    const world = new World();
    const { shop, child } = await remotePair(world);
    await world.run(3_000);
    const sinceMs = world.nowMs;
    await world.end(child);
    await world.run(60_000);
    const told = world.wire.filter((publication) => isEnd(publication) && publication.atMs >= sinceMs);
    expect(told.map(({ atMs }) => atMs - sinceMs).toSorted((a, b) => a - b)).toHaveLength(1 + 4);
    await world.end(shop);
    expect(world.clock.pending).toBe(0);
  });

  test("that are doubled or repeated are one end", async () => {
    const world = new World();
    const { child } = await remotePair(world);
    const watching = watch(world, "shop", { subtree: true });
    const ends = reports(watching);
    await world.run(3_000);
    await world.end(child);
    await world.run(10_000);
    expect(ends).toHaveLength(1);
    watching.close();
  });

  test("of a predecessor that come late are not about the present one", async () => {
    const world = new World();
    const { child } = await remotePair(world);
    await world.end(child);
    const successor = world.node({ path: "shop.a" });
    await world.up(successor);
    const watching = watch(world, "shop.a");
    const ends = reports(watching);
    await world.run(60_000);
    expect(ends).toEqual([]);
    const { epoch } = successor;
    void successor.stop();
    expect(await world.settle(watching.ended, 100)).toMatchObject({ epoch });
  });

  test.each(["node", "parent", "silence"] as const)(
    "by a stranger (%s) are not believed while the node speaks",
    async (speaker) => {
      const world = new World();
      await remotePair(world);
      const watching = watch(world, "shop.a");
      const ends = reports(watching);
      for (const waitMs of [0, 1_000, 3_000, 20_000]) {
        await world.run(waitMs);
        notice(world, "shop.a", { speaker, epoch: [9_999_999_999_999, waitMs] });
      }
      await world.run(60_000);
      expect(ends).toEqual([]);
      watching.close();
    },
  );

  test("of a parent that lost sight of a living child are not believed", async () => {
    const world = new World();
    const { shop, child } = await remotePair(world);
    const watching = watch(world, "shop.a");
    const ends = reports(watching);
    await world.run(3_000);
    // The child's words reach the watcher, but not the parent.
    world.processOf(shop).passes = isEnd;
    const { transport } = world.processOf(shop);
    expect(transport.connected).toBe(true);
    await world.until(() => child.status.reasons.includes("uplink"), "the child misses its parent");
    await world.run(60_000);
    world.processOf(shop).passes = () => true;
    await world.run(60_000);
    expect(ends).toEqual([]);
    watching.close();
  });

  test("that are garbage are ignored", async () => {
    const world = new World();
    await remotePair(world);
    const watching = watch(world, "shop.a");
    const ends = reports(watching);
    for (const bytes of [[], [0x90], [0xc1], [0x98, 1, 0x90, 0, 0xa0, 0, 0, 0xa0, 0xa0]]) {
      world.broker.publish("ft.local.end.shop.a", Uint8Array.from(bytes));
      world.broker.publish("ft.local.up.shop.a", Uint8Array.from(bytes));
      world.broker.publish("ft.local.all.shop.a", Uint8Array.from(bytes));
    }
    await world.run(20_000);
    expect(ends).toEqual([]);
    watching.close();
  });
});

describe("silence", () => {
  test("from the beginning is noproc", async () => {
    const world = new World();
    const watching = watch(world, "shop.nobody");
    const expected = { path: "shop.nobody", epoch: "", kind: "failed", reason: "noproc" };
    expect(await world.settle(watching.ended)).toEqual(expected);
    expect(world.nowMs).toBe(40_000);
    expect(world.clock.pending).toBe(0);
  });

  test("after an end that was told before the watch began is that end", async () => {
    const world = new World();
    const { child } = await remotePair(world);
    const { epoch } = child;
    await world.end(child);
    const watching = watch(world, "shop.a", { silenceMs: 15_000 });
    expect(await world.settle(watching.ended)).toEqual({ path: "shop.a", epoch, kind: "normal", reason: "stop" });
  });

  test("of a tree that dies at once is told as such", async () => {
    const world = new World();
    const { shop, child } = await remotePair(world);
    const watching = watch(world, "shop.a", { silenceMs: 15_000 });
    await world.run(3_000);
    const diedAtMs = world.nowMs;
    world.kill(shop);
    world.kill(child);
    expect(await world.settle(watching.ended)).toMatchObject({ path: "shop.a", kind: "failed", reason: "silent" });
    expect(world.nowMs - diedAtMs).toBeGreaterThan(12_000);
    expect(world.nowMs - diedAtMs).toBeLessThanOrEqual(16_000);
  });

  test("does not count while the watcher is disconnected, nor while it stands still", async () => {
    for (const outage of ["disconnected", "stopped"]) {
      const world = new World();
      await remotePair(world);
      const process = world.process();
      const watching = watch(world, "shop", { process, subtree: true });
      const ends = reports(watching);
      await world.run(3_000);
      if (outage === "disconnected") process.disconnect();
      else process.stop();
      await world.run(600_000);
      if (outage === "disconnected") process.reconnect();
      else process.continue();
      await world.run(60_000);
      expect(ends).toEqual([]);
      watching.close();
    }
  });

  test("of who ended while the watcher was disconnected is known afterwards", async () => {
    const world = new World();
    const { child } = await remotePair(world);
    const process = world.process();
    const watching = watch(world, "shop.a", { process });
    await world.run(3_000);
    process.disconnect();
    await world.end(child);
    await world.run(60_000);
    process.reconnect();
    const sinceMs = world.nowMs;
    expect(await world.settle(watching.ended)).toMatchObject({ reason: "silent" });
    expect(world.nowMs - sinceMs).toBeGreaterThanOrEqual(39_000);
  });
});

describe("a watch", () => {
  test("yields its one end and is over", async () => {
    const world = new World();
    const { child } = await remotePair(world);
    const process = world.process();
    const watching = watch(world, "shop.a", { process });
    await world.run(3_000);
    const ends: NodeEnd[] = [];
    const iterated = (async () => {
      for await (const end of watching) ends.push(end);
    })();
    await world.end(child);
    await world.settle(iterated, 1_000);
    expect(ends).toEqual([await watching.ended]);
    expect(process.subscriptions).toBe(0);
  });

  // It waited for a connection that does not come back, and kept the process alive.
  test("ends with a transport that is closed", async () => {
    const world = new World();
    const transport = memoryTransport({ clock: world.clock });
    const watching = watchNode({ transport, clock: world.clock, path: "shop" });
    const ends = reports(watching);
    await transport.close();
    expect(await world.failure(watching.ended)).toMatchObject({ code: "TRANSPORT_CLOSED" });
    await world.run(60_000);
    expect(ends).toEqual([]);
  });

  test("ends by close, by its signal, by breaking off, and by leaving its block", async () => {
    const world = new World();
    const process = world.process();
    const closed = watch(world, "shop", { process });
    closed.close();
    closed.close();
    expect(await world.failure(closed.ended)).toMatchObject({ name: "AbortError" });
    const controller = new AbortController();
    const aborted = watch(world, "shop", { process, signal: controller.signal });
    const reason = new Error("enough");
    controller.abort(reason);
    expect(await world.failure(aborted.ended)).toBe(reason);
    expect(() => watch(world, "shop", { process, signal: controller.signal })).toThrow(reason);
    const broken = watch(world, "shop", { process, subtree: true });
    const iterator = broken[Symbol.asyncIterator]();
    await iterator.return?.();
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
    {
      using left = watch(world, "shop", { process });
      expect(left.path).toBe("shop");
    }
    expect(process.subscriptions).toBe(0);
    expect(world.clock.pending).toBe(0);
  });

  test("can be made by a node, of any other", async () => {
    const world = new World();
    const { shop, child } = await remotePair(world);
    const other = world.node({ path: "stock" });
    await world.up(other);
    const watching = other.watch("shop.a");
    const patient = child.watch("shop", { silenceMs: 10_001 });
    await world.run(3_000);
    await world.end(child);
    expect(await world.settle(watching.ended, 100)).toMatchObject({ path: "shop.a", kind: "normal" });
    await world.end(shop);
    expect(await world.settle(patient.ended, 100)).toMatchObject({ path: "shop", kind: "normal" });
    expect(() => other.watch("shop", { silenceMs: 10_000 })).toThrow("silenceMs must be >= failureDetector.deadMs + 1");
  });

  test("speaks to nobody", async () => {
    const world = new World();
    const { child } = await remotePair(world);
    const process = world.process();
    const watching = watch(world, "shop", { process, subtree: true });
    await world.run(10_000);
    await world.end(child);
    await world.run(10_000);
    expect(process.publishes).toBe(0);
    watching.close();
  });

  test("refuses what is no option, path or transport", () => {
    const world = new World();
    expect(() => watch(world, "shop..a")).toThrow(InvalidPathError);
    expect(() => watch(world, "shop", { silenceMs: 0 })).toThrow("silenceMs must be");
    expect(() => watch(world, "shop", { subtree: 1 as never })).toThrow("subtree must be");
    expect(() => watch(world, "shop", { depth: 1 } as never)).toThrow(InvalidOptionError);
    expect(() => watchNode({ path: "shop", transport: {} as never })).toThrow("transport must be");
  });
});
