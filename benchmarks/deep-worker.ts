/** One level of the benchmark `deep`, in a process of its own. */
import { createNode } from "fractal-tree";
import { connectNats } from "fractal-tree/nats";
import { programInput, reportToParent } from "./child-process.js";

const { servers, path, children } = programInput() as {
  readonly servers: string;
  readonly path: string;
  readonly children: readonly string[];
};

const node = createNode({
  path,
  transport: await connectNats({ servers, tree: "bench" }),
  children: children.map((id) => ({ id })),
  commands: { echo: (input: unknown) => input },
});
await node.start();
reportToParent({ started: true });
