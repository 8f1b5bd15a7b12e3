/** Programs of another make, or of another version, beside real nodes. */
import { describe, expect, test } from "vitest";
import { record, states, World } from "./kit.js";
import { RawChild, rawFrame, RawParent } from "./raw-peers.js";

describe("a foreign child", () => {
  async function family(world: World) {
    const shop = world.node({ path: "shop", children: [{ id: "raw" }, { id: "a" }] });
    const raw = new RawChild(world, "shop.raw");
    raw.answers = { double: (n) => (n as number) * 2 };
    await world.up(shop, world.node({ path: "shop.a", commands: { double: (n: number) => n * 2 } }));
    await world.run(1_000);
    return { shop, raw };
  }

  test("is a child like any other", async () => {
    const world = new World();
    const { shop, raw } = await family(world);
    const entered = states(shop);
    expect(shop.child("raw")).toMatchObject({ link: "alive", epoch: raw.epoch.join(".") });
    for (let n = 0; n < 30; n++) expect(await world.settle(shop.command("raw", "double", n), 1_000)).toBe(2 * n);
    const outcomes = await world.settle(shop.fanOut<number>("*", "double", 4).outcomes, 1_000);
    expect(outcomes.map((outcome) => outcome.status === "completed" && outcome.value)).toEqual([8, 8]);
    expect(await world.failure(shop.command("raw", "nothing"))).toMatchObject({ code: "UNKNOWN_COMMAND" });
    await world.run(60_000);
    expect(entered).toEqual([]);
  });

  test('what it says that we do not know is answered "unsupported", counted, and told once', async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "raw" }] });
    const dropped = record(shop, "message.dropped");
    const raw = new RawChild(world, "shop.raw");
    await world.up(shop);
    await world.run(10_000);
    expect(shop.status.dropped["unknown kind"]).toBeGreaterThan(10);
    expect(dropped).toEqual([{ sender: "raw", reason: "unknown kind" }]);
    const answers = raw.received.filter(({ key }) => key === "4.2");
    expect(answers.length).toBeGreaterThan(10);
    // Its type and kind; the element that followed is not ours to repeat.
    expect(answers[0]?.fields).toEqual([8, 99]);
  });

  test("an unknown kind in sequence does not block what follows", async () => {
    const world = new World();
    const { shop, raw } = await family(world);
    const reports = record(shop, "child.reported");
    raw.send([7, 77, raw.nextSeq(), "new"], [7, 6, raw.nextSeq(), new Uint8Array([1])]);
    await world.run(10);
    expect(reports).toEqual([{ id: "raw", data: 1 }]);
  });

  test("is shut down in order", async () => {
    const world = new World();
    const { shop, raw } = await family(world);
    await world.settle(shop.shutdownTree(), 2_000);
    expect(raw.received.some(({ key }) => key === "5.0")).toBe(true);
    expect(await shop.ended).toBe("shutdown");
  });

  test("that needs a newer version is refused, and told apart in the counts", async () => {
    const world = new World();
    const shop = world.node({ path: "shop", children: [{ id: "raw" }] });
    await shop.start();
    const raw = new RawChild(world, "shop.raw");
    raw.announce(2, 9);
    await world.run(100);
    expect([raw.session, shop.child("raw")?.link]).toEqual(["", "absent"]);
    expect(shop.status.dropped).toMatchObject({ "protocol version": 1 });
    // One that also speaks ours is welcome.
    raw.announce(1, 9);
    await world.run(100);
    expect(shop.child("raw")?.link).toBe("alive");
  });
});

