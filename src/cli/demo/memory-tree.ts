/** The tree in one process: every node with a memory connection of its own, so that one can die alone. */
import { memoryTransport, type Node, type Transport } from "../../index.js";
import { createDemoNode, type DemoTree, ROOT, started } from "./demo-tree.js";
import { SeverableTransport } from "./severable-transport.js";
import type { Timeline } from "./timeline.js";

interface Member {
  readonly node: Node;
  readonly connection: SeverableTransport;
  /** Ends the reports to the timeline. */
  readonly unwatch: () => void;
}

/** What the tree gets for its ordered end, milliseconds. */
const SHUTDOWN_MS = 1_000;
/** A dead node's object only has to end its timers: nobody hears it. */
const BURIAL_MS = 1;

export function startMemoryTree(timeline: Timeline): Promise<DemoTree> {
  return started(new MemoryTree(timeline));
}

class MemoryTree implements DemoTree {
  readonly description = "in one process, over memory";
  readonly root: Node;
  readonly broken = new AbortController().signal;
  readonly #broker: Transport = memoryTransport({ tree: ROOT });
  readonly #timeline: Timeline;
  readonly #members = new Map<string, Member>();
  readonly #burials: Promise<void>[] = [];

  constructor(timeline: Timeline) {
    this.#timeline = timeline;
    this.root = this.#add(ROOT).node;
  }

  async kill(path: string): Promise<string> {
    const member = this.#members.get(path);
    if (member === undefined) throw new Error(`there is no node ${path}`);
    member.unwatch();
    member.connection.sever();
    this.#burials.push(member.node.stop({ timeoutMs: BURIAL_MS }));
    return "killed: its connection is cut without notice";
  }

  async respawn(path: string): Promise<void> {
    await this.#add(path).node.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.root.shutdownTree({ timeoutMs: SHUTDOWN_MS });
    } finally {
      // Whoever had no parent at the time was not reached.
      await Promise.all(Array.from(this.#members.values(), ({ node }) => node.stop({ timeoutMs: BURIAL_MS })));
      await Promise.all(this.#burials);
      await this.#broker.close();
    }
  }

  #add(path: string): Member {
    const connection = new SeverableTransport(this.#broker);
    const node = createDemoNode(path, connection);
    const unwatch = node.on("state.changed", (change) => this.#timeline.entered(change));
    const member = { node, connection, unwatch };
    this.#members.set(path, member);
    return member;
  }
}
