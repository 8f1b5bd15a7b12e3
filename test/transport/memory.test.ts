import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { InvalidOptionError, InvalidPathError, PayloadTooLargeError, TransportClosedError } from "../../src/errors.js";
import { realClock } from "../../src/health/real-clock.js";
import { memoryTransport } from "../../src/transport/memory.js";
import type { Letter } from "../../src/transport/transport.js";
import { transportConformance } from "./conformance.js";

transportConformance("memoryTransport", async () => {
  const transport = memoryTransport();
  return { publisher: transport, subscriber: transport };
});

const EMPTY = new Uint8Array(0);

/** A transport whose turns end when the test says so. */
function manualTransport() {
  const deferred: (() => void)[] = [];
  const transport = memoryTransport({ clock: { ...realClock, defer: (callback) => deferred.push(callback) } });
  return { transport, deferred, endTurn: () => deferred.shift()?.() };
}

describe("memoryTransport", () => {
  test("has names and a limit by default", () => {
    expect(memoryTransport()).toMatchObject({
      namespace: "ft",
      tree: "local",
      maxPayloadBytes: 1_048_576,
      connected: true,
    });
    expect(memoryTransport({ namespace: "x", tree: "y", maxPayloadBytes: 9 })).toMatchObject({
      namespace: "x",
      tree: "y",
      maxPayloadBytes: 9,
    });
  });

  test.each([0, -1, 1.5, NaN, Infinity])("refuses maxPayloadBytes %s", (maxPayloadBytes) => {
    expect(() => memoryTransport({ maxPayloadBytes })).toThrow(InvalidOptionError);
  });

  test.each(["", "a.b", "a b", "*"])("refuses %j as tree and as namespace", (token) => {
    expect(() => memoryTransport({ tree: token })).toThrow(InvalidPathError);
    expect(() => memoryTransport({ namespace: token })).toThrow(InvalidPathError);
  });

  test("delivers a burst in one deferred turn", () => {
    const { transport, deferred, endTurn } = manualTransport();
    let received = 0;
    transport.subscribe("test.a", () => received++);
    for (let i = 0; i < 10; i++) transport.publish("test.a", EMPTY);
    expect(deferred).toHaveLength(1);
    endTurn();
    expect(received).toBe(10);
    expect(deferred).toHaveLength(0);
  });

  test("leaves what is published during a delivery to the next turn", () => {
    const { transport, endTurn } = manualTransport();
    let received = 0;
    transport.subscribe("test.a", () => {
      received++;
      transport.publish("test.a", EMPTY);
    });
    transport.publish("test.a", EMPTY);
    endTurn();
    expect(received).toBe(1);
    endTurn();
    expect(received).toBe(2);
  });

  test("two nodes that answer each other for ever do not starve timers", async () => {
    const transport = memoryTransport();
    transport.subscribe("test.ping", () => transport.publish("test.pong", EMPTY));
    transport.subscribe("test.pong", () => transport.publish("test.ping", EMPTY));
    transport.publish("test.ping", EMPTY);
    await new Promise((resolve) => {
      setTimeout(resolve, 1);
    });
    await transport.close().catch(() => {});
    expect(transport.connected).toBe(false);
  });

  test("gives a message to those who had subscribed when it was published", () => {
    const { transport, endTurn } = manualTransport();
    const got: string[] = [];
    transport.subscribe("test.a", () => got.push("early"));
    transport.publish("test.a", EMPTY);
    transport.subscribe("test.a", () => got.push("late"));
    endTurn();
    expect(got).toEqual(["early"]);
  });

  test("does nothing for a subject without listeners", () => {
    const { transport, deferred } = manualTransport();
    transport.publish("test.a", EMPTY);
    expect(deferred).toHaveLength(0);
  });
});

describe("letters", () => {
  const bytes = new Uint8Array([1, 2, 3]);
  const letter = { bytesMax: 9, toBytes: () => bytes };

  test("are handed over to who collects, and as bytes to who listens", async () => {
    const transport = memoryTransport();
    const collected: unknown[] = [];
    const heard: unknown[] = [];
    transport.collect?.("a.b", (each) => collected.push(each));
    transport.collect?.("a.*", (each, subject) => collected.push(subject, each));
    transport.subscribe("a.>", (payload) => heard.push(payload));
    transport.route?.("a.b").post(letter);
    expect(collected).toEqual([]);
    await nextTurn();
    expect(collected).toEqual([letter, "a.b", letter]);
    expect(heard).toEqual([bytes]);
  });

  test("are made of what is published", async () => {
    const transport = memoryTransport();
    const collected: Letter[] = [];
    transport.collect?.("a.b", (each) => collected.push(each));
    transport.publish("a.b", bytes);
    await nextTurn();
    expect(collected.map((each) => [each.bytesMax, each.toBytes()])).toEqual([[3, bytes]]);
    expect(collected[0]?.toBytes()).not.toBe(bytes);
  });

  test("are written only where they might be too large", () => {
    const transport = memoryTransport({ maxPayloadBytes: 2 });
    expect(() => transport.route?.("a.b").post(letter)).toThrow(PayloadTooLargeError);
    const unwritten = { bytesMax: 2, toBytes: () => expect.unreachable() };
    expect(() => transport.route?.("a.b").post(unwritten)).not.toThrow();
    expect(() => memoryTransport({ maxPayloadBytes: 3 }).route?.("a.b").post(letter)).not.toThrow();
  });

  test("are refused by a closed transport", async () => {
    const transport = memoryTransport();
    await transport.close();
    expect(() => transport.route?.("a.b").post(letter)).toThrow(TransportClosedError);
    expect(() => transport.collect?.("a.b", () => {})).toThrow(TransportClosedError);
  });
});
