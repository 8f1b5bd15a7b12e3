/** Opens a NATS connection with the settings that a supervisor needs, and closes it with the transport. */
import { connect, type NodeConnectionOptions } from "@nats-io/transport-node";
import { InvalidOptionError, TransportUnavailableError } from "../errors.js";
import { NatsTransport, type NatsTransportSettings, resolveNatsSettings } from "./nats.js";
import type { Transport } from "./transport.js";

export interface NatsOptions extends NatsTransportSettings {
  /**
   * Address or addresses of one cluster, for example "nats://127.0.0.1:4222". `nats://user:pass@host` and
   * `nats://token@host` are understood too, where none of the options below is given; the first one counts.
   */
  readonly servers: string | readonly string[];
  readonly user?: string;
  readonly pass?: string;
  readonly token?: string;
  /** From `@nats-io/transport-node`: `credsAuthenticator`, `nkeyAuthenticator` … */
  readonly authenticator?: NonNullable<NodeConnectionOptions["authenticator"]>;
  readonly tls?: NonNullable<NodeConnectionOptions["tls"]>;
  /** The connection's name in the server's monitoring. @default the tree's name */
  readonly name?: string;
  /** Limit for one attempt to connect, milliseconds. @default 5_000 */
  readonly connectTimeoutMs?: number;
}

/**
 * The client's defaults give up after ten attempts and notice a half-open socket after minutes. These never give up and
 * notice it after `pingInterval * (maxPingOut + 1)` at most.
 */
const SUPERVISION_SETTINGS = {
  reconnect: true,
  maxReconnectAttempts: -1,
  ignoreAuthErrorAbort: true,
  reconnectTimeWait: 250,
  reconnectJitter: 250,
  reconnectJitterTLS: 1_000,
  pingInterval: 5_000,
  maxPingOut: 2,
  noAsyncTraces: true,
} satisfies NodeConnectionOptions;

/**
 * Connects to NATS and returns a transport that owns the connection: it reconnects for ever, and `close()` closes it.
 * Addresses that cannot be reached at this first attempt are forgotten unless the cluster announces them.
 *
 * @throws InvalidOptionError, InvalidPathError, TransportUnavailableError
 */
export async function connectNats(options: NatsOptions): Promise<Transport> {
  const settings = resolveNatsSettings(options);
  const connectionOptions = toConnectionOptions(options);
  try {
    const connection = await connect(connectionOptions);
    return new NatsTransport(connection, settings, () => connection.close());
  } catch (cause) {
    throw new TransportUnavailableError(addresses(options.servers).join(", "), cause);
  }
}

function toConnectionOptions(options: NatsOptions): NodeConnectionOptions {
  const { servers, tls, name = options.tree, connectTimeoutMs = 5_000 } = options;
  assertServers(servers);
  if (!(connectTimeoutMs > 0)) throw new InvalidOptionError("connectTimeoutMs", connectTimeoutMs, "> 0");
  return {
    ...SUPERVISION_SETTINGS,
    servers: addresses(servers),
    name,
    timeout: connectTimeoutMs,
    ...credentials(options),
    ...(tls !== undefined && { tls }),
  };
}

function assertServers(servers: unknown): void {
  const list: unknown[] = Array.isArray(servers) ? servers : [servers];
  if (list.length === 0 || !list.every((server) => typeof server === "string" && server !== "")) {
    throw new InvalidOptionError("servers", servers, "an address such as nats://127.0.0.1:4222, or several");
  }
}

const USER_INFO = /^((?:[a-z]+:\/\/)?)([^@/]*)@/;

/** The servers without credentials: the client would ignore them, and they do not belong in an error's message. */
function addresses(servers: string | readonly string[]): string[] {
  return [servers].flat().map((server) => server.replace(USER_INFO, "$1"));
}

function credentials({ servers, user, pass, token, authenticator }: NatsOptions): NodeConnectionOptions {
  const given = { user, pass, token, authenticator };
  const present = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  return Object.keys(present).length > 0 ? present : credentialsInAddress([servers].flat());
}

function credentialsInAddress(servers: readonly string[]): NodeConnectionOptions {
  const userInfo = servers.map((server) => USER_INFO.exec(server)?.[2]).find((found) => found !== undefined);
  if (userInfo === undefined) return {};
  const colon = userInfo.indexOf(":");
  if (colon === -1) return { token: decodeURIComponent(userInfo) };
  return { user: decodeURIComponent(userInfo.slice(0, colon)), pass: decodeURIComponent(userInfo.slice(colon + 1)) };
}
