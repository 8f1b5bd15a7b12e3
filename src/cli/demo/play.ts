/** The demo from start to end: the tree digests a folder and loses a node on the way; then a plain digest checks it. */
import { setMaxListeners } from "node:events";
import { splitIntoBatches } from "./batches.js";
import { type Comparison, compareDigests } from "./comparison.js";
import { LEAF_IDS, MIDDLE_IDS } from "./demo-tree.js";
import { changedSince, FileDigester, type FileDigests, type ListedFile, listFiles } from "./files.js";
import { type Incident, identify, stageIncident } from "./incident.js";
import { startMemoryTree } from "./memory-tree.js";
import { startProcessTree } from "./process-tree.js";
import type { Progress } from "./progress.js";
import { Timeline } from "./timeline.js";
import { Work } from "./work.js";

export interface PlayOptions {
  readonly folder: string;
  readonly processes: boolean;
  readonly progress: Progress;
  /** Ends the demo early; everything that it started is ended too. */
  readonly signal: AbortSignal;
}

export interface PlayResult {
  readonly description: string;
  readonly folder: string;
  readonly comparison: Comparison;
  /** Of the files that are not the same, those that somebody wrote to or removed while the demo ran. */
  readonly changedMeanwhile: readonly string[];
  readonly incident: Incident;
  readonly timeline: Timeline;
  readonly files: number;
  readonly bytes: number;
  readonly commands: number;
  readonly retries: number;
  /** From the start of the tree until its work was done and it had recovered, milliseconds. */
  readonly treeMs: number;
  readonly plainMs: number;
  readonly totalMs: number;
}

/** Part of the files after which the node is killed. */
const KILL_AFTER = 1 / 3;
const START_LIMIT_MS = 20_000;

const LEAVES = MIDDLE_IDS.flatMap((middle) => LEAF_IDS.map((leaf) => `${middle}.${leaf}`));

export async function play(options: PlayOptions): Promise<PlayResult> {
  const { folder, signal } = options;
  const timeline = new Timeline();
  const files = await listFiles(folder, signal);
  const startMs = timeline.elapsedMs();
  const { work, incident, description, treeMs } = await playTree(options, files, timeline);
  const plainStartMs = timeline.elapsedMs();
  const plain = await plainDigest(options, files.length);
  const totalMs = timeline.elapsedMs();
  const comparison = compareDigests(work.digests, work.doubled, plain);
  const suspects = [...comparison.lost, ...comparison.differing];
  const { bytes, commands, retries, digests } = work;
  return {
    description,
    folder,
    incident,
    timeline,
    bytes,
    commands,
    retries,
    comparison,
    changedMeanwhile: await changedSince(folder, suspects, timeline.startedAtMs),
    files: digests.size,
    treeMs: treeMs - startMs,
    plainMs: totalMs - plainStartMs,
    totalMs,
  };
}

async function playTree(options: PlayOptions, files: readonly ListedFile[], timeline: Timeline) {
  const { folder, progress } = options;
  await using tree = await (options.processes ? startProcessTree(timeline) : startMemoryTree(timeline));
  const failure = new AbortController();
  const signal = sharedSignal(options.signal, tree.broken, failure.signal);
  const { root, description } = tree;
  await root.until("SYNCHRONIZED", { signal, timeoutMs: START_LIMIT_MS });
  const identities = await identify(root, LEAVES, signal);
  progress.begin({ label: "tree", files: files.length });
  const onResults = ({ digests, bytes }: Work): void => progress.update(digests.size, bytes);
  const work = new Work({ root, folder, batches: splitIntoBatches(files), leaves: LEAVES, onResults });
  const incident = work.reached(Math.floor(files.length * KILL_AFTER)).then(() => {
    return stageIncident({ tree, timeline, progress, victim: busiest(work), identities, signal });
  });
  const [outcome] = await Promise.all([incident, work.run(signal)]).catch((error: unknown) => {
    // The first failure ends the other side too: it would wait for a tree that does not do its part any more.
    failure.abort(error);
    throw error;
  });
  timeline.close();
  progress.clear();
  return { work, incident: outcome, description, treeMs: timeline.elapsedMs() };
}

/** For any number of waits at once: Node takes more than ten for a leak. */
function sharedSignal(...signals: readonly AbortSignal[]): AbortSignal {
  const signal = AbortSignal.any([...signals]);
  setMaxListeners(0, signal);
  return signal;
}

/** The node whose death interrupts most. */
function busiest(work: Work): string {
  const [id = ""] = MIDDLE_IDS.toSorted((left, right) => work.pendingBelow(right) - work.pendingBelow(left));
  return id;
}

/** What the tree's result is held against: one file after the other, in this process. */
async function plainDigest({ folder, progress, signal }: PlayOptions, expected: number): Promise<FileDigests> {
  const digests = new Map<string, { sha256: string; bytes: number }>();
  const digester = new FileDigester(folder);
  let bytes = 0;
  progress.begin({ label: "plain digest", files: expected });
  for (const { path } of await listFiles(folder, signal)) {
    signal.throwIfAborted();
    const digest = await digester.digest(path);
    digests.set(path, digest);
    bytes += digest.bytes;
    progress.update(digests.size, bytes);
  }
  progress.clear();
  return digests;
}
