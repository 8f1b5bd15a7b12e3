/** Outages of a real server, as the runtime sees them through a transport. */
import { once } from "node:events";
import { createServer } from "node:net";
import { connect } from "@nats-io/transport-node";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { PayloadTooLargeError, TransportClosedError } from "../../src/errors.js";
import { connectNats, type NatsOptions, natsTransport } from "../../src/nats.js";
import type { Transport } from "../../src/transport/transport.js";
import { type NatsServer, startNatsServer } from "../support/nats-server.js";
import { startTcpProxy } from "../support/tcp-proxy.js";
import { collect, settled } from "../transport/conformance.js";
import { openDefault, openUser2, openUser3 } from "./clients.js";
import { type Opened, serverSubscriptions } from "./nats-conformance.js";

const encode = (text: string) => new TextEncoder().encode(text);
const WAIT = { timeout: 20_000, interval: 10 };

/** Resolves once `transport.connected` is `value`. */
async function until(transport: Transport, value: boolean): Promise<void> {
  await vi.waitFor(() => expect(transport.connected).toBe(value), WAIT);
}

const options = (port: number, more: Partial<NatsOptions> = {}): NatsOptions => ({
  servers: `127.0.0.1:${port}`,
  tree: "test",
  ...more,
});

const secured = (password: string) => `authorization { user: u, password: ${password} }`;

const sameEnd = (transport: Transport) => settled({ publisher: transport, subscriber: transport });

