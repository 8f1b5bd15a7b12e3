/** The process of the benchmark `fanout` in memory: builds the trees and measures as often as it is asked. */
import { memoryTransport } from "fractal-tree";
import { answerParent, programInput, reportToParent } from "./child-process.js";
import { floorAskers, measureFloor, measureWidths, startChildren, startRoots, untilReady } from "./fanout-drive.js";

const { operations } = programInput() as { readonly operations: number | null };

const transport = memoryTransport();
const roots = await startRoots(transport);
await startChildren(transport, 0, 1);
await untilReady(roots);
const askers = floorAskers(transport);
answerParent((question) => {
  const { idempotent, isFloor } = question as { readonly idempotent: boolean; readonly isFloor: boolean };
  return isFloor ? measureFloor(askers, idempotent, operations) : measureWidths(roots, idempotent, operations);
});
reportToParent({ ready: true });
