/** The program of the children that the benchmark `detection` kills: plain JavaScript, which a worker thread can load. */
import { createNode, runChild } from "fractal-tree";
import { connectNats } from "fractal-tree/nats";

await runChild(async ({ path, transport, data }) => {
  const servers = /** @type {string | undefined} */ (data);
  return createNode({
    path,
    transport: servers === undefined ? transport : await connectNats({ servers, tree: "bench" }),
  });
});
