/**
 * A floor of the benchmark `fanout`: a command to many plain listeners and a message back from each, written, carried and
 * read as the runtime does it, with the input decoded and the result encoded by each. There is no node: nothing is looked
 * up, ordered, remembered, timed or judged.
 */
import type { Transport } from "fractal-tree";
import { type Carried, decodeCarried, FrameLetter } from "../src/node/frame-letter.js";
import { encodeFrame } from "../src/protocol/codec.js";
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
  const answer = (carried: Carried, subject: string): void => {
    const { commandId, input } = onlyMessage(carried, "down") as CommandRun;
    const { quantity } = decodePayload(input, "input") as { readonly quantity: number };
    const output = encodePayload(quantity, "result");
    publish(transport, subject, { kind: "complete.command", seq: 1, commandId, output });
  };
  listen(transport, subjectOf("all", width), (carried) => children.forEach((child) => answer(carried, child)));
  for (const [index, place] of places.entries()) {
    listen(transport, subjectOf("down", width, `.c${place}`), (carried) => answer(carried, children[index] as string));
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
    listen(transport, subjectOf("up", width, ".*"), (carried) => this.#answered(carried));
  }

  async costPerChild(isBroadcast: boolean, input: unknown, fanOuts: number): Promise<number> {
    const startedAtMs = performance.now();
    for (let n = 0; n < fanOuts; n++) await this.#ask(isBroadcast, input);
    return ((performance.now() - startedAtMs) * 1_000) / (fanOuts * this.#width);
  }

  #ask(isBroadcast: boolean, input: unknown): Promise<void> {
    this.#left = this.#width;
    const command = { ...COMMAND, input: encodePayload(input, "input") };
    if (isBroadcast) publish(this.#transport, subjectOf("all", this.#width), command);
    else for (let place = 0; place < this.#width; place++) this.#publishTo(place, command);
    return new Promise((resolve) => (this.#done = resolve));
  }

  #publishTo(place: number, command: CommandRun): void {
    publish(this.#transport, subjectOf("down", this.#width, `.c${place}`), { ...command });
  }

  #answered(carried: Carried): void {
    decodePayload((onlyMessage(carried, "up") as CompleteCommand).output, "result");
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

/** As the runtime does it: handed over within a thread, as bytes elsewhere. */
function publish(transport: Transport, subject: string, message: Message): void {
  const frame = { ...HEADER, messages: [message] };
  if (transport.post === undefined) transport.publish(subject, encodeFrame(frame));
  else transport.post(subject, new FrameLetter(frame));
}

function listen(transport: Transport, subject: string, listener: (carried: Carried) => void): void {
  if (transport.collect === undefined) transport.subscribe(subject, listener);
  else transport.collect(subject, listener);
}

function onlyMessage(carried: Carried, direction: "down" | "up"): Frame["messages"][number] {
  const decoded = decodeCarried(carried, direction);
  if (decoded.kind !== "frame") throw new Error(decoded.reason);
  return decoded.frame.messages[0] as Frame["messages"][number];
}
