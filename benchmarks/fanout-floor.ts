/**
 * A floor of the benchmark `fanout`: a command to many plain listeners and a message back from each, written, carried and
 * read as the runtime does it, with the input decoded and the result encoded by each. There is no node: nothing is looked
 * up, ordered, remembered, timed or judged.
 */
import type { Transport } from "fractal-tree";
import { decodeFrame, encodeFrame } from "../src/protocol/codec.js";
import type { CommandRun, CompleteCommand, Frame, Message } from "../src/protocol/messages.js";
import { decodePayload, encodePayload } from "../src/protocol/payload.js";

const HEADER = { version: 1, session: "q3JkT0aZ", ack: 1, broadcastAck: 0, credit: 1_024 };

/** A channel's prefix: transports check their subjects. */
function subjectOf(direction: "up" | "down" | "all", width: number, rest = ""): string {
  return `floor.${direction}.w${width}${rest}`;
}

/** Answers for these children, each on a subject of its own, whatever asks them. */
export function answerFloor(transport: Transport, width: number, places: readonly number[]): void {
  const children = places.map((place) => subjectOf("up", width, `.c${place}`));
  const answer = (payload: Uint8Array, subject: string): void => {
    const { commandId, input } = onlyMessage(decodeFrame(payload, "down")) as CommandRun;
    const { quantity } = decodePayload(input, "input") as { readonly quantity: number };
    const output = encodePayload(quantity, "result");
    transport.publish(subject, frameOf({ kind: "complete.command", seq: 1, commandId, output }));
  };
  transport.subscribe(subjectOf("all", width), (payload) => children.forEach((child) => answer(payload, child)));
  for (const [index, place] of places.entries()) {
    transport.subscribe(subjectOf("down", width, `.c${place}`), (payload) =>
      answer(payload, children[index] as string),
    );
  }
}

/** Asks all, again and again; returns the time for each answer, microseconds. */
export class FloorAsker {
  readonly #transport: Transport;
  readonly #width: number;
  #left = 0;
  #done: () => void = () => {};

  constructor(transport: Transport, width: number) {
    this.#transport = transport;
    this.#width = width;
    transport.subscribe(subjectOf("up", width, ".*"), (payload) => this.#answered(payload));
  }

  async costPerChild(isBroadcast: boolean, input: unknown, fanOuts: number): Promise<number> {
    const startedAtMs = performance.now();
    for (let n = 0; n < fanOuts; n++) await this.#ask(isBroadcast, input);
    return ((performance.now() - startedAtMs) * 1_000) / (fanOuts * this.#width);
  }

  #ask(isBroadcast: boolean, input: unknown): Promise<void> {
    this.#left = this.#width;
    const command = { ...COMMAND, input: encodePayload(input, "input") };
    if (isBroadcast) this.#transport.publish(subjectOf("all", this.#width), frameOf(command));
    else for (let place = 0; place < this.#width; place++) this.#publishTo(place, command);
    return new Promise((resolve) => (this.#done = resolve));
  }

  #publishTo(place: number, command: CommandRun): void {
    this.#transport.publish(subjectOf("down", this.#width, `.c${place}`), frameOf({ ...command }));
  }

  #answered(payload: Uint8Array): void {
    decodePayload((onlyMessage(decodeFrame(payload, "up")) as CompleteCommand).output, "result");
    if (--this.#left === 0) this.#done();
  }
}

const COMMAND = {
  kind: "command.run",
  seq: 1,
  commandId: "k3j9x02mf8qa0001",
  target: "",
  name: "count",
  deadlineMs: 30_000,
  idempotent: true,
  minSyncVersion: 0,
  meta: null,
} as const;

function frameOf(message: Message): Uint8Array {
  return encodeFrame({ ...HEADER, messages: [message] });
}

function onlyMessage(decoded: ReturnType<typeof decodeFrame>): Frame["messages"][number] {
  if (decoded.kind !== "frame") throw new Error(decoded.reason);
  return decoded.frame.messages[0] as Frame["messages"][number];
}
