/** The permissions of natsPermissions at a real server: enough for a node to work, too little to speak for another. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createNode, type Transport, watchNode } from "../../src/index.js";
import { natsPermissions } from "../../src/nats.js";
import { said } from "../fuzz/speech.js";
import { type NatsServer, startNatsServer } from "../support/nats-server.js";
import { openDefault, openUser2 } from "./clients.js";
import {
  authorization,
  eventually,
  type LiveTree,
  observe,
  openAs,
  type Session,
  speaker,
  startTree,
  TREE,
  userForEach,
} from "./permission-stage.js";

const PATHS = ["shop", "shop.a", "shop.a.x", "shop.b", "shop.b.y"];
const USERS = {
  ...userForEach(PATHS),
  subtree: natsPermissions("shop.b", { tree: TREE, subtree: true }),
  watcher: natsPermissions("shop.a", { tree: TREE, watch: ["shop.b"] }),
  "subtree watcher": natsPermissions("shop.a", { tree: TREE, watchSubtrees: ["shop.b"] }),
  admin: null,
};

let server: NatsServer;
beforeAll(async () => {
  server = await startNatsServer({ config: authorization(USERS) });
});
afterAll(() => server.stop());

/** shop above a and b, x below a, y below b; each may be asked, and asks upward. */
function family(userOf?: (path: string) => string): Promise<LiveTree> {
  const commands = { double: (value: number) => 2 * value };
  const nodes = [
    { path: "shop", children: [{ id: "a" }, { id: "b" }], requests: { price: (sku: string) => `${sku}: 3` } },
    { path: "shop.a", children: [{ id: "x" }], commands },
    { path: "shop.a.x", commands },
    { path: "shop.b", children: [{ id: "y" }], commands },
    { path: "shop.b.y", commands },
  ];
  return startTree(server, nodes, userOf);
}

/** Commands down two levels, a request up two levels. */
async function works({ node }: LiveTree): Promise<void> {
  expect(await node("shop").command("a.x", "double", 4, { timeoutMs: 5_000 })).toBe(8);
  expect(await node("shop").command("b.y", "double", 5, { timeoutMs: 5_000 })).toBe(10);
  expect(await node("shop.b.y").request("price", "tea", { timeoutMs: 5_000 })).toBe("tea: 3");
}

describe("one user for each node", () => {
  test("is enough: sessions, commands, broadcasts, requests, reports, the document, leaving, shutdown", async () => {
    await using tree = await family();
    const { node } = tree;
    await works(tree);
    const { outcomes } = node("shop").fanOut("*", "double", 6, { idempotent: true });
    expect((await outcomes).map(({ status }) => status)).toEqual(["completed", "completed"]);
    const reported = node("shop").events("child.reported").next();
    node("shop.a").report({ stock: 1 });
    expect((await reported).value).toEqual({ id: "a", data: { stock: 1 } });
    node("shop").synchronize({ version: "new" });
    await eventually(() => node("shop.b").synced?.version === 1, "the document arrives");
    await node("shop.a.x").stop({ timeoutMs: 2_000 });
    await node("shop").shutdownTree({ timeoutMs: 2_000 });
    expect(await Promise.all(["shop.a", "shop.b", "shop.b.y"].map((path) => node(path).ended))).toEqual(
      Array.from({ length: 3 }, () => "shutdown"),
    );
    expect(tree.errors).toEqual([]);
  });
});

/** Every subject that anybody in the tree, or beside it, would publish on. */
const PLACES = [...PATHS, "shop.a.x.z", "shop.c", "other"];
const SUBJECTS = ["up", "down", "all", "end", "ask", "reply"].flatMap((family_) =>
  PLACES.map((path) => `ft.${TREE}.${family_}.${path}`),
);
const BESIDE = ["ft.another.up.shop.a", `other.${TREE}.up.shop.a`, "_INBOX.x", `ft.${TREE}`];

