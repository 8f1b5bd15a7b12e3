/**
 * A floor of the benchmark `fanout`: a command to many plain listeners and a message back from each, written, carried and
 * read as the runtime does it, with the input decoded and the result encoded by each. There is no node: nothing is looked
 * up, ordered, remembered, timed or judged.
 */
import type { Transport } from "fractal-tree";
import type { Outlet } from "../src/node/core.js";
import { type Carried, decodeCarried, FrameLetter } from "../src/node/frame-letter.js";
import { type Decoded, encodeFrame } from "../src/protocol/codec.js";
import type { CommandRun, CompleteCommand, Frame } from "../src/protocol/messages.js";
import { decodePayload, encodePayload } from "../src/protocol/payload.js";

const ID = "k3j9x02mf8qa0001";
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

  #ask(isBroadcast: boolean, payload: unknown): Promise<void> {
    this.#left = this.#each.length;
    const input = encodePayload(payload, "input");
    const outlets = isBroadcast ? [this.#all] : this.#each;
    for (const outlet of outlets) publish(this.#transport, outlet, new FrameLetter(HEADER, [newCommand(ID, input)]));
    return new Promise((resolve) => (this.#done = resolve));
  }

  #answered(carried: Carried): void {
    decodePayload((onlyMessage(carried, "up") as CompleteCommand).output, "result");
    if (--this.#left === 0) this.#done();
  }
}

/** Written out: after a spread, V8 sets each property by a call into its runtime. */
export function newCommand(commandId: string, input: Uint8Array): CommandRun {
  return {
    kind: "command.run",
    seq: 0,
    commandId,
    target: "",
    name: "count",
    input,
    deadlineMs: 30_000,
    idempotent: true,
    minSyncVersion: 0,
    meta: null,
  };
}

/** As the runtime does it: handed over within a thread, as bytes elsewhere. */
export function publish(transport: Transport, outlet: Outlet, frame: FrameLetter): void {
  if (typeof outlet === "string") transport.publish(outlet, encodeFrame(frame));
  else outlet.post(frame);
}

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

export function frameOf(carried: Carried, direction: "down" | "up"): Frame {
  return frameFrom(decodeCarried(carried, direction));
}

export function frameFrom(decoded: Decoded): Frame {
  if (decoded.kind !== "frame") throw new Error(decoded.reason);
  return decoded.frame;
}

function onlyMessage(carried: Carried, direction: "down" | "up"): Frame["messages"][number] {
  return frameOf(carried, direction).messages[0] as Frame["messages"][number];
}
