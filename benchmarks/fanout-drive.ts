/** The trees that the benchmark `fanout` asks, one of each width, and what one of them takes for an answer of all. */
import { createNode, type Node, type Transport } from "fractal-tree";
import type { Reading } from "./bench.js";
import { BareParent, startBareChildren } from "./fanout-bare.js";
import { answerFloor, FloorAsker } from "./fanout-floor.js";

export const WIDTHS = [10, 100, 1_000, 10_000] as const;

/** Whether one message goes to all, which the command must bear, or each child is sent its own. */
export const MODES = { broadcast: true, "a message each": false } as const;

const PATIENCE_MS = 120_000;
/** Completions of one measurement, at least. */
const COMPLETIONS = 50_000;

const INPUT = { sku: "A-1187", quantity: 12, tags: ["fragile", "cold"] };

function rootPath(width: number): string {
  return `wide${width}`;
}

/** Every `of`th child of every tree from the `first` on, and of them as many as are there. */
export async function startChildren(transport: Transport, first: number, of: number): Promise<void> {
  const commands = { count: ({ quantity }: typeof INPUT) => quantity };
  const paths = WIDTHS.flatMap((width) => childIds(width).map((id) => `${rootPath(width)}.${id}`));
  const mine = paths.filter((_, place) => place % of === first);
  for (const width of WIDTHS) {
    const places = Array.from({ length: width }, (_, place) => place).filter((place) => place % of === first);
    answerFloor(transport, width, places);
    startBareChildren(transport, width, places);
  }
  await Promise.all(mine.map((path) => createNode({ path, transport, commands }).start()));
}

export async function startRoots(transport: Transport): Promise<readonly Node[]> {
  const roots = WIDTHS.map((width) => {
    const children = childIds(width).map((id) => ({ id }));
    return createNode({ path: rootPath(width), transport, children, initTimeoutMs: PATIENCE_MS });
  });
  await Promise.all(roots.map((root) => root.start()));
  return roots;
}

export async function untilReady(roots: readonly Node[]): Promise<void> {
  await Promise.all(roots.map((root) => root.until("SYNCHRONIZED", { timeoutMs: PATIENCE_MS })));
}

/** Asks all children of each tree, again and again. */
export async function measureWidths(
  roots: readonly Node[],
  idempotent: boolean,
  operations: number | null,
): Promise<readonly Reading[]> {
  const completions = operations ?? COMPLETIONS;
  const costs: number[] = [];
  for (const root of roots) {
    const width = root.children().length;
    costs.push(await costPerChild(root, idempotent, Math.ceil(completions / width)));
  }
  return toReadings(costs);
}

/** The same by a floor. */
export async function measureFloor(
  askers: readonly Asker[],
  isBroadcast: boolean,
  operations: number | null,
): Promise<readonly Reading[]> {
  const costs: number[] = [];
  for (const [place, asker] of askers.entries()) {
    const fanOuts = Math.ceil((operations ?? COMPLETIONS) / (WIDTHS[place] as number));
    costs.push(await asker.costPerChild(isBroadcast, INPUT, fanOuts));
  }
  return toReadings(costs);
}

/** Whoever is asked; the first are nodes. */
export type Asked = "nodes" | "bare nodes" | "plain listeners";

/** Asks all children of one width, and says what each of them costs, microseconds. */
interface Asker {
  costPerChild(isBroadcast: boolean, input: unknown, fanOuts: number): Promise<number>;
}

/** One for each width. */
export function floorAskers(transport: Transport): Readonly<Record<Exclude<Asked, "nodes">, readonly Asker[]>> {
  return {
    "bare nodes": WIDTHS.map((width) => new BareParent(transport, width)),
    "plain listeners": WIDTHS.map((width) => new FloorAsker(transport, width)),
  };
}

/** Microseconds. */
async function costPerChild(root: Node, idempotent: boolean, fanOuts: number): Promise<number> {
  let completed = 0;
  const startedAtMs = performance.now();
  for (let n = 0; n < fanOuts; n++) {
    for (const outcome of await root.fanOut("*", "count", INPUT, { idempotent }).outcomes) {
      if (outcome.status !== "completed") throw outcome.error;
      completed++;
    }
  }
  return ((performance.now() - startedAtMs) * 1_000) / completed;
}

function toReadings(costs: readonly number[]): readonly Reading[] {
  return costs.flatMap((cost, place) => {
    const of = `${WIDTHS[place]} children`;
    const narrower = costs[place - 1];
    const rate: Reading = { case: `${of}, completions`, unit: "1/s", value: 1e6 / cost };
    const perChild: Reading = { case: `${of}, cost of each`, unit: "µs", value: cost };
    if (narrower === undefined) return [rate, perChild];
    const against = `cost of each, ${of} against ${WIDTHS[place - 1]}`;
    return [rate, perChild, { case: against, unit: "×", value: cost / narrower }];
  });
}

function childIds(width: number): readonly string[] {
  return Array.from({ length: width }, (_, place) => `c${place}`);
}