/** Without the first two tokens. Written by hand, not by natsPermissions. */
const MAY_PUBLISH: Readonly<Record<string, readonly string[]>> = {
  shop: ["down.shop.a", "down.shop.b", "down.shop.c", "all.shop", "end.shop", "end.shop.a", "end.shop.b", "end.shop.c"],
  "shop.a": ["up.shop.a", "down.shop.a.x", "all.shop.a", "end.shop.a", "end.shop.a.x"],
  "shop.a.x": ["up.shop.a.x", "down.shop.a.x.z", "all.shop.a.x", "end.shop.a.x", "end.shop.a.x.z"],
  subtree: ["up.shop.b", "up.shop.b.y", "down.shop.b.y", "all.shop.b", "all.shop.b.y", "end.shop.b", "end.shop.b.y"],
};

const ENDS = PLACES.map((path) => `end.${path}`);
const MAY_HEAR: Readonly<Record<string, readonly string[]>> = {
  shop: ["up.shop.a", "up.shop.b", "up.shop.c", ...ENDS],
  "shop.a": ["up.shop.a.x", "down.shop.a", "all.shop", ...ENDS],
  "shop.a.x": ["up.shop.a.x.z", "down.shop.a.x", "all.shop.a", ...ENDS],
  subtree: ["up.shop.b.y", "down.shop.b", "down.shop.b.y", "all.shop", "all.shop.b", "all.shop.b.y", ...ENDS],
  watcher: ["up.shop.a.x", "up.shop.b", "down.shop.a", "all.shop", "all.shop.b", ...ENDS],
};

const inFull = (subjects: readonly string[] = []): string[] =>
  subjects.map((subject) => `ft.${TREE}.${subject}`).toSorted();

describe("a user", () => {
  test.each(Object.keys(MAY_PUBLISH))("%s publishes on its own subjects and on no other", async (user) => {
    await using wire = await observe(server, "admin");
    await using mouth = await speaker(server, user);
    for (const subject of [...SUBJECTS, ...BESIDE]) mouth.connection.publish(subject, user);
    await mouth.flush();
    await wire.flush();
    expect(wire.messages.map(({ subject }) => subject).toSorted()).toEqual(inFull(MAY_PUBLISH[user]));
    expect(mouth.refused).toHaveLength(SUBJECTS.length + BESIDE.length - inFull(MAY_PUBLISH[user]).length);
  });

  test.each(Object.keys(MAY_HEAR))("%s hears its own subjects and no other", async (user) => {
    await using admin = await speaker(server, "admin");
    await using ear = await speaker(server, user);
    const heard = new Set<string>();
    const wildcards = [">", "ft.>", `ft.${TREE}.*.>`, `ft.${TREE}.up.*`, `ft.${TREE}.up.shop.*`, "_INBOX.>"];
    for (const subject of [...SUBJECTS, ...wildcards]) {
      ear.connection.subscribe(subject, { callback: (error) => void (error ?? heard.add(subject)) });
    }
    await ear.flush();
    for (const subject of [...SUBJECTS, ...BESIDE]) admin.connection.publish(subject, "psst");
    await admin.flush();
    await ear.flush();
    const children = user === "shop" ? [`ft.${TREE}.up.shop.*`] : [];
    expect([...heard].toSorted()).toEqual([...inFull(MAY_HEAR[user]), ...children].toSorted());
  });
});

interface Forgery {
  readonly what: string;
  /** Without the first two tokens. */
  readonly subject: string;
  /** What an observer of the wire knows about the session of a path helps. */
  readonly forge: (session: (path: string) => Session) => Uint8Array;
  /** The event that the same bytes bring about when the server lets them through. */
  readonly effect: RegExp;
}

const LATER = [2 ** 45];

