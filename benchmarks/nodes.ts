/**
 * What a node costs that does nothing: trees of a root, mids, and a hundred leaves below each of them, each tree in a process
 * of its own, over the memory transport and with heartbeats. The heap counts what is still reachable after a collection,
 * less what was so before the first node. Beside them a floor: their machines and messages, and no nodes.
 */
import type { Bench, BenchOptions, Goal, Measure, Reading, Subject } from "./bench.js";
import { forkProgram } from "./child-process.js";

const SIZES = [1_000, 10_000, 100_000] as const;
const FLOOR = "floor";
/** The one that is watched while it idles. */
const IDLE_LEAVES = 10_000;

export const nodes: Bench = {
  name: "nodes",
  question: "What does an idle node cost in memory and CPU, and how fast is a tree of 1,000 to 100,000 leaves ready?",
  runs: 5,
  warmUps: 0,
  baseline: null,
  goals: goals(),
  chart: ["heap per leaf", "creation to SYNCHRONIZED, per leaf"],
  notes: [
    "The heap per leaf holds also its place at its parent, and its share of the nodes above it.",
    "The floor is what no implementation of these nodes can go below: their XState actors, and the five frames of their start through codec and memory transport. Its heap is that of the actors.",
  ],
  stage,
};

function goals(): Readonly<Record<string, Goal | readonly Goal[]>> {
  const atMost = (limit: number): Goal => ({ of: "value", is: "<=", limit });
  const linear: Goal = { of: "ratio", is: "<=", limit: 1.2, against: nameOf(10_000) };
  const [small, middle, large] = SIZES.map(nameOf);
  return {
    [`${small}, heap per leaf`]: atMost(6_000),
    [`${middle}, heap per leaf`]: atMost(6_000),
    [`${large}, heap per leaf`]: [atMost(6_000), linear],
    [`${large}, creation to SYNCHRONIZED`]: { ...atMost(7_000), floor: `${FLOOR}, ${large}, creation to SYNCHRONIZED` },
    [`${large}, creation to SYNCHRONIZED, per leaf`]: linear,
    [`${middle}, CPU of the idle tree over 60 s`]: atMost(2),
  };
}

function nameOf(leaves: number): string {
  return `${leaves.toLocaleString("en")} leaves`;
}

async function stage({ operations }: BenchOptions, measure: Measure): Promise<void> {
  const sizes = operations === null ? SIZES : [operations];
  await measure(
    sizes.flatMap((leaves): Subject[] => [
      { variant: nameOf(leaves), measure: () => measureIn(new URL("nodes-tree.ts", import.meta.url), leaves) },
      {
        variant: `${FLOOR}, ${nameOf(leaves)}`,
        measure: () => measureIn(new URL("nodes-floor.ts", import.meta.url), leaves),
      },
    ]),
  );
}

async function measureIn(module: URL, leaves: number): Promise<readonly Reading[]> {
  const flags = ["--max-old-space-size=8192"];
  const input = { leaves, isIdleMeasured: leaves === IDLE_LEAVES };
  await using program = forkProgram(module, input, flags);
  return (await program.message()) as readonly Reading[];
}
