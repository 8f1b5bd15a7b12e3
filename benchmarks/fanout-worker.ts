/** A process of the benchmark `fanout` over NATS: a part of the children of every tree. */
import { connectNats } from "fractal-tree/nats";
import { programInput, reportToParent } from "./child-process.js";
import { startChildren } from "./fanout-drive.js";

const { servers, first, of } = programInput() as {
  readonly servers: string;
  readonly first: number;
  readonly of: number;
};

await startChildren(await connectNats({ servers, tree: "bench" }), first, of);
reportToParent({ ready: true });
