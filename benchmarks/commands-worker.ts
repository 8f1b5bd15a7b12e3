/** The other process of the benchmark `commands`: a node and plain NATS responders, of which each echoes. */
import { connect } from "@nats-io/transport-node";
import { createNode } from "fractal-tree";
import { connectNats } from "fractal-tree/nats";
import { pack, unpack } from "msgpackr";
import { Batches } from "./batches.js";
import { programInput, reportToParent } from "./child-process.js";

const { servers } = programInput() as { readonly servers: string };

const connection = await connect({ servers });
connection.subscribe("bench.echo", {
  callback: (error, message) => {
    if (error === null) message.respond(pack(unpack(message.data)));
  },
});
let callers = "";
const answers = new Batches((batch) => connection.publish(callers, pack(batch)));
connection.subscribe("bench.batch", {
  callback: (_, { data, reply }) => {
    callers = reply ?? "";
    for (const [id, , input] of unpack(data) as readonly [string, string, unknown][]) answers.add([id, input]);
  },
});
await connection.flush();

const transport = await connectNats({ servers, tree: "bench" });
const node = createNode({ path: "bench.worker", transport, commands: { echo: (input: unknown) => input } });
await node.start();
await node.until("SYNCHRONIZED");
reportToParent({ ready: true });
