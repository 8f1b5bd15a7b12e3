/** What must hold over a whole run, and of a tree at rest. */
import { compareEpochs } from "../../../machines/epoch.js";
import { type IssuedCall, runsOf, toEpoch as parseEpoch } from "./calls.js";
import type { HandlerRun } from "./journal.js";
import type { SimulatedProcess } from "./process.js";
import type { Document, SimulatedTree } from "./simulated-tree.js";

/** A handler runs once at most for one call in one process, and once at all, where it was asked to, unless the call is idempotent. */
export function checkRuns(tree: SimulatedTree, issued: readonly IssuedCall[]): void {
  for (const runs of tree.journal.runs.values()) checkOncePerProcess(tree, runs);
  checkTargets(tree, issued);
  for (const call of issued) {
    const runs = call.idempotent ? [] : runsOf(tree, call);
    if (runs.length < 2) continue;
    const where = runs.map(({ path, process }) => `${path}#${process}`).join(" and ");
    tree.journal.violated("runs-once", `${call.kind} ${call.input.value} is not idempotent, but ran at ${where}`);
  }
}

/** A command to all is for those who were children then. */
function checkTargets(tree: SimulatedTree, issued: readonly IssuedCall[]): void {
  const targets = new Map<number, Set<string | null>>();
  for (const { kind, idempotent, input, path } of issued) {
    if (kind !== "fanOut" || idempotent) continue;
    targets.set(input.value, (targets.get(input.value) ?? new Set()).add(path));
  }
  for (const [value, paths] of targets) {
    for (const { path, process } of tree.journal.runsOf(value)) {
      const what = `fanOut ${value} is not idempotent, but ran at ${path}#${process}, which is no target`;
      if (!paths.has(path)) tree.journal.violated("runs-once", what);
    }
  }
}

function checkOncePerProcess(tree: SimulatedTree, runs: readonly HandlerRun[]): void {
  const seen = new Set<string>();
  for (const { id, process } of runs) {
    const key = `${id} at process ${process}`;
    if (seen.has(key)) tree.journal.violated("runs-once", `call ${key} ran twice`);
    seen.add(key);
  }
}

/**
 * A process gives way only to one of a newer epoch, and a newcomer is turned away only where several fight.
 */
export function checkRivals(tree: SimulatedTree): void {
  for (const process of tree.processes) {
    const { path, endReason, name } = process;
    if (endReason !== "fenced" && endReason !== "duplicatePath") continue;
    const others = tree.processes.filter((other) => other.path === path && other !== process);
    const isJustified = endReason === "fenced" ? others.some((other) => outranks(other, process)) : others.length > 3;
    if (!isJustified) tree.journal.violated("one-live-epoch", `${name} ended: ${endReason}, without a rival`);
  }
}

function outranks(other: SimulatedProcess, process: SimulatedProcess): boolean {
  return compareEpochs(toEpoch(other), toEpoch(process)) > 0;
}

function toEpoch({ node }: SimulatedProcess): readonly number[] {
  return parseEpoch(node.epoch);
}

/**
 * Watches at every change that no two processes of a path share an epoch, that none changes its own, that a parent never
 * accepts an older one after a newer one, and that documents never go back.
 */
export class Watch {
  readonly #tree: SimulatedTree;
  /** Which process has an epoch of a path. */
  readonly #holders = new Map<string, number>();
  readonly #epochs = new Map<number, string>();
  readonly #seen = new Map<number, Document>();

