/**
 * One session's reliable exchange with one peer, the same on both ends of a link.
 *
 * H1. Sequenced messages are delivered in order and once; unsequenced ones as they come, possibly never or twice.
 * H2. What one turn of the event loop sends leaves in as few frames as the transport's maximum allows.
 * H3. What was lost is repeated; see `RetransmittingSender`.
 * H4. What waits for an acknowledgement is bounded: beyond it the session ends.
 * H5. Between peers of one thread nothing is lost: what was written is taken for acknowledged once the turn is over, and is
 *     neither acknowledged nor repeated, but for questions for a sign of life. Only new credit is still told.
 * H6. After `close` nothing is sent or delivered and no timer is left.
 */
import { estimateBytes, FRAME_OVERHEAD_BYTES } from "../protocol/codec.js";
import { type Clock, NEVER_MS } from "../health/clock.js";
import { endOfJob } from "../health/batch.js";
import { turnMs } from "../health/turns.js";
import { rethrowLater } from "../health/rethrow-later.js";
import { UNSEQUENCED } from "../protocol/layouts.js";
import type { Frame, Message, UnknownMessage } from "../protocol/messages.js";
import { Alarm, type AlarmPort } from "./alarm.js";
import { EarlyMessages } from "./early-messages.js";
import { FrameLetter } from "./frame-letter.js";
import {
  LocalSender,
  isQuestion,
  RetransmittingSender,
  type SequenceSender,
  type SequenceSenderPort,
} from "./sequence-sender.js";

/** One end of a link: who sends and receives over its channel. */
export interface ChannelPort {
  readonly clock: Clock;
  readonly maxPayloadBytes: number;
  /** The peer runs in our thread. */
  readonly isLocal: boolean;
  /** When the frame came that is handled now. */
  readonly heardAtMs: number;
  /** The message that carries a bare acknowledgement. */
  readonly ackKind: "ack.frame" | "heartbeat.ack";
  publish(frame: FrameLetter, ttlMs: number): void;
  deliver(message: Message | UnknownMessage): void;
  /** A message is not acted upon. */
  drop(reason: string): void;
  /** How many calls of this session we take in all, counted from its start. */
  credit(): number;
  /** What the channel owes is due at this time, unless something else tells it. */
  awaitAck(channel: Channel, atMs: number): void;
  /** Whether other calls over this link are under way, so that a message has company if it waits. */
  isBusy(): boolean;
  /** The peer acknowledged or granted credit. */
  onHeader(frame: Frame): void;
  /** The peer speaks and acknowledges nothing: the session is to end. */
  overrun(): void;
}

export interface SessionOptions {
  readonly version: number;
  readonly session: string;
  /** Where the peer's broadcast sequence starts; 0 where the peer never broadcasts. */
  readonly broadcastStart: number;
}

/** Messages that make a frame at once, before the turn's end: with few calls under way, more would delay the first. */
const FLUSH_MESSAGES_MIN = 64;
/** The same with many under way, and the most of one frame: more gain nothing. */
const FLUSH_MESSAGES_MAX = 256;
/** Less than the time after which the peer repeats what was not acknowledged. */
const ACK_DELAY_MS = 50;
/** How long a frame with sequenced messages is worth sending late; afterwards retransmission serves better. */
const FRAME_TTL_MS = 10_000;

/** What all channels share that have nothing to send; never written to. */
const NOTHING_OUTGOING: Message[] = [];

