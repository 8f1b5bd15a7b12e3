/** A connection that is silent without being closed (a dead host, a lost route, a stopped server), or breaks too early. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { connectNats } from "../../src/nats.js";
import { type NatsServer, startNatsServer } from "../support/nats-server.js";
import { startTcpProxy } from "../support/tcp-proxy.js";
import { settled } from "../transport/conformance.js";
import { openDefault, openUser2, openUser3 } from "./clients.js";

const WAIT = { timeout: 25_000, interval: 10 };

describe("connectNats", () => {
  let server: NatsServer;
  beforeEach(async () => {
    server = await startNatsServer();
  });
  afterEach(() => server.stop());

  test("notices a silent connection within seconds and replaces it, also when its buffers are full", async () => {
    // Without destroySocket in nats.ts the client waits for the full buffers before it dials again.
    await using proxy = await startTcpProxy(server.port);
    const transport = await connectNats({ servers: `127.0.0.1:${proxy.port}`, tree: "test" });
    const seen: boolean[] = [];
    transport.onConnection((connected) => seen.push(connected));
    proxy.freeze();
    for (let i = 0; i < 30; i++) transport.publish("test.a", new Uint8Array(1_000_000));
    await vi.waitFor(() => expect(seen).toEqual([false, true]), WAIT);
    await settled({ publisher: transport, subscriber: transport });
    await transport.close();
  });

  test("closes within seconds although the server is silent", async () => {
    const transport = await connectNats({ servers: server.url, tree: "test" });
    await server.kill("SIGSTOP");
    transport.publish("test.a", new Uint8Array(1));
    const startMs = performance.now();
    await Promise.all([transport.close(), transport.close()]);
    expect(performance.now() - startMs).toBeLessThan(5_000);
  });
});

test.each([
  ["connectNats", openDefault],
  ["@nats-io/transport-node 3", openUser3],
  ["nats 2", openUser2],
])("%s dials again at once when a server dies in the middle of a handshake", async (_client, open) => {
  // Without endDeadHandshake the client waits for the dead server, five seconds by our settings and twenty by its own.
  await using server = await startNatsServer();
  await using proxy = await startTcpProxy(server.port);
  const { transport, close } = await open(`nats://127.0.0.1:${proxy.port}`, "test", { tree: "test" });
  const seen: boolean[] = [];
  transport.onConnection((connected) => seen.push(connected));
  proxy.cutNext(3);
  proxy.cut();
  await vi.waitFor(() => expect(seen).toEqual([false, true]), { timeout: 4_500, interval: 10 });
  await settled({ publisher: transport, subscriber: transport });
  await close();
});
