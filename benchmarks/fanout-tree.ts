/**
 * The process of the benchmark `fanout` that asks: has the parents of all widths, and in memory their children as well, and
 * measures as often as it is asked.
 */
import { memoryTransport } from "fractal-tree";
import { connectNats } from "fractal-tree/nats";
import { answerParent, programInput, reportToParent } from "./child-process.js";
import { type Asked, startAsking, startChildren } from "./fanout-drive.js";

const { asked, operations, servers } = programInput() as {
  readonly asked: Asked;
  readonly operations: number | null;
  /** Null for memory. */
  readonly servers: string | null;
};

const transport = servers === null ? memoryTransport() : await connectNats({ servers, tree: "bench" });
const asking = await startAsking(transport, asked);
if (servers === null) await startChildren(transport, asked, 0, 1);
answerParent((question) => asking.measure((question as { readonly isBroadcast: boolean }).isBroadcast, operations));
reportToParent({ ready: true });
