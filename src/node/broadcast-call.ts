/**
 * A call that one broadcast brings to many children.
 *
 * One record stands for all of them as long as nothing but completions comes of it. Records of each of thousands of children
 * would be copied twice by the collector before they are answered, and be cold in the processor's caches by then.
 */
import type { Clock } from "../health/clock.js";
import { decodePayload } from "../protocol/payload.js";
import { Alarm, type AlarmPort } from "./alarm.js";
import { completed } from "./call.js";
import type { ChildLink } from "./child-link.js";
import type { CommonCall, CommonCalls } from "./common-calls.js";
import { type CommandOutcome, Dispatch, type DispatchPort, type DispatchTaker, type PreparedCall } from "./dispatch.js";

interface BroadcastPlan {
  readonly port: DispatchPort;
  readonly content: PreparedCall;
  readonly id: string;
  readonly calls: CommonCalls;
  /** Of all children that it is for. */
  readonly links: readonly ChildLink[];
  /** Gets the completions; whatever else comes goes to the taker. */
  readonly done: (outcome: CommandOutcome) => void;
  readonly taker: DispatchTaker;
}

export class BroadcastCall implements CommonCall, AlarmPort {
  readonly id: string;
  readonly content: PreparedCall;
  readonly #plan: BroadcastPlan;
  /** Calls of children of which something else came than a completion. */
  readonly #separate: Dispatch[] = [];
  #isSent = false;
  /** Children that it stands for. */
  #left: number;
  /** For the deadline. */
  readonly #alarm = new Alarm(this);

  constructor(plan: BroadcastPlan) {
    this.#left = plan.links.length;
    this.id = plan.id;
    this.content = plan.content;
    this.#plan = plan;
  }

  get clock(): Clock {
    return this.#plan.port.core.options.clock;
  }

  /** It is about to be published. */
  sent(): void {
    this.#isSent = true;
    this.#alarm.coverUntil(this.content.deadlineAtMs);
    this.#plan.calls.give(this);
  }

  completed(path: string, output: Uint8Array): void {
    let value: unknown;
    try {
      value = decodePayload(output, "result");
    } catch {
      return this.separate(path).settle(completed(output));
    }
    this.#leave();
    const durationMs = this.#plan.port.core.now() - this.content.startedAtMs;
    this.#plan.done({ status: "completed", target: path, commandId: this.id, value, attempts: 1, durationMs });
  }

  separate(path: string): Dispatch {
    const { port, taker } = this.#plan;
    const dispatch = new Dispatch(port, this.content, path, this.id, taker);
    this.#separate.push(dispatch);
    this.#leave();
    if (!this.#isSent) return dispatch;
    dispatch.startHandedOver();
    dispatch.sent();
    return dispatch;
  }

  /** Past the deadline each child's calls are its own. */
  wake(): number {
    this.separateAll();
    return Infinity;
  }

  separateAll(): void {
    for (const { calls } of this.#plan.links) calls.separate(this);
  }

  #leave(): void {
    if (--this.#left > 0) return;
    this.#alarm.stop();
    this.#plan.calls.ended(this);
  }

  /** The caller has gone. */
  abort(): void {
    if (this.#isSent) this.separateAll();
    else for (const { id } of this.#plan.links) this.separate(id);
    for (const dispatch of this.#separate) dispatch.abort();
  }
}
