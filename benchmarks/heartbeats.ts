/**
 * What it costs to know that everybody lives: frames that say nothing else, and CPU, beside heartbeats at a fixed interval
 * whose deaths are suspected as soon (99th percentile). Frames and deaths are those of a simulated parent with 20 children,
 * so that they are the same on any machine; CPU is that of a tree of 2,500 links in one process.
 */
import type { Bench, BenchOptions, Goal, Measure, Reading, Subject } from "./bench.js";
import { forkProgram } from "./child-process.js";
import { FixedBeats } from "./heartbeats-fixed.js";
import { World } from "./heartbeats-world.js";

const OURS = "adaptive";
/** How many intervals of silence a fixed rule takes for death. */
const FIXED = { "fixed, no beat may be lost": 1, "fixed, one may": 2, "fixed, two may": 3 } as const;
const BASELINE = "fixed, two may";
const LINKS = { "quiet links": null, "busy links": 1_000 } as const;
const KILLS = 200;
const COUNTED_MINUTES = 3;
/** A share of messages that is lost, and how long it is watched whom that makes suspect. */
const DROP = 0.05;
const LOSSY_MINUTES = 60;
/** `heartbeat.maxMs`, which settled links have. */
const SETTLED_MS = 2_000;
const CPU_SECONDS = 6;
const CPU_TREE = { mids: 50, leavesPerMid: 49 };

export const heartbeats: Bench = {
  name: "heartbeats",
  question: "What does it cost to know that everybody lives, beside fixed intervals that notice a death as soon?",
  runs: 5,
  warmUps: 0,
  baseline: BASELINE,
  goals: {
    [`${OURS}, busy links, signs of life`]: ratio(0.2),
    [`${OURS}, quiet links, signs of life`]: ratio(1),
    [`${OURS}, quiet links, CPU per 10,000`]: ratio(1),
  },
  chart: Object.keys(LINKS).map((links) => `${links}, signs of life`),
  notes: [
    "A sign of life is a frame that carries a heartbeat or a report and no work. On busy links each child is sent a command every second.",
    "A fixed rule that asks nobody must bear lost beats: where none may be lost, 5 % loss makes it suspect everyone again and again. The rule that bears two is the one that suspects about as rarely as ours, and is compared with.",
  ],
  stage,
};

function ratio(limit: number): Goal {
  return { of: "ratio", is: "<=", limit };
}

/** What our own detection reached in a run: the fixed rules are given intervals that reach the same. */
type Detected = Map<string, number>;

async function stage({ operations }: BenchOptions, measure: Measure): Promise<void> {
  const kills = operations ?? KILLS;
  const detected: Detected = new Map();
  let seed = 0;
  const ours: Subject = { variant: OURS, measure: () => measureOurs(detected, (seed += 10), kills) };
  const fixed = Object.entries(FIXED).map(([variant, missed]): Subject => {
    return { variant, measure: () => measureFixed(detected, missed, variant === BASELINE) };
  });
  await measure([ours, ...fixed]);
}

async function measureOurs(detected: Detected, seed: number, kills: number): Promise<readonly Reading[]> {
  const readings: Reading[] = [];
  for (const [links, commandEveryMs] of Object.entries(LINKS)) {
    const dying = await settled({ seed, commandEveryMs, drop: 0 });
    const p99Ms = await dying.detectionP99Ms(kills);
    detected.set(links, p99Ms);
    const living = await settled({ seed, commandEveryMs, drop: 0 });
    readings.push(...toReadings(links, p99Ms, await living.signsPerMinute(COUNTED_MINUTES)));
  }
  const lossy = await settled({ seed, commandEveryMs: null, drop: DROP });
  readings.push(falseSuspicions(await lossy.falseSuspicionsPerHour(LOSSY_MINUTES)));
  return [...readings, await measureCpu(SETTLED_MS)];
}

async function measureFixed(detected: Detected, missed: number, withCpu: boolean): Promise<readonly Reading[]> {
  const readings: Reading[] = [];
  const beatsOf = (links: string): FixedBeats => new FixedBeats(missed, detected.get(links) ?? Number.NaN);
  for (const [links, p99Ms] of detected) {
    const beats = beatsOf(links);
    readings.push(...toReadings(links, p99Ms, beats.signsPerMinute));
    readings.push({ case: `${links}, interval`, unit: "ms", value: beats.intervalMs });
  }
  const quiet = beatsOf("quiet links");
  readings.push(falseSuspicions(quiet.falseSuspicionsPerHour(DROP)));
  return withCpu ? [...readings, await measureCpu(Math.round(quiet.intervalMs))] : readings;
}

async function settled(options: ConstructorParameters<typeof World>[0]): Promise<World> {
  const world = new World(options);
  await world.settle();
  return world;
}

function toReadings(links: string, p99Ms: number, signs: number): readonly Reading[] {
  return [
    { case: `${links}, death to suspicion, p99`, unit: "ms", value: p99Ms },
    { case: `${links}, signs of life`, unit: "1/min per node", value: signs },
  ];
}

function falseSuspicions(value: number): Reading {
  return { case: `quiet links, false suspicions at ${DROP * 100} % loss`, unit: "1/child-hour", value };
}

async function measureCpu(intervalMs: number): Promise<Reading> {
  const input = { ...CPU_TREE, intervalMs, seconds: CPU_SECONDS };
  await using program = forkProgram(new URL("heartbeats-tree.ts", import.meta.url), input);
  const { links, cpuMs, tookMs } = (await program.message()) as { links: number; cpuMs: number; tookMs: number };
  const percent = (cpuMs / tookMs) * 100 * (10_000 / links);
  return { case: "quiet links, CPU per 10,000", unit: "% of a core", value: percent };
}