describe.each([
  ["connectNats", openDefault],
  ["natsTransport over @nats-io/transport-node 3", openUser3],
  ["natsTransport over nats 2.29", openUser2],
])("an outage under %s", (_name, open) => {
  let server: NatsServer;
  let opened: Opened;
  let transport: Transport;
  beforeEach(async () => {
    server = await startNatsServer();
    opened = await open(server.url, "outage", { tree: "test", outboxMax: 5 });
    ({ transport } = opened);
  });
  afterEach(async () => {
    await opened.close();
    await server.stop();
  });

  async function outage(meanwhile: () => void | Promise<void>, changes?: { maxPayloadBytes: number }): Promise<void> {
    await server.kill();
    await until(transport, false);
    await meanwhile();
    await server.restart(changes);
    await until(transport, true);
  }

  test("is reported once when it begins and once when it ends", async () => {
    const seen: boolean[] = [];
    transport.onConnection((connected) => seen.push(connected));
    await outage(() => expect(seen).toEqual([false]));
    expect(seen).toEqual([false, true]);
  });

  test("drops what has no time to live, sends the rest once, in order, before what follows", async () => {
    const { got } = collect(transport, "test.a");
    await outage(() => {
      transport.publish("test.a", encode("dropped by default"));
      for (const text of ["1", "2", "3"]) {
        transport.publish("test.a", encode(text), { ttlMs: 60_000 });
        transport.publish("test.a", encode("dropped"), { ttlMs: 0 });
      }
    });
    transport.publish("test.a", encode("4"));
    await sameEnd(transport);
    expect(got).toEqual(["test.a=1", "test.a=2", "test.a=3", "test.a=4"]);
  });

  test("sends kept messages before the first one of a listener that learns of the end", async () => {
    const { got } = collect(transport, "test.a");
    transport.onConnection((connected) => connected && transport.publish("test.a", encode("announce")));
    await outage(() => transport.publish("test.a", encode("kept"), { ttlMs: 60_000 }));
    await sameEnd(transport);
    expect(got).toEqual(["test.a=kept", "test.a=announce"]);
  });

  test("does not send what has expired", async () => {
    const { got } = collect(transport, "test.a");
    await outage(async () => {
      transport.publish("test.a", encode("short"), { ttlMs: 30 });
      transport.publish("test.a", encode("long"), { ttlMs: 60_000 });
      const expired = performance.now() + 31;
      await vi.waitFor(() => expect(performance.now()).toBeGreaterThan(expired), WAIT);
    });
    await sameEnd(transport);
    expect(got).toEqual(["test.a=long"]);
  });

  test("keeps no more than the outbox may hold, the newest", async () => {
    const { got } = collect(transport, "test.a");
    await outage(() => {
      for (let i = 0; i < 20; i++) transport.publish("test.a", encode(String(i)), { ttlMs: 60_000 });
    });
    await sameEnd(transport);
    expect(got).toEqual([15, 16, 17, 18, 19].map((i) => `test.a=${i}`));
  });

  test("sends a message as it was when it was published", async () => {
    const { got } = collect(transport, "test.a");
    await outage(() => {
      const payload = encode("before");
      transport.publish("test.a", payload, { ttlMs: 60_000 });
      payload.fill(0);
    });
    await sameEnd(transport);
    expect(got).toEqual(["test.a=before"]);
  });

  test("keeps subscriptions, and takes new ones and the end of old ones", async () => {
    const kept = collect(transport, "test.kept");
    const ended = collect(transport, "test.ended");
    let added = ended;
    await sameEnd(transport);
    await outage(() => {
      ended.subscription.unsubscribe();
      added = collect(transport, "test.added");
    });
    for (const subject of ["test.kept", "test.ended", "test.added"]) transport.publish(subject, encode("x"));
    await sameEnd(transport);
    expect([kept.got, ended.got, added.got]).toEqual([["test.kept=x"], [], ["test.added=x"]]);
    expect(await serverSubscriptions(server, "outage")).toEqual(["test.added", "test.kept"]);
  });

  test("adopts the limit of the server that comes back, also for what was kept", async () => {
    const { got } = collect(transport, "test.a");
    const keep = (payload: Uint8Array) => transport.publish("test.a", payload, { ttlMs: 60_000 });
    const oversized = new Uint8Array(2_049);
    await outage(
      () => {
        keep(encode("1"));
        keep(oversized);
        keep(encode("2"));
        expect(() => keep(new Uint8Array(1_048_577))).toThrow(PayloadTooLargeError);
      },
      { maxPayloadBytes: 2_048 },
    );
    expect(transport.maxPayloadBytes).toBe(2_048);
    expect(() => transport.publish("test.a", oversized)).toThrow(PayloadTooLargeError);
    await sameEnd(transport);
    expect(got).toEqual(["test.a=1", "test.a=2"]);
  });

  test("several in a row are survived", async () => {
    const { got } = collect(transport, "test.a");
    for (const text of ["1", "2", "3"]) {
      await outage(() => transport.publish("test.a", encode(text), { ttlMs: 60_000 }));
      // What was sent and not yet received would be lost with the next outage.
      await sameEnd(transport);
    }
    expect(got).toEqual(["test.a=1", "test.a=2", "test.a=3"]);
  });

  test("does not keep close() waiting", async () => {
    await server.kill();
    await until(transport, false);
    transport.publish("test.a", encode("never sent"), { ttlMs: 60_000 });
    const startMs = performance.now();
    await transport.close();
    expect(performance.now() - startMs).toBeLessThan(1_000);
    expect(() => transport.publish("test.a", encode("x"))).toThrow(TransportClosedError);
  });
});

