/** What users do with a node's children at run time, in OTP's words. */
import type { RestartType } from "../../machines/child-spec.js";
import type { SupervisedChild, SupervisedState } from "../../machines/supervised-child.js";
import {
  ChildExistsError,
  ChildNotFoundError,
  ChildNotStartedError,
  ChildRunningError,
  InvalidOptionError,
  NodeEndedError,
  WrongStateError,
} from "../errors.js";
import { known } from "./option-checks.js";
import {
  assertProgress,
  type ChildSpec,
  type DynamicChild,
  type ResolvedChildSpec,
  resolveChildSpec,
  resolveDynamicChild,
} from "./child-options.js";
import type { ChildLink } from "./child-link.js";
import type { Children } from "./children.js";
import type { NodeCore } from "./core.js";
import type { Departure } from "./departure.js";
import type { OwnedChildren } from "./owned-children.js";

/** A declared child as its supervisor sees it. */
export interface ChildInfo {
  readonly id: string;
  readonly path: string;
  /** Of a remote child: running while it has a session. */
  readonly state: SupervisedState;
  readonly remote: boolean;
  /** Null for a remote child. */
  readonly restart: RestartType | null;
  /** Counts the incarnations started here. */
  readonly generation: number;
  /** Restarts of it still borne within the period; null for a remote child. */
  readonly restartsLeft: number | null;
}

/** As OTP's `count_children`. */
export interface ChildCount {
  /** Children declared, alive or not. */
  readonly specs: number;
  /** Of those, with a living process. */
  readonly active: number;
  /** Of the declared, with children of their own, as last reported. */
  readonly supervisors: number;
  readonly workers: number;
}

export interface ChildOperationsPort {
  readonly core: NodeCore;
  readonly children: Children;
  readonly owned: OwnedChildren;
  /** Whether starting a child means something: the node runs and is not stopping. */
  readonly isRunning: boolean;
  readonly departure: Departure;
}

export class ChildOperations {
  readonly #port: ChildOperationsPort;
  #nextId = 1;

  constructor(port: ChildOperationsPort) {
    this.#port = port;
  }

  async start(child: ChildSpec | DynamicChild): Promise<ChildInfo> {
    const spec = this.#resolve(child);
    this.#assertRunning(`start ${spec.id}`);
    const { children, core, owned } = this.#port;
    if (children.get(spec.id) !== undefined) throw new ChildExistsError(this.#path(spec.id));
    if (children.size >= core.options.childrenMax) {
      throw new InvalidOptionError(
        "childrenMax",
        core.options.childrenMax,
        `more than ${children.size}, the children there are`,
      );
    }
    owned.add(spec);
    return spec.owned === null ? this.#info(spec.id) : this.#started(spec.id);
  }

  async terminate(id: string): Promise<void> {
    const link = this.#declared(id);
    const { owned } = this.#port;
    if (owned.has(id)) await owned.supervision.terminate(id);
    else await this.#port.departure.shutDown(link);
  }

  async restart(id: string): Promise<ChildInfo> {
    const child = this.#stopped(id);
    this.#assertRunning(`restart ${id}`);
    this.#port.owned.supervision.restart(child.plan.id);
    return this.#started(id);
  }

  delete(id: string): void {
    const link = this.#declared(id);
    const { owned, children } = this.#port;
    if (owned.has(id)) {
      this.#stopped(id);
      owned.supervision.remove(id);
    } else {
      if (link.isOpen) throw new ChildRunningError(link.path, "running");
      children.undeclare(link);
    }
  }

  spec(id: string): ChildSpec {
    const link = this.#declared(id);
    return this.#port.owned.spec(id) ?? { id, critical: link.critical, remote: true };
  }

  which(): readonly ChildInfo[] {
    return Array.from(this.#port.children.all())
      .filter(({ listed }) => listed)
      .map(({ id }) => this.#info(id));
  }

  count(): ChildCount {
    const infos = this.which();
    const isSupervisor = ({ id }: ChildInfo): boolean => (this.#port.children.get(id)?.report?.nodes ?? 1) > 1;
    const supervisors = infos.filter(isSupervisor).length;
    const active = infos.filter(({ state }) => ACTIVE.has(state)).length;
    return { specs: infos.length, active, supervisors, workers: infos.length - supervisors };
  }

  async #started(id: string): Promise<ChildInfo> {
    const { supervision } = this.#port.owned;
    const child = supervision.machine.get(id);
    // It may have become ready, or failed, at once.
    const decision = child?.state === "running" ? null : await supervision.started(id);
    if (supervision.machine.get(id)?.state === "running") return this.#info(id);
    if (decision === null) throw new NodeEndedError(this.#port.core.path, "its children end with it");
    throw new ChildNotStartedError(this.#path(id), decision.reason);
  }

  #resolve(child: ChildSpec | DynamicChild): ResolvedChildSpec {
    const { heartbeat, supervision } = this.#port.core.options;
    const { autoShutdown, template } = supervision;
    if (typeof child !== "object" || child === null) throw new InvalidOptionError("child", child, "an object");
    if (template === null || "start" in child || "remote" in child) {
      const resolved = resolveChildSpec("child", child as ChildSpec, autoShutdown);
      if (resolved.owned !== null) assertProgress("child", resolved.owned.spec, heartbeat.maxMs);
      return resolved;
    }
    known("child", child, ["id", "args"]);
    const { id = this.#freeId(), args } = child as DynamicChild;
    return resolveDynamicChild(template, { id, args }, autoShutdown);
  }

  #freeId(): string {
    while (this.#port.children.get(String(this.#nextId)) !== undefined) this.#nextId++;
    return String(this.#nextId++);
  }

  #assertRunning(what: string): void {
    if (!this.#port.isRunning) {
      throw new WrongStateError(`node ${this.#port.core.path} cannot ${what}: it is not running`);
    }
  }

  #path(id: string): string {
    return `${this.#port.core.path}.${id}`;
  }

  #declared(id: string): ChildLink {
    if (typeof id !== "string") throw new InvalidOptionError("id", id, "the id of a declared child");
    const link = this.#port.children.get(id);
    if (link?.listed !== true) throw new ChildNotFoundError(this.#path(id));
    return link;
  }

  #stopped(id: string): SupervisedChild {
    this.#declared(id);
    const child = this.#port.owned.supervision.machine.get(id);
    if (child === undefined) throw new WrongStateError(`${this.#path(id)} is remote: whoever started it restarts it`);
    const isWaiting = child.wanted && !this.#port.owned.supervision.machine.isHalted;
    if (child.state !== "stopped" || isWaiting) {
      throw new ChildRunningError(this.#path(id), child.state === "stopped" ? "waiting for its turn" : child.state);
    }
    return child;
  }

  #info(id: string): ChildInfo {
    const { children, owned, core } = this.#port;
    const child = owned.supervision.machine.get(id);
    const remoteState = children.get(id)?.isOpen === true ? "running" : "stopped";
    return {
      id,
      path: this.#path(id),
      state: child?.state ?? remoteState,
      remote: child === undefined,
      restart: child?.plan.restart ?? null,
      generation: child?.generation ?? 0,
      restartsLeft: child === undefined ? null : owned.supervision.machine.restartsLeft(child, core.now()),
    };
  }
}

const ACTIVE: ReadonlySet<SupervisedState> = new Set<SupervisedState>(["starting", "running", "stopping"]);
