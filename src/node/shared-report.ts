/**
 * Reports of nodes that are alike are alike: equal ones are one object, at the sender and at the receiver. Thousands of idle
 * leaves say the same. A shared report is never written to.
 */
import { LOCAL_HEALTH_MAX } from "../../machines/local-health.js";
import type { StatusReport } from "../protocol/messages.js";

/** What a report says of a node. Its promise, which differs from node to node, is the detector's. */
export type Report = Readonly<Omit<StatusReport, "kind" | "seq" | "nextInMs">>;

let latest: Report | null = null;

/** The report as it is to be kept: no health beyond what there is. */
export function sharedReport(report: Report): Report {
  if (latest !== null && isEqual(latest, report)) return latest;
  latest = compact(report, Math.min(LOCAL_HEALTH_MAX, report.localHealth));
  return latest;
}

/** In the order in which they are likely to differ. */
function isEqual(a: Report, b: Report): boolean {
  const isSameLoad = a.running === b.running && a.queued === b.queued && a.progress === b.progress;
  const isSameTree = a.nodes === b.nodes && a.available === b.available && a.syncVersion === b.syncVersion;
  const isSameState = a.state === b.state && a.reasons === b.reasons && a.localHealth === b.localHealth;
  return isSameTree && isSameLoad && isSameState;
}

/** One literal, which V8 keeps in one piece. */
function compact(report: Report, localHealth: number): Report {
  return {
    localHealth,
    state: report.state,
    reasons: report.reasons,
    running: report.running,
    queued: report.queued,
    nodes: report.nodes,
    available: report.available,
    syncVersion: report.syncVersion,
    progress: report.progress,
  };
}