describe("connectNats", () => {
  let server: NatsServer;
  beforeEach(async () => {
    server = await startNatsServer();
  });
  afterEach(() => server.stop());

  test("never gives up", async () => {
    // The client's own default gives up after ten attempts.
    const transport = await connectNats(options(server.port));
    await server.kill();
    let attempts = 0;
    const deaf = createServer((socket) => {
      attempts++;
      socket.destroy();
    }).listen(server.port, "127.0.0.1");
    await vi.waitFor(() => expect(attempts).toBeGreaterThan(12), WAIT);
    deaf.close();
    await once(deaf, "close");
    await server.restart();
    await until(transport, true);
    await sameEnd(transport);
    await transport.close();
  });

  test("never gives up, even if credentials are refused for a while", async () => {
    await server.restart({ config: secured("right") });
    const onError = vi.fn<(error: Error) => void>();
    const transport = await connectNats(options(server.port, { user: "u", pass: "right", onError }));
    await server.restart({ config: secured("changed") });
    await until(transport, false);
    await vi.waitFor(() => expect(onError.mock.calls.length).toBeGreaterThan(3), WAIT);
    await server.restart({ config: secured("right") });
    await until(transport, true);
    await sameEnd(transport);
    await transport.close();
  });

  test("recovers from a cut connection", async () => {
    await using proxy = await startTcpProxy(server.port);
    const transport = await connectNats(options(proxy.port));
    const seen: boolean[] = [];
    transport.onConnection((connected) => seen.push(connected));
    const { got } = collect(transport, "test.a");
    for (const text of ["1", "2"]) {
      const before = seen.length;
      proxy.cut();
      await vi.waitFor(() => expect(seen.length).toBe(before + 2), WAIT);
      transport.publish("test.a", encode(text));
      await sameEnd(transport);
    }
    expect(seen).toEqual([false, true, false, true]);
    expect(got).toEqual(["test.a=1", "test.a=2"]);
    await transport.close();
  });

  test("refuses a message that exceeds the server's limit, at the call", async () => {
    await server.restart({ maxPayloadBytes: 1_024 });
    const transport = await connectNats(options(server.port));
    expect(() => transport.publish("test.a", new Uint8Array(1_025))).toThrow(
      expect.objectContaining({ code: "PAYLOAD_TOO_LARGE", payloadBytes: 1_025, maxPayloadBytes: 1_024 }),
    );
    await sameEnd(transport);
    await transport.close();
  });

  test("keeps no more bytes than the outbox may hold", async () => {
    const transport = await connectNats(options(server.port, { outboxMaxBytes: 10 }));
    const { got } = collect(transport, "test.a");
    await server.kill();
    await until(transport, false);
    for (const text of ["aaaa", "bbbb", "cccc"]) transport.publish("test.a", encode(text), { ttlMs: 60_000 });
    await server.restart();
    await until(transport, true);
    await sameEnd(transport);
    expect(got).toEqual(["test.a=bbbb", "test.a=cccc"]);
    await transport.close();
  });
});

describe("natsTransport", () => {
  test("over a connection that its owner closed is disconnected and throws nothing into the runtime", async () => {
    await using server = await startNatsServer();
    const connection = await connect({ servers: server.url });
    const onError = vi.fn<(error: Error) => void>();
    const transport = natsTransport({ connection, tree: "test", onError });
    const seen: boolean[] = [];
    transport.onConnection((connected) => seen.push(connected));
    const before = transport.subscribe("test.a", () => {});
    await connection.close();
    await until(transport, false);
    transport.publish("test.a", encode("x"), { ttlMs: 1_000 });
    const after = transport.subscribe("test.b", () => {});
    before.unsubscribe();
    after.unsubscribe();
    await transport.close();
    expect(seen).toEqual([false]);
    expect(onError).toHaveBeenCalledTimes(1);
  });

  test("subscribes again after a reconnect to what the server had refused", async () => {
    const denied = `no_auth_user: u\nauthorization { users: [{ user: u, password: p, permissions: { subscribe: { deny: "test.a" } } }] }`;
    await using server = await startNatsServer({ config: denied });
    const onError = vi.fn<(error: Error) => void>();
    const transport = await connectNats({ servers: server.url, tree: "test", onError });
    const { got } = collect(transport, "test.a");
    await vi.waitFor(() => expect(onError).toHaveBeenCalledTimes(1), WAIT);
    await server.kill();
    await until(transport, false);
    await server.restart({ config: "" });
    await until(transport, true);
    await sameEnd(transport);
    transport.publish("test.a", encode("x"));
    await sameEnd(transport);
    expect(got).toEqual(["test.a=x"]);
    await transport.close();
  });
});
