/** A server with one user for each node, a tree whose processes use them, and an observer who may do everything. */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { expect, vi } from "vitest";
import { createNode, type Node, type NodeOptions, type Transport } from "../../src/index.js";
import {
  connectNats,
  formatNatsPermissions,
  type NatsPermissions,
  natsPermissions,
  type NatsPermissionsOptions,
} from "../../src/nats.js";
import { decodeFrame } from "../../src/protocol/codec.js";
import type { InitOpen } from "../../src/protocol/messages.js";
import type { NatsServer } from "../support/nats-server.js";

export const TREE = "local";

/** Users by name, and what they may do; null is for everything. */
export type Users = Readonly<Record<string, NatsPermissions | null>>;

export function authorization(users: Users): string {
  const entries = Object.entries(users).map(([name, permissions]) => {
    const block = permissions === null ? "" : formatNatsPermissions(permissions);
    return `{ user: "${name}", password: "pw", ${block} }`;
  });
  return `authorization { users: [ ${entries.join("\n")} ] }`;
}

/** A user for each path, named like it. */
export function userForEach(paths: readonly string[], options: Partial<NatsPermissionsOptions> = {}): Users {
  return Object.fromEntries(paths.map((path) => [path, natsPermissions(path, { tree: TREE, ...options })]));
}

export function openAs(server: NatsServer, user: string, onError?: (error: Error) => void): Promise<Transport> {
  const settings = onError === undefined ? {} : { onError };
  return connectNats({ servers: server.url, user, pass: "pw", tree: TREE, name: user, ...settings });
}

export interface Speaker extends AsyncDisposable {
  readonly connection: NatsConnection;
  /** Subjects that the server refused, in order, as "publish ft.local.up.shop". */
  readonly refused: string[];
  /** Resolves once the server has processed what was sent, and its refusals were read. */
  flush(): Promise<void>;
}

/** A bare client with a user's credentials: it says what it likes. */
export async function speaker(server: NatsServer, user: string): Promise<Speaker> {
  const connection = await connect({ servers: server.url, user, pass: "pw" });
  const refused: string[] = [];
  void (async () => {
    for await (const status of connection.status()) {
      const { error } = status as { error?: { operation?: string; subject?: string } };
      if (error !== undefined) refused.push(`${error.operation} ${error.subject}`);
    }
  })();
  return {
    connection,
    refused,
    flush: () => connection.flush(),
    [Symbol.asyncDispose]: () => connection.close(),
  };
}

/** What one session's parties know, as an observer of the wire reads it from `init.open`. */
export type Session = InitOpen;

export interface Wire extends Speaker {
  readonly messages: { readonly subject: string; readonly data: Uint8Array }[];
  /** The latest session that was offered to the node at `path`. */
  readonly session: (path: string) => Session;
}

/** Hears everything, and may say everything. */
export async function observe(server: NatsServer, user: string): Promise<Wire> {
  const base = await speaker(server, user);
  const messages: { subject: string; data: Uint8Array }[] = [];
  const sessions = new Map<string, Session>();
  base.connection.subscribe("ft.>", {
    callback: (_error, { subject, data }) => {
      messages.push({ subject, data });
      const offer = offerIn(data);
      if (offer !== undefined) sessions.set(subject.replace(`ft.${TREE}.down.`, ""), offer);
    },
  });
  await base.flush();
  const session = (path: string): Session => sessions.get(path) ?? expect.fail(`no session was offered to ${path}`);
  return { ...base, messages, session };
}

function offerIn(data: Uint8Array): InitOpen | undefined {
  const decoded = decodeFrame(data, "down");
  if (decoded.kind === "malformed") return undefined;
  return decoded.frame.messages.find((message): message is InitOpen => message.kind === "init.open");
}

export interface LiveTree extends AsyncDisposable {
  readonly node: (path: string) => Node;
  /** What the transports told of. */
  readonly errors: Error[];
  /** What became of the nodes since the start. */
  readonly events: string[];
}

/** Starts nodes, parents first, each over the connection of its user, which is named like its path unless told. */
export async function startTree(
  server: NatsServer,
  options: readonly Omit<NodeOptions, "transport">[],
  userOf: (path: string) => string = (path) => path,
): Promise<LiveTree> {
  const nodes = new Map<string, Node>();
  const transports = new Map<string, Transport>();
  const errors: Error[] = [];
  const events: string[] = [];
  for (const nodeOptions of options) {
    const user = userOf(nodeOptions.path);
    const transport = transports.get(user) ?? (await openAs(server, user, (error) => errors.push(error)));
    transports.set(user, transport);
    const node = createNode({ ...nodeOptions, transport });
    nodes.set(node.path, node);
    await node.start();
  }
  await Promise.all(Array.from(nodes.values(), (node) => node.until("SYNCHRONIZED", { timeoutMs: 10_000 })));
  for (const node of nodes.values()) watch(node, events);
  return {
    node: (path) => nodes.get(path) ?? expect.fail(`there is no node ${path}`),
    errors,
    events,
    [Symbol.asyncDispose]: async () => {
      await Promise.all(Array.from(nodes.values(), (node) => node.stop({ timeoutMs: 50 })));
      await Promise.all(Array.from(transports.values(), (transport) => transport.close()));
    },
  };
}

function watch(node: Node, events: string[]): void {
  node.on("state.changed", ({ state }) => events.push(`${node.path} is ${state}`));
  node.on("child.changed", ({ id, state }) => events.push(`${node.path}.${id} is ${state}`));
  node.on("node.fenced", ({ error }) => events.push(`${node.path}: ${error.code}`));
  node.on("message.dropped", ({ reason }) => events.push(`${node.path} drops: ${reason}`));
  node.on("node.ended", ({ reason }) => events.push(`${node.path} ended: ${reason}`));
}

/** Waits until something holds, which the real time of a server decides. */
export function eventually(condition: () => boolean, what: string, timeoutMs = 5_000): Promise<void> {
  return vi.waitFor(() => (condition() ? undefined : expect.fail(`not within ${timeoutMs} ms: ${what}`)), {
    timeout: timeoutMs,
    interval: 5,
  });
}
