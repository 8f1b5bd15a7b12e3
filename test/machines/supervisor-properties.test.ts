/**
 * The supervisor against a model, in random sequences of what may happen to it. Whatever happens, once it stops happening
 * all wanted children run.
 */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ChildPlan, ExitKind, RestartType, Shutdown } from "../../machines/child-spec.js";
import type { SupervisorOptions } from "../../machines/supervision.js";
import { Supervisor } from "../../machines/supervisor.js";
import { resolveSupervision } from "../../src/node/child-options.js";
import { complain, SupervisorModel } from "./supervisor-model.js";

const HAPPENINGS = [
  "declare",
  "start",
  "halt",
  "ready",
  "ready",
  "ready",
  "exited",
  "exited",
  "exited",
  "exitedBefore",
  "ending",
  "tick",
  "tick",
  "wake",
  "wake",
  "wake",
  "terminate",
  "restart",
  "remove",
  "adopt",
  "end",
  "release",
  "killAll",
] as const;

const exitKind = fc.constantFrom<ExitKind>("normal", "shutdown", "failed", "failed", "failed", "dependencyDown");

const happening = fc.record({
  what: fc.constantFrom(...HAPPENINGS),
  /** Of whom, out of those for whom it can happen. */
  which: fc.nat(1_000),
  waitMs: fc.oneof(fc.constant(0), fc.nat(50), fc.nat(3_000), fc.nat(60_000)),
  exit: exitKind,
  random: fc.integer({ min: 0, max: 999 }).map((thousandths) => thousandths / 1_000),
  flag: fc.boolean(),
});
type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never;

const plan: fc.Arbitrary<Omit<ChildPlan, "id">> = fc.record({
  restart: fc.constantFrom("permanent", "permanent", "transient", "temporary"),
  shutdown: fc.constantFrom<Shutdown>(10, 2_000, "brutal_kill", "infinity"),
  significant: fc.boolean(),
  startTimeoutMs: fc.constantFrom(20, 5_000),
  isDynamic: fc.boolean(),
});

const options: fc.Arbitrary<SupervisorOptions> = fc.record({
  strategy: fc.constantFrom("one_for_one", "one_for_all", "rest_for_one"),
  intensity: fc.constantFrom(null, 0, 1, 3),
  childIntensity: fc.constantFrom(0, 1, 3),
  periodMs: fc.constantFrom(50, 5_000, 30_000),
  backoff: fc.constantFrom({ baseMs: 1, maxMs: 1 }, { baseMs: 10, maxMs: 1_000 }),
  stableMs: fc.constantFrom(1, 1_000),
  cooldownMs: fc.constantFrom(null, null, 10, 4_000),
  autoShutdown: fc.constantFrom("never", "any_significant", "all_significant"),
});

const IDS = ["a", "b", "c", "d", "e"] as const;

/** Makes things happen, as far as a runtime could. */
class Fate {
  readonly model: SupervisorModel;
  readonly #plans: readonly Omit<ChildPlan, "id">[];
  /** What those said of their end that are ending by themselves. */
  readonly #words = new Map<string, ExitKind>();

  constructor(given: SupervisorOptions, plans: readonly Omit<ChildPlan, "id">[]) {
    this.model = new SupervisorModel(given);
    this.#plans = plans;
  }

  begin(): void {
    for (const [index] of this.#plans.entries()) this.#declare(index, false);
    this.model.start();
  }

  happen({ what, which, waitMs, exit, random, flag }: Happening): void {
    const { model } = this;
    model.nowMs += waitMs;
    const any = pick(Array.from(model.declared.keys()), which);
    const alive = pick(Array.from(model.living.keys()), which);
    const idle = pick(this.#idle(), which);
    if (what === "declare") this.#declare(which, flag);
    else if (what === "start") model.start();
    else if (what === "halt") model.halt();
    else if (what === "tick") model.tick();
    else if (what === "wake") this.#wake();
    else if (what === "killAll" && flag) this.#killAll();
    else if (what === "restart" && idle !== null && !model.isHalted) model.restart(idle);
    else if (what === "remove" && idle !== null) model.remove(idle);
    else if (what === "terminate" && any !== null) model.terminate(any);
    else if (what === "adopt" && any !== null) model.adopt(any);
    else if (what === "exitedBefore" && any !== null) model.exitedBefore(any);
    else if (alive !== null) this.#happenTo(alive, { what, exit, random, flag });
  }

  /** Nothing fails any more: who was told ends, who was started gets ready, time passes until nothing waits for it. */
  rest(): void {
    const { model } = this;
    for (let steps = 0; steps < 1_000; steps++) {
      const processes = Array.from(model.living);
      const leaving = processes.find(([, { isStopping }]) => isStopping)?.[0];
      const starting = processes.find(([, { isReady }]) => !isReady)?.[0];
      if (model.isHalted) model.start();
      else if (leaving !== undefined) this.#exited(leaving, "shutdown", 0);
      else if (starting !== undefined) model.ready(starting);
      else if (model.supervisor.wakeAtMs < Infinity) this.#wake();
      else return;
    }
    complain("it comes to rest", model.supervisor.wakeAtMs);
  }

  /** The ids of the children that run, and of those that are to. */
  get running(): readonly string[] {
    return Array.from(this.model.living.keys()).toSorted();
  }

  get wanted(): readonly string[] {
    const wanted = Array.from(this.model.declared).filter(([, child]) => child.wanted);
    return wanted.map(([id]) => id).toSorted();
  }

  /** Those that do not run and are not about to. */
  #idle(): readonly string[] {
    const { declared, living, isHalted, supervisor } = this.model;
    const isIdle = (id: string, wanted: boolean): boolean => !living.has(id) && (!wanted || isHalted);
    const ids = Array.from(declared).filter(([id, { wanted }]) => isIdle(id, wanted));
    return ids.map(([id]) => id).filter((id) => supervisor.get(id)?.state === "stopped");
  }

  #declare(which: number, flag: boolean): void {
    const { declared, isHalted } = this.model;
    const id = pick(
      IDS.filter((name) => !declared.has(name)),
      which,
    );
    const given = this.#plans[which % this.#plans.length];
    if (id === null || given === undefined) return;
    this.model.declare(
      { ...given, id, significant: given.significant && given.restart !== "permanent" },
      flag && !isHalted,
    );
  }

