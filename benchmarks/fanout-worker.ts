/** A process of the benchmark `fanout` over NATS: a part of the children of every width. */
import { connectNats } from "fractal-tree/nats";
import { programInput, reportToParent } from "./child-process.js";
import { type Asked, startChildren } from "./fanout-drive.js";

const { asked, servers, first, of } = programInput() as {
  readonly asked: Asked;
  readonly servers: string;
  readonly first: number;
  readonly of: number;
};

await startChildren(await connectNats({ servers, tree: "bench" }), asked, first, of);
reportToParent({ ready: true });