export class Channel implements AlarmPort, SequenceSenderPort {
  readonly #port: ChannelPort;
  readonly session: string;
  #closed = false;
  /** The peer has spoken in this session: it holds to it. */
  #isConfirmed = false;
  /** Number of the last broadcast that arrived in order. */
  #broadcastSeq: number;
  /** Number of the last sequenced message that arrived in order; 0 before the first. */
  receivedSeq = 0;
  /** What came before a missing one. */
  #early: EarlyMessages | null = null;
  #flushScheduled = false;
  #outgoing = NOTHING_OUTGOING;
  /** Made for the first message in sequence. */
  #sender: SequenceSender | null = null;
  readonly #version: number;
  /** Calls that we take in all, as the peer was told last. */
  #creditTold = 0;
  /** When we last sent anything, for heartbeat suppression. */
  lastSentMs = NEVER_MS;
  /** When a bare acknowledgement is due; null while none is owed. */
  ackAtMs: number | null = null;
  /** When it wakes, if it does: the alarm knows, but is one place more that no cache holds. */
  #wakesAtMs: number | null = null;
  /** Somebody else waits for that. */
  isAckAwaited = false;
  /** The peer does not understand it when others tell it. */
  isAckedAlone = false;
  /** Calls that the peer takes in all; never shrinks. */
  peerCredit = 0;
  #onEnd: (() => void) | null = null;
  /** Made for the first message that is to be acknowledged. */
  #alarm: Alarm | null = null;
  #isOverrun = false;

  constructor(port: ChannelPort, { version, session, broadcastStart }: SessionOptions) {
    this.#port = port;
    this.#version = version;
    this.session = session;
    this.#broadcastSeq = broadcastStart;
  }

  get clock(): Clock {
    return this.#port.clock;
  }

  /** Number of the last sequenced message sent; 0 before the first. */
  get sentSeq(): number {
    return this.#sender?.sentSeq ?? 0;
  }

  /** The peer has acknowledged all messages up to this number. */
  get acknowledgedSeq(): number {
    return this.#sender?.acknowledgedSeq ?? 0;
  }

