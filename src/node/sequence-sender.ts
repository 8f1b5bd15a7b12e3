/**
 * The sending side of one sequence: numbers messages and keeps them until the peer has acknowledged them.
 *
 * Only the oldest is retransmitted, with backoff, and once after a reconnect; then, with each acknowledgement that names a
 * further gap, twice as many as before: the gap may be all of a large frame, and is filled in a few round trips.
 */
import type { Clock } from "../health/clock.js";
import { isOver, presentTurn } from "../health/turns.js";
import type { Message, UnknownMessage } from "../protocol/messages.js";
import { Unacknowledged } from "./unacknowledged.js";

export interface SequenceSenderPort {
  readonly clock: Clock;
  /** Calls `wake` at this time at the latest. */
  wakeAt(atMs: number): void;
  /** Sends a message once more. */
  repeat(message: Message): void;
}

export interface SequenceSender {
  /** Number of the last message; 0 before the first. */
  readonly sentSeq: number;
  /** The peer has all messages up to this number. */
  readonly acknowledgedSeq: number;
  /** The latest message, as long as the peer has not acknowledged it. */
  readonly latest: Message | null;
  /** Another message can be kept. */
  readonly hasRoom: boolean;
  /** Numbers a message and keeps it. */
  take(message: Message): void;
  /** A frame was written in which this is the last of our numbers. */
  written(lastSeq: number, nowMs: number): void;
  acknowledge(seq: number): void;
  /** The transport is back: what was sent into the outage may be lost. */
  reconnected(): void;
  /** Repeats what is due and returns when to look again; Infinity for never. */
  wake(nowMs: number): number;
  close(): void;
}

const RETRANSMIT_MIN_MS = 200;
const RETRANSMIT_MAX_MS = 5_000;
/** Messages that are sent again at once while a gap is being filled. */
const RETRANSMITTED_MAX = 64;
/** Messages that wait for an acknowledgement. Credit, and the bound of reports, keep an honest peer far below it. */
const UNACKED_MAX = 65_536;

/** To a peer that may be anywhere. */
export class RetransmittingSender implements SequenceSender {
  sentSeq = 0;
  readonly #port: SequenceSenderPort;
  readonly #unacked = new Unacknowledged();
  /** When the oldest message is due again; null while none was written. */
  #dueAtMs: number | null = null;
  #delayMs = RETRANSMIT_MIN_MS;
  /** While recovering from a loss: the last number sent before it was noticed. */
  #recoverUntil = 0;
  /** While recovering: messages that are sent again at once. */
  #recoverCount = 1;

  constructor(port: SequenceSenderPort) {
    this.#port = port;
  }

  get acknowledgedSeq(): number {
    return this.sentSeq - this.#unacked.size;
  }

  get latest(): Message | null {
    return this.#unacked.latest;
  }

  get hasRoom(): boolean {
    return this.#unacked.size < UNACKED_MAX;
  }

  take(message: Message): void {
    message.seq = ++this.sentSeq;
    this.#unacked.push(message);
  }

  written(_lastSeq: number, nowMs: number): void {
    if (this.#dueAtMs !== null || this.#unacked.size === 0) return;
    this.#dueAtMs = nowMs + this.#delayMs;
    this.#port.wakeAt(this.#dueAtMs);
  }

  acknowledge(seq: number): void {
    if (!this.#unacked.acknowledge(seq)) return;
    this.#delayMs = RETRANSMIT_MIN_MS;
    this.#dueAtMs = null;
    if (this.#unacked.size > 0) this.#goOn(seq);
  }

  /** A partial acknowledgement names the next gap. */
  #goOn(acknowledged: number): void {
    if (acknowledged >= this.#recoverUntil) return this.written(acknowledged, this.#port.clock.now());
    this.#recoverCount = Math.min(RETRANSMITTED_MAX, 2 * this.#recoverCount);
    this.#retransmit();
  }

  reconnected(): void {
    if (this.#unacked.size === 0) return;
    this.#delayMs = RETRANSMIT_MIN_MS;
    this.#recover();
  }

  wake(nowMs: number): number {
    if (this.#dueAtMs === null || nowMs < this.#dueAtMs) return this.#dueAtMs ?? Infinity;
    this.#delayMs = Math.min(RETRANSMIT_MAX_MS, this.#delayMs * 2);
    this.#recover();
    return Infinity;
  }

  close(): void {
    this.#unacked.clear();
  }

  #recover(): void {
    this.#recoverUntil = this.sentSeq;
    this.#recoverCount = 1;
    this.#retransmit();
  }

  /** Once they are written, the next time is due. */
  #retransmit(): void {
    this.#dueAtMs = null;
    for (const message of this.#unacked.first(this.#recoverCount)) {
      if (message.seq <= this.#recoverUntil) this.#port.repeat(message);
    }
  }
}

/** Whether a message, sent in sequence, asks for a sign of life. */
export function isQuestion({ kind }: Message | UnknownMessage): boolean {
  return kind === "ack.frame" || kind === "heartbeat.ack";
}

/** To a peer of our thread, which has what was written once the turn is over. Only a question waits for its answer. */
export class LocalSender implements SequenceSender {
  sentSeq = 0;
  readonly #port: SequenceSenderPort;
  /** In which a message was last written. */
  #turn = -1;
  /** The last number written in it, and before it. */
  #writtenSeq = 0;
  #arrivedSeq = 0;
  #question: Message | null = null;

  constructor(port: SequenceSenderPort) {
    this.#port = port;
  }

  get acknowledgedSeq(): number {
    if (this.#question !== null) return this.#question.seq - 1;
    return isOver(this.#turn, this.#port.clock) ? this.#writtenSeq : this.#arrivedSeq;
  }

  get latest(): Message | null {
    return this.#question;
  }

  get hasRoom(): boolean {
    return true;
  }

  take(message: Message): void {
    message.seq = ++this.sentSeq;
    if (isQuestion(message)) this.#question = message;
  }

  written(lastSeq: number): void {
    if (lastSeq <= this.#writtenSeq) return;
    const turn = presentTurn(this.#port.clock);
    if (turn !== this.#turn) this.#arrivedSeq = this.#writtenSeq;
    this.#turn = turn;
    this.#writtenSeq = lastSeq;
  }

  acknowledge(seq: number): void {
    if (this.#question !== null && seq >= this.#question.seq) this.#question = null;
  }

  reconnected(): void {
    // Within a thread nothing is cut off but by its end.
  }

  wake(): number {
    return Infinity;
  }

  close(): void {
    this.#question = null;
  }
}
