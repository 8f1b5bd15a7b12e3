/**
 * One command to all children of trees of four widths, one after the other, and to each of a list of them: how many
 * children complete it in a second. In memory all nodes share one process; over NATS the children live in two others, which
 * have one connection each. Beside them two floors: the same messages between bare nodes, and between plain listeners.
 */
import { startNatsServer } from "../test/support/nats-server.js";
import type { Bench, BenchOptions, Goal, Measure, Reading, Subject } from "./bench.js";
import { forkProgram, type Program, together } from "./child-process.js";
import { type Asked, MODES, WIDTHS } from "./fanout-drive.js";

const WORKERS = 2;
/** Each has processes of its own: what V8 has seen of the others would slow it down. */
const ASKED: readonly Asked[] = ["nodes", "bare nodes", "plain listeners"];
const MEMORY = "memory";
const NATS = "NATS";
/** A fan-out must be wide enough to be bound by its children, and not by one round trip. */
const WIDE_MIN = 1_000;
/** What the goals are for. */
const BROADCAST: keyof typeof MODES = "broadcast";
const RATES = { [MEMORY]: 400_000, [NATS]: 150_000 } as const;

export const fanout: Bench = {
  name: "fanout",
  question: "What does a command to all children cost for each of them?",
  runs: 11,
  warmUps: 3,
  baseline: null,
  goals: goals(),
  chart: WIDTHS.map((width) => `${width} children, completions`),
  notes: [
    "Each child answers with a message of its own, also where one broadcast asked all of them. The goals are for such a command to all; a list of children, or a command to all while a process that was replaced may hear it, takes a message for each, which is measured besides.",
    "Bare nodes are the floor: the same messages through the same transport and codec between as little as can keep a fan-out's promises (fanout-bare.ts). Each side of a link is one object, which orders what it gets, over NATS keeps and repeats what is not acknowledged, runs a command once for its id as long as it keeps the outcome, bounds calls by credit, and notes when they are due. There are no states, heartbeats, recovery, relays, cancelling or errors, and nothing is validated. What they cost more with each width is what the processor's caches do not hold.",
    "Each has processes of its own, which are busy for 0.3 s before each measurement: they stood still while the others were measured.",
    "Plain listeners do even less: each input is decoded and each result encoded, and nothing is looked up, ordered, remembered or timed.",
  ],
  stage,
};

function goals(): Readonly<Record<string, Goal>> {
  const all: Record<string, Goal> = {};
  for (const [transport, limit] of Object.entries(RATES)) {
    const label = variantOf("nodes", transport, BROADCAST);
    const floorLabel = variantOf("bare nodes", transport, BROADCAST);
    for (const [place, width] of WIDTHS.entries()) {
      const completions = `${width} children, completions`;
      const floor = `${floorLabel}, ${completions}`;
      if (width >= WIDE_MIN) all[`${label}, ${completions}`] = { of: "value", is: ">=", limit, floor };
      const against = `cost of each, ${width} children against ${WIDTHS[place - 1]}`;
      const linear: Goal = { of: "value", is: "<=", limit: 1, floor: `${floorLabel}, ${against}` };
      if (place > 0) all[`${label}, ${against}`] = linear;
    }
  }
  return all;
}

function variantOf(asked: Asked, transport: string, mode: string): string {
  return asked === "nodes" ? `${transport}, ${mode}` : `${asked}, ${transport}, ${mode}`;
}

async function stage({ operations }: BenchOptions, measure: Measure): Promise<void> {
  await using server = await startNatsServer();
  await using programs = new Programs();
  const subjects: Subject[] = [];
  for (const asked of ASKED) {
    const inMemory = await programs.fork("fanout-tree", { asked, operations, servers: null });
    const overNats = await programs.fork("fanout-tree", { asked, operations, servers: server.url });
    for (let first = 0; first < WORKERS; first++)
      await programs.fork("fanout-worker", { asked, servers: server.url, first, of: WORKERS });
    subjects.push(...toSubjects(MEMORY, asked, inMemory), ...toSubjects(NATS, asked, overNats));
  }
  await measure(inTurn(subjects));
}

class Programs implements AsyncDisposable {
  readonly #all: Program[] = [];

  /** Resolves when it is ready. */
  async fork(name: string, input: object): Promise<Program> {
    const program = forkProgram(new URL(`${name}.ts`, import.meta.url), input);
    this.#all.push(program);
    await program.message();
    return program;
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return together(...this.#all)[Symbol.asyncDispose]();
  }
}

/** Those that are compared one after the other. */
function inTurn(subjects: readonly Subject[]): readonly Subject[] {
  const order = [MEMORY, NATS].flatMap((name) =>
    Object.keys(MODES).flatMap((mode) => ASKED.map((asked) => variantOf(asked, name, mode))),
  );
  return subjects.toSorted((a, b) => order.indexOf(a.variant) - order.indexOf(b.variant));
}

function toSubjects(name: string, asked: Asked, asker: Program): readonly Subject[] {
  return Object.entries(MODES).map(([mode, isBroadcast]) => ({
    variant: variantOf(asked, name, mode),
    measure: async () => (await asker.ask({ isBroadcast })) as readonly Reading[],
  }));
}
