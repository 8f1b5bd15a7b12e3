/** The tree's work: commands from the root to the leaves, and what came back. */
import type { CommandOutcome, Node } from "../../index.js";
import type { DigestInput, DigestOutput } from "./demo-tree.js";
import type { FileDigest } from "./files.js";

/** Commands under way at one leaf: one runs, one waits, so that no leaf idles between two. */
const WINDOW = 2;

const COMMAND_OPTIONS = {
  // Reading a file twice does no harm, so the command may be sent again when a node on its way is lost.
  idempotent: true,
  timeoutMs: 60_000,
  retry: { attemptsMax: 50, baseMs: 50, maxMs: 500 },
} as const;

export interface WorkOptions {
  readonly root: Node;
  readonly folder: string;
  readonly batches: readonly (readonly string[])[];
  /** Relative to the root. */
  readonly leaves: readonly string[];
  readonly onResults: (work: Work) => void;
}

export class Work {
  /** One entry for each file, so that one that comes twice is noticed. */
  readonly digests = new Map<string, FileDigest>();
  readonly doubled: string[] = [];
  commands = 0;
  retries = 0;
  bytes = 0;
  readonly #options: WorkOptions;
  readonly #queue: (readonly string[])[];
  readonly #milestones: { readonly files: number; readonly resolve: () => void }[] = [];
  readonly #pending = new Map<string, number>();

  constructor(options: WorkOptions) {
    this.#options = options;
    this.#queue = [...options.batches];
  }

  /** Resolves once so many files have their result. */
  async reached(files: number): Promise<void> {
    if (this.digests.size >= files) return;
    await new Promise<void>((resolve) => this.#milestones.push({ files, resolve }));
  }

  /** Commands under way at leaves whose path starts so. */
  pendingBelow(path: string): number {
    const counts = Array.from(this.#pending, ([leaf, count]) => (leaf.startsWith(`${path}.`) ? count : 0));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /**
   * Resolves when every batch has its result. The first failure rejects it; whoever called then aborts the signal.
   *
   * @throws Error with the message of the leaf that failed
   */
  async run(signal: AbortSignal): Promise<void> {
    const lanes = Array.from({ length: WINDOW }, () => this.#options.leaves).flat();
    await Promise.all(lanes.map((leaf) => this.#lane(leaf, signal)));
  }

  async #lane(leaf: string, signal: AbortSignal): Promise<void> {
    for (let files = this.#queue.shift(); files !== undefined; files = this.#queue.shift()) {
      signal.throwIfAborted();
      this.#note(await this.#digest(leaf, files, signal), signal);
    }
  }

  async #digest(leaf: string, files: readonly string[], signal: AbortSignal): Promise<CommandOutcome<DigestOutput>> {
    const { root, folder } = this.#options;
    const input: DigestInput = { folder, files };
    this.#count(leaf, 1);
    try {
      return await root.tryCommand<DigestOutput>(leaf, "digest", input, { ...COMMAND_OPTIONS, signal });
    } finally {
      this.#count(leaf, -1);
    }
  }

  #note(outcome: CommandOutcome<DigestOutput>, signal: AbortSignal): void {
    signal.throwIfAborted();
    if (outcome.status !== "completed") throw outcome.error;
    this.commands++;
    this.retries += outcome.attempts - 1;
    for (const [path, sha256, bytes] of outcome.value) {
      if (this.digests.has(path)) this.doubled.push(path);
      this.digests.set(path, { sha256, bytes });
      this.bytes += bytes;
    }
    this.#options.onResults(this);
    this.#tellMilestones();
  }

  #tellMilestones(): void {
    for (const { files, resolve } of this.#milestones) if (this.digests.size >= files) resolve();
  }

  #count(leaf: string, by: number): void {
    this.#pending.set(leaf, (this.#pending.get(leaf) ?? 0) + by);
  }
}