  constructor(tree: SimulatedTree) {
    this.#tree = tree;
    tree.spawned.push((process) => this.#watch(process));
  }

  #watch(process: SimulatedProcess): void {
    const { node, name } = process;
    const accepted = new Map<string, readonly number[]>();
    node.on("state.changed", () => this.#checkEpoch(process));
    node.on("sync.received", () => this.#checkDocument(process));
    node.on("child.changed", ({ id, state, epoch }) => {
      if (state !== "opening") return;
      const before = accepted.get(id) ?? [];
      accepted.set(id, parseEpoch(epoch));
      this.#tree.noteAccepted(`${process.path}.${id}`, { epoch, atMs: this.#tree.nowMs, parent: process });
      if (compareEpochs(parseEpoch(epoch), before) < 0) {
        this.#tree.journal.violated("one-live-epoch", `${name} accepts ${id} ${epoch} after ${before.join(".")}`);
      }
    });
  }

  #checkEpoch({ path, number, name, node }: SimulatedProcess): void {
    const { epoch } = node;
    const { journal } = this.#tree;
    if (epoch === "") return;
    const key = `${path} ${epoch}`;
    const holder = this.#holders.get(key) ?? number;
    this.#holders.set(key, holder);
    if (holder !== number) journal.violated("one-live-epoch", `${name} has the epoch ${epoch} of process ${holder}`);
    const before = this.#epochs.get(number) ?? epoch;
    this.#epochs.set(number, epoch);
    // A root raises its own above what it meets.
    if (before !== epoch && path !== "t") {
      journal.violated("one-live-epoch", `${name} went from ${before} to ${epoch}`);
    }
  }

  #checkDocument({ number, name, node }: SimulatedProcess): void {
    const document = node.synced?.document as Document | undefined;
    if (document === undefined) return;
    const before = this.#seen.get(number);
    this.#seen.set(number, document);
    if (before?.by === document.by && before.count > document.count) {
      this.#tree.journal.violated("no-stale-effect", `${name} went back from ${before.count} to ${document.count}`);
    }
  }
}

const REST_MS = 4_000;
/** Beats come up to a tenth early, those of a few nodes have not grown yet. */
const REST_SLACK = 1.25;

/** Every child has its parent's latest document, nothing is under way, and nobody is chatty. */
export async function checkRest(tree: SimulatedTree, latest: ReadonlyMap<number, number>): Promise<void> {
  const { clock, journal, network, plan } = tree;
  checkDocuments(tree, latest);
  for (const { name, node, open } of tree.living()) {
    const { running, queued } = node.status;
    const pending = node.children().reduce((total, child) => total + child.pending, 0);
    if (running + queued + pending + open > 0) {
      journal.violated(
        "rests",
        `${name} rests with ${running} running, ${queued} queued, ${pending} pending, ${open} open`,
      );
    }
  }
  const before = { sent: network.stats.sent, dropped: drops(tree) };
  await clock.advance(REST_MS);
  const perNodeSecond = ((network.stats.sent - before.sent) / plan.nodes.length / REST_MS) * 1_000;
  // One beat up, and one down from those with children, at intervals that have grown from the shortest to the longest.
  const most = (2_000 / (plan.options.heartbeat?.maxMs ?? 0)) * REST_SLACK;
  if (perNodeSecond > most)
    journal.violated("rests", `each node sends ${perNodeSecond.toFixed(2)} messages a second at rest`);
  const dropped = drops(tree) - before.dropped;
  if (dropped > 0) journal.violated("rests", `${dropped} messages were dropped at rest`);
  const timers = clock.pending / plan.nodes.length;
  if (timers > 4) journal.violated("rests", `each node has ${timers.toFixed(1)} timers at rest`);
}

/** Every child has the latest document of the process that is its parent. */
export function checkDocuments(tree: SimulatedTree, latest: ReadonlyMap<number, number>): void {
  for (const { path, parent } of tree.plan.nodes) {
    const process = tree.holder(path);
    const above = parent === null ? undefined : tree.holder(parent);
    const expected = above === undefined ? undefined : latest.get(above.number);
    const document = process?.node.synced?.document as Document | undefined;
    if (expected !== undefined && (document?.count !== expected || document.by !== above?.number)) {
      tree.journal.violated("heals", `${process?.name} has ${JSON.stringify(document)} instead of ${expected}`);
    }
  }
}

function drops(tree: SimulatedTree): number {
  const counts = tree.living().flatMap(({ node }) => Object.values(node.status.dropped));
  return counts.reduce((total, count) => total + count, 0);
}
