/** Rules for processes that nodes start as their children: they do not outlive their parents, nor each other. */
import { type History, type Incarnation, NOTICED_MS, stoppedMs, type Violation } from "./history.js";
import type { JournalRecord } from "./records.js";

export function checkOwned({ incarnations, plan }: History): readonly Violation[] {
  const all = [...incarnations.values()];
  const byPid = new Map(all.map((each) => [each.start?.pid, each]));
  return all.flatMap((child) => {
    const owner = child.start?.owner ?? null;
    const parent = owner === null ? undefined : byPid.get(owner);
    if (parent === undefined) return [];
    const { orphanMs, slackMs } = plan.times;
    return [...checkOutlived(parent, child, orphanMs + slackMs), ...checkDoubles(child, all)];
  });
}

/** When a node has ended, none of its children is left; when its process is gone at once, they follow within a bound. */
function checkOutlived(parent: Incarnation, child: Incarnation, orphanMs: number): readonly Violation[] {
  const rule = "nothing owned outlives its supervisor";
  const what = `${child.name} outlived ${parent.name}`;
  const lines = [child.start, last(parent), last(child)].filter((line) => line !== null);
  const afterEndMs = child.exitedAtMs - parent.endedAtMs - NOTICED_MS;
  if (afterEndMs > 0) return [{ rule, what: `${what}'s node by ${Math.round(afterEndMs)} ms`, lines }];
  const { exitedAtMs } = parent;
  const afterExitMs = child.exitedAtMs - exitedAtMs - orphanMs - stoppedMs(child, [exitedAtMs, child.exitedAtMs]);
  return afterExitMs > 0 ? [{ rule, what: `${what} by ${Math.round(afterExitMs + orphanMs)} ms`, lines }] : [];
}

/** A supervisor starts a child again only when the process before it is certainly gone. */
function checkDoubles(child: Incarnation, all: readonly Incarnation[]): readonly Violation[] {
  const { start } = child;
  const before = all.filter(
    (other) =>
      start !== null &&
      other.path === child.path &&
      other.start?.owner === start.owner &&
      other.start.atMs < start.atMs &&
      other.exitedAtMs > start.atMs + NOTICED_MS,
  );
  const rule = "a replacement starts only when the process before it is gone";
  return before.map((other) => {
    return {
      rule,
      what: `${child.name} beside ${other.name}`,
      lines: [other.start, start].filter((line) => line !== null),
    };
  });
}

function last({ records }: Incarnation): JournalRecord | null {
  return records.at(-1) ?? null;
}
