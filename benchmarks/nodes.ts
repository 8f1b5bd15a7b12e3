/**
 * What a node costs that does nothing: a tree of 100 mids with 100 leaves each in a process of its own, over the memory
 * transport. The heap counts what is still reachable after a collection, less what was so before the first node.
 */
import type { Bench, BenchOptions, Measure, Reading } from "./bench.js";
import { forkProgram } from "./child-process.js";

const LEAVES = 10_000;

export const nodes: Bench = {
  name: "nodes",
  question: "What does an idle node cost in memory and CPU, and how fast does a tree of 10,000 leaves get ready?",
  runs: 3,
  warmsUp: false,
  baseline: null,
  goals: {},
  chart: ["heap per idle node", "creation to SYNCHRONIZED", "CPU of the idle tree over 10 s"],
  stage,
};

async function stage({ operations }: BenchOptions, measure: Measure): Promise<void> {
  await measure([{ variant: "", measure: () => measureTree(operations ?? LEAVES) }]);
}

async function measureTree(leaves: number): Promise<readonly Reading[]> {
  await using program = forkProgram(new URL("nodes-tree.ts", import.meta.url), { leaves }, ["--expose-gc"]);
  return (await program.message()) as readonly Reading[];
}
