/**
 * A floor of the benchmark `fanout`: a command to many plain listeners and a message back from each, written, carried and
 * read as the runtime does it, with the input decoded and the result encoded by each. There is no node: nothing is looked
 * up, ordered, remembered, timed or judged.
 */
import type { Transport } from "fractal-tree";
import type { Route } from "../src/transport/transport.js";
import { type Carried, decodeCarried, FrameLetter } from "../src/node/frame-letter.js";
import { encodeFrame } from "../src/protocol/codec.js";
import type { CommandRun, CompleteCommand, Frame } from "../src/protocol/messages.js";
import { decodePayload, encodePayload } from "../src/protocol/payload.js";

const HEADER = { version: 1, session: "q3JkT0aZ", ack: 1, broadcastAck: 0, credit: 1_024 };

/** A channel's prefix: transports check their subjects. */
function subjectOf(direction: "up" | "down" | "all", width: number, rest = ""): string {
  return `floor.${direction}.w${width}${rest}`;
}

/** Answers for these children, each on a subject of its own, whatever asks them. */
export function answerFloor(transport: Transport, width: number, places: readonly number[]): void {
  const children = places.map((place) => outletTo(transport, subjectOf("up", width, `.c${place}`)));
  const answer = (carried: Carried, parent: Outlet): void => {
    const { commandId, input } = onlyMessage(carried, "down") as CommandRun;
    const { quantity } = decodePayload(input, "input") as { readonly quantity: number };
    const output = encodePayload(quantity, "result");
    publish(transport, parent, new FrameLetter(HEADER, [{ kind: "complete.command", seq: 1, commandId, output }]));
  };
  listen(transport, subjectOf("all", width), (carried) => children.forEach((child) => answer(carried, child)));
  for (const [index, place] of places.entries()) {
    listen(transport, subjectOf("down", width, `.c${place}`), (carried) => answer(carried, children[index] as Outlet));
  }
}

/** Asks all, again and again; returns the time for each answer, microseconds. */
export class FloorAsker {
  readonly #transport: Transport;
  readonly #all: Outlet;
  readonly #each: readonly Outlet[];
  #left = 0;
  #done: () => void = () => {};

  constructor(transport: Transport, width: number) {
    this.#transport = transport;
    this.#all = outletTo(transport, subjectOf("all", width));
    this.#each = Array.from({ length: width }, (_, place) =>
      outletTo(transport, subjectOf("down", width, `.c${place}`)),
    );
    listen(transport, subjectOf("up", width, ".*"), (carried) => this.#answered(carried));
  }

  async costPerChild(isBroadcast: boolean, input: unknown, fanOuts: number): Promise<number> {
    const startedAtMs = performance.now();
    for (let n = 0; n < fanOuts; n++) await this.#ask(isBroadcast, input);
    return ((performance.now() - startedAtMs) * 1_000) / (fanOuts * this.#each.length);
  }

  #ask(isBroadcast: boolean, input: unknown): Promise<void> {
    this.#left = this.#each.length;
    const command = { ...COMMAND, input: encodePayload(input, "input") };
    if (isBroadcast) publish(this.#transport, this.#all, new FrameLetter(HEADER, [command]));
    else for (const outlet of this.#each) publish(this.#transport, outlet, new FrameLetter(HEADER, [{ ...command }]));
    return new Promise((resolve) => (this.#done = resolve));
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
export function publish(transport: Transport, outlet: Outlet, frame: FrameLetter): void {
  if (typeof outlet === "string") transport.publish(outlet, encodeFrame(frame));
  else outlet.post(frame);
}

export type Outlet = Route | string;

export function outletTo(transport: Transport, subject: string): Outlet {
  return transport.route?.(subject) ?? subject;
}

export function listen(
  transport: Transport,
  subject: string,
  listener: (carried: Carried, subject: string) => void,
): void {
  if (transport.collect === undefined) transport.subscribe(subject, listener);
  else transport.collect(subject, listener);
}

function onlyMessage(carried: Carried, direction: "down" | "up"): Frame["messages"][number] {
  const decoded = decodeCarried(carried, direction);
  if (decoded.kind !== "frame") throw new Error(decoded.reason);
  return decoded.frame.messages[0] as Frame["messages"][number];
}
