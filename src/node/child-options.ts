/** What users declare of a node's children and of how they are supervised. */
import type { BackoffOptions } from "../../machines/backoff.js";
import type { AutoShutdown, ChildPlan, RestartType, Shutdown, Strategy } from "../../machines/child-spec.js";
import type { SupervisorOptions } from "../../machines/supervision.js";
import { InvalidOptionError } from "../errors.js";
import { assertToken } from "../protocol/path.js";
import { inProcess, type NodeFactory } from "../supervision/in-process.js";
import type { Starter } from "../supervision/starter.js";
import { atLeast, delay, flag, known, oneOf, record } from "./option-checks.js";

/** How a child is started and what follows its end; the same for all that come from one template. */
export interface ChildTemplate {
  /**
   * What starts it: a starter such as `workerThread(…)` or `childProcess(…)`, or a function that returns a node, which
   * then runs in this process.
   */
  readonly start: Starter | NodeFactory;
  /** Which ends call for a new incarnation. @default "permanent" */
  readonly restart?: RestartType;
  /** Milliseconds in which it may end in order before it is killed, "brutal_kill" or "infinity". @default 5_000 */
  readonly shutdown?: Shutdown;
  /** Its end by itself can shut this node down, see `autoShutdown`; not for permanent children. @default false */
  readonly significant?: boolean;
  /** Without it the node cannot be SYNCHRONIZED or start, and its failure fails the node. @default false */
  readonly critical?: boolean;
  /** From the call of `start` until its subtree is ready, milliseconds; longer is a failed start. @default 15_000 */
  readonly startTimeoutMs?: number;
  /** A live child that makes no progress is ended and started again. @default not required */
  readonly requireProgress?: ProgressRequirement;
}

export interface ProgressRequirement {
  /** Longest time without a call ended or `progress()` called, milliseconds; longer than `heartbeat.maxMs`. */
  readonly withinMs: number;
  /** Also while no call runs or waits: the child then calls `progress()` itself. @default false */
  readonly whileIdle?: boolean;
}

/** A child whose starts are this node's. */
export interface OwnedChildSpec extends ChildTemplate {
  /** The last token of its path. */
  readonly id: string;
  /** Handed to its starter. @default undefined */
  readonly args?: unknown;
  readonly remote?: false;
}

/** A child that somebody else starts: the node expects its announcement. */
export interface RemoteChildSpec {
  /** The last token of its path. */
  readonly id: string;
  readonly critical?: boolean;
  readonly remote?: true;
  readonly start?: undefined;
}

/** A child as declared to its parent. */
export type ChildSpec = OwnedChildSpec | RemoteChildSpec;

/** What `startChild` takes where there is a template. */
export interface DynamicChild {
  /** The last token of its path. @default the template's next number: "1", "2", … */
  readonly id?: string;
  /** Handed to its starter. @default undefined */
  readonly args?: unknown;
}

export interface SupervisionOptions {
  /** Who is started again when one child fails. @default "one_for_one" */
  readonly strategy?: Strategy;
  /** Restarts of all children borne within the period; one more fails the node. @default the larger of 10 and the number of children */
  readonly intensity?: number;
  /** Restarts of one child borne within the period. @default 3 */
  readonly childIntensity?: number;
  /** The sliding window in which restarts are counted, milliseconds. @default 30_000 */
  readonly periodMs?: number;
  /** Delays before restarts. @default { baseMs: 100, maxMs: 30_000 } */
  readonly backoff?: Partial<BackoffOptions>;
  /** After running for so long the next failure begins with the shortest delay, milliseconds. @default 10_000 */
  readonly stableMs?: number;
  /** A child that was restarted too often rests so long instead of failing the node, milliseconds; null to fail. @default null */
  readonly cooldownMs?: number | null;
  /** Whether ends of significant children shut the node down. @default "never" */
  readonly autoShutdown?: AutoShutdown;
  /** What children added at run time are made from: `startChild({ id, args })`. @default none */
  readonly template?: ChildTemplate;
  /** How long a starting parent waits for living children of starters that outlive it, milliseconds. @default 1_000 */
  readonly adoptionMs?: number;
}

