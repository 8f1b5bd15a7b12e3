/** The demo's tree: one root, three nodes below it, three leaves below each. What its nodes do and how they are run. */
import { randomUUID } from "node:crypto";
import { createNode, type Commands, type HandlerContext, type Node, type Transport } from "../../index.js";
import { FileDigester } from "./files.js";

export const ROOT = "demo";
export const MIDDLE_IDS: readonly string[] = ["a", "b", "c"];
export const LEAF_IDS: readonly string[] = ["1", "2", "3"];

/** Paths of all nodes below the root, each before its children. */
export const PATHS_BELOW_ROOT: readonly string[] = MIDDLE_IDS.flatMap((middle) => [
  `${ROOT}.${middle}`,
  ...LEAF_IDS.map((leaf) => `${ROOT}.${middle}.${leaf}`),
]);

/** A running tree, whatever its nodes run in. Disposing of it ends all of it. */
export interface DemoTree extends AsyncDisposable {
  /** Where its nodes run, in words. */
  readonly description: string;
  readonly root: Node;
  /** Aborts if the tree breaks in a way that it cannot heal, with the reason. */
  readonly broken: AbortSignal;
  /** Ends a node as the crash of its process would; resolves to how, in words. */
  kill(path: string): Promise<string>;
  /** Starts a node, or a killed one anew. */
  respawn(path: string): Promise<void>;
}

/** Starts a tree; one that cannot be started is ended, as far as it came. */
export async function started(tree: DemoTree): Promise<DemoTree> {
  try {
    await Promise.all([tree.root.start(), ...PATHS_BELOW_ROOT.map((path) => tree.respawn(path))]);
    return tree;
  } catch (error) {
    await tree[Symbol.asyncDispose]();
    throw error;
  }
}

/** What the command `digest` takes. */
export interface DigestInput {
  readonly folder: string;
  readonly files: readonly string[];
}

/** For each file its path, its SHA-256 and its size in bytes. */
export type DigestOutput = readonly (readonly [path: string, sha256: string, bytes: number])[];

/** What the command `identify` answers: the same before and after only if it is the very same running node. */
export interface Identity {
  readonly pid: number;
  readonly boot: string;
}

/** Much shorter than the defaults, so that a demo need not wait long. */
const SNAPPY = {
  heartbeat: { minMs: 100, maxMs: 400 },
  failureDetector: { pauseMs: 500, deadMs: 3_000 },
  backoff: { baseMs: 100, maxMs: 1_000 },
  initTimeoutMs: 20_000,
};

export function createDemoNode(path: string, transport: Transport): Node {
  const depth = path.split(".").length;
  const childIds = [MIDDLE_IDS, LEAF_IDS][depth - 1] ?? [];
  const children = childIds.map((id) => ({ id }));
  const commands = childIds.length === 0 ? leafCommands() : {};
  return createNode({ path, transport, children, commands, concurrency: 1, ...SNAPPY });
}

function leafCommands(): Commands {
  const identity: Identity = { pid: process.pid, boot: randomUUID() };
  return { digest: digestFiles, identify: () => identity };
}

async function digestFiles({ folder, files }: DigestInput, { signal }: HandlerContext): Promise<DigestOutput> {
  const digester = new FileDigester(folder);
  const digests: [string, string, number][] = [];
  for (const path of files) {
    signal.throwIfAborted();
    const { sha256, bytes } = await digester.digest(path);
    digests.push([path, sha256, bytes]);
  }
  return digests;
}