/** shop.a, who can know all ids, tries to pass for others. */
const FORGERIES: readonly Forgery[] = [
  {
    what: "a sibling's farewell",
    subject: "up.shop.b",
    forge: (session) => said(session("shop.b").session, "status.leaving", { reason: "forged" }),
    effect: /^shop.b is left/,
  },
  {
    what: "a sibling's failure",
    subject: "up.shop.b",
    forge: (session) => said(session("shop.b").session, "error.node", { reason: "forged" }),
    effect: /^shop.b is failed/,
  },
  {
    what: "a sibling that refuses the parent",
    subject: "up.shop.b",
    forge: (session) => said("", "error.fenced", { boot: session("shop.b").parentBoot, epoch: LATER }),
    effect: /^shop: NODE_FENCED/,
  },
  {
    what: "the parent that stops a sibling",
    subject: "down.shop.b",
    forge: (session) => said(session("shop.b").session, "shutdown.stop", { remainingMs: 100, reason: "forged" }),
    effect: /^shop.b ended: shutdown/,
  },
  {
    what: "the parent that fences a sibling",
    subject: "down.shop.b",
    // Only an epoch of its present parent's granting fences a child while that parent is there.
    forge: (session) => {
      const { childBoot, parentEpoch } = session("shop.b");
      return said("", "shutdown.fenced", { boot: childBoot, epoch: [...parentEpoch, ...LATER] });
    },
    effect: /^shop.b: NODE_FENCED/,
  },
  {
    what: "a sibling that stops its child",
    subject: "down.shop.b.y",
    forge: (session) => said(session("shop.b.y").session, "shutdown.stop", { remainingMs: 100, reason: "forged" }),
    effect: /^shop.b.y ended: shutdown/,
  },
  {
    what: "a sibling's broadcast",
    subject: "all.shop.b",
    forge: (session) => said(session("shop.b.y").broadcastSession, "shutdown.leaving", { reason: "forged" }),
    effect: /^shop.b.y is/,
  },
  {
    what: "the parent's broadcast, whose session it knows without listening",
    subject: "all.shop",
    forge: (session) => said(session("shop.a").broadcastSession, "shutdown.leaving", { reason: "forged" }),
    effect: /^shop.b is/,
  },
  {
    what: "a grandchild's farewell",
    subject: "up.shop.b.y",
    forge: (session) => said(session("shop.b.y").session, "status.leaving", { reason: "forged" }),
    effect: /^shop.b.y is left/,
  },
];

describe("forgeries", () => {
  test.each(FORGERIES)("$what: refused, and the same bytes would have worked", async ({ subject, forge, effect }) => {
    await using wire = await observe(server, "admin");
    await using tree = await family();
    await works(tree);
    const bytes = forge(wire.session);
    const to = `ft.${TREE}.${subject}`;
    const heard = (): number => wire.messages.filter(({ data }) => Buffer.compare(data, bytes) === 0).length;

    await using impostor = await speaker(server, "shop.a");
    for (let n = 0; n < 20; n++) impostor.connection.publish(to, bytes);
    await impostor.flush();
    await works(tree);
    expect(impostor.refused).toEqual(Array.from({ length: 20 }, () => `publish ${to}`));
    expect(heard()).toBe(0);
    expect(tree.events).toEqual([]);

    wire.connection.publish(to, bytes);
    await eventually(() => tree.events.some((event) => effect.test(event)), `${String(effect)} does not happen`);
    // The tree may hear it first.
    await wire.connection.flush();
    expect(heard()).toBe(1);
  });

  test("a notice of another's end reaches nobody; one of its own end does", async () => {
    await using wire = await observe(server, "admin");
    await using impostor = await speaker(server, "shop.a");
    for (const path of ["shop", "shop.b", "shop.b.y", "shop.a.x.z"]) {
      impostor.connection.publish(`ft.${TREE}.end.${path}`, "forged");
    }
    impostor.connection.publish(`ft.${TREE}.end.shop.a`, "own");
    await impostor.flush();
    await wire.flush();
    expect(wire.messages.map(({ subject }) => subject)).toEqual([`ft.${TREE}.end.shop.a`]);
    expect(impostor.refused).toHaveLength(4);
  });

  test("who cannot hear a sibling does not learn its session", async () => {
    await using impostor = await speaker(server, "shop.a");
    const heard: string[] = [];
    for (const subject of [`ft.${TREE}.>`, `ft.${TREE}.down.shop.b`, `ft.${TREE}.up.shop.*`, `ft.${TREE}.up.shop.b`]) {
      impostor.connection.subscribe(subject, { callback: (error) => void (error ?? heard.push(subject)) });
    }
    await impostor.flush();
    await using tree = await family();
    await works(tree);
    expect(heard).toEqual([]);
    expect(impostor.refused).toHaveLength(4);
  });
});

