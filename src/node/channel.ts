/**
 * One session's reliable exchange with one peer, the same on both ends of a link.
 *
 * H1. Sequenced messages are delivered in order and once; unsequenced ones as they come, possibly never or twice.
 * H2. What one turn of the event loop sends leaves in as few frames as the transport's maximum allows.
 * H3. Only the oldest unacknowledged message is retransmitted, with backoff, and once after a reconnect; then, with each
 *     acknowledgement that names a further gap, twice as many as before.
 * H4. What waits for an acknowledgement is bounded: beyond it the session ends.
 * H5. Between peers of one thread nothing is lost: what was written is taken for acknowledged once the turn is over, and is
 *     neither acknowledged nor repeated, but for questions for a sign of life. Only new credit is still told.
 * H6. After `close` nothing is sent or delivered and no timer is left.
 */
import { estimateBytes, FRAME_OVERHEAD_BYTES, type Outgoing } from "../protocol/codec.js";
import { type Clock, NEVER_MS } from "../health/clock.js";
import { rethrowLater } from "../health/rethrow-later.js";
import { UNSEQUENCED } from "../protocol/layouts.js";
import type { Frame, Message, UnknownMessage } from "../protocol/messages.js";
import { Alarm, type AlarmPort } from "./alarm.js";
import { Arrivals } from "./arrivals.js";
import { SequenceReceiver, type SequencePort } from "./sequence.js";
import { Unacknowledged } from "./unacknowledged.js";

/** One end of a link: who sends and receives over its channel. */
export interface ChannelPort {
  readonly clock: Clock;
  readonly maxPayloadBytes: number;
  /** The peer runs in our thread. */
  readonly isLocal: boolean;
  /** The message that carries a bare acknowledgement. */
  readonly ackKind: "ack.frame" | "heartbeat.ack";
  publish(frame: Outgoing, ttlMs: number): void;
  deliver(message: Message | UnknownMessage): void;
  /** A message is not acted upon. */
  drop(reason: string): void;
  /** How many calls of this session we take in all, counted from its start. */
  credit(): number;
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
const RETRANSMIT_MIN_MS = 200;
const RETRANSMIT_MAX_MS = 5_000;
/** Messages that are sent again at once while a gap is being filled. */
const RETRANSMITTED_MAX = 64;
/** How long a frame with sequenced messages is worth sending late; afterwards retransmission serves better. */
const FRAME_TTL_MS = 10_000;
/** Messages that wait for an acknowledgement. Credit, and the bound of reports, keep an honest peer far below it. */
const UNACKED_MAX = 65_536;

/** What all channels share that carry nothing in sequence; never written to. */
const UNUSED = new SequenceReceiver(0);
const NOTHING_UNACKNOWLEDGED = new Unacknowledged();
const NOTHING_OUTGOING: Message[] = [];

const arrivals = new Arrivals();

/** Sent in sequence they ask for a sign of life. */
const QUESTIONS: ReadonlySet<string> = new Set<Message["kind"]>(["ack.frame", "heartbeat.ack"]);

export class Channel implements AlarmPort, SequencePort {
  readonly session: string;
  /** When we last sent anything, for heartbeat suppression. */
  lastSentMs = NEVER_MS;
  /** Calls that the peer takes in all; never shrinks. */
  peerCredit = 0;
  readonly #version: number;
  readonly #port: ChannelPort;
  #unicast = UNUSED;
  #broadcast = UNUSED;
  #nextSeq = 1;
  #unacked = NOTHING_UNACKNOWLEDGED;
  #outgoing = NOTHING_OUTGOING;
  #flushScheduled = false;
  /** Made for the first message that is to be acknowledged. */
  #alarm: Alarm | null = null;
  /** When a bare acknowledgement is due; null while none is owed. */
  #ackAtMs: number | null = null;
  /** When the oldest unacknowledged message is due again; null while none was written. */
  #retransmitAtMs: number | null = null;
  #retransmitMs = RETRANSMIT_MIN_MS;
  /** While recovering from a loss: the last number sent before it was noticed. */
  #recoverUntil = 0;
  /** While recovering: messages that are sent again at once. */
  #recoverCount = 1;
  #closed = false;
  #isOverrun = false;
  /** The peer has spoken in this session: it holds to it. */
  #isConfirmed = false;
  /** Calls that we take in all, as the peer was told last. */
  #creditTold = 0;

  constructor(port: ChannelPort, { version, session, broadcastStart }: SessionOptions) {
    this.#port = port;
    this.#version = version;
    this.session = session;
    if (broadcastStart > 0) this.#broadcast = new SequenceReceiver(broadcastStart);
  }

  get clock(): Clock {
    return this.#port.clock;
  }

