import { connect } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { InvalidOptionError, TransportUnavailableError } from "../../src/errors.js";
import { connectNats, type NatsOptions, natsTransport } from "../../src/nats.js";
import { type NatsServer, startNatsServer } from "../support/nats-server.js";
import { openDefault, openUser3 } from "./clients.js";
import { connection as viewed, natsConformance } from "./nats-conformance.js";

natsConformance("connectNats", openDefault);
natsConformance("natsTransport over @nats-io/transport-node 3", openUser3);

describe("connectNats", () => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNatsServer({ config: `authorization { user: u, password: "p@p" }` });
  });
  afterAll(() => server.stop());

  test("closes the connection that it opened", async () => {
    const transport = await connectNats({ servers: server.url, tree: "owned", user: "u", pass: "p@p" });
    await expect(viewed(server, "owned")).resolves.toBeDefined();
    await transport.close();
    await expect
      .poll(() =>
        viewed(server, "owned").then(
          () => "open",
          () => "gone",
        ),
      )
      .toBe("gone");
  });

  test("rejects with the cause when no server answers, without the credentials", async () => {
    const stopped = await startNatsServer();
    await stopped.stop();
    const servers = [`nats://user:secret@127.0.0.1:${stopped.port}`, "127.0.0.1:1"];
    const failure = await connectNats({ servers, tree: "test" }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(TransportUnavailableError);
    expect(failure).toMatchObject({ code: "TRANSPORT_UNAVAILABLE", cause: expect.any(Error) });
    expect(String(failure)).toContain(`nats://127.0.0.1:${stopped.port}, 127.0.0.1:1`);
    expect(String(failure)).not.toContain("secret");
  });

  test("takes credentials from an address, unless they are given as options", async () => {
    const address = server.url.replace("nats://", "nats://u:p%40p@");
    const transport = await connectNats({ servers: [address], tree: "test" });
    await transport.close();
    const failure = connectNats({ servers: address, tree: "test", user: "u", pass: "wrong" });
    await expect(failure).rejects.toThrow(TransportUnavailableError);
  });

  test("rejects when the server refuses the credentials", async () => {
    const failure = connectNats({ servers: server.url, tree: "test", user: "u", pass: "wrong" });
    await expect(failure).rejects.toThrow(TransportUnavailableError);
  });

  test("rejects when the server accepts but stays silent", async () => {
    await server.kill("SIGSTOP");
    try {
      const failure = connectNats({ servers: server.url, tree: "test", connectTimeoutMs: 200 });
      await expect(failure).rejects.toThrow(TransportUnavailableError);
    } finally {
      await server.kill("SIGCONT");
    }
  });

  test.each([
    ["servers", { servers: [] }],
    ["servers", { servers: "" }],
    ["servers", { servers: undefined }],
    ["connectTimeoutMs", { connectTimeoutMs: 0 }],
    ["connectTimeoutMs", { connectTimeoutMs: NaN }],
  ])("checks %s", async (option, wrong) => {
    const options = { servers: server.url, tree: "test", ...wrong } as unknown as NatsOptions;
    const failure = await connectNats(options).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(InvalidOptionError);
    expect(failure).toMatchObject({ option });
  });
});

describe("natsTransport", () => {
  test("leaves the connection open", async () => {
    await using server = await startNatsServer();
    const connection = await connect({ servers: server.url });
    const transport = natsTransport({ connection, tree: "test" });
    await transport.close();
    expect(connection.isClosed()).toBe(false);
    await connection.flush();
    await connection.close();
  });

  test("refuses what is not a connection", () => {
    const options = { tree: "test" } as unknown as Parameters<typeof natsTransport>[0];
    expect(() => natsTransport(options)).toThrow("connection must be an open NATS connection");
  });
});
