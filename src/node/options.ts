/** A node's options: what users may give, what they get otherwise, and the rules between them. */
import type { InspectionEvent, Observer } from "xstate";
import type { BackoffOptions } from "../../machines/backoff.js";
import type { DetectorOptions } from "../../machines/failure-detector.js";
import { type HeartbeatOptions, localIntervalMs } from "../../machines/heartbeat-interval.js";
import type { Threshold, Thresholds } from "../../machines/thresholds.js";
import { InvalidOptionError } from "../errors.js";
import type { Clock, Random } from "../health/clock.js";
import { realClock } from "../health/real-clock.js";
import { assertPath } from "../protocol/path.js";
import type { Transport } from "../transport/transport.js";
import type { Commands } from "./handlers.js";
import { assertCommands } from "./handlers.js";
import {
  assertProgress,
  type ChildSpec,
  type ResolvedChildSpec,
  type ResolvedSupervision,
  resolveChildSpec,
  resolveSupervision,
  type SupervisionOptions,
} from "./child-options.js";
import { shareOptions, sharedOptions } from "./shared-options.js";
import {
  assertThreshold,
  assertTransport,
  atLeast,
  callable,
  delay,
  flag,
  known,
  list,
  oneOf,
  positiveInteger,
  record,
  withMethods,
} from "./option-checks.js";

/** What a node does with accepted work while it has no parent. */
export type OrphanPolicy =
  /** Goes on and announces itself until a parent answers. */
  | "continue"
  /** Starts no further handler until a parent answers. */
  | "pause"
  /** Stops itself once the parent is declared dead or left. */
  | "stop";

/** What a node does once it has FAILED and cleaned up. */
export type FailurePolicy = "recover" | "end";

/** Gives a root its epoch, so that clocks do not matter. */
export interface EpochStore {
  /** A number above every number given before for this path, and at least `atLeast`. */
  next(path: string, atLeast: number): Promise<number> | number;
}

/** What a logger must have; a pino logger or child fits. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export type Inspect = ((event: InspectionEvent) => void) | Observer<InspectionEvent>;

export interface NodeOptions {
  /** Where the node stands: `shop` is a root, `shop.orders` a child of it. */
  readonly path: string;
  readonly transport: Transport;
  /**
   * Children declared in advance, in the order in which they are started; READY waits for them. Those with a `start` are
   * supervised, the others are started by somebody else. Further ones may join, see `acceptJoining`. @default []
   */
  readonly children?: readonly ChildSpec[];
  /** How children with a `start` are supervised. @default one_for_one, at most 3 restarts of one child in 30 s */
  readonly supervision?: SupervisionOptions;
  /** Whether children that are not listed may join by announcing themselves. @default true */
  readonly acceptJoining?: boolean;
  /** Most children, listed and joined. @default 10_000 */
  readonly childrenMax?: number;
  /** Handlers of commands by name. @default {} */
  readonly commands?: Commands;
  /** Handlers of requests that nodes below ask upward, by name. @default {} */
  readonly requests?: Commands;
  /** Tells deployments apart that share a tree name by accident: nodes of another tree id are ignored. @default the transport's tree */
  readonly treeId?: string;
  /** When missing children degrade or fail the node. @default degraded { count: 1 }, failed { fraction: 1 } */
  readonly thresholds?: { readonly degraded?: Threshold; readonly failed?: Threshold };
  /** Longest stay in CONNECTING, milliseconds. @default 10_000 */
  readonly initTimeoutMs?: number;
  /** Longest stay in DEGRADED before FAILED, milliseconds; null for no limit. @default null */
  readonly recoveryTimeoutMs?: number | null;
  /** Longest stay in FAILED, milliseconds. @default 5_000 */
  readonly cleanupTimeoutMs?: number;
  /** Deadline of commands and requests that give none, milliseconds. @default 30_000 */
  readonly commandTimeoutMs?: number;
  /** Deadline of `stop` and `shutdownTree` when none is given, milliseconds. @default 10_000 */
  readonly shutdownTimeoutMs?: number;
  /** Delays between attempts to coordinate again after FAILED. @default { baseMs: 200, maxMs: 30_000 } */
  readonly backoff?: Partial<BackoffOptions>;
  /**
   * Bounds of the adaptive heartbeat interval. Between nodes that share the memory transport of one thread it is 60 × `maxMs`
   * while there is nothing to tell. @default { minMs: 500, maxMs: 2_000 }
   */
  readonly heartbeat?: Partial<HeartbeatOptions>;
  /** When silence is suspect, and when it is death. @default { pauseMs: 1_000, deadMs: 10_000 } */
  readonly failureDetector?: Partial<DetectorOptions>;
  /** After FAILED: try again after a backoff, or end. A child that its parent starts always ends. @default "recover" */
  readonly onFailed?: FailurePolicy;
  /** What happens to accepted work while there is no parent. @default "continue" */
  readonly onOrphaned?: OrphanPolicy;
  /** Handlers that run at once, commands and requests each. @default 256 */
  readonly concurrency?: number;
  /** Calls that wait for a handler; beyond that they are answered "overloaded". @default 1_024 */
  readonly queueMax?: number;
  /** Calls to one child (or to the parent) that wait for its credit, and as many that wait to be sent again. @default 4_096 */
  readonly linkQueueMax?: number;
  /** Outcomes kept to answer duplicates, at most; at least the latest half of them is kept. @default 10_000 */
  readonly outcomesMax?: number;
  /** Bytes of results kept to answer duplicates, as for `outcomesMax`. @default 16 MiB */
  readonly outcomesMaxBytes?: number;
  /** Where a root takes its epoch from. @default the wall clock, raised above any epoch that its children have seen */
  readonly epochStore?: EpochStore;
  /** Structured logs with stable event names; a pino child fits. @default silent */
  readonly logger?: Logger;
  /** Passed to XState: `inspect` of @statelyai/inspect shows the node in Stately's inspector. */
  readonly inspect?: Inspect;
  /** @default the process's clock */
  readonly clock?: Clock;
  /** @default Math.random */
  readonly random?: Random;
}