describe("a watcher", () => {
  test.each([
    ["watcher", false, ["shop.b"]],
    ["subtree watcher", true, ["shop.b.y", "shop.b"]],
  ])("%s learns the end of what it may watch, and is refused nothing for it", async (user, subtree, ends) => {
    await using tree = await family();
    const refusals: Error[] = [];
    const transport = await openAs(server, user, (error) => refusals.push(error));
    using watch = watchNode({ transport, path: "shop.b", subtree });
    const learned: string[] = [];
    void (async () => {
      for await (const { path } of watch) learned.push(path);
    })();
    await works(tree);
    await tree.node("shop.b").shutdownTree({ timeoutMs: 2_000 });
    await eventually(() => learned.length === ends.length, "the ends are told");
    expect(learned).toEqual(ends);
    expect([...refusals, ...tree.errors]).toEqual([]);
    await transport.close();
  });
});

describe("one user for a subtree", () => {
  test("serves all nodes of a process, from its path down", async () => {
    await using tree = await family((path) => (path.startsWith("shop.b") ? "subtree" : path));
    await works(tree);
    await tree.node("shop").shutdownTree({ timeoutMs: 2_000 });
    expect(await tree.node("shop.b.y").ended).toBe("shutdown");
    expect(tree.errors).toEqual([]);
  });
});

describe("a node without the permissions of its path", () => {
  test("is told once of each subject and what to do, however often it tries", async () => {
    const errors: Error[] = [];
    const transport = await openAs(server, "shop.a", (error) => errors.push(error));
    const node = createNode({ path: "shop.b", transport });
    await node.start();
    await eventually(() => errors.length === 3, "three refusals are told");
    for (let n = 0; n < 50; n++) transport.publish(`ft.${TREE}.up.shop.b`, new Uint8Array(1));
    transport.publish(`ft.${TREE}.up.shop.c`, new Uint8Array(1));
    await eventually(() => errors.length > 3, "a fourth is told");
    const refused = { name: "PermissionDeniedError", code: "PERMISSION_DENIED" };
    expect(errors).toHaveLength(4);
    expect(errors).toEqual(
      [
        ["subscribe", "up.shop.b.*"],
        ["subscribe", "down.shop.b"],
        ["publish", "up.shop.b"],
        ["publish", "up.shop.c"],
      ].map(([operation, subject]) =>
        expect.objectContaining({ ...refused, operation, subject: `ft.${TREE}.${subject}` }),
      ),
    );
    expect(errors[0]?.message).toContain("natsPermissions()");
    await node.stop({ timeoutMs: 50 });
    await transport.close();
  });

  test("warns on the process's console if nobody listens", async () => {
    const warnings: Error[] = [];
    const note = (warning: Error): void => void warnings.push(warning);
    process.on("warning", note);
    const transport = await openAs(server, "shop.a");
    transport.publish(`ft.${TREE}.up.shop.b`, new Uint8Array(1));
    await eventually(() => warnings.length > 0, "a warning is emitted");
    process.off("warning", note);
    expect(warnings.map(({ message }) => message)).toEqual([expect.stringContaining(`ft.${TREE}.up.shop.b`)]);
    await transport.close();
  });

  // The server tells nobody of mended permissions, and forgets a subscription that it refused.
  test.concurrent.each([
    ["connectNats", openDefault],
    ["natsTransport over nats 2.29", openUser2],
  ])("hears again once they are mended, without a reconnect: %s", async (_name, open) => {
    const subscribed = (subjects: string[]) => ({ publish: { allow: ["t.>"] }, subscribe: { allow: subjects } });
    await using own = await startNatsServer({ config: authorization({ u: subscribed(["t.x"]) }) });
    const errors: Error[] = [];
    const url = own.url.replace("nats://", "nats://u:pw@");
    const { transport, close } = await open(url, "deaf", { tree: TREE, onError: (error) => errors.push(error) });
    const connections = collectConnections(transport);
    let heard = 0;
    transport.subscribe("t.a", () => heard++);
    await eventually(() => errors.length === 1, "the subscription is refused");
    await own.reload(authorization({ u: subscribed(["t.x", "t.a"]) }));
    const hears = () => {
      transport.publish("t.a", new Uint8Array(1));
      return heard > 0;
    };
    await eventually(hears, "it hears", 10_000);
    expect([errors.length, connections]).toEqual([1, []]);
    await close();
  });
});

function collectConnections(transport: Transport): boolean[] {
  const changes: boolean[] = [];
  transport.onConnection((connected) => changes.push(connected));
  return changes;
}
