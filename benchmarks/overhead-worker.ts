/** One process of the benchmark `overhead`, with some of its leaves. */
import { connect, type Msg } from "@nats-io/transport-node";
import { createNode } from "fractal-tree";
import { connectNats } from "fractal-tree/nats";
import { setTimeout as sleep } from "node:timers/promises";
import { programInput, reportToParent } from "./child-process.js";

const { servers, paths } = programInput() as { readonly servers: string; readonly paths: readonly string[] };

interface Task {
  readonly waitMs: number;
}

async function task({ waitMs }: Task): Promise<number> {
  await sleep(waitMs);
  return waitMs;
}

/** The same tasks by plain calls, one after the other: milliseconds for each. */
async function directly({ tasks, ...input }: Task & { readonly tasks: number }): Promise<number> {
  const startedAtMs = performance.now();
  for (let n = 0; n < tasks; n++) await task(input);
  return (performance.now() - startedAtMs) / tasks;
}

async function answer(request: Msg): Promise<void> {
  request.respond(JSON.stringify(await task(request.json<Task>())));
}

const plain = await connect({ servers });
for (const path of paths) plain.subscribe(`plain.${path}`, { callback: (_error, request) => void answer(request) });
await plain.flush();
const transport = await connectNats({ servers, tree: "bench" });
const leaves = paths.map((path) => createNode({ path, transport, commands: { task, directly } }));
await Promise.all(leaves.map((leaf) => leaf.start()));
reportToParent({ started: true });
