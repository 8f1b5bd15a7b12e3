/** Drives real nodes along paths of the model and compares after each step. */
import { expect } from "vitest";
import { degradedReasons } from "../../../machines/coordination.js";
import { causeOf, isLostAlready } from "./causes.js";
import { Family, type Style, type Timing } from "./family.js";
import { EDGES, type ModelPath, type ModelStep } from "./model.js";
import type { Stage } from "./stage.js";

/** What plays have covered so far. */
export class Coverage {
  readonly states = new Set<string>();
  readonly edges = new Set<string>();
  /** Steps without a cause, by state and event. */
  readonly causeless = new Map<string, number>();
  paths = 0;
  steps = 0;

  /** Transitions of the machine that no real node took. */
  get missing(): readonly string[] {
    return EDGES.map(({ id }) => id).filter((id) => !this.edges.has(id));
  }

  get summary(): string {
    const skipped = [...this.causeless.values()].reduce((sum, count) => sum + count, 0);
    return [
      `${this.paths} paths, ${this.steps} steps, ${this.states.size} states`,
      `${EDGES.length - this.missing.length}/${EDGES.length} transitions`,
      `${skipped} steps without a cause (${[...this.causeless.keys()].toSorted().join("; ")})`,
    ].join(", ");
  }
}

export interface Play {
  readonly stage: Stage;
  readonly timing: Timing;
  readonly style: Style;
  readonly coverage: Coverage;
}

/** Plays one path from the start of all processes to their end. */
export async function drive(path: ModelPath, { stage, timing, style, coverage }: Play): Promise<void> {
  const family = new Family(stage, timing, style);
  await family.start();
  try {
    const played: string[] = [];
    for (const step of path) {
      played.push(`${step.before.value} by ${step.name}`);
      await playStep(family, step, coverage, played.join(", "));
    }
  } finally {
    family.close();
  }
  for (const edge of family.taken) coverage.edges.add(edge);
  coverage.paths++;
}

async function playStep(family: Family, step: ModelStep, coverage: Coverage, way: string): Promise<void> {
  const { name, before, after, edges } = step;
  const mark = family.taken.length;
  const enteredBefore = family.entered.length;
  const cause = causeOf(step);
  coverage.steps++;
  if (cause === null) {
    const key = `${before.value} ${name}`;
    coverage.causeless.set(key, (coverage.causeless.get(key) ?? 0) + 1);
    expect(edges, `${way}: a transition needs a cause`).toEqual([]);
    return;
  }
  await cause(family);
  const required = requiredOf(step, family);
  const missing = () => required.filter((edge) => !family.taken.includes(edge, mark));
  await family.until(() => missing().length === 0 && family.node.state === after.value, family.longestMs);
  expectAt(family, step, way);
  expect(missing(), `${way}: transitions not taken; the node took ${family.taken.slice(mark).join(", ")}`).toEqual([]);
  // Out of the parent's reach, or it would ask a DISCONNECTED node at once to coordinate again.
  if (after.value === "DISCONNECTED") family.cut({ parent: true });
  await family.until(() => false, family.timing.settleMs);
  expectAt(family, step, `${way}, a moment later`);
  if (AT_ONCE.has(name)) expect(family.entered.slice(enteredBefore), `${way}: states entered`).toEqual(enteredIn(step));
  coverage.states.add(family.node.state);
}

/**
 * The transitions that the real node must take in a step. Children that do not fail in one instant, or are suspect before
 * they are dead, lead the node through DEGRADED where the model fails at once: only the first one is required then.
 */
function requiredOf(step: ModelStep, { stage, style }: Family): readonly string[] {
  if (isLostAlready(step)) return [];
  return stage.keepsInstants && style.failure === "report" ? step.edges : step.edges.slice(0, 1);
}

/** Events whose real cause is one event at the machine: the node must not flap on the way. */
const AT_ONCE: ReadonlySet<string> = new Set([
  "fault",
  "recovery",
  "cleanedUp",
  "shutdown",
  "initTimeout",
  "recoveryTimeout",
  "cleanupTimeout",
  "retryDelay",
]);

function enteredIn({ edges }: ModelStep): readonly string[] {
  const taken = EDGES.filter(({ id }) => edges.includes(id));
  return taken.flatMap(({ from, to }) => (to === null || to === from ? [] : [to]));
}

function expectAt({ node, taken }: Family, { after }: ModelStep, way: string): void {
  const { value, context } = after;
  const { state, reasons, failure } = node.status;
  const expected = {
    state: value,
    reasons: value === "DEGRADED" ? degradedReasons(context) : [],
    failure: value === "FAILED" ? context.failure : null,
  };
  expect({ state, reasons, failure }, `${way} (last taken: ${taken.slice(-6).join(", ")})`).toEqual(expected);
}