/** What nodes that are made alike have in common. */
export interface ResolvedNodeOptions {
  readonly transport: Transport;
  readonly children: readonly ResolvedChildSpec[];
  readonly supervision: ResolvedSupervision;
  readonly acceptJoining: boolean;
  readonly childrenMax: number;
  readonly commands: Commands;
  readonly requests: Commands;
  readonly treeId: string;
  readonly thresholds: Thresholds;
  readonly initTimeoutMs: number;
  readonly recoveryTimeoutMs: number | null;
  readonly cleanupTimeoutMs: number;
  readonly commandTimeoutMs: number;
  readonly shutdownTimeoutMs: number;
  readonly backoff: BackoffOptions;
  readonly heartbeat: HeartbeatOptions;
  readonly failureDetector: DetectorOptions;
  /** The interval of beats between nodes of one thread, milliseconds. */
  readonly localIntervalMs: number;
  readonly onFailed: FailurePolicy;
  readonly onOrphaned: OrphanPolicy;
  readonly concurrency: number;
  readonly queueMax: number;
  readonly linkQueueMax: number;
  readonly outcomesMax: number;
  readonly outcomesMaxBytes: number;
  readonly epochStore: EpochStore | null;
  readonly logger: Logger | null;
  readonly inspect: Inspect | null;
  readonly clock: Clock;
  readonly random: Random;
}

const OPTION_NAMES: readonly (keyof NodeOptions)[] = [
  "path",
  "transport",
  "children",
  "supervision",
  "acceptJoining",
  "childrenMax",
  "commands",
  "requests",
  "treeId",
  "thresholds",
  "initTimeoutMs",
  "recoveryTimeoutMs",
  "cleanupTimeoutMs",
  "commandTimeoutMs",
  "shutdownTimeoutMs",
  "backoff",
  "heartbeat",
  "failureDetector",
  "onFailed",
  "onOrphaned",
  "concurrency",
  "queueMax",
  "linkQueueMax",
  "outcomesMax",
  "outcomesMaxBytes",
  "epochStore",
  "logger",
  "inspect",
  "clock",
  "random",
];

const LOGGER_METHODS = ["debug", "info", "warn", "error"];
const CLOCK_METHODS = ["now", "wallNow", "setTimeout", "clearTimeout", "defer"];

/**
 * Checks and completes the options.
 *
 * @throws InvalidOptionError, InvalidPathError
 */
export function resolveNodeOptions(options: NodeOptions): ResolvedNodeOptions {
  const { path } = record("options", options);
  const shared = sharedOptions(options);
  if (shared === undefined) known("options", options, OPTION_NAMES);
  assertPath("path", path);
  return shared ?? resolveAnew(options);
}

function resolveAnew(options: NodeOptions): ResolvedNodeOptions {
  const { transport, clock = realClock, random = Math.random } = options;
  assertTransport(transport);
  assertCommands("commands", options.commands ?? {});
  assertCommands("requests", options.requests ?? {});
  const resolved: ResolvedNodeOptions = {
    transport,
    ...resolveChildren(options),
    commands: { ...options.commands },
    requests: { ...options.requests },
    treeId: options.treeId ?? transport.tree,
    ...resolveTimes(options),
    ...resolveBounds(options),
    thresholds: resolveThresholds(options),
    onFailed: oneOf("onFailed", options.onFailed ?? "recover", ["recover", "end"]),
    onOrphaned: oneOf("onOrphaned", options.onOrphaned ?? "continue", ["continue", "pause", "stop"]),
    epochStore: options.epochStore ? withMethods("epochStore", options.epochStore, ["next"]) : null,
    logger: options.logger ? withMethods("logger", options.logger, LOGGER_METHODS) : null,
    inspect: options.inspect ?? null,
    clock: withMethods("clock", clock, CLOCK_METHODS),
    random: callable("random", random),
  };
  assertRelations(resolved);
  shareOptions(options, resolved);
  return resolved;
}

