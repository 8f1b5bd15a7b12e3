/** What only a transport over a server can show: the server's view of it, and what the server refuses. */
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { InvalidOptionError, InvalidPathError } from "../../src/errors.js";
import type { NatsTransportSettings } from "../../src/nats.js";
import type { Transport } from "../../src/transport/transport.js";
import { type NatsServer, startNatsServer } from "../support/nats-server.js";
import { collect, settled, transportConformance } from "../transport/conformance.js";

export interface Opened {
  readonly transport: Transport;
  /** Closes what is left of it. */
  readonly close: () => Promise<void>;
}

/** Opens a transport to `url` whose connection is called `name`. */
export type Open = (url: string, name: string, settings: NatsTransportSettings) => Promise<Opened>;

/** The user `limited` may not use `secret.>`. */
const CONFIG = `
authorization { users: [
  { user: limited, password: pw, permissions: { publish: { deny: "secret.>" }, subscribe: { deny: "secret.>" } } }
  { user: full, password: pw }
] }
no_auth_user: full
`;

const bytes = new Uint8Array([1]);

export function natsConformance(name: string, open: Open): void {
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNatsServer({ config: CONFIG });
  });
  afterAll(() => server.stop());

  transportConformance(name, async () => {
    const [one, two] = await Promise.all(
      ["publisher", "subscriber"].map((id) => open(server.url, id, { tree: "test" })),
    );
    if (one === undefined || two === undefined) throw new Error("unreachable");
    return { publisher: one.transport, subscriber: two.transport };
  });

  describe(`${name} at a server`, () => {
    test("has one server subscription for each distinct subject, and none once nobody listens", async () => {
      const { transport, close } = await open(server.url, "subscriptions", { tree: "test" });
      const listen = (subject: string) => collect(transport, subject).subscription;
      const kept = ["test.a", "test.a", "test.a", "test.b.*", "test.b.*", "test.c"].map(listen);
      await settled({ publisher: transport, subscriber: transport });
      expect(await serverSubscriptions(server, "subscriptions")).toEqual(["test.a", "test.b.*", "test.c"]);
      for (const subscription of kept.slice(2)) subscription.unsubscribe();
      await settled({ publisher: transport, subscriber: transport });
      expect(await serverSubscriptions(server, "subscriptions")).toEqual(["test.a"]);
      for (const subscription of kept) subscription.unsubscribe();
      await settled({ publisher: transport, subscriber: transport });
      expect(await serverSubscriptions(server, "subscriptions")).toEqual([]);
      await close();
    });

    test("a message reaches a process once, however many of its nodes listen", async () => {
      const { transport, close } = await open(server.url, "fan-out", { tree: "test" });
      const listeners = Array.from({ length: 50 }, () => collect(transport, "test.a"));
      await settled({ publisher: transport, subscriber: transport });
      const before = (await connection(server, "fan-out")).out_msgs;
      transport.publish("test.a", bytes);
      await settled({ publisher: transport, subscriber: transport });
      const after = (await connection(server, "fan-out")).out_msgs;
      expect(listeners.every(({ got }) => got.length === 1)).toBe(true);
      // The message and the two of `settled`.
      expect(after - before).toBe(3);
      await close();
    });

    test("what was published before close arrives", async () => {
      const [one, two] = [
        await open(server.url, "one", { tree: "test" }),
        await open(server.url, "two", { tree: "test" }),
      ];
      const { got } = collect(two.transport, "test.a");
      await settled({ publisher: one.transport, subscriber: two.transport });
      for (let i = 0; i < 1_000; i++) one.transport.publish("test.a", bytes);
      await one.transport.close();
      await vi.waitFor(() => expect(got).toHaveLength(1_000));
      await Promise.all([one.close(), two.close()]);
    });

    test("a refused subscription or publication is reported and disturbs nothing else", async () => {
      const onError = vi.fn<(error: Error) => void>();
      const url = server.url.replace("nats://", "nats://limited:pw@");
      const { transport, close } = await open(url, "limited", { tree: "test", onError });
      const secret = collect(transport, "secret.a");
      const allowed = collect(transport, "test.a");
      transport.publish("secret.b", bytes);
      transport.publish("test.a", bytes);
      await settled({ publisher: transport, subscriber: transport });
      await vi.waitFor(() => expect(onError).toHaveBeenCalledTimes(2));
      expect(onError.mock.calls.map(([error]) => error)).toEqual([
        expect.objectContaining({ code: "PERMISSION_DENIED", operation: "subscribe", subject: "secret.a" }),
        expect.objectContaining({ code: "PERMISSION_DENIED", operation: "publish", subject: "secret.b" }),
      ]);
      expect(allowed.got).toHaveLength(1);
      secret.subscription.unsubscribe();
      expect(transport.connected).toBe(true);
      await close();
    });

    test.each([
      [{ tree: undefined }, InvalidOptionError],
      [{ tree: "a.b" }, InvalidPathError],
      [{ namespace: "" }, InvalidPathError],
      [{ outboxMax: -1 }, InvalidOptionError],
      [{ outboxMaxBytes: 0.5 }, InvalidOptionError],
    ])("refuses %o", async (wrong, error) => {
      const settings = { tree: "test", ...wrong } as NatsTransportSettings;
      await expect(open(server.url, "invalid", settings)).rejects.toThrow(error);
    });

    test("has the names that it was given and the limit of the server", async () => {
      await using small = await startNatsServer({ maxPayloadBytes: 2_048 });
      const one = await open(small.url, "names", { tree: "a" });
      const two = await open(small.url, "names", { tree: "a", namespace: "b" });
      expect(one.transport).toMatchObject({ namespace: "ft", tree: "a", maxPayloadBytes: 2_048, connected: true });
      expect(two.transport).toMatchObject({ namespace: "b", tree: "a" });
      expect(() => one.transport.publish("test.a", new Uint8Array(2_049))).toThrow("2049 bytes");
      await Promise.all([one.close(), two.close()]);
    });
  });
}

interface ConnectionView {
  readonly name?: string;
  readonly out_msgs: number;
  readonly subscriptions_list?: readonly string[];
}

/** The server's view of an open connection. */
export async function connection(server: NatsServer, name: string): Promise<ConnectionView> {
  const response = await fetch(`${server.monitoringUrl}/connz?subs=1`);
  const { connections } = (await response.json()) as { connections: ConnectionView[] };
  const found = connections.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`the server has no connection ${name}`);
  return found;
}

export async function serverSubscriptions(server: NatsServer, name: string): Promise<string[]> {
  const { subscriptions_list: list = [] } = await connection(server, name);
  return list.filter((subject) => !subject.startsWith("test.fence.")).toSorted();
}
