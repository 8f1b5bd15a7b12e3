/**
 * Acknowledges what children sent: those of them that nothing else told within the time for that.
 *
 * When many wait at once, as after a command to all, one broadcast tells all of them: a frame for each would cost the server
 * and both ends as much as the answer that it acknowledges.
 */
import type { Clock } from "../health/clock.js";
import { FRAME_OVERHEAD_BYTES } from "../protocol/codec.js";
import { ACKS_MAX } from "../protocol/fields.js";
import type { Message } from "../protocol/messages.js";
import { Alarm, type AlarmPort } from "./alarm.js";
import type { Channel } from "./channel.js";

export interface AcknowledgerPort {
  readonly clock: Clock;
  readonly maxPayloadBytes: number;
  /** Children whose session is open. */
  readonly openCount: number;
  publish(message: Message): void;
}

/** With fewer, or fewer than half of the children, a broadcast would wake more processes than need to know. */
const TOGETHER_MIN = 64;
/** Half of the time that they may wait. */
const SOON_MS = 25;
/** Of one of our session ids and its number, on the wire, at most. */
const ACK_BYTES_MAX = 40;

const NONE: readonly Message[] = [];

export class Acknowledger implements AlarmPort {
  readonly #port: AcknowledgerPort;
  readonly #alarm = new Alarm(this);
  #waiting: Channel[] = [];

  constructor(port: AcknowledgerPort) {
    this.#port = port;
  }

  get clock(): Clock {
    return this.#port.clock;
  }

  /** What a channel owes is due at this time, unless something else tells it. */
  add(channel: Channel, atMs: number): void {
    if (channel.isAckAwaited) return;
    channel.isAckAwaited = true;
    this.#waiting.push(channel);
    this.#alarm.coverUntil(atMs);
  }

  close(): void {
    this.#waiting = [];
    this.#alarm.stop();
  }

  wake(nowMs: number): number {
    const owing = this.#takeOwing();
    if (this.#areMany(owing)) this.#publish(this.#tellTogether(owing));
    else for (const channel of owing) this.#tell(channel, nowMs);
    return this.#waiting.reduce((atMs, { ackAtMs }) => Math.min(atMs, ackAtMs ?? Infinity), Infinity);
  }

  /** What goes with a broadcast that has room for so many bytes, if it is due soon: all hear that anyway. */
  takeAlong(roomBytes: number): readonly Message[] {
    const { length } = this.#waiting;
    if (length < TOGETHER_MIN || length > ACKS_MAX || roomBytes < length * ACK_BYTES_MAX) return NONE;
    const isDueSoon = (this.#waiting[0]?.ackAtMs ?? 0) <= this.clock.now() + SOON_MS;
    if (!isDueSoon || !this.#areMany(this.#waiting)) return NONE;
    return [{ kind: "heartbeat.acks", seq: 0, acks: this.#tellTogether(this.#takeOwing()) }];
  }

  #areMany({ length }: readonly Channel[]): boolean {
    return length >= TOGETHER_MIN && 2 * length >= this.#port.openCount;
  }

  #takeOwing(): readonly Channel[] {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const channel of waiting) channel.isAckAwaited = false;
    return waiting.filter(({ ackAtMs }) => ackAtMs !== null);
  }

  #tell(channel: Channel, nowMs: number): void {
    const atMs = channel.ackAtMs ?? nowMs;
    if (atMs <= nowMs) channel.acknowledge();
    else this.add(channel, atMs);
  }

  /** Also those that are not due yet. Credit is told to each. */
  #tellTogether(owing: readonly Channel[]): (string | number)[] {
    const acks: (string | number)[] = [];
    for (const channel of owing) {
      if (channel.isAckedAlone || channel.hasNewCredit) channel.acknowledge();
      else acks.push(channel.session, channel.acknowledgedElsewhere());
    }
    return acks;
  }

  #publish(acks: readonly (string | number)[]): void {
    const room = Math.min(ACKS_MAX, Math.floor((this.#port.maxPayloadBytes - FRAME_OVERHEAD_BYTES) / ACK_BYTES_MAX));
    for (let at = 0; at < acks.length; at += 2 * room) {
      this.#port.publish({ kind: "heartbeat.acks", seq: 0, acks: acks.slice(at, at + 2 * room) });
    }
  }
}

/** What is left of a message that acknowledges many, for the many nodes of a process that it is for. */
const indexes = new WeakMap<object, AckIndex>();

/** What a `heartbeat.acks` acknowledges in a session; 0 for nothing. */
export function ackIn(acks: readonly (string | number)[], session: string): number {
  let index = indexes.get(acks);
  if (index === undefined) indexes.set(acks, (index = new AckIndex(acks)));
  return index.get(session);
}

/**
 * Numbers by session. The nodes of a process mostly ask in the order in which they answered, which is the list's: the next
 * one is looked for from where the last was found, and only after long searches all are put into a table.
 */
class AckIndex {
  readonly #acks: readonly (string | number)[];
  #next = 0;
  /** Places that may be searched. */
  #patience: number;
  #table: Map<string, number> | null = null;

  constructor(acks: readonly (string | number)[]) {
    this.#acks = acks;
    this.#patience = acks.length;
  }

  get(session: string): number {
    if (this.#table !== null) return this.#table.get(session) ?? 0;
    const acks = this.#acks;
    for (let at = this.#next; at < acks.length && this.#patience > 0; at += 2, this.#patience -= 2) {
      if (acks[at] !== session) continue;
      this.#next = at + 2;
      return acks[at + 1] as number;
    }
    this.#table = toTable(acks);
    return this.#table.get(session) ?? 0;
  }
}

function toTable(acks: readonly (string | number)[]): Map<string, number> {
  const table = new Map<string, number>();
  for (let at = 0; at < acks.length; at += 2) table.set(acks[at] as string, acks[at + 1] as number);
  return table;
}
