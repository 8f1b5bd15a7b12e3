/** One node's part in a chaos run: its options and handlers, its journal, and what the phases ask of it. */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type ChildSpec,
  childProcess,
  type HandlerContext,
  type Node,
  type NodeOptions,
  type Transport,
} from "fractal-tree";
import { Load } from "./load.js";
import { childrenOf, nodeOptions, type PlannedNode, ROOT } from "./plan.js";
import { JournalWriter, type Phase, type SharedDocument, type Work, type WorkDone } from "./records.js";
import type { ChaosSettings } from "./settings.js";

const PHASE_MS = 100;
const REST_MS = 500;
/** Told apart from what a crash of Node.js itself gives. */
const EXIT_UNCAUGHT = 70;

class HandlerError extends Error {
  readonly code = "BROKEN_TOOL";
}

export class Member {
  readonly name: string;
  readonly #settings: ChaosSettings;
  readonly #path: string;
  readonly #journal: JournalWriter;
  #epoch = "";
  #phase: Phase | null = null;
  #restAtMs = 0;

  /** `parentPid` is the process that started this one as its child. */
  constructor(settings: ChaosSettings, path: string, parentPid: number | null) {
    this.#settings = settings;
    this.#path = path;
    this.name = `${path}#${process.pid}`;
    this.#journal = new JournalWriter(settings.folder, this.name);
    const startedBy = parentPid === null ? "operator" : (this.#planned(path)?.startedBy ?? "operator");
    this.#journal.write({
      type: "start",
      pid: process.pid,
      owner: startedBy === "parent" ? parentPid : null,
      startedBy,
    });
    process.on("uncaughtException", (error) => {
      this.#journal.write({ type: "uncaught", message: error.stack ?? String(error) });
      process.exit(EXIT_UNCAUGHT);
    });
  }

  options(transport: Transport): NodeOptions {
    const path = this.#path;
    const { plan } = this.#settings;
    const own = this.#planned(path);
    const children = childrenOf(plan, path);
    const common = nodeOptions(plan);
    const work = (input: Work, context: HandlerContext): Promise<WorkDone> => this.#work(input, context);
    return {
      ...common,
      path,
      transport,
      onOrphaned: own?.onOrphaned ?? "continue",
      supervision: { ...common.supervision, strategy: own?.strategy ?? "one_for_one" },
      children: children.map((child) => this.#childSpec(child)),
      commands: { work },
      requests: { ...(path === ROOT ? { far: work } : {}), ...(children.length > 0 ? { near: work } : {}) },
    };
  }

  /** Journals what happens to the node, and does what the phases ask for until it ends. */
  join(node: Node): void {
    const load = new Load({ node, journal: this.#journal, plan: this.#settings.plan, name: this.name });
    this.#record(node);
    node.on("node.ended", ({ reason }) => {
      load.stop();
      this.#journal.write({ type: "ended", reason });
    });
    void this.#follow(node, load);
  }

  noteLeaving(how: "stop" | "shutdownTree"): void {
    this.#journal.write({ type: "leaving", how, timeoutMs: this.#settings.plan.times.shutdownMs });
  }

  #planned(path: string): PlannedNode | undefined {
    return this.#settings.plan.nodes.find((node) => node.path === path);
  }

  #childSpec({ path, startedBy, isCritical }: PlannedNode): ChildSpec {
    const id = path.slice(this.#path.length + 1);
    if (startedBy === "operator") return { id, remote: true, critical: isCritical };
    const outlivesParent = startedBy === "parent, for good";
    const start = childProcess(this.#settings.program, { outlivesParent, stdio: "ignore" });
    return { id, start, critical: isCritical, shutdown: this.#settings.plan.times.shutdownMs / 2 };
  }

  async #work({ value, forMs, throws }: Work, { commandId, epoch, path }: HandlerContext): Promise<WorkDone> {
    const run = { value, commandId, epoch: epoch.join(".") };
    this.#journal.write({ type: "began", ...run });
    if (forMs > 0) await sleep(forMs);
    this.#journal.write({ type: "finished", ...run });
    if (throws) throw new HandlerError(`no luck with ${value}`);
    return { value, by: this.name, path };
  }

  #record(node: Node): void {
    const journal = this.#journal;
    node.on("state.changed", ({ from, state, reasons, failure }) => {
      this.#noteEpoch(node);
      journal.write({ type: "state", from, state, reasons, failure });
    });
    node.on("child.changed", ({ id, from, state, epoch }) => {
      this.#noteEpoch(node);
      journal.write({ type: "link", id, from, state, epoch });
    });
    node.on("sync.received", ({ document }) => {
      journal.write({ type: "synced", ...(document as SharedDocument) });
    });
    node.on("supervision.decided", ({ id, decision, reason, exit, generation, attempt, delayMs }) => {
      journal.write({ type: "decided", id, decision, reason, exit, generation, attempt, delayMs });
    });
    node.on("node.fenced", ({ error }) => journal.write({ type: "fenced", code: error.code, message: error.message }));
  }

  #noteEpoch({ epoch }: Node): void {
    if (epoch === this.#epoch) return;
    this.#epoch = epoch;
    this.#journal.write({ type: "epoch", epoch });
  }

  async #follow(node: Node, load: Load): Promise<void> {
    const over = new AbortController();
    void node.ended.then(() => over.abort());
    for (;;) {
      // First of all the node is started.
      await sleep(PHASE_MS, undefined, { ref: false });
      if (over.signal.aborted) return;
      endWith(this.#settings.driverPid);
      this.#enter(readFileSync(this.#settings.phaseFile, "utf8") as Phase, node, load);
    }
  }

  #enter(phase: Phase, node: Node, load: Load): void {
    if (phase === "quiet") this.#noteRest(node, load);
    if (phase === this.#phase) return;
    this.#phase = phase;
    if (phase === "load") load.start();
    else load.stop();
    if (phase === "probe") load.probe();
    if (phase === "shutdown" && this.#path === ROOT) {
      this.noteLeaving("shutdownTree");
      void node.shutdownTree({ timeoutMs: this.#settings.plan.times.shutdownMs });
    }
  }

  /** What is under way, every now and then. */
  #noteRest(node: Node, { open }: Load): void {
    if (performance.now() - this.#restAtMs < REST_MS) return;
    this.#restAtMs = performance.now();
    const { running, queued } = node.status;
    const pending = node.children().reduce((total, child) => total + child.pending, 0);
    this.#journal.write({ type: "rest", running, queued, pending, open });
  }
}

/** Ends this process if that one is gone: a run that was aborted leaves nothing behind. */
export function endWith(pid: number): void {
  try {
    process.kill(pid, 0);
  } catch {
    process.exit();
  }
}
