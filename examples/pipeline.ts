/**
 * Teaches: what flows through a tree besides single commands.
 *
 *   - down to many: a fan-out that is decided by a quorum, with progress
 *   - down to all:  a versioned document that every child has before it works
 *   - up:           a request that the nearest ancestor answers
 *
 *   npm run build && npx tsx examples/pipeline.ts
 */
import { setTimeout as sleep } from "node:timers/promises";
import { createNode, memoryTransport, type Node } from "fractal-tree";

interface Settings {
  readonly unit: string;
  readonly digits: number;
}

interface Measured {
  readonly mean: string;
}

const transport = memoryTransport();
const offsets: Readonly<Record<string, number>> = { north: 0.5, south: -0.25, attic: 3 };

const lab = createNode({
  path: "lab",
  transport,
  children: Object.keys(offsets).map((id) => ({ id })),
  requests: { offset: ({ sensor }: { sensor: string }) => offsets[sensor] ?? 0 },
});

function settingsOf({ synced }: Node): Settings {
  if (synced === null) throw new Error("no settings yet");
  return synced.document as Settings;
}

/** A sensor takes its unit from the lab's document and its offset from whoever above knows it. */
function createSensor(id: string, sampleMs: number): Node {
  const sensor = createNode({
    path: `lab.${id}`,
    transport,
    commands: {
      measure: async ({ samples }: { samples: number }, { progress, signal }): Promise<Measured> => {
        const { unit, digits } = settingsOf(sensor);
        const offset = await sensor.request<number>("offset", { sensor: id }, { signal });
        for (let done = 1; done <= samples; done++) {
          await sleep(sampleMs, undefined, { signal });
          progress(`${id} ${done}/${samples}`);
        }
        return { mean: `${(20 + offset).toFixed(digits)} ${unit}` };
      },
    },
  });
  return sensor;
}

const sensors = [createSensor("north", 10), createSensor("south", 20), createSensor("attic", 60_000)];
await Promise.all([lab, ...sensors].map((node) => node.start()));
await lab.until("SYNCHRONIZED", { timeoutMs: 5_000 });

const version = lab.synchronize({ unit: "°C", digits: 2 } satisfies Settings);
console.log(`settings: version ${version}`);

const fanOut = lab.fanOut<Measured>(
  "*",
  "measure",
  { samples: 3 },
  {
    until: { quorum: 2 }, // the attic is slow: two answers are enough, and it is told to stop
    minSyncVersion: version, // nobody measures with settings older than these
    timeoutMs: 10_000,
    onProgress: (value) => console.log(`progress: ${String(value)}`),
  },
);
for await (const outcome of fanOut) {
  const text = outcome.status === "completed" ? outcome.value.mean : outcome.error.code;
  console.log(`${outcome.target}: ${outcome.status} ${text}`);
}
console.log(`decided by ${(await fanOut.outcomes).filter(({ status }) => status === "completed").length} of 3`);

await lab.shutdownTree();
