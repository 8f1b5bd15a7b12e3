/** What a node knows, as plain data: its own status and its cached view of each child. */
import { type CoordinationState, type DegradedReason } from "../../machines/coordination.js";
import { formatEpoch } from "../../machines/epoch.js";
import type { LinkState } from "../../machines/link.js";
import type { Report } from "./shared-report.js";
import { REASON_CHILDREN, REASON_UPLINK, STATES } from "../protocol/messages.js";
import type { ChildLink } from "./child-link.js";
import type { Children } from "./children.js";

export interface ChildView {
  readonly id: string;
  readonly path: string;
  /** The link as this parent sees it. */
  readonly link: LinkState;
  readonly critical: boolean;
  /** Listed in the options, rather than joined. */
  readonly listed: boolean;
  /** Dotted; empty when it was granted none. */
  readonly epoch: string;
  /** What the child last said of itself; null before it said anything. */
  readonly status: ChildStatus | null;
  /** Age of `status`, milliseconds; null before the first. A quiet child in our own thread reports every 2 min only. */
  readonly ageMs: number | null;
  /** Commands sent to it or waiting for it. */
  readonly pending: number;
}

export interface ChildStatus {
  readonly state: CoordinationState;
  readonly reasons: readonly DegradedReason[];
  /** Handlers running. */
  readonly running: number;
  /** Commands queued. */
  readonly queued: number;
  /** Nodes of its subtree, itself included. */
  readonly nodes: number;
  /** Of those, SYNCHRONIZED or DEGRADED. */
  readonly available: number;
  /** Lifeguard's score of its own troubles, 0 to 7. */
  readonly localHealth: number;
  readonly syncVersion: number;
}

export interface NodeStatus {
  readonly path: string;
  readonly state: CoordinationState;
  readonly reasons: readonly DegradedReason[];
  readonly failure: string | null;
  readonly epoch: string;
  readonly running: number;
  readonly queued: number;
  /** Nodes of the subtree, as last reported. */
  readonly nodes: number;
  readonly available: number;
  readonly localHealth: number;
  /** False while the transport is down: the node then keeps its state, and what it knows of others grows old. */
  readonly connected: boolean;
  /** Inbound messages that were dropped, by reason. */
  readonly dropped: Readonly<Record<string, number>>;
}

export function childView(link: ChildLink, nowMs: number): ChildView {
  const { id, path, state, critical, listed, report, reportAtMs } = link;
  return {
    id,
    path,
    link: state,
    critical,
    listed,
    epoch: formatEpoch(link.epoch),
    status: report === null ? null : toStatus(report),
    ageMs: report === null ? null : nowMs - reportAtMs,
    pending: link.pending,
  };
}

function toStatus(report: Report): ChildStatus {
  const { running, queued, nodes, available, localHealth, syncVersion } = report;
  return {
    state: STATES[report.state] ?? "DISCONNECTED",
    reasons: fromBits(report.reasons),
    running,
    queued,
    nodes,
    available,
    localHealth,
    syncVersion,
  };
}

export function toBits(reasons: readonly DegradedReason[]): number {
  return (reasons.includes("children") ? REASON_CHILDREN : 0) | (reasons.includes("uplink") ? REASON_UPLINK : 0);
}

function fromBits(bits: number): readonly DegradedReason[] {
  const reasons: DegradedReason[] = [];
  if ((bits & REASON_CHILDREN) !== 0) reasons.push("children");
  if ((bits & REASON_UPLINK) !== 0) reasons.push("uplink");
  return reasons;
}

/** What a child claims must not make our own report unreadable. */
const NODES_MAX = 2 ** 31;

/** Size of a subtree: the node itself and what its children last reported. */
export function countSubtree(children: Children, isAvailable: boolean): { nodes: number; available: number } {
  let nodes = 1;
  let available = isAvailable ? 1 : 0;
  for (const link of children.all()) {
    if (link.report === null || link.state === "left") continue;
    nodes = Math.min(NODES_MAX, nodes + link.report.nodes);
    if (link.isAttached) available = Math.min(NODES_MAX, available + link.report.available);
  }
  return { nodes, available };
}
