/** The trees that the benchmark `fanout` asks, one of each width, and what one of them takes for an answer of all. */
import { createNode, type Node, type Transport } from "fractal-tree";
import type { Reading } from "./bench.js";
import { BareParent, startBareChildren } from "./fanout-bare.js";
import { answerFloor, FloorAsker } from "./fanout-floor.js";

export const WIDTHS = [10, 100, 1_000, 10_000] as const;

/** Whether the command is for all, or for each of a list of children, who are sent messages of their own. */
export const MODES = { broadcast: true, "a message each": false } as const;

const PATIENCE_MS = 120_000;
/** How long the children of each width are asked before they are measured. */
const SETTLING_MS = 75;
/** Completions of one measurement, at least. */
const COMPLETIONS = 50_000;

const INPUT = { sku: "A-1187", quantity: 12, tags: ["fragile", "cold"] };

function rootPath(width: number): string {
  return `wide${width}`;
}

/** Whoever is asked; the first are nodes. */
export type Asked = "nodes" | "bare nodes" | "plain listeners";

/** Every `of`th child of every width from the `first` on, and of them as many as are there. */
export async function startChildren(transport: Transport, asked: Asked, first: number, of: number): Promise<void> {
  for (const width of WIDTHS) {
    const places = Array.from({ length: width }, (_, place) => place).filter((place) => place % of === first);
    if (asked === "nodes") await startNodes(transport, width, places);
    else if (asked === "bare nodes") startBareChildren(transport, width, places);
    else answerFloor(transport, width, places);
  }
  await listening(transport);
}

async function startNodes(transport: Transport, width: number, places: readonly number[]): Promise<void> {
  const commands = { count: ({ quantity }: typeof INPUT) => quantity };
  const paths = places.map((place) => `${rootPath(width)}.c${place}`);
  await Promise.all(paths.map((path) => createNode({ path, transport, commands }).start()));
}

/** Resolves when a server, if there is one, knows of everything that was subscribed to: it hears us in order. */
async function listening(transport: Transport): Promise<void> {
  const subject = `floor.listening.p${process.pid}`;
  await new Promise<void>((resolve) => {
    transport.subscribe(subject, () => resolve());
    transport.publish(subject, new Uint8Array(0));
  });
}

/** Asks them all, again and again. */
export interface Asking {
  measure(isBroadcast: boolean, operations: number | null): Promise<readonly Reading[]>;
}

export async function startAsking(transport: Transport, asked: Asked): Promise<Asking> {
  if (asked === "nodes") return askNodes(await startRoots(transport));
  const askers = WIDTHS.map((width) =>
    asked === "bare nodes" ? new BareParent(transport, width) : new FloorAsker(transport, width),
  );
  await listening(transport);
  return { measure: (isBroadcast, operations) => measure(askers, isBroadcast, operations) };
}

function askNodes(roots: readonly Node[]): Asking {
  const askers = roots.map((root) => new NodeAsker(root));
  return {
    async measure(isBroadcast, operations) {
      await untilReady(roots);
      return measure(askers, isBroadcast, operations);
    },
  };
}

async function startRoots(transport: Transport): Promise<readonly Node[]> {
  const roots = WIDTHS.map((width) => {
    const children = childIds(width).map((id) => ({ id }));
    return createNode({ path: rootPath(width), transport, children, initTimeoutMs: PATIENCE_MS });
  });
  await Promise.all(roots.map((root) => root.start()));
  return roots;
}

async function untilReady(roots: readonly Node[]): Promise<void> {
  await Promise.all(roots.map((root) => root.until("SYNCHRONIZED", { timeoutMs: PATIENCE_MS })));
}

async function measure(
  askers: readonly Asker[],
  isBroadcast: boolean,
  operations: number | null,
): Promise<readonly Reading[]> {
  for (const asker of askers) await settling(() => asker.costPerChild(isBroadcast, INPUT, 1));
  const costs: number[] = [];
  for (const [place, asker] of askers.entries()) {
    const fanOuts = Math.ceil((operations ?? COMPLETIONS) / (WIDTHS[place] as number));
    costs.push(await asker.costPerChild(isBroadcast, INPUT, fanOuts));
  }
  return toReadings(costs);
}

/** Asks all children of one width, and says what each of them costs, microseconds. */
interface Asker {
  costPerChild(isBroadcast: boolean, input: unknown, fanOuts: number): Promise<number>;
}

async function settling(ask: () => Promise<unknown>): Promise<void> {
  const endMs = performance.now() + SETTLING_MS;
  while (performance.now() < endMs) await ask();
}

class NodeAsker implements Asker {
  readonly #root: Node;
  readonly #ids: readonly string[];

  constructor(root: Node) {
    this.#root = root;
    this.#ids = root.children().map(({ id }) => id);
  }

  async costPerChild(isBroadcast: boolean, input: unknown, fanOuts: number): Promise<number> {
    let completed = 0;
    const startedAtMs = performance.now();
    for (let n = 0; n < fanOuts; n++) {
      for (const outcome of await this.#root.fanOut(isBroadcast ? "*" : this.#ids, "count", input).outcomes) {
        if (outcome.status !== "completed") throw outcome.error;
        completed++;
      }
    }
    return ((performance.now() - startedAtMs) * 1_000) / completed;
  }
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
