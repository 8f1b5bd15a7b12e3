/** Frames on their way: within a thread they are handed over, and written as bytes for whoever else listens. */
import { type Decoded, decodeFrame, encodeFrame, estimateBytes, FRAME_OVERHEAD_BYTES } from "../protocol/codec.js";
import { type Message, PROTOCOL_VERSION_MIN } from "../protocol/messages.js";
import type { Letter } from "../transport/transport.js";

/** What a listener of frames gets: from a transport without letters bytes. */
export type Carried = Letter | Uint8Array;

/** A frame's header, apart from what its sender has received. */
interface Header {
  readonly version: number;
  readonly session: string;
  readonly ack?: number;
  readonly broadcastAck?: number;
  readonly credit?: number;
}

/**
 * A frame that nobody changes after it was published. It stands for itself as decoded; one of another copy of this package
 * does not, and is read from its bytes.
 */
export class FrameLetter implements Letter {
  readonly version: number;
  readonly session: string;
  readonly ack: number;
  readonly broadcastAck: number;
  readonly credit: number;
  readonly messages: readonly Message[];
  #bytes: Uint8Array | null = null;

  constructor({ version, session, ack = 0, broadcastAck = 0, credit = 0 }: Header, messages: readonly Message[]) {
    this.version = version;
    this.session = session;
    this.ack = ack;
    this.broadcastAck = broadcastAck;
    this.credit = credit;
    this.messages = messages;
  }

  get kind(): "frame" {
    return "frame";
  }

  get frame(): this {
    return this;
  }

  get bytesMax(): number {
    let bytes = FRAME_OVERHEAD_BYTES;
    for (const message of this.messages) bytes += estimateBytes(message);
    return bytes;
  }

  /** For all who listen one copy, which holds no slab. */
  toBytes(): Uint8Array {
    return (this.#bytes ??= new Uint8Array(encodeFrame(this)));
  }
}

/** A frame that acknowledges no sequence and grants no credit: what comes before a session, and broadcasts. */
export function frameApart(messages: readonly Message[], session = "", ack = 0): FrameLetter {
  return new FrameLetter({ version: PROTOCOL_VERSION_MIN, session, ack }, messages);
}

export function decodeCarried(carried: Carried, direction: "down" | "up"): Decoded {
  if (carried instanceof FrameLetter) return carried;
  return decodeFrame(carried instanceof Uint8Array ? carried : carried.toBytes(), direction);
}

/** The latest broadcast: a transport hands the same bytes to all who listen in the process, and a frame is only read. */
let latest: { readonly bytes: Uint8Array; readonly decoded: Decoded } | null = null;

export function decodeBroadcast(carried: Carried): Decoded {
  // A letter is decoded, and would keep what its sender has alive.
  if (!(carried instanceof Uint8Array)) return decodeCarried(carried, "down");
  if (latest?.bytes !== carried) latest = { bytes: carried, decoded: decodeCarried(carried, "down") };
  return latest.decoded;
}
