/** Frames on their way: within a thread they are handed over, and written as bytes for whoever else listens. */
import {
  type Decoded,
  decodeFrame,
  encodeFrame,
  estimateBytes,
  FRAME_OVERHEAD_BYTES,
  type Outgoing,
} from "../protocol/codec.js";
import type { Letter } from "../transport/transport.js";

/** What a listener of frames gets: from a transport without letters bytes. */
export type Carried = Letter | Uint8Array;

/** It stands for itself as decoded. A frame of another copy of this package is none, and is read from its bytes. */
export class FrameLetter implements Letter {
  readonly kind = "frame";
  readonly frame: Outgoing;
  #bytes: Uint8Array | null = null;

  constructor(frame: Outgoing) {
    this.frame = frame;
  }

  get bytesMax(): number {
    let bytes = FRAME_OVERHEAD_BYTES;
    for (const message of this.frame.messages) bytes += estimateBytes(message);
    return bytes;
  }

  /** For all who listen one copy, which holds no slab. */
  toBytes(): Uint8Array {
    return (this.#bytes ??= new Uint8Array(encodeFrame(this.frame)));
  }
}

export function decodeCarried(carried: Carried, direction: "down" | "up"): Decoded {
  if (carried instanceof FrameLetter) return carried;
  return decodeFrame(carried instanceof Uint8Array ? carried : carried.toBytes(), direction);
}