describe("a foreign parent", () => {
  async function family(world: World) {
    const raw = new RawParent(world, "shop");
    const a = world.node({
      path: "shop.a",
      concurrency: 1,
      queueMax: 3,
      commands: { double: (n: number) => n * 2, hang: () => new Promise(() => {}) },
    });
    raw.probe();
    await world.up(a);
    await world.run(1_000);
    return { raw, a };
  }

  // A rival root had fenced the children of the one that it outranked, and died. Its word came ten seconds later, and ended
  // a child that had long obeyed the only parent there was.
  test("fences its child, but no other parent does while it is there", async () => {
    const world = new World();
    const { raw, a } = await family(world);
    const boot = raw.received.find(({ key }) => key === "9.0")?.fields[1];
    const fence = (epoch: readonly number[]): void =>
      world.broker.publish("ft.local.down.shop.a", rawFrame({ messages: [[5, 2, 0, boot, epoch]] }));
    fence([9, 1]);
    await world.run(2_000);
    expect([a.state, a.status.dropped["fenced by another parent"]]).toEqual(["SYNCHRONIZED", 1]);
    // It answers within the session: the word is not its own, however often it comes.
    fence([9, 1]);
    await world.run(2_000);
    expect(a.state).toBe("SYNCHRONIZED");
    // No answer any more: it has raised its epoch, and is the one that fences.
    raw.isDeaf = true;
    fence([9, 2]);
    await world.run(1_000);
    fence([9, 2]);
    expect(await world.settle(a.ended)).toBe("fenced");
  });

  test("is a parent like any other", async () => {
    const world = new World();
    const { raw, a } = await family(world);
    const entered = states(a);
    expect(a.epoch).toBe("5.1");
    raw.command("a", "id-1", "double", 21);
    await world.run(100);
    const answer = raw.received.find(({ key }) => key === "10.0");
    expect(answer?.fields.slice(0, 2)).toEqual(["id-1", Uint8Array.of(42)]);
    await world.run(60_000);
    expect(entered).toEqual([]);
    expect(a.status.dropped).toEqual({ "unknown kind": expect.any(Number) as number });
    expect(raw.received.find(({ key }) => key === "8.2")?.fields.slice(0, 2)).toEqual([4, 99]);
  });

  test("that exceeds the credit is answered OVERLOADED", async () => {
    const world = new World();
    const { raw, a } = await family(world);
    for (let n = 0; n < 10; n++) raw.command("a", `id-${n}`, "hang", null);
    await world.run(100);
    expect(a.status).toMatchObject({ running: 1, queued: 3 });
    const refusals = raw.received.filter(({ key }) => key === "8.0");
    expect(refusals).toHaveLength(6);
    expect(refusals.every(({ fields }) => fields[1] === 4 && fields[2] === "OVERLOADED")).toBe(true);
  });

  test("its requests and reports arrive, its documents and its shutdown are understood", async () => {
    const world = new World();
    const { raw, a } = await family(world);
    a.report({ hello: 1 });
    raw.broadcast([3, 0, -1, 7, new Uint8Array([0xa3, 0x6e, 0x65, 0x77])]);
    await world.run(100);
    expect(raw.received.some(({ key }) => key === "7.6")).toBe(true);
    expect(a.synced).toMatchObject({ version: 7, document: "new" });
    raw.send("a", [5, 0, 0, 1_000, "enough"]);
    expect(await world.settle(a.ended, 1_100)).toBe("shutdown");
    expect(raw.received.filter(({ key }) => key === "6.1" || key === "10.1").length).toBeGreaterThanOrEqual(2);
  });

  test("that speaks a newer version only is not obeyed", async () => {
    const world = new World();
    const a = world.node({ path: "shop.a" });
    await a.start();
    const [announced] = world.sent("ready.announce").at(-1)?.frame?.messages ?? [];
    if (announced?.kind !== "ready.announce") throw new Error("no announcement");
    const { childBoot, attempt } = announced;
    const offer = (version: number): Uint8Array => {
      const grant = ["local", "raw", [5], childBoot, attempt, "s", [5, 1], version, "cast", 0, 10_000, 800, 0, false];
      return rawFrame({ messages: [[1, 1, 0, ...grant]] });
    };
    world.broker.publish("ft.local.down.shop.a", offer(2));
    await world.run(10);
    expect([a.state, a.status.dropped]).toEqual(["DISCONNECTED", { "protocol version": 1 }]);
    world.broker.publish("ft.local.down.shop.a", offer(1));
    await world.run(10);
    expect(a.state).toBe("SYNCHRONIZED");
  });
});
