/**
 * The caller's side of one link's calls: commands down to a child, or requests up to the parent.
 *
 * K1. Every submitted call's sink is settled exactly once.
 * K2. No call is sent beyond the peer's credit and `firstCredit`; what waits for credit is bounded.
 * K3. After the peer lost its state, only calls declared idempotent are sent again; the others end as unknown.
 */
import { type CommandEventType, type CommandState, commandTable } from "../../machines/command.js";
import type { Clock } from "../health/clock.js";
import { Alarm, type AlarmPort } from "./alarm.js";
import { type CallSink, type Outcome, refused, uncompleted, withoutCertainty } from "./call.js";
import { CallEntry, type OutgoingCall } from "./call-entry.js";
import type { CommonCall, CommonCalls } from "./common-calls.js";
import { Registry } from "./registry.js";

export interface CallTablePort {
  /** Of the peer. */
  readonly id: string;
  /** Another process may hear what is sent to many at once. */
  readonly hasHadOthers: boolean;
  /** What it is given together with others. */
  readonly commonCalls: CommonCalls;
  readonly clock: Clock;
  /** Most calls waiting for credit or for a peer. */
  readonly queueMax: number;
  /** Calls that a session may send before the peer has granted any. */
  readonly firstCredit: number;
  transmit(call: OutgoingCall): void;
  transmitCancel(id: string): void;
}

/** What nearly all transitions lead to. V8 finds what stands in the table under one name and another more slowly. */
const SENT = commandTable.queued["command.sent"] as CommandState;
const COMPLETED = commandTable.sent["command.completed"] as CommandState;
const CANCEL_REPEAT_MS = 500;
const CANCELS_MAX = 5;

export class CallTable implements AlarmPort {
  readonly #port: CallTablePort;
  readonly #commonCalls: CommonCalls;
  /** Of those, how many were given before our session, or ended, or became our own. */
  #commonPassed = 0;
  /** Calls sent in this session to this peer alone, less the common ones given before it. */
  #sentAlone = 0;
  #credit = 0;
  #open = false;
  readonly #own = new Registry<CallEntry>();
  /** Ids waiting to be sent, oldest first; null while there are none. */
  #queue: Set<string> | null = null;
  /** For the deadlines of those who wait. */
  readonly #alarm: Alarm;

  constructor(port: CallTablePort) {
    this.#port = port;
    this.#commonCalls = port.commonCalls;
    this.#alarm = new Alarm(this);
  }

  get clock(): Clock {
    return this.#port.clock;
  }

  get size(): number {
    return this.#own.size + (this.#common === null ? 0 : 1);
  }

  /** Calls that can be sent without waiting. */
  get slack(): number {
    return this.#open && this.#queue === null ? this.#credit - this.#sent : 0;
  }