  #wake(): void {
    const { model } = this;
    if (model.supervisor.wakeAtMs === Infinity) return;
    model.nowMs = Math.max(model.nowMs, model.supervisor.wakeAtMs);
    model.tick();
  }

  /** Only what has ended for the node, too. */
  #killAll(): void {
    this.model.halt();
    this.model.killAll();
  }

  #happenTo(id: string, { what, exit, random, flag }: Omit<Happening, "which" | "waitMs">): void {
    const { model } = this;
    if (what === "ready") model.ready(id);
    else if (what === "exited") this.#exited(id, exit, random);
    else if (what === "ending") this.#ending(id, exit, flag);
    else if (what === "end" && model.isHalted) model.end(id);
    else if (what === "release" && model.isHalted && model.declared.get(id)?.wanted === true) model.release(id);
  }

  #ending(id: string, exit: ExitKind, kill: boolean): void {
    if (this.model.living.get(id)?.isStopping === false) this.#words.set(id, exit);
    this.model.ending(id, { kind: exit, reason: "its own word" }, kill);
  }

  #exited(id: string, kind: ExitKind, random: number): void {
    const own = this.#words.get(id) ?? null;
    this.#words.delete(id);
    this.model.exited(id, { kind, reason: "its exit" }, random, own);
  }
}

function pick<T>(from: readonly T[], which: number): T | null {
  return from[which % from.length] ?? null;
}

test("whatever happens, the supervisor keeps its rules, and once it stops happening all wanted children run", () => {
  const happenings = fc.array(happening, { minLength: 5, maxLength: 120 });
  const plans = fc.array(plan, { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(options, plans, happenings, (given, declared, events) => {
      const fate = new Fate(given, declared);
      fate.begin();
      for (const event of events) fate.happen(event);
      fate.rest();
      expect(fate.running).toEqual(fate.wanted);
    }),
    { numRuns: 6_000 },
  );
});

describe("found by these sequences", () => {
  const PLAN = { shutdown: "brutal_kill", significant: false, startTimeoutMs: 5_000, isDynamic: false } as const;
  const FAILED = { kind: "failed", reason: "out of luck" } as const;
  const AT = { nowMs: 0, random: 0 };

  /** `a` is permanent and has just failed; `b` has other ends. */
  function failed(restart: RestartType) {
    const supervisor = new Supervisor(resolveSupervision({ strategy: "one_for_all" }));
    supervisor.declare({ ...PLAN, id: "a", restart: "permanent" }, 0);
    supervisor.declare({ ...PLAN, id: "b", restart }, 0);
    supervisor.start(0);
    supervisor.ready("a", 0);
    supervisor.ready("b", 0);
    return { supervisor, actions: supervisor.exited("a", 1, FAILED, AT) };
  }

  test("a temporary child that was ending with its sibling came back when the supervisor halted meanwhile", () => {
    const { supervisor } = failed("temporary");
    supervisor.halt(0);
    supervisor.exited("b", 1, FAILED, AT);
    expect(supervisor.get("b")).toBeUndefined();
  });

  test("what followed from a restart was told before it: the kill of a sibling, with the budget already used", () => {
    const { actions } = failed("permanent");
    const decisions = actions.flatMap((action) => (action.type === "supervision.decided" ? [action.decision] : []));
    expect(decisions.map(({ id, decision }) => `${id} ${decision}`)).toEqual(["a restarting", "b killed"]);
  });
});