  /** Sends by the end of this turn. `sequenced` overrides what the kind does by default. */
  send(message: Message, sequenced = !UNSEQUENCED.has(message.kind)): void {
    if (this.#closed) return;
    if (sequenced) {
      const sender = (this.#sender ??= this.#newSender());
      if (!sender.hasRoom) return this.#overrun();
      sender.take(message);
    }
    this.#enqueue(message);
  }

  /** Sends an unsequenced message now: nothing that comes with it in this turn is expected. */
  sendAlone(message: Message): void {
    if (this.#closed) return;
    if (this.#outgoing.length > 0) this.#enqueue(message);
    else this.#write([message]);
  }

  /** Sends a message that carries its own place in another sequence: the refill of a broadcast. */
  forward(message: Message): void {
    if (!this.#closed) this.#enqueue(message);
  }

  /** Handles a frame of this session. */
  receive(frame: Frame): void {
    this.#isConfirmed = true;
    if (this.#port.isLocal) this.#holdAnswers();
    try {
      this.#sender?.acknowledge(frame.ack);
      this.peerCredit = Math.max(this.peerCredit, frame.credit);
      this.#port.onHeader(frame);
      for (const message of frame.messages) this.#handle(message);
    } finally {
      if (this.#port.isLocal) this.#releaseAnswers();
      this.#awaitAnswer();
    }
  }

  /**
   * Handles a frame of the peer's broadcasts. Until the peer has spoken in this session, sequenced ones are left to their
   * refill: an offer may have come late, when the peer had already given the session, and what it broadcasts, to another
   * process.
   */
  receiveBroadcast({ messages }: Frame): void {
    this.#holdAnswers();
    try {
      for (const message of messages) {
        if (message.seq === 0 || this.#isConfirmed) this.#handle(message);
      }
    } finally {
      this.#releaseAnswers();
      this.#awaitAnswer();
    }
  }

  /** Whether the peer may send more calls than it knows of. */
  get hasNewCredit(): boolean {
    return this.#port.credit() > this.#creditTold;
  }

  /** The peer is told by others, and not by a frame of ours, that we have all messages up to the returned number. */
  acknowledgedElsewhere(): number {
    this.ackAtMs = null;
    return this.receivedSeq;
  }

  /** The peer is to be told by frames of ours from now on. */
  acknowledgeAlone(): void {
    this.isAckedAlone = true;
    this.acknowledge();
  }

  /** The peer has told by others what it has. */
  takeAck(seq: number): void {
    if (!this.#closed) this.#sender?.acknowledge(seq);
  }

  /** Tells the peer at once what we have received and take. */
  acknowledge(): void {
    if (!this.#closed) this.#enqueue({ kind: this.#port.ackKind, seq: 0 });
  }

  /** The transport is back: what was sent into the outage may be lost. */
  reconnected(): void {
    if (!this.#closed) this.#sender?.reconnected();
  }

  /** Asks the peer for a sign of life: sends, or repeats, an empty message that it has to acknowledge. */
  probe(): void {
    const { ackKind } = this.#port;
    const latest = this.#sender?.latest ?? null;
    if (latest?.kind === ackKind) this.#enqueue(latest);
    else this.send({ kind: ackKind, seq: 0 }, true);
  }

  /** Writes what is waiting without waiting for the end of the turn. */
  flush(): void {
    this.#flushScheduled = false;
    if (this.#closed) return;
    while (this.#outgoing.length > 0) this.#write(this.#takeBatch());
  }

  close(): void {
    this.#closed = true;
    this.#sender?.close();
    this.#outgoing = NOTHING_OUTGOING;
    this.#alarm?.stop();
    this.ackAtMs = null;
  }

  /** At the end of the turn: whoever sends does not expect the session to end meanwhile. */
  #overrun(): void {
    if (this.#isOverrun) return;
    this.#isOverrun = true;
    this.#port.clock.defer(() => {
      if (!this.#closed) this.#port.overrun();
    });
  }

  #enqueue(message: Message): void {
    if (this.#outgoing === NOTHING_OUTGOING) this.#outgoing = [message];
    else this.#outgoing.push(message);
    if (this.#outgoing.length >= FLUSH_MESSAGES_MIN && this.#outgoing.length >= this.#fullFrame()) return this.flush();
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    // Alone, a message gains nothing by waiting for the turn's end; in company, waiting makes one frame of many.
    if (this.#underWay <= 1 && !this.#port.isBusy()) endOfJob.add(this);
    else this.clock.defer((this.#onEnd ??= () => this.flush()));
  }

  /** Messages that the peer has not acknowledged. */
  get #underWay(): number {
    return this.sentSeq - this.acknowledgedSeq;
  }

  /** Half of what is under way: each frame costs the server and both ends a wake-up, and a few of them keep all three busy. */
  #fullFrame(): number {
    return Math.min(FLUSH_MESSAGES_MAX, this.#underWay >>> 1);
  }

  #write(messages: readonly Message[]): void {
    const frame = this.#frame(messages);
    // Nobody in our thread is judged by when it spoke.
    const nowMs = this.#port.isLocal ? turnMs(this.clock) : this.clock.now();
    this.lastSentMs = nowMs;
    this.ackAtMs = null;
    const lastSeq = lastOf(messages);
    if (lastSeq > 0) this.#sender?.written(lastSeq, nowMs);
    this.#port.publish(frame, lastSeq === 0 ? 0 : FRAME_TTL_MS);
  }

  #frame(messages: readonly Message[]): FrameLetter {
    const header = {
      version: this.#version,
      session: this.session,
      ack: this.receivedSeq,
      broadcastAck: this.#broadcastSeq,
      credit: (this.#creditTold = this.#port.credit()),
    };
    return new FrameLetter(header, messages);
  }

  /** As many waiting messages as fit into one frame, at least one. */
  #takeBatch(): Message[] {
    if (this.#outgoing.length === 1) return this.#takeAll();
    let bytes = FRAME_OVERHEAD_BYTES;
    let count = 0;
    while (count < this.#outgoing.length && count < FLUSH_MESSAGES_MAX) {
      bytes += estimateBytes(this.#outgoing[count] as Message);
      if (count > 0 && bytes > this.#port.maxPayloadBytes) break;
      count++;
    }
    return count < this.#outgoing.length ? this.#outgoing.splice(0, count) : this.#takeAll();
  }

  #takeAll(): Message[] {
    const all = this.#outgoing;
    this.#outgoing = NOTHING_OUTGOING;
    return all;
  }

  #handle(message: Message | UnknownMessage): void {
    if (this.#closed) return;
    const { seq } = message;
    if (seq === 0) return this.#deliver(message);
    if (!this.#port.isLocal || isQuestion(message)) this.#oweAck();
    const ahead = seq > 0 ? seq - this.receivedSeq : -seq - this.#broadcastSeq;
    if (ahead === 1) this.#advance(message);
    else if (ahead > 1) this.#keep(message, ahead);
  }

  /** Delivers the next message in order, and those that waited for it. */
  #advance(next: Message | UnknownMessage | undefined): void {
    for (let message = next; message !== undefined && !this.#closed; message = this.#early?.take(after(message))) {
      if (message.seq > 0) this.receivedSeq = message.seq;
      else this.#broadcastSeq = -message.seq;
      this.#deliver(message);
    }
    if (this.#early?.isEmpty === true) this.#early = null;
  }

  /** What goes wrong with one message must not cost those that came with it. */
  #deliver(message: Message | UnknownMessage): void {
    try {
      this.#port.deliver(message);
    } catch (error) {
      rethrowLater(error);
    }
  }

  #keep(message: Message | UnknownMessage, ahead: number): void {
    this.#early ??= new EarlyMessages();
    if (!this.#early.keep(message, ahead)) this.#port.drop("outside the window");
  }

  #newSender(): SequenceSender {
    return this.#port.isLocal ? new LocalSender(this) : new RetransmittingSender(this);
  }

  /** Of the sender. */
  repeat(message: Message): void {
    this.#enqueue(message);
  }

  #oweAck(): void {
    this.ackAtMs ??= this.#port.heardAtMs + ACK_DELAY_MS;
  }

  /**
   * What was answered at once is acknowledged by the answer, which is about to be written; to a peer of our thread at once,
   * since its next frame comes in another turn.
   */
  #awaitAnswer(): void {
    if (this.ackAtMs !== null && this.#outgoing.length === 0 && !this.#closed) this.#port.awaitAck(this, this.ackAtMs);
  }

  /**
   * While a frame of a peer in our thread, or a broadcast, is handled, what that brings about waits for its end, and no
   * longer: others hear the broadcast next, and with each of thousands less is left of us in the processor's caches.
   */
  #holdAnswers(): void {
    this.#flushScheduled = true;
  }

  #releaseAnswers(): void {
    // They tell what we take.
    if (this.#outgoing.length > 0) return this.flush();
    this.#flushScheduled = false;
    // Nothing else would tell the peer that we take more.
    if (this.#port.isLocal && !this.#closed && this.hasNewCredit) this.#oweAck();
  }

  wakeAt(atMs: number): void {
    if (this.#wakesAtMs !== null && atMs >= this.#wakesAtMs) return;
    this.#wakesAtMs = atMs;
    this.#alarm ??= new Alarm(this);
    this.#alarm.coverUntil(atMs);
  }

  /** Acknowledges or retransmits what is due. */
  wake(nowMs: number): number {
    this.#wakesAtMs = null;
    if (this.ackAtMs !== null && nowMs >= this.ackAtMs) {
      this.ackAtMs = null;
      this.acknowledge();
    }
    const againAtMs = Math.min(this.ackAtMs ?? Infinity, this.#sender?.wake(nowMs) ?? Infinity);
    if (againAtMs < Infinity) this.wakeAt(againAtMs);
    return Infinity;
  }
}

/** The number that follows in the same sequence. */
function after({ seq }: Message | UnknownMessage): number {
  return seq + Math.sign(seq);
}

/** The last number in sequence; a negative one if there are none but of broadcasts, and 0 for none at all. */
function lastOf(messages: readonly Message[]): number {
  let last = 0;
  for (const { seq } of messages) if (seq !== 0 && (seq > last || last === 0)) last = seq;
  return last;
}