export interface ResolvedChildSpec {
  readonly id: string;
  readonly critical: boolean;
  /** How it is started; null for a remote one. */
  readonly owned: ResolvedOwnership | null;
}

export interface ResolvedOwnership {
  /** As it was declared. */
  readonly spec: OwnedChildSpec;
  readonly starter: Starter;
  readonly plan: ChildPlan;
  readonly args: unknown;
  readonly progress: Required<ProgressRequirement> | null;
}

export interface ResolvedSupervision extends SupervisorOptions {
  readonly adoptionMs: number;
  readonly template: ChildTemplate | null;
}

const CHILD_OPTIONS = ["id", "critical", "remote"];
const TEMPLATE_OPTIONS = [
  "start",
  "restart",
  "shutdown",
  "significant",
  "critical",
  "startTimeoutMs",
  "requireProgress",
];
const SUPERVISION_OPTIONS = [
  "strategy",
  "intensity",
  "childIntensity",
  "periodMs",
  "backoff",
  "stableMs",
  "cooldownMs",
  "autoShutdown",
  "template",
  "adoptionMs",
];

/** @throws InvalidOptionError, InvalidPathError; `option` is its name in messages */
export function resolveChildSpec(option: string, spec: ChildSpec, autoShutdown: AutoShutdown): ResolvedChildSpec {
  const { id, critical = false } = record(option, spec);
  assertToken(`${option}.id`, id);
  flag(`${option}.critical`, critical);
  if (spec.start === undefined) {
    assertRemote(option, spec);
    return { id, critical, owned: null };
  }
  known(option, spec, [...new Set([...CHILD_OPTIONS, ...TEMPLATE_OPTIONS, "args"])]);
  if ((spec.remote as boolean | undefined) === true) {
    throw new InvalidOptionError(`${option}.remote`, true, "absent where start is given");
  }
  const { args } = spec;
  return { id, critical, owned: resolveOwnership(option, spec, { id, args, isDynamic: false, autoShutdown }) };
}

function assertRemote(option: string, spec: RemoteChildSpec): void {
  const isOurs = TEMPLATE_OPTIONS.filter((name) => name !== "critical" && name !== "start");
  for (const name of isOurs) {
    if (name in spec) throw new InvalidOptionError(`${option}.start`, undefined, `given where ${name} is`);
  }
  known(option, spec, [...CHILD_OPTIONS, "start"]);
  if (spec.remote !== undefined) flag(`${option}.remote`, spec.remote);
  if ((spec.remote as boolean | undefined) === false) {
    throw new InvalidOptionError(`${option}.start`, undefined, "given where remote is false");
  }
}

/** A child of the template. @throws InvalidOptionError, InvalidPathError */
export function resolveDynamicChild(
  template: ChildTemplate,
  { id, args }: { readonly id: string; readonly args: unknown },
  autoShutdown: AutoShutdown,
): ResolvedChildSpec {
  assertToken("id", id);
  flag("supervision.template.critical", template.critical ?? false);
  const owned = resolveOwnership("supervision.template", template, { id, args, isDynamic: true, autoShutdown });
  return { id, critical: template.critical ?? false, owned };
}

function resolveOwnership(
  option: string,
  template: ChildTemplate,
  {
    id,
    args,
    isDynamic,
    autoShutdown,
  }: { readonly id: string; readonly args: unknown; readonly isDynamic: boolean; readonly autoShutdown: AutoShutdown },
): ResolvedOwnership {
  const { start, restart = "permanent", shutdown = 5_000, significant = false, startTimeoutMs = 15_000 } = template;
  oneOf(`${option}.restart`, restart, ["permanent", "transient", "temporary"]);
  assertShutdown(`${option}.shutdown`, shutdown);
  assertSignificance(option, { significant, restart, autoShutdown });
  delay(`${option}.startTimeoutMs`, startTimeoutMs);
  const plan = { id, restart, shutdown, significant, startTimeoutMs, isDynamic };
  const starter = toStarter(`${option}.start`, start);
  return { spec: { ...template, id, args }, starter, plan, args, progress: resolveProgress(option, template) };
}

