/** Whom the benchmark `commands` compares: how each of them is called, and who answers, in another process. */
import { connect, type ConnectionOptions } from "@nats-io/transport-node";
import { createNode } from "fractal-tree";
import { connectNats } from "fractal-tree/nats";
import { pack, unpack } from "msgpackr";
import { Batches } from "./batches.js";
import type { Call } from "./commands-load.js";
import { PAYLOAD } from "./payload.js";
import { createBroker } from "./peers/moleculer.js";

interface Contestant {
  /** Answers from now on. */
  answer(servers: string): Promise<void>;
  /** To be made when there is somebody who answers. */
  caller(servers: string): Promise<Call>;
}

/** A command of ours. */
const COMMAND: Contestant = {
  async answer(servers) {
    const transport = await connectNats({ servers, tree: "bench" });
    const commands = { echo: (input: unknown) => input };
    await createNode({ path: "bench.worker", transport, commands }).start();
  },
  async caller(servers) {
    const transport = await connectNats({ servers, tree: "bench" });
    const node = createNode({ path: "bench", transport, children: [{ id: "worker" }] });
    await node.start();
    await node.until("SYNCHRONIZED", { timeoutMs: 10_000 });
    return () => node.command("worker", "echo", PAYLOAD);
  },
};

/** `request()` of the NATS client, which as it comes takes a stack trace for each. */
function requests({ noAsyncTraces }: Required<Pick<ConnectionOptions, "noAsyncTraces">>): Contestant {
  const subject = `bench.request.${noAsyncTraces ? "lean" : "plain"}`;
  return {
    answer: (servers) => echo(servers, subject),
    async caller(servers) {
      const connection = await connect({ servers, noAsyncTraces });
      return async () => unpack((await connection.request(subject, pack(PAYLOAD), { timeout: 30_000 })).data);
    },
  };
}

/** A publish for each, one subscription for all answers, and a Map of who waits. */
const SINGLY: Contestant = {
  answer: (servers) => echo(servers, "bench.singly"),
  async caller(servers) {
    const connection = await connect({ servers });
    const waiting = new Map<string, (data: Uint8Array) => void>();
    const prefix = "bench.singly.to.";
    let count = 0;
    connection.subscribe(`${prefix}*`, {
      callback: (_, { subject, data }) => {
        waiting.get(subject)?.(data);
        waiting.delete(subject);
      },
    });
    return async () => {
      const reply = `${prefix}${++count}`;
      const answer = new Promise<Uint8Array>((resolve) => waiting.set(reply, resolve));
      connection.publish("bench.singly", pack(PAYLOAD), { reply });
      return unpack(await answer);
    };
  },
};

/** The same with a publish for all calls of a turn of the event loop, or for a full batch. */
const BATCHED: Contestant = {
  async answer(servers) {
    const connection = await connect({ servers });
    const answers = new Batches((batch) => connection.publish("bench.batched.to", pack(batch)));
    connection.subscribe("bench.batched", {
      callback: (_, { data }) => {
        for (const [id, , input] of unpack(data) as readonly [string, string, unknown][]) answers.add([id, input]);
      },
    });
    await connection.flush();
  },
  async caller(servers) {
    const connection = await connect({ servers });
    const waiting = new Map<string, (output: unknown) => void>();
    const calls = new Batches((batch) => connection.publish("bench.batched", pack(batch)));
    let count = 0;
    connection.subscribe("bench.batched.to", {
      callback: (_, { data }) => {
        for (const [id, output] of unpack(data) as readonly [string, unknown][]) {
          waiting.get(id)?.(output);
          waiting.delete(id);
        }
      },
    });
    return () => {
      const id = `c-${++count}`;
      calls.add([id, "echo", PAYLOAD]);
      return new Promise((resolve) => waiting.set(id, resolve));
    };
  },
};

const MOLECULER: Contestant = {
  async answer(servers) {
    const broker = createBroker(servers, "worker");
    broker.createService({ name: "worker", actions: { echo: ({ params }: { params: unknown }) => params } });
    await broker.start();
  },
  async caller(servers) {
    const broker = createBroker(servers, "caller");
    await broker.start();
    await broker.waitForServices("worker");
    return () => broker.call("worker.echo", PAYLOAD);
  },
};

export const CANDIDATE = "node.command()";
export const BASELINE = "request()";
export const FLOOR = "publish of batches, one inbox";
export const PEER = "Moleculer";

/** By variant. */
export const CONTESTANTS: ReadonlyMap<string, Contestant> = new Map([
  [CANDIDATE, COMMAND],
  [BASELINE, requests({ noAsyncTraces: false })],
  ["request(), no traces", requests({ noAsyncTraces: true })],
  ["publish, one inbox", SINGLY],
  [FLOOR, BATCHED],
  [PEER, MOLECULER],
]);

async function echo(servers: string, subject: string): Promise<void> {
  const connection = await connect({ servers });
  connection.subscribe(subject, {
    callback: (error, message) => {
      if (error === null) message.respond(pack(unpack(message.data)));
    },
  });
  await connection.flush();
}
