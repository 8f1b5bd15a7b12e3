/**
 * A cluster of NATS servers on 127.0.0.1 for tests. Each route between two of them runs through a proxy, so that servers
 * can be cut off from each other while their clients stay connected.
 */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { candidatePort, type NatsServer, startNatsServer } from "./nats-server.js";
import { startTcpProxy, type TcpProxy } from "./tcp-proxy.js";

export interface NatsCluster extends AsyncDisposable {
  readonly servers: readonly NatsServer[];
  /** Client addresses of all servers. */
  readonly urls: readonly string[];
  /** Resolves when every server has a route to every other one. Rejects after 15 s. */
  whole(): Promise<void>;
  /** No message passes any more between this server and the others; clients notice nothing. */
  isolate(index: number, how?: Isolation): void;
  /** Ends every isolation. */
  heal(): void;
  stop(): Promise<void>;
}

export type Isolation =
  /** The routes stay open and what was sent arrives late, in a burst. */
  | "silent"
  /** The routes break and what was under way is lost. */
  | "broken";

/** The route that the server `from` opens to the server `to`. */
interface Route {
  readonly from: number;
  readonly to: number;
  readonly proxy: TcpProxy;
}

const WHOLE_LIMIT_MS = 15_000;
const POLL_MS = 50;

export async function startNatsCluster(size = 3): Promise<NatsCluster> {
  const ports = await freePorts(size);
  const routes = await startRoutes(ports);
  const configs = ports.map((port, index) => configOf(index, port, routes));
  const servers = await Promise.all(configs.map((config) => startNatsServer({ config })));
  const stop = async (): Promise<void> => {
    await Promise.all([...servers.map((server) => server.stop()), ...routes.map(({ proxy }) => proxy.close())]);
  };
  const cluster: NatsCluster = {
    servers,
    urls: servers.map(({ url }) => url),
    whole: () => untilWhole(servers),
    isolate: (index, how = "silent") => {
      for (const { proxy, from, to } of routes) if (from === index || to === index) isolate(proxy, how);
    },
    heal: () => routes.forEach(({ proxy }) => proxy.resume()),
    stop,
    [Symbol.asyncDispose]: stop,
  };
  await cluster.whole().catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  return cluster;
}

function isolate(proxy: TcpProxy, how: Isolation): void {
  proxy.pause();
  if (how === "broken") proxy.cut();
}

/** Each pair of servers has one route, opened by the later of the two. */
async function startRoutes(ports: readonly number[]): Promise<readonly Route[]> {
  const pairs = ports.flatMap((_, from) => ports.slice(0, from).map((port, to) => ({ from, to, port })));
  return Promise.all(pairs.map(async ({ from, to, port }) => ({ from, to, proxy: await startTcpProxy(port) })));
}

function configOf(index: number, port: number, routes: readonly Route[]): string {
  const own = routes.filter(({ from }) => from === index);
  const addresses = own.map(({ proxy }) => `"nats-route://127.0.0.1:${proxy.port}"`);
  // Servers tell each other their addresses and would then dial past the proxies: nobody listens at this one.
  return `server_name: n${index}
cluster { name: test, listen: "127.0.0.1:${port}", advertise: "127.0.0.1:1", routes: [${addresses.join(", ")}] }`;
}

async function untilWhole(servers: readonly NatsServer[]): Promise<void> {
  let counts: readonly number[] = [];
  for (const untilMs = Date.now() + WHOLE_LIMIT_MS; Date.now() < untilMs; await sleep(POLL_MS)) {
    counts = await Promise.all(servers.map(countRoutes));
    if (counts.every((count) => count === servers.length - 1)) return;
  }
  throw new Error(`the servers have ${counts.join(", ")} routes after ${WHOLE_LIMIT_MS} ms`);
}

async function countRoutes({ monitoringUrl }: NatsServer): Promise<number> {
  try {
    const routes = (await (await fetch(`${monitoringUrl}/routez`)).json()) as { num_routes: number };
    return routes.num_routes;
  } catch {
    return 0;
  }
}

async function freePorts(count: number): Promise<readonly number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = candidatePort();
    if (await canListen(port)) ports.add(port);
  }
  return [...ports];
}

async function canListen(port: number): Promise<boolean> {
  const server = createServer().listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
    return (server.address() as AddressInfo).port === port;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
