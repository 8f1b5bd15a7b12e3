/** One level of the benchmark `deep`, in a process of its own. */
import { connect, type Msg, type NatsConnection } from "@nats-io/transport-node";
import { createNode } from "fractal-tree";
import { connectNats } from "fractal-tree/nats";
import { programInput, reportToParent } from "./child-process.js";

const { servers, place, path, children } = programInput() as {
  readonly servers: string;
  /** Levels below the root. */
  readonly place: number;
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
await answerPlainly(await connect({ servers }));
reportToParent({ started: true });

/** A request ends here, or goes one level deeper. */
async function answerPlainly(connection: NatsConnection): Promise<void> {
  const answer = async (request: Msg): Promise<void> => {
    const { depth, input } = request.json<{ readonly depth: number; readonly input: unknown }>();
    if (depth === place) return void request.respond(JSON.stringify(input));
    const { data } = await connection.request(`plain.${place + 1}`, request.data, { timeout: 10_000 });
    request.respond(data);
  };
  connection.subscribe(`plain.${place}`, { callback: (_, request) => void answer(request) });
  await connection.flush();
}