function resolveChildren(
  options: NodeOptions,
): Pick<ResolvedNodeOptions, "children" | "supervision" | "acceptJoining" | "childrenMax"> {
  const supervision = resolveSupervision(options.supervision === undefined ? {} : options.supervision);
  const seen = new Set<string>();
  const children = list("children", options.children ?? []).map((child, index) => {
    const option = `children[${index}]`;
    const spec = resolveChildSpec(option, child, supervision.autoShutdown);
    if (seen.has(spec.id)) throw new InvalidOptionError(`${option}.id`, spec.id, "unique among the children");
    seen.add(spec.id);
    return spec;
  });
  return {
    children,
    supervision,
    acceptJoining: flag("acceptJoining", options.acceptJoining ?? true),
    childrenMax: positiveInteger("childrenMax", options.childrenMax ?? 10_000),
  };
}

function resolveTimes(options: NodeOptions) {
  const { recoveryTimeoutMs = null } = options;
  const heartbeat = {
    minMs: delay("heartbeat.minMs", options.heartbeat?.minMs ?? 500),
    maxMs: delay("heartbeat.maxMs", options.heartbeat?.maxMs ?? 2_000),
  };
  const failureDetector = {
    pauseMs: delay("failureDetector.pauseMs", options.failureDetector?.pauseMs ?? 1_000),
    deadMs: delay("failureDetector.deadMs", options.failureDetector?.deadMs ?? 10_000),
  };
  return {
    initTimeoutMs: delay("initTimeoutMs", options.initTimeoutMs ?? 10_000),
    recoveryTimeoutMs: recoveryTimeoutMs === null ? null : delay("recoveryTimeoutMs", recoveryTimeoutMs),
    cleanupTimeoutMs: delay("cleanupTimeoutMs", options.cleanupTimeoutMs ?? 5_000),
    commandTimeoutMs: delay("commandTimeoutMs", options.commandTimeoutMs ?? 30_000),
    shutdownTimeoutMs: delay("shutdownTimeoutMs", options.shutdownTimeoutMs ?? 10_000),
    backoff: {
      baseMs: delay("backoff.baseMs", options.backoff?.baseMs ?? 200),
      maxMs: delay("backoff.maxMs", options.backoff?.maxMs ?? 30_000),
    },
    heartbeat,
    failureDetector,
    localIntervalMs: localIntervalMs(heartbeat),
  };
}

function resolveBounds(options: NodeOptions) {
  return {
    concurrency: positiveInteger("concurrency", options.concurrency ?? 256),
    queueMax: positiveInteger("queueMax", options.queueMax ?? 1_024),
    linkQueueMax: positiveInteger("linkQueueMax", options.linkQueueMax ?? 4_096),
    outcomesMax: positiveInteger("outcomesMax", options.outcomesMax ?? 10_000),
    outcomesMaxBytes: positiveInteger("outcomesMaxBytes", options.outcomesMaxBytes ?? 16 * 1024 * 1024),
  };
}

function resolveThresholds(options: NodeOptions): Thresholds {
  const thresholds: Thresholds = {
    degraded: options.thresholds?.degraded ?? { count: 1 },
    failed: options.thresholds?.failed ?? { fraction: 1 },
  };
  assertThreshold("thresholds.degraded", thresholds.degraded);
  assertThreshold("thresholds.failed", thresholds.failed);
  return thresholds;
}

function assertAllProgress({ children, supervision, heartbeat }: ResolvedNodeOptions): void {
  for (const [index, { owned }] of children.entries()) {
    if (owned !== null) assertProgress(`children[${index}]`, owned.spec, heartbeat.maxMs);
  }
  if (supervision.template !== null) assertProgress("supervision.template", supervision.template, heartbeat.maxMs);
}

function assertRelations(options: ResolvedNodeOptions): void {
  const { heartbeat, failureDetector, backoff, treeId, children, childrenMax } = options;
  atLeast("heartbeat.maxMs", heartbeat.maxMs, "heartbeat.minMs", heartbeat.minMs);
  atLeast("backoff.maxMs", backoff.maxMs, "backoff.baseMs", backoff.baseMs);
  atLeast("childrenMax", childrenMax, "the number of listed children", children.length);
  assertAllProgress(options);
  const suspicionMs = heartbeat.maxMs + failureDetector.pauseMs;
  if (failureDetector.deadMs <= suspicionMs) {
    const rule = `> heartbeat.maxMs + failureDetector.pauseMs (${suspicionMs})`;
    throw new InvalidOptionError("failureDetector.deadMs", failureDetector.deadMs, rule);
  }
  if (typeof treeId !== "string" || treeId.length < 1 || treeId.length > 64) {
    throw new InvalidOptionError("treeId", treeId, "a string of 1 to 64 characters");
  }
}
