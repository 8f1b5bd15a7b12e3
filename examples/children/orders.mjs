/** The program of a supervised child: what the examples of worker threads and of processes start. */
import { createNode, runChild } from "fractal-tree";

await runChild(({ path, transport, generation }) =>
  createNode({
    path,
    transport, // its parent's, through the channel between them; in production: await connectNats({ … })
    commands: {
      reserve: (/** @type {string} */ sku) => `${sku} reserved by incarnation ${generation}`,
      crash: () => process.exit(1),
    },
  }),
);