  /** Number of the last sequenced message that arrived in order; 0 before the first. */
  get receivedSeq(): number {
    return this.#unicast.received;
  }

  /** Number of the last sequenced message sent; 0 before the first. */
  get sentSeq(): number {
    return this.#nextSeq - 1;
  }

  /** The peer has acknowledged all messages up to this number. */
  get acknowledgedSeq(): number {
    return (this.#unacked.oldest?.seq ?? this.#nextSeq) - 1;
  }

  /** Sends by the end of this turn. `sequenced` overrides what the kind does by default. */
  send(message: Message, sequenced = !UNSEQUENCED.has(message.kind)): void {
    if (this.#closed) return;
    if (sequenced) {
      if (this.#unacked.size >= UNACKED_MAX) return this.#overrun();
      message.seq = this.#nextSeq++;
      if (this.#unacked === NOTHING_UNACKNOWLEDGED) this.#unacked = new Unacknowledged();
      this.#unacked.push(message);
    }
    this.#enqueue(message);
  }

  /** Sends an unsequenced message now: nothing that comes with it in this turn is expected. */
  sendAlone(message: Message): void {
    if (this.#closed) return;
    if (this.#outgoing.length > 0) this.#enqueue(message);
    else this.#write([message], false);
  }

  /** Sends a message that carries its own place in another sequence: the refill of a broadcast. */
  forward(message: Message): void {
    if (!this.#closed) this.#enqueue(message);
  }

  /** Handles a frame of this session. */
  receive(frame: Frame): void {
    this.#isConfirmed = true;
    this.#holdAnswers();
    try {
      this.#takeAck(frame.ack);
      this.peerCredit = Math.max(this.peerCredit, frame.credit);
      this.#port.onHeader(frame);
      for (const message of frame.messages) this.#handle(message);
    } finally {
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
      this.#awaitAnswer();
    }
  }

  /** Tells the peer at once what we have received and take. */
  acknowledge(): void {
    if (!this.#closed) this.#enqueue({ kind: this.#port.ackKind, seq: 0 });
  }

  /** The transport is back: what was sent into the outage may be lost. */
  reconnected(): void {
    if (this.#unacked.size === 0 || this.#closed) return;
    this.#retransmitMs = RETRANSMIT_MIN_MS;
    this.#startRecovery();
  }

  /** Asks the peer for a sign of life: sends, or repeats, an empty message that it has to acknowledge. */
  probe(): void {
    const { ackKind } = this.#port;
    const { latest } = this.#unacked;
    if (latest?.kind === ackKind) this.#enqueue(latest);
    else this.send({ kind: ackKind, seq: 0 }, true);
  }

  /** The turn is over in which this was written to a peer of our thread. Questions wait for its answer. */
  arrived(seq: number): void {
    for (let { oldest } = this.#unacked; oldest !== null && oldest.seq <= seq; { oldest } = this.#unacked) {
      if (QUESTIONS.has(oldest.kind)) return;
      this.#unacked.acknowledge(oldest.seq);
    }
  }

  /** Whether everything sent was acknowledged. */
  isDrained(): boolean {
    return this.#unacked.size === 0 && this.#outgoing.length === 0;
  }

  /** Writes what is waiting without waiting for the end of the turn. */
  flush(): void {
    this.#flushScheduled = false;
    if (this.#closed) return;
    while (this.#outgoing.length > 0) this.#writeFrame();
  }

  close(): void {
    this.#closed = true;
    this.#unacked.clear();
    this.#outgoing = NOTHING_OUTGOING;
    this.#alarm?.stop();
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
    if (this.#outgoing.length >= this.#fullFrame()) return this.flush();
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    // Alone, a message gains nothing by waiting for the turn's end; in company, waiting makes one frame of many.
    if (this.#unacked.size <= 1 && !this.#port.isBusy()) queueMicrotask(() => this.flush());
    else this.clock.defer(() => this.flush());
  }

  /** Half of what is under way: each frame costs the server and both ends a wake-up, and a few of them keep all three busy. */
  #fullFrame(): number {
    return Math.min(FLUSH_MESSAGES_MAX, Math.max(FLUSH_MESSAGES_MIN, this.#unacked.size >>> 1));
  }

  #writeFrame(): void {
    const messages = this.#takeBatch();
    this.#write(
      messages,
      messages.some((message) => message.seq !== 0),
    );
  }

  #write(messages: readonly Message[], sequenced: boolean): void {
    const frame = this.#frame(messages);
    this.lastSentMs = this.clock.now();
    this.#ackAtMs = null;
    if (sequenced) this.#expectAck();
    this.#port.publish(frame, sequenced ? FRAME_TTL_MS : 0);
  }

  #frame(messages: readonly Message[]): Outgoing {
    return {
      version: this.#version,
      session: this.session,
      ack: this.#unicast.received,
      broadcastAck: this.#broadcast.received,
      credit: (this.#creditTold = this.#port.credit()),
      messages,
    };
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

  /** What goes wrong with one message must not cost those that came with it. */
  #handle(message: Message | UnknownMessage): void {
    if (this.#closed) return;
    try {
      this.#take(message);
    } catch (error) {
      rethrowLater(error);
    }
  }

  #take(message: Message | UnknownMessage): void {
    const { seq } = message;
    if (seq === 0) return this.#port.deliver(message);
    if (!this.#port.isLocal || QUESTIONS.has(message.kind)) this.#oweAck();
    const receiver = this.#receiverOf(seq);
    if (!receiver.take(Math.abs(seq), message, this)) this.#port.drop("outside the window");
  }

  /** A sequenced message whose turn has come. */
  deliver(message: Message | UnknownMessage): void {
    if (!this.#closed) this.#port.deliver(message);
  }

  #receiverOf(seq: number): SequenceReceiver {
    if (seq > 0) return this.#unicast === UNUSED ? (this.#unicast = new SequenceReceiver(0)) : this.#unicast;
    return this.#broadcast === UNUSED ? (this.#broadcast = new SequenceReceiver(0)) : this.#broadcast;
  }

  #takeAck(ack: number): void {
    if (!this.#unacked.acknowledge(ack)) return;
    this.#retransmitMs = RETRANSMIT_MIN_MS;
    this.#retransmitAtMs = null;
    if (this.#unacked.size === 0) return;
    if (ack < this.#recoverUntil) this.#fillGap();
    else this.#awaitAck();
  }

  /** A partial acknowledgement names the next gap, which may be all of a large frame: it is filled in a few round trips. */
  #fillGap(): void {
    this.#recoverCount = Math.min(RETRANSMITTED_MAX, 2 * this.#recoverCount);
    this.#retransmit();
  }

  #expectAck(): void {
    if (!this.#port.isLocal) return this.#awaitAck();
    // What goes on waiting did not fit into the frame.
    const unwritten = this.#outgoing.find(({ seq }) => seq > 0);
    arrivals.note(this, unwritten === undefined ? this.sentSeq : unwritten.seq - 1);
  }

  #startRecovery(): void {
    this.#recoverUntil = this.#nextSeq - 1;
    this.#recoverCount = 1;
    this.#retransmit();
  }

  #retransmit(): void {
    if (this.#closed) return;
    this.#retransmitAtMs = null;
    for (const message of this.#unacked.first(this.#recoverCount)) {
      if (message.seq <= this.#recoverUntil) this.#enqueue(message);
    }
  }

  #awaitAck(): void {
    if (this.#port.isLocal || this.#retransmitAtMs !== null || this.#unacked.size === 0) return;
    this.#retransmitAtMs = this.clock.now() + this.#retransmitMs;
    this.#wakeAt(this.#retransmitAtMs);
  }

  #oweAck(): void {
    this.#ackAtMs ??= this.clock.now() + ACK_DELAY_MS;
  }

  /**
   * What was answered at once is acknowledged by the answer, which is about to be written; to a peer of our thread at once,
   * since its next frame comes in another turn.
   */
  #awaitAnswer(): void {
    if (this.#port.isLocal) this.#releaseAnswers();
    if (this.#ackAtMs !== null && this.#outgoing.length === 0 && !this.#closed) this.#wakeAt(this.#ackAtMs);
  }

  /** While a frame of a peer in our thread is handled, what that brings about waits for its end. */
  #holdAnswers(): void {
    if (this.#port.isLocal) this.#flushScheduled = true;
  }

  #releaseAnswers(): void {
    // They tell what we take.
    if (this.#outgoing.length > 0) return this.flush();
    this.#flushScheduled = false;
    // Nothing else would tell the peer that we take more.
    if (!this.#closed && this.#port.credit() > this.#creditTold) this.#oweAck();
  }

  #wakeAt(atMs: number): void {
    this.#alarm ??= new Alarm(this);
    this.#alarm.coverUntil(atMs);
  }

  /** Acknowledges or retransmits what is due. */
  wake(nowMs: number): number {
    if (this.#ackAtMs !== null && nowMs >= this.#ackAtMs) {
      this.#ackAtMs = null;
      this.acknowledge();
    }
    if (this.#retransmitAtMs !== null && nowMs >= this.#retransmitAtMs) {
      this.#retransmitAtMs = null;
      this.#retransmitMs = Math.min(RETRANSMIT_MAX_MS, this.#retransmitMs * 2);
      this.#startRecovery();
    }
    return Math.min(this.#ackAtMs ?? Infinity, this.#retransmitAtMs ?? Infinity);
  }
}
