import { describe, expect, it } from "vitest";
import { type NetworkFaults, seededRandom, SimulatedClock, SimulatedNetwork } from "../../src/testing/index.js";

const text = (payload: Uint8Array): string => new TextDecoder().decode(payload);
const bytes = (value: string): Uint8Array => new TextEncoder().encode(value);

function setUp(faults: NetworkFaults = {}, seed = 1) {
  const clock = new SimulatedClock();
  const network = new SimulatedNetwork({ clock, random: seededRandom(seed), faults });
  const a = network.host("a");
  const b = network.host("b");
  const heard: string[] = [];
  b.transport.subscribe("s.x", (payload) => heard.push(text(payload)));
  const send = (count: number): void => {
    for (let i = 0; i < count; i++) a.transport.publish("s.x", bytes(String(i)), { ttlMs: 1_000 });
  };
  return { clock, network, a, b, heard, send };
}

describe("SimulatedNetwork", () => {
  it("delivers in order, late, and not from within publish", async () => {
    const { clock, heard, send } = setUp({ minDelayMs: 5, maxDelayMs: 50 });
    send(50);
    expect(heard).toEqual([]);
    await clock.advance(4);
    expect(heard).toEqual([]);
    await clock.advance(50);
    expect(heard).toEqual(Array.from({ length: 50 }, (_, i) => String(i)));
  });

  it("loses, doubles and reorders as told, the same for the same seed", async () => {
    const faults = { drop: 0.3, duplicate: 0.3, maxDelayMs: 50, reorder: true };
    const one = setUp(faults, 7);
    const same = setUp(faults, 7);
    for (const { clock, send } of [one, same]) {
      send(200);
      await clock.advance(100);
    }
    expect(one.heard).toEqual(same.heard);
    expect(one.network.stats.dropped).toBeGreaterThan(20);
    expect(one.network.stats.duplicated).toBeGreaterThan(20);
    expect(one.heard).not.toEqual(one.heard.toSorted((x, y) => Number(x) - Number(y)));
  });

  it("matches patterns: * one last token, > one or more", async () => {
    const { clock, a, b } = setUp();
    const heard: string[] = [];
    const subscriptions = ["s.a.b", "s.a.*", "s.a.>", "s.>"].map((pattern) =>
      b.transport.subscribe(pattern, (_, subject) => heard.push(`${pattern} ${subject}`)),
    );
    for (const subject of ["s.a", "s.a.b", "s.a.b.c"]) a.transport.publish(subject, bytes("x"));
    await clock.advance(10);
    const expected = [
      "s.> s.a",
      "s.a.b s.a.b",
      "s.a.* s.a.b",
      "s.> s.a.b",
      "s.a.> s.a.b",
      "s.> s.a.b.c",
      "s.a.> s.a.b.c",
    ];
    expect(heard.toSorted()).toEqual(expected.toSorted());
    for (const subscription of subscriptions) subscription.unsubscribe();
    a.transport.publish("s.a.b", bytes("x"));
    await clock.advance(10);
    expect(heard).toHaveLength(expected.length);
  });

  it("cuts one direction, and heals", async () => {
    const { clock, network, a, b, heard, send } = setUp();
    const back: string[] = [];
    a.transport.subscribe("s.y", (payload) => back.push(text(payload)));
    network.cut(["a"], ["b"]);
    send(1);
    b.transport.publish("s.y", bytes("hello"));
    await clock.advance(10);
    expect(heard).toEqual([]);
    expect(back).toEqual(["hello"]);
    network.heal();
    send(1);
    await clock.advance(10);
    expect(heard).toEqual(["0"]);
  });

  it("keeps what is worth keeping through an outage", async () => {
    const { clock, a, heard, send } = setUp();
    const seen: boolean[] = [];
    a.transport.onConnection((connected) => seen.push(connected));
    a.disconnect();
    expect(a.transport.connected).toBe(false);
    a.transport.publish("s.x", bytes("worthless"));
    a.transport.publish("s.x", bytes("expires"), { ttlMs: 10 });
    send(1);
    await clock.advance(500);
    a.reconnect();
    await clock.advance(10);
    expect(heard).toEqual(["0"]);
    expect(seen).toEqual([false, true]);
  });

  it("holds messages and timers of a paused process, and forgets those that it cleared", async () => {
    const { clock, b, heard, send } = setUp();
    const fired: number[] = [];
    b.clock.setTimeout(() => fired.push(clock.now()), 10);
    b.pause();
    send(2);
    await clock.advance(100);
    expect([heard, fired]).toEqual([[], []]);
    b.resume();
    await clock.advance(1);
    expect(heard).toEqual(["0", "1"]);
    expect(fired).toEqual([100]);
  });

  it("a killed process neither hears, speaks nor acts again", async () => {
    const { clock, a, b, heard, send } = setUp();
    let acted = false;
    a.clock.setTimeout(() => (acted = true), 10);
    a.kill();
    send(1);
    await clock.advance(20);
    expect([heard, acted]).toEqual([[], false]);
    expect(b.isAlive).toBe(true);
    expect(clock.pending).toBe(0);
  });

  it("refuses impossible faults", () => {
    const { network } = setUp();
    expect(() => network.setFaults({ drop: 1.5 })).toThrow("faults.drop must be a probability from 0 to 1, got 1.5");
    expect(() => network.setFaults({ minDelayMs: 9, maxDelayMs: 3 })).toThrow(
      "faults.maxDelayMs must be >= minDelayMs",
    );
  });
});
