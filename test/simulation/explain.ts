/** A failed run as people read it: what broke, the faults, what happened last on the paths concerned, and how to replay it. */
import type { SimulationResult } from "../../src/testing/index.js";

const TRACE_MAX = 60;

export function explain({ seed, broken, faults, events }: SimulationResult): string {
  const what = broken.slice(0, 5).map((each) => `${each.invariant} at ${Math.round(each.atMs)} ms: ${each.what}`);
  return [
    `seed ${seed} broke ${broken.length} times. Replay: npm run simulate -- --seed ${seed}`,
    ...what,
    `faults:\n${faults.join("\n")}`,
    `the last events of the paths concerned:\n${trace(broken[0], events).join("\n")}`,
  ].join("\n");
}

/** What happened before the first violation to whom it names. */
function trace(first: SimulationResult["broken"][number] | undefined, events: readonly string[]): readonly string[] {
  const until = events.findIndex((event) => event.includes("BROKEN"));
  const names = new Set(first?.what.match(/\bt[\w.]*#\d+|\bt(?:\.\w+)+/g) ?? []);
  const before = events.slice(0, until + 1);
  const concerned = before.filter((event) => [...names].some((name) => event.includes(name)) || / fault: /.test(event));
  return concerned.slice(-TRACE_MAX);
}
