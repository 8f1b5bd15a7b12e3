/**
 * Watches that a process which stood still judges nobody, when it wakes, whose messages are waiting to be read. Otherwise
 * a busy event loop looks like the death of everyone else.
 */
import type { ChildChange } from "../../node/events.js";
import { isLiving, type SimulatedProcess, type Span } from "./process.js";
import type { SimulatedTree } from "./simulated-tree.js";

/** Undisturbed beats of the longest interval in which a child is heard, also when a fifth of all messages is lost. */
const BEATS = 2;
/** What happened so long before a stall may still show in it, milliseconds. */
const SETTLE_MS = 300;

export function watchLateVerdicts(tree: SimulatedTree): void {
  tree.spawned.push((process) => {
    /** When something was last decided about each child: who was killed, or has exited, is not judged by its silence. */
    const decidedAtMs = new Map<string, number>();
    process.node.on("supervision.decided", ({ id, atMs }) => decidedAtMs.set(id, atMs));
    process.node.on("child.changed", (change) => {
      const isVerdict = change.state === "suspect" || change.state === "dead";
      // Who has FAILED ends all sessions, whoever lives.
      const hasFailed = process.node.state === "FAILED";
      if (!isVerdict || change.from !== "alive" || hasFailed) return;
      const nowMs = tree.nowMs;
      // The decision about an exit follows the end of the session.
      tree.clock.defer(() => {
        if (decidedAtMs.get(change.id) !== change.atMs) check(tree, { parent: process, change, nowMs });
      });
    });
  });
}

interface Verdict {
  readonly parent: SimulatedProcess;
  readonly change: ChildChange;
  readonly nowMs: number;
}

function check(tree: SimulatedTree, { parent, change: { id, epoch }, nowMs }: Verdict): void {
  const stall = parent.pauses.find(([, endMs]) => endMs === nowMs);
  const child = tree.processes.findLast(({ path, node }) => path === `${parent.path}.${id}` && node.epoch === epoch);
  if (stall === undefined || child === undefined || !hasSpoken(tree, { parent, child, stall })) return;
  const what = `${parent.name} woke and judges ${child.name} before it has read what that sent`;
  tree.journal.violated("no-late-verdict", what);
}

interface Stall {
  readonly parent: SimulatedProcess;
  readonly child: SimulatedProcess;
  readonly stall: Span;
}

/** Whether the child could speak for long enough while its parent stood still, and was well before. */
function hasSpoken(tree: SimulatedTree, { parent, child, stall: [fromMs, untilMs] }: Stall): boolean {
  if (!isLiving(child) || child.isDismissed || child.node.state === "FAILED") return false;
  const hindrances = [...tree.cutOffs, ...parent.cutOffs, ...child.cutOffs, ...child.pauses];
  const settledMs = fromMs - SETTLE_MS;
  if (child.startedAtMs > settledMs) return false;
  if (hindrances.some(([startMs, endMs]) => startMs <= fromMs && endMs >= settledMs)) return false;
  const lostMs = hindrances.reduce((sum, span) => sum + overlapMs(span, [fromMs, untilMs]), 0);
  return untilMs - fromMs - lostMs >= BEATS * (tree.plan.options.heartbeat?.maxMs ?? 0);
}

function overlapMs([start, end]: Span, [fromMs, untilMs]: Span): number {
  return Math.max(0, Math.min(end, untilMs) - Math.max(start, fromMs));
}
