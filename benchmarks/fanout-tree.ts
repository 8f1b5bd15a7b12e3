/**
 * The process of the benchmark `fanout` that asks: has the trees' roots, and in memory their children as well, and measures
 * as often as it is asked.
 */
import { memoryTransport } from "fractal-tree";
import { connectNats } from "fractal-tree/nats";
import { answerParent, programInput, reportToParent } from "./child-process.js";
import {
  type Asked,
  floorAskers,
  measureFloor,
  measureWidths,
  startChildren,
  startRoots,
  untilReady,
} from "./fanout-drive.js";

const { operations, servers } = programInput() as {
  readonly operations: number | null;
  /** Null for memory. */
  readonly servers: string | null;
};

const transport = servers === null ? memoryTransport() : await connectNats({ servers, tree: "bench" });
const roots = await startRoots(transport);
if (servers === null) await startChildren(transport, 0, 1);
const askers = floorAskers(transport);
answerParent(async (question) => {
  const { idempotent, asked } = question as { readonly idempotent: boolean; readonly asked: Asked };
  await untilReady(roots);
  if (asked === "nodes") return measureWidths(roots, idempotent, operations);
  return measureFloor(askers[asked], idempotent, operations);
});
reportToParent({ ready: true });
