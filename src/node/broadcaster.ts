/**
 * One publish for all children: the parent's broadcast sequence.
 *
 * B1. A child takes part from the number that its INIT.open names; what it misses is refilled over its own subject. What
 *     was forgotten since concerned others, who were open then: an empty message takes its place.
 * B2. Acknowledgements never travel on the broadcast subject: children send them in whatever they send upward.
 * B3. What all open children acknowledged is forgotten, and the log is bounded.
 */
import type { Timer } from "../health/clock.js";
import { encodeFrame } from "../protocol/codec.js";
import { type Message, PROTOCOL_VERSION_MIN } from "../protocol/messages.js";
import { randomId } from "../health/clock.js";
import { broadcastSubject } from "../protocol/subjects.js";
import type { ChildLink } from "./child-link.js";
import type { NodeCore } from "./core.js";

/** Broadcasts kept for refilling. */
const LOG_MAX = 1_024;
const REFILL_MS = 200;
const FRAME_TTL_MS = 10_000;

export class Broadcaster {
  /** Names this parent's broadcast sequence; new at each start. */
  readonly session: string;
  lastSentMs = -Infinity;
  readonly #core: NodeCore;
  readonly #subject: string;
  readonly #openLinks: () => Iterable<ChildLink>;
  #seq = 0;
  /** Unacknowledged broadcasts, oldest first; the last one has number `#seq`. */
  #log: Message[] = [];
  #refillTimer: Timer | null = null;

  constructor(core: NodeCore, openLinks: () => Iterable<ChildLink>) {
    this.#core = core;
    this.#openLinks = openLinks;
    this.session = randomId(core.options.random, 8);
    this.#subject = broadcastSubject(core.options.transport, core.path);
  }

  /** The number of the last broadcast. */
  get seq(): number {
    return this.#seq;
  }

  /** Whether another sequenced broadcast can be kept for refilling. */
  get hasRoom(): boolean {
    this.#forgetAcknowledged();
    return this.#log.length < LOG_MAX;
  }

  /** Publishes without a sequence: lost is lost. */
  publish(message: Message): void {
    this.#write(message, 0);
  }

  /** Publishes in sequence: every child whose session is open gets it, once. */
  send(message: Message): void {
    message.seq = -++this.#seq;
    this.#log.push(message);
    this.#write(message, FRAME_TTL_MS);
    this.#startRefill();
  }

  /** A session was opened: sends what was broadcast since it was offered. */
  catchUp(link: ChildLink): void {
    for (let seq = link.broadcastAck + 1; seq <= this.#seq; seq++) link.channel?.forward(this.#at(seq));
    if (link.broadcastAck < this.#seq) this.#startRefill();
  }

  close(): void {
    this.#log = [];
    if (this.#refillTimer !== null) this.#core.options.clock.clearTimeout(this.#refillTimer);
    this.#refillTimer = null;
  }

  #write(message: Message, ttlMs: number): void {
    const { session } = this;
    const header = { version: PROTOCOL_VERSION_MIN, session, ack: 0, broadcastAck: 0, credit: 0 };
    const frame = encodeFrame({ ...header, messages: [message] });
    this.lastSentMs = this.#core.now();
    this.#core.publish(this.#subject, frame, ttlMs);
  }

  #startRefill(): void {
    this.#refillTimer ??= this.#core.options.clock.setTimeout(() => this.#refill(), REFILL_MS);
  }

  /** Sends each child that is behind the oldest broadcast that it misses. */
  #refill(): void {
    this.#refillTimer = null;
    this.#forgetAcknowledged();
    let isNeeded = this.#log.length > 0;
    for (const link of this.#openLinks()) {
      if (link.broadcastAck >= this.#seq) continue;
      link.channel?.forward(this.#at(link.broadcastAck + 1));
      isNeeded = true;
    }
    if (isNeeded) this.#startRefill();
  }

  #at(seq: number): Message {
    const firstSeq = this.#seq - this.#log.length + 1;
    return this.#log[seq - firstSeq] ?? { kind: "heartbeat.ack", seq: -seq };
  }

  #forgetAcknowledged(): void {
    let acknowledged = this.#seq;
    for (const link of this.#openLinks()) acknowledged = Math.min(acknowledged, link.broadcastAck);
    const keep = this.#seq - acknowledged;
    if (keep < this.#log.length) this.#log.splice(0, this.#log.length - keep);
  }
}