  /** Calls sent in this session, compared with the peer's credit. */
  get #sent(): number {
    return this.#sentAlone + this.#commonCalls.count;
  }

  /** Sent with the others, and not answered yet. */
  get #common(): CommonCall | null {
    return this.#open && this.#commonPassed < this.#commonCalls.count ? this.#commonCalls.latest : null;
  }

  /** All calls; a common one becomes our own. */
  get #entries(): Registry<CallEntry> {
    const common = this.#common;
    if (common !== null) this.separate(common);
    return this.#own;
  }

  /** Takes a call. One that is already known runs once: whoever gave it gets its outcome. */
  submit(call: OutgoingCall): void {
    const known = this.#entries.get(call.id);
    if (known !== undefined) {
      if (known.state === "sent") call.sink.sent?.();
      return this.#join(known, call);
    }
    if (this.slack > 0) return this.#send(this.#newEntry(call));
    const waiting = this.#queue?.size ?? 0;
    if (waiting >= this.#port.queueMax) {
      const why = `${waiting} calls already wait for this link`;
      return call.sink.settle(refused("OVERLOADED", why), call.id);
    }
    this.#newEntry(call);
    this.#wait(call);
  }

  /**
   * Gives a common call that is not answered an entry of its own. A process that held the path before may hear it too: then
   * what the present one says does not tell that the call has not begun.
   */
  separate(call: CommonCall): void {
    if (this.#common !== call) return;
    this.#commonPassed = this.#commonCalls.count;
    const entry = this.#newEntry(call.separate(this.#port.id));
    entry.state = SENT;
    entry.mayHaveBegun = this.#port.hasHadOthers;
  }

  /** One caller gives up; the call is cancelled when it was the last. */
  cancel(id: string, sink: CallSink): void {
    const entry = this.#entries.get(id);
    if (entry === undefined || entry.state === "cancelling") return;
    const caller = callerOf(entry, sink);
    if (caller === undefined) return;
    if (entry.isShared) return this.#part(entry, caller, CANCELLED);
    const state = this.#advance(entry, "command.cancel");
    if (state === "cancelling") this.#repeatCancel(entry);
    else this.#settle(entry, uncompleted("cancelled", "CANCELLED", "cancelled before it was sent"));
  }

  progress(id: string, value: Uint8Array): void {
    for (const { sink } of this.#entries.get(id)?.callers ?? []) sink.progress(value, id);
  }

  /** The executor's answer. Answers for unknown calls are late duplicates. */
  answered(id: string, outcome: Outcome): void {
    const common = this.#common;
    if (common?.id === id && outcome.status === "completed") {
      this.#commonPassed = this.#commonCalls.count;
      return common.completed(this.#port.id, outcome.output);
    }
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    // An answer can overtake the bookkeeping after a new session: it was sent all the same.
    if (entry.state === "queued" || entry.state === "waiting") this.#advance(entry, "command.sent");
    const known = entry.mayHaveBegun ? withoutCertainty(outcome) : outcome;
    if (entry.state === "sent" && known.status === "completed") entry.state = COMPLETED;
    else this.#advance(entry, EVENT_BY_STATUS[known.status]);
    this.#settle(entry, known);
  }

  /** The peer's credit for this session, in all. */
  grant(credit: number): void {
    if (credit <= this.#credit) return;
    this.#credit = credit;
    this.#pump();
  }

  /**
   * A session is open. With the same executor everything is sent again, since it answers a known id from its cache; with
   * another one only what is idempotent or never left.
   */
  opened(options: { readonly sameExecutor: boolean }): void {
    const entries = this.#entries;
    this.#open = true;
    this.#commonPassed = this.#commonCalls.count;
    this.#sentAlone = -this.#commonCalls.count;
    this.#credit = this.#port.firstCredit;
    this.#queue = null;
    for (const entry of entries.values()) this.#resume(entry, options.sameExecutor);
    this.#pump();
  }

  /** The session is over for now, but its executor may come back: everything is kept. */
  suspend(): void {
    for (const entry of this.#shut().values()) {
      entry.wasSentBefore ||= entry.state === "sent" || entry.state === "cancelling";
    }
  }

  /** The executor is lost. */
  lost(why: string): void {
    for (const entry of this.#shut().values()) this.#lose(entry, why);
  }

  /**
   * The executor has left in order: in this session it has answered whatever it began, so that the rest did not begin.
   */
  left(why: string): void {
    for (const entry of this.#shut().values()) {
      if (entry.mayHaveBegun || entry.wasSentBefore) this.#lose(entry, why);
      else if (entry.call.content.idempotent && entry.state !== "cancelling") this.#requeue(entry);
      else this.#refuse(entry, why);
    }
  }

  /** Ends everything, whether idempotent or not. */
  close(why: string): void {
    for (const entry of this.#shut().values()) this.#end(entry, why);
    this.#alarm.stop();
  }

  /** Nothing is sent from now on; returns all calls. */
  #shut(): Registry<CallEntry> {
    const entries = this.#entries;
    this.#open = false;
    return entries;
  }

  #newEntry(call: OutgoingCall): CallEntry {
    const entry = new CallEntry(call);
    this.#entries.add(call.id, entry);
    this.#alarm.coverUntil(call.content.deadlineAtMs);
    return entry;
  }

  #join(entry: CallEntry, call: OutgoingCall): void {
    entry.join(call);
    this.#alarm.coverUntil(call.content.deadlineAtMs);
  }

  /** A caller gets its outcome. */
  #part(entry: CallEntry, caller: OutgoingCall, outcome: Outcome): void {
    entry.part(caller);
    caller.sink.settle(outcome, caller.id);
  }

  /** Ends what has expired, for the alarm. */
  wake(nowMs: number): number {
    for (const entry of this.#entries.values()) {
      for (const caller of entry.callers) {
        if (caller.content.deadlineAtMs <= nowMs) this.#expire(entry, caller);
      }
    }
    let nextMs = Infinity;
    for (const { callers } of this.#entries.values()) {
      for (const { content } of callers) nextMs = Math.min(nextMs, content.deadlineAtMs);
    }
    return nextMs;
  }

  #expire(entry: CallEntry, caller: OutgoingCall): void {
    if (entry.isShared) return this.#part(entry, caller, EXPIRED);
    const wasSent = entry.state === "sent";
    const state = this.#advance(entry, "command.expired");
    if (wasSent && this.#open) this.#port.transmitCancel(entry.call.id);
    if (state === "cancelled") this.#settle(entry, uncompleted("cancelled", "CANCELLED", "cancelled"));
    else this.#settle(entry, EXPIRED);
  }

  #repeatCancel(entry: CallEntry): void {
    entry.cancelTimer = null;
    if (entry.cancels++ >= CANCELS_MAX) return;
    if (this.#open) this.#port.transmitCancel(entry.call.id);
    entry.cancelTimer = this.#port.clock.setTimeout(() => this.#repeatCancel(entry), CANCEL_REPEAT_MS);
  }

  #resume(entry: CallEntry, sameExecutor: boolean): void {
    if (entry.state === "cancelling") {
      if (!sameExecutor) this.#lose(entry, "the executor was restarted");
      return;
    }
    // Also in a session before the last: it may have waited for credit since.
    const wasSent = entry.state === "sent" || entry.wasSentBefore;
    if (wasSent && !sameExecutor && !entry.call.content.idempotent)
      return this.#lose(entry, "the executor was restarted");
    if (wasSent) this.#postpone(entry, sameExecutor);
    this.#wait(entry.call);
  }

  #lose(entry: CallEntry, why: string): void {
    const { state, call } = entry;
    if (call.content.idempotent && state !== "cancelling") {
      this.#postpone(entry, false);
      this.#wait(call);
    } else if (state === "queued") {
      this.#refuse(entry, why);
    } else {
      this.#advance(entry, "command.lost");
      this.#settle(entry, uncompleted("unknown", "EXECUTOR_LOST", `${why} after the call may have begun`));
    }
  }

  #refuse(entry: CallEntry, why: string): void {
    this.#advance(entry, "command.refused");
    this.#settle(entry, refused("UNAVAILABLE", why));
  }

  #requeue(entry: CallEntry): void {
    this.#advance(entry, "command.postponed");
    this.#wait(entry.call);
  }

  #postpone(entry: CallEntry, sameExecutor: boolean): void {
    entry.wasSentBefore ||= entry.state === "sent";
    if (!sameExecutor) entry.mayHaveBegun ||= entry.wasSentBefore;
    this.#advance(entry, "command.postponed");
  }

  #end(entry: CallEntry, why: string): void {
    const { state, wasSentBefore } = entry;
    const began = state === "sent" || state === "cancelling" || wasSentBefore;
    this.#advance(entry, began ? "command.lost" : "command.refused");
    this.#settle(entry, began ? uncompleted("unknown", "EXECUTOR_LOST", why) : refused("UNAVAILABLE", why));
  }

  #pump(): void {
    if (!this.#open || this.#queue === null) return;
    for (const id of this.#queue) {
      if (this.#sent >= this.#credit) return;
      this.#leave(id);
      this.#send(this.#entries.get(id) as CallEntry);
    }
  }

  #wait({ id }: OutgoingCall): void {
    (this.#queue ??= new Set()).add(id);
  }

  #leave(id: string): void {
    if (this.#queue?.delete(id) === true && this.#queue.size === 0) this.#queue = null;
  }

  #send(entry: CallEntry): void {
    this.#markSent(entry);
    this.#port.transmit(entry.call);
  }

  #markSent(entry: CallEntry): void {
    if (entry.state === "queued") entry.state = SENT;
    else this.#advance(entry, "command.sent");
    this.#sentAlone++;
    this.#commonCalls.slack--;
    entry.sent();
  }

  #advance(entry: CallEntry, event: CommandEventType): CommandState {
    entry.state = commandTable[entry.state][event] ?? entry.state;
    return entry.state;
  }

  #settle(entry: CallEntry, outcome: Outcome): void {
    const { call } = entry;
    if (!this.#entries.delete(call.id)) return;
    this.#leave(call.id);
    if (entry.cancelTimer !== null) this.#port.clock.clearTimeout(entry.cancelTimer);
    entry.settle(outcome);
  }
}

function callerOf({ callers }: CallEntry, sink: CallSink): OutgoingCall | undefined {
  return callers.find((caller) => caller.sink === sink);
}

const EXPIRED = uncompleted("timedOut", "DEADLINE_EXCEEDED", "the deadline passed");
const CANCELLED = uncompleted("cancelled", "CANCELLED", "cancelled by the caller");

const EVENT_BY_STATUS: Readonly<Record<Outcome["status"], CommandEventType>> = {
  completed: "command.completed",
  failed: "command.failed",
  cancelled: "command.cancelled",
  timedOut: "command.expired",
  notStarted: "command.refused",
  unknown: "command.lost",
};
