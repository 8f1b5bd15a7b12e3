/** A transport through a real channel with structured clones, its parent's end lent from a transport in memory. */
import { once } from "node:events";
import { MessageChannel, type MessagePort as ThreadPort } from "node:worker_threads";
import { afterEach, describe, expect, test } from "vitest";
import { memoryTransport } from "../../src/transport/memory.js";
import { lendTransport, type MessagePort, PortTransport } from "../../src/transport/port-transport.js";
import type { Transport } from "../../src/transport/transport.js";
import { collect, settled, transportConformance } from "./conformance.js";

const opened: ThreadPort[] = [];
afterEach(() => {
  for (const port of opened.splice(0)) port.close();
});

function toPort(port: ThreadPort): MessagePort {
  opened.push(port);
  return {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
    post: (message) => port.postMessage(message),
    listen: (listener) => {
      port.on("message", listener);
      return () => void port.off("message", listener);
    },
  };
}

function borrow(transport: Transport) {
  const { port1, port2 } = new MessageChannel();
  const endLoan = lendTransport(toPort(port1), transport);
  return { borrowed: new PortTransport(toPort(port2), transport), endLoan, lenderPort: port1, borrowerPort: port2 };
}

transportConformance("a transport through a port", async () => {
  const { borrowed } = borrow(memoryTransport());
  return { publisher: borrowed, subscriber: borrowed };
});

transportConformance("a transport through a port, published from the other side,", async () => {
  const memory = memoryTransport();
  const { borrowed } = borrow(memory);
  return { publisher: memory, subscriber: borrowed };
});

transportConformance("a transport through two ports", async () => {
  const memory = memoryTransport();
  return { publisher: borrow(memory).borrowed, subscriber: borrow(borrow(memory).borrowed).borrowed };
});

const MEBIBYTE = 1_048_576;

describe("a transport through a port", () => {
  test("has the names, the limit and the connection of the one behind it", async () => {
    const memory = memoryTransport({ namespace: "x", tree: "y", maxPayloadBytes: 99 });
    const { borrowed } = borrow(memory);
    expect(borrowed).toMatchObject({ namespace: "x", tree: "y", maxPayloadBytes: 99, connected: true });
    const seen: boolean[] = [];
    borrowed.onConnection((connected) => seen.push(connected));
    await memory.close();
    await expect.poll(() => seen).toEqual([false]);
    expect(borrowed.connected).toBe(false);
    expect(() => borrowed.publish("test.a", new Uint8Array(1))).not.toThrow();
  });

  test("learns that the one behind it was closed before it was there", async () => {
    const memory = memoryTransport();
    await memory.close();
    const { port1, port2 } = new MessageChannel();
    lendTransport(toPort(port1), memory);
    const borrowed = new PortTransport(toPort(port2), { ...namesOf(memory), connected: true });
    await expect.poll(() => borrowed.connected).toBe(false);
  });

  test("the lender keeps no subscription once nobody listens, nor after the loan", async () => {
    const memory = memoryTransport();
    const { borrowed, endLoan } = borrow(memory);
    const pair = { publisher: memory, subscriber: borrowed };
    const { got, subscription } = collect(borrowed, "test.a");
    const late = collect(borrowed, "test.b");
    await settled(pair);
    subscription.unsubscribe();
    await settled(pair);
    endLoan();
    for (const subject of ["test.a", "test.b"]) memory.publish(subject, new Uint8Array(1));
    await settled({ publisher: memory, subscriber: memory });
    expect([got, late.got]).toEqual([[], []]);
  });

  test("drops what a stalled reader cannot take, by number, and goes on afterwards", async () => {
    const memory = memoryTransport();
    const { borrowed } = borrow(memory);
    const pair = { publisher: borrowed, subscriber: borrowed };
    const { got } = collect(borrowed, "test.a");
    await settled(pair);
    // Within one turn nobody reads.
    for (let i = 0; i < 20_000; i++) borrowed.publish("test.a", new Uint8Array(1));
    await expect.poll(() => got.length).toBeGreaterThan(8_000);
    await settled(pair);
    expect(got.length).toBeLessThanOrEqual(8_192);
    got.length = 0;
    borrowed.publish("test.a", new Uint8Array(1));
    await settled(pair);
    expect(got).toHaveLength(1);
  });

  test("drops what a stalled reader cannot take, by bytes", async () => {
    const memory = memoryTransport();
    const { borrowed } = borrow(memory);
    const pair = { publisher: borrowed, subscriber: borrowed };
    let received = 0;
    borrowed.subscribe("test.a", () => received++);
    await settled(pair);
    for (let i = 0; i < 100; i++) borrowed.publish("test.a", new Uint8Array(MEBIBYTE));
    await expect.poll(() => received).toBeGreaterThanOrEqual(60);
    await settled(pair);
    expect(received).toBeLessThanOrEqual(64);
    for (let i = 0; i < 30; i++) borrowed.publish("test.a", new Uint8Array(MEBIBYTE));
    const before = received;
    await expect.poll(() => received).toBe(before + 30);
  });

  test("sends a payload that is a small part of a large buffer, and not the buffer", async () => {
    const memory = memoryTransport();
    const { borrowed } = borrow(memory);
    const buffers: number[] = [];
    borrowed.subscribe("test.a", (payload) => buffers.push(payload.buffer.byteLength));
    await settled({ publisher: memory, subscriber: borrowed });
    // Buffers of this size come from a pool.
    memory.publish("test.a", Buffer.from("small"));
    await settled({ publisher: memory, subscriber: borrowed });
    expect(buffers).toEqual([5]);
  });

  test("garbage on the channel is ignored by both sides", async () => {
    const memory = memoryTransport();
    const { borrowed, lenderPort, borrowerPort } = borrow(memory);
    const { got } = collect(borrowed, "test.a");
    const kinds = ["publish", "subscribe", "unsubscribe", "ack", "message", "connected", "connected?"];
    const odd = ["constructor", "__defineGetter__", "toString", ""];
    const values = [undefined, null, -1, Number.NaN, "", "*", "a b", {}, [], new Uint8Array(2_000), "test.b"];
    const rubbish = [...kinds, ...odd].flatMap((kind) =>
      values.flatMap((one) => values.map((two) => ["ft.transport", kind, one, two, one])),
    );
    for (const message of [null, 1, "x", [], {}, ["ft.transport"], ["ft.transport", 1], ...rubbish]) {
      for (const port of [lenderPort, borrowerPort]) port.postMessage(message, []);
    }
    lenderPort.postMessage(["ft.transport", "connected", true], []);
    await settled({ publisher: memory, subscriber: borrowed });
    got.length = 0;
    memory.publish("test.a", new TextEncoder().encode("x"));
    await settled({ publisher: memory, subscriber: borrowed });
    expect(got).toEqual(["test.a=x"]);
  });

  test("a port that is closed loses messages and nothing else", async () => {
    const { borrowed, borrowerPort } = borrow(memoryTransport());
    const closed = once(borrowerPort, "close");
    borrowerPort.close();
    await closed;
    borrowed.publish("test.a", new Uint8Array(1));
    borrowed.subscribe("test.a", () => {}).unsubscribe();
    await borrowed.close();
    expect(borrowed.connected).toBe(false);
  });
});

function namesOf({ namespace, tree, maxPayloadBytes }: Transport) {
  return { namespace, tree, maxPayloadBytes };
}
