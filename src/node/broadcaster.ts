/**
 * One publish for all children: the parent's broadcast sequence.
 *
 * B1. A child takes part from the number that its INIT.open names; what it misses is refilled over its own subject. What
 *     was forgotten since concerned others, who were open then: an empty message takes its place.
 * B2. Acknowledgements never travel on the broadcast subject: children send them in whatever they send upward.
 * B3. What all open children acknowledged is forgotten, and the log is bounded.
 */
import { type Clock, randomId } from "../health/clock.js";
import { estimateBytes, FRAME_OVERHEAD_BYTES } from "../protocol/codec.js";
import type { Message } from "../protocol/messages.js";
import { broadcastSubject } from "../protocol/subjects.js";
import { Acknowledger, type AcknowledgerPort } from "./acknowledger.js";
import { Alarm, type AlarmPort } from "./alarm.js";
import type { Channel } from "./channel.js";
import type { ChildLink } from "./child-link.js";
import type { NodeCore, Outlet } from "./core.js";
import { frameApart } from "./frame-letter.js";

/** Broadcasts kept for refilling. */
const LOG_MAX = 1_024;
/** So many of them before anyone looks, besides the refills, which can be forgotten. */
const LOG_UNCHECKED = 16;
const REFILL_MS = 200;
const FRAME_TTL_MS = 10_000;

interface Sent {
  readonly message: Message;
  readonly sentAtMs: number;
}

/** The children whose session is open. */
export interface BroadcasterPort {
  readonly core: NodeCore;
  readonly openCount: number;
  open(): Iterable<ChildLink>;
}

export class Broadcaster implements AcknowledgerPort, AlarmPort {
  /** Names this parent's broadcast sequence; new at each start. */
  readonly session: string;
  lastSentMs = -Infinity;
  readonly #core: NodeCore;
  readonly #outlet: Outlet;
  readonly #port: BroadcasterPort;
  #seq = 0;
  /** Unacknowledged broadcasts, oldest first; the last one has number `#seq`. */
  #log: Sent[] = [];
  readonly #refills = new Alarm(this);
  /** Made for the first child that waits. */
  #acknowledger: Acknowledger | null = null;

  constructor(port: BroadcasterPort) {
    const { core } = port;
    this.#core = core;
    this.#port = port;
    this.session = randomId(core.options.random, 8);
    this.#outlet = core.outlet(broadcastSubject(core.options.transport, core.path));
  }

  get clock(): Clock {
    return this.#core.options.clock;
  }

  get maxPayloadBytes(): number {
    return this.#core.options.transport.maxPayloadBytes;
  }

  get openCount(): number {
    return this.#port.openCount;
  }

  /** What is owed to this child is due at this time, unless something else tells it. */
  awaitAck(channel: Channel, atMs: number): void {
    (this.#acknowledger ??= new Acknowledger(this)).add(channel, atMs);
  }

  /** The number of the last broadcast. */
  get seq(): number {
    return this.#seq;
  }

  /** Whether another sequenced broadcast can be kept for refilling. */
  get hasRoom(): boolean {
    if (this.#log.length >= LOG_UNCHECKED) this.#forget(this.#leastAck());
    return this.#log.length < LOG_MAX;
  }

  /** Publishes without a sequence: lost is lost. */
  publish(message: Message): void {
    this.#write(message, 0);
  }

  /** Publishes in sequence: every child whose session is open gets it, once. */
  send(message: Message): void {
    message.seq = -++this.#seq;
    this.#log.push({ message, sentAtMs: this.#core.now() });
    this.#write(message, FRAME_TTL_MS);
    this.#refills.coverUntil(this.#core.now() + REFILL_MS);
  }

  /** A session was opened: sends what was broadcast since it was offered. */
  catchUp(link: ChildLink): void {
    for (let seq = link.broadcastAck + 1; seq <= this.#seq; seq++) link.channel?.forward(this.#at(seq));
    if (link.broadcastAck < this.#seq) this.#refills.coverUntil(this.#core.now() + REFILL_MS);
  }

  close(): void {
    this.#log = [];
    this.#refills.stop();
    this.#acknowledger?.close();
  }

  #write(message: Message, ttlMs: number): void {
    this.lastSentMs = this.#core.now();
    const messages = this.#acknowledger === null ? [message] : this.#withAcks(message, this.#acknowledger);
    this.#core.publish(this.#outlet, frameApart(messages, this.session), ttlMs);
  }

  /** Acknowledgements first: who is stopped by the message still needs them. */
  #withAcks(message: Message, acknowledger: Acknowledger): readonly Message[] {
    if (message.kind === "heartbeat.acks") return [message];
    const roomBytes = this.maxPayloadBytes - FRAME_OVERHEAD_BYTES - estimateBytes(message);
    return [...acknowledger.takeAlong(roomBytes), message];
  }

  /** Sends each child that is behind the oldest broadcast that it misses, unless that was sent only just now. */
  wake(nowMs: number): number {
    const acknowledged = this.#leastAck((link) => this.#refill(link, nowMs));
    this.#forget(acknowledged);
    return acknowledged < this.#seq ? nowMs + REFILL_MS : Infinity;
  }

  #refill({ broadcastAck, channel }: ChildLink, nowMs: number): void {
    const seq = broadcastAck + 1;
    if ((this.#entry(seq)?.sentAtMs ?? -Infinity) <= nowMs - REFILL_MS) channel?.forward(this.#at(seq));
  }

  #at(seq: number): Message {
    return this.#entry(seq)?.message ?? { kind: "heartbeat.ack", seq: -seq };
  }

  #entry(seq: number): Sent | undefined {
    return this.#log[seq - (this.#seq - this.#log.length + 1)];
  }

  /** The number up to which all have the broadcasts. */
  #leastAck(whoeverIsBehind: (link: ChildLink) => void = () => {}): number {
    let least = this.#seq;
    for (const link of this.#port.open()) {
      if (link.hasBroadcast(this.#seq)) continue;
      least = Math.min(least, link.broadcastAck);
      whoeverIsBehind(link);
    }
    return least;
  }

  #forget(acknowledged: number): void {
    const keep = this.#seq - acknowledged;
    if (keep < this.#log.length) this.#log.splice(0, this.#log.length - keep);
  }
}
