/** No supervisor restarts its children more often than it was told to: its decisions counted anew, as in the simulator. */
import type { History, Incarnation, Violation } from "./history.js";
import type { JournalRecord, RecordOf } from "./records.js";

/** Restarts that come of a sibling, or of a new beginning, are part of another one. */
const UNCOUNTED: ReadonlySet<string> = new Set(["a sibling failed", "the supervisor started anew"]);

/** The runtime's defaults, written down again. */
const CHILD_INTENSITY = 3;
const SUPERVISOR_INTENSITY_MIN = 10;

/** A decision is written down a little after it was made, milliseconds. */
const WRITTEN_MS = 100;

export function checkBudgets({ incarnations, plan }: History): readonly Violation[] {
  const windowMs = plan.times.restartPeriodMs - WRITTEN_MS;
  return [...incarnations.values()].flatMap((supervisor) => checkSupervisor(supervisor, windowMs));
}

function checkSupervisor({ name, records }: Incarnation, windowMs: number): readonly Violation[] {
  const children = new Set(records.flatMap((record) => (record.type === "decided" ? [record.id] : []))).size;
  const violations: Violation[] = [];
  let restarts: RecordOf<"decided">[] = [];
  for (const record of records) {
    if (beginsAnew(record)) restarts = [];
    if (!isCounted(record)) continue;
    restarts = [...restarts.filter(({ atMs }) => record.atMs - atMs <= windowMs), record];
    const ofChild = restarts.filter(({ id }) => id === record.id);
    const tooMany = ofChild.length > CHILD_INTENSITY ? ofChild : restarts;
    if (tooMany === ofChild || restarts.length > Math.max(SUPERVISOR_INTENSITY_MIN, children)) {
      violations.push({
        rule: "restarts stay within their budget",
        what: `${name}: ${tooMany.length} within ${windowMs} ms, the last of ${record.id}`,
        lines: tooMany,
      });
    }
  }
  return violations;
}

/** Another attempt to coordinate, or a cooldown instead of giving up. */
function beginsAnew(record: JournalRecord): boolean {
  if (record.type === "state") return record.state === "CONNECTING";
  return record.type === "decided" && record.decision === "cooling";
}

function isCounted(record: JournalRecord): record is RecordOf<"decided"> {
  if (record.type !== "decided" || record.decision !== "restarting") return false;
  return record.exit !== "dependencyDown" && !UNCOUNTED.has(record.reason);
}