/** As OTP has it: who is always restarted never ends for good, and significance without automatic shutdown is a mistake. */
function assertSignificance(
  option: string,
  rules: { readonly significant: boolean; readonly restart: RestartType; readonly autoShutdown: AutoShutdown },
): void {
  if (!flag(`${option}.significant`, rules.significant)) return;
  if (rules.restart === "permanent") {
    throw new InvalidOptionError(`${option}.significant`, true, "false for a permanent child");
  }
  if (rules.autoShutdown === "never") {
    throw new InvalidOptionError(`${option}.significant`, true, "false while supervision.autoShutdown is never");
  }
}

function assertShutdown(option: string, shutdown: Shutdown): void {
  if (shutdown === "brutal_kill" || shutdown === "infinity") return;
  if (typeof shutdown === "number") void delay(option, shutdown);
  else throw new InvalidOptionError(option, shutdown, 'milliseconds, "brutal_kill" or "infinity"');
}

function toStarter(option: string, start: Starter | NodeFactory): Starter {
  if (typeof start === "function") return inProcess(start);
  if (typeof start === "object" && typeof start?.start === "function") return start;
  throw new InvalidOptionError(option, start, "a function that makes the node, or a starter such as childProcess(url)");
}

function resolveProgress(option: string, { requireProgress }: ChildTemplate): Required<ProgressRequirement> | null {
  if (requireProgress === undefined) return null;
  const name = `${option}.requireProgress`;
  const { withinMs, whileIdle = false } = record(name, requireProgress);
  known(name, requireProgress, ["withinMs", "whileIdle"]);
  return { withinMs: delay(`${name}.withinMs`, withinMs), whileIdle: flag(`${name}.whileIdle`, whileIdle) };
}

/** @throws InvalidOptionError */
export function resolveSupervision(options: SupervisionOptions): ResolvedSupervision {
  known("supervision", record("supervision", options), SUPERVISION_OPTIONS);
  const { strategy = "one_for_one", autoShutdown = "never", cooldownMs = null, template = null } = options;
  const { baseMs = 100, maxMs = 30_000 } = knownBackoff(options.backoff ?? {});
  atLeast(
    "supervision.backoff.maxMs",
    maxMs,
    "supervision.backoff.baseMs",
    delay("supervision.backoff.baseMs", baseMs),
  );
  if (template !== null) known("supervision.template", record("supervision.template", template), TEMPLATE_OPTIONS);
  const resolved = {
    strategy: oneOf("supervision.strategy", strategy, ["one_for_one", "one_for_all", "rest_for_one"]),
    autoShutdown: oneOf("supervision.autoShutdown", autoShutdown, ["never", "any_significant", "all_significant"]),
    intensity: options.intensity === undefined ? null : count("supervision.intensity", options.intensity),
    childIntensity: count("supervision.childIntensity", options.childIntensity ?? 3),
    periodMs: delay("supervision.periodMs", options.periodMs ?? 30_000),
    backoff: { baseMs, maxMs: delay("supervision.backoff.maxMs", maxMs) },
    stableMs: delay("supervision.stableMs", options.stableMs ?? 10_000),
    cooldownMs: cooldownMs === null ? null : delay("supervision.cooldownMs", cooldownMs),
    adoptionMs: delay("supervision.adoptionMs", options.adoptionMs ?? 1_000),
    template,
  };
  // What is wrong with the template is told now, not at the first child.
  if (template !== null) resolveDynamicChild(template, { id: "1", args: undefined }, resolved.autoShutdown);
  return resolved;
}

function knownBackoff(backoff: Partial<BackoffOptions>): Partial<BackoffOptions> {
  known("supervision.backoff", record("supervision.backoff", backoff), ["baseMs", "maxMs"]);
  return backoff;
}

/** Progress is told with the heartbeat: nobody makes any between two. @throws InvalidOptionError */
export function assertProgress(
  option: string,
  child: Pick<ChildTemplate, "requireProgress">,
  heartbeatMaxMs: number,
): void {
  const withinMs = child.requireProgress?.withinMs ?? Infinity;
  atLeast(`${option}.requireProgress.withinMs`, withinMs, "2 × heartbeat.maxMs", 2 * heartbeatMaxMs);
}

/** How often something may happen: 0 means never. */
function count(option: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidOptionError(option, value, "an integer >= 0");
  return value;
}
