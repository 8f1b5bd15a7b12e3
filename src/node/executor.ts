/**
 * Runs handlers: the executor's side of commands and of upward requests.
 *
 * X1. A handler runs at most once for one call id while its outcome is retained; a duplicate gets the stored outcome.
 * X2. Every accepted call's sink is settled exactly once, also when the handler never ends: the deadline answers.
 * X3. Running and queued calls are bounded; beyond that the answer is "overloaded", at once.
 * X4. A handler that throws harms nobody: the caller gets its message and code, not its stack.
 */
import type { Epoch } from "../../machines/epoch.js";
import type { Clock } from "../health/clock.js";
import type { Meta } from "../protocol/messages.js";
import { decodePayload, encodeKept, encodePayload } from "../protocol/payload.js";
import { Alarm, type AlarmPort } from "./alarm.js";
import { type Call, type CallSink, completed, type Outcome, refused, uncompleted } from "./call.js";
import type { NodeCore } from "./core.js";
import { KnownCalls } from "./known-calls.js";
import { Registry } from "./registry.js";

/** What a prepared handler gets; the node adds its own parts for the user. */
export interface Invocation {
  readonly id: string;
  readonly name: string;
  readonly signal: AbortSignal;
  readonly meta: Meta | null;
  remainingMs(): number;
  progress(value: unknown): void;
}

/** What the node adds to an invocation. */
export interface HandlerEnvironment {
  readonly path: string;
  readonly epoch: Epoch;
}

/** Input is decoded and validated; the result is not encoded yet. */
export type PreparedHandler = (input: unknown, invocation: Invocation, environment: HandlerEnvironment) => unknown;

/** By name. */
export type Handlers = ReadonlyMap<string, PreparedHandler>;

export interface ExecutorPort {
  readonly core: NodeCore;
  /** Asked before each handler starts; false holds it until `resume`. */
  mayStart(nowMs: number): boolean;
  /** A call has ended. */
  progressed(): void;
}

/** One accepted call, and what its handler knows of it. */
class Entry implements Invocation {
  readonly id: string;
  readonly call: Call;
  readonly handler: PreparedHandler;
  readonly deadlineAtMs: number;
  sink: CallSink;
  state: "new" | "queued" | "running" | "ended" = "new";
  readonly #clock: Clock;
  /** Made when the handler asks for its signal: most never do. */
  #controller: AbortController | null = null;
  /** Why the handler is to stop; null while it is not. */
  #abortReason: DOMException | null = null;

  constructor(id: string, call: Call, accepted: Pick<Entry, "handler" | "sink" | "deadlineAtMs">, clock: Clock) {
    this.id = id;
    this.call = call;
    this.handler = accepted.handler;
    this.sink = accepted.sink;
    this.deadlineAtMs = accepted.deadlineAtMs;
    this.#clock = clock;
  }

  get name(): string {
    return this.call.name;
  }

  get meta(): Meta | null {
    return this.call.meta;
  }

  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      if (this.#abortReason !== null) this.#controller.abort(this.#abortReason);
    }
    return this.#controller.signal;
  }

  remainingMs(): number {
    return Math.max(0, this.deadlineAtMs - this.#clock.now());
  }

  progress(value: unknown): void {
    const bytes = encodePayload(value, "progress");
    if (this.state === "running") this.sink.progress(bytes, this.id);
  }

  abort(why: string): void {
    this.#abortReason = new DOMException(why, "AbortError");
    this.#controller?.abort(this.#abortReason);
  }
}

/** Of executors that had none yet. Never written to. */
const NO_CALLS = new Registry<Entry>();

export class Executor implements AlarmPort {
  readonly #port: ExecutorPort;
  readonly #core: NodeCore;
  readonly #known: KnownCalls;
  /** What is queued or running, by id. */
  #calls = NO_CALLS;
  /** Of those what is queued, in the order of arrival. */
  #queue = NO_CALLS;
  readonly #handlers: Handlers;
  #draining = false;
  /** Its handler is being called: most that end at once are never looked for. */
  #starting: Entry | null = null;
  #idle: (() => void)[] | null = null;
  /** For the deadlines. */
  #alarm: Alarm | null = null;
  #isPumping = false;

  constructor(port: ExecutorPort, handlers: Handlers) {
    this.#port = port;
    this.#core = port.core;
    this.#handlers = handlers;
    this.#known = new KnownCalls(port.core.options.outcomesMax, port.core.options.outcomesMaxBytes);
  }

  get clock(): Clock {
    return this.#core.options.clock;
  }

  /** Calls that are queued or running. */
  get size(): number {
    return this.#calls.size + (this.#starting === null ? 0 : 1);
  }

  get running(): number {
    return this.size - this.#queue.size;
  }

  get queued(): number {
    return this.#queue.size;
  }

  get freeSlots(): number {
    return Math.max(0, this.#core.options.queueMax - this.#queue.size);
  }

  /** Takes a call, or answers it at once: from the cache, or because it cannot be taken. */
  accept(id: string, call: Call & { readonly deadlineMs: number }, sink: CallSink): void {
    if (!this.rejoin(id, sink)) this.acceptNew(id, call, sink, call.deadlineMs);
  }

  /** Takes a call that is not known and has so much time left, milliseconds, or refuses it. */
  acceptNew(id: string, call: Call, sink: CallSink, deadlineMs: number): void {
    const handler = this.#handlers.get(call.name);
    const refusal = this.#refusal(call.name, handler, deadlineMs);
    if (refusal !== null) return sink.settle(refusal, id);
    const nowMs = this.clock.now();
    const accepted = { handler: handler as PreparedHandler, sink, deadlineAtMs: nowMs + deadlineMs };
    const entry = new Entry(id, call, accepted, this.clock);
    if (this.#queue.size === 0 && this.#mayRun(nowMs)) this.#run(entry);
    else this.#enqueue(entry);
  }

  /** Answers a call that is known already: now, or when it ends. Returns whether it is. */
  rejoin(id: string, sink: CallSink): boolean {
    if (this.#known.add(id)) return false;
    const entry = this.#calls.get(id);
    const outcome = this.#known.outcomeOf(id);
    if (outcome !== undefined) sink.settle(outcome, id);
    else if (entry !== undefined) entry.sink = sink;
    return outcome !== undefined || entry !== undefined;
  }

  /** Cancels a call; one that is not here yet will be answered as cancelled when it comes. */
  cancel(id: string): void {
    const outcome = uncompleted("cancelled", "CANCELLED", "cancelled by the caller");
    if (this.#known.add(id)) return this.#known.ended(id, outcome);
    const entry = this.#calls.get(id);
    if (entry !== undefined) this.#finish(entry, outcome);
    else if (this.#known.outcomeOf(id) === undefined) this.#known.ended(id, outcome);
  }

  /** Asks again whether handlers may start. */
  resume(): void {
    this.#pump();
  }

  /** Refuses what waits and needs a document of the parent: another parent's are not the same. */
  refuseInformed(why: string): void {
    for (const entry of this.#queue.values()) {
      if ((entry.call.minSyncVersion ?? 0) > 0) this.#finish(entry, refused("UNAVAILABLE", why));
    }
  }

  /** Refuses new calls and resolves when the accepted ones have ended. */
  drain(): Promise<void> {
    this.#draining = true;
    if (this.size === 0) return Promise.resolve();
    return new Promise((resolve) => (this.#idle ??= []).push(resolve));
  }

  /** Ends everything: aborts what runs, refuses what waits. */
  close(why: string): void {
    this.#draining = true;
    for (const entry of this.#queue.values()) this.#finish(entry, refused("UNAVAILABLE", why));
    for (const entry of this.#calls.values()) this.#finish(entry, uncompleted("unknown", "EXECUTOR_LOST", why));
    if (this.#starting !== null) this.#finish(this.#starting, uncompleted("unknown", "EXECUTOR_LOST", why));
    this.#alarm?.stop();
  }

  #refusal(name: string, handler: PreparedHandler | undefined, deadlineMs: number): Outcome | null {
    if (this.#draining) return refused("DRAINING", "the node is draining and takes no new calls");
    if (handler === undefined) {
      return refused("UNKNOWN_COMMAND", `there is no handler for ${JSON.stringify(name)}`);
    }
    if (this.#queue.size >= this.#core.options.queueMax) {
      return refused("OVERLOADED", `${this.#queue.size} calls are already queued`);
    }
    return deadlineMs <= 0 ? uncompleted("timedOut", "DEADLINE_EXCEEDED", "it arrived too late") : null;
  }

  /** Ends what has expired, for the alarm. */
  wake(nowMs: number): number {
    let nextMs = Infinity;
    for (const entry of this.#calls.values()) {
      if (entry.deadlineAtMs <= nowMs) this.#finish(entry, EXPIRED);
      else nextMs = Math.min(nextMs, entry.deadlineAtMs);
    }
    return nextMs;
  }

  #mayRun(nowMs: number): boolean {
    return this.running < this.#core.options.concurrency && this.#port.mayStart(nowMs);
  }

  /** A call that ends at once would start the next from within: the loop that is under way does. */
  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    try {
      for (const entry of this.#queue.values()) {
        if (!this.#mayRun(this.clock.now())) return;
        this.#queue.delete(entry.id);
        this.#run(entry);
      }
    } finally {
      this.#isPumping = false;
    }
  }

  #enqueue(entry: Entry): void {
    entry.state = "queued";
    this.#keep(entry);
    if (this.#queue === NO_CALLS) this.#queue = new Registry();
    this.#queue.add(entry.id, entry);
  }

  /** Until its deadline. */
  #keep(entry: Entry): void {
    if (this.#calls === NO_CALLS) this.#calls = new Registry();
    this.#calls.add(entry.id, entry);
    (this.#alarm ??= new Alarm(this)).coverUntil(entry.deadlineAtMs);
  }

  /** What a handler returns without a promise is its answer at once. */
  #run(entry: Entry): void {
    if (entry.state === "new") this.#starting = entry;
    entry.state = "running";
    try {
      const result = entry.handler(decodeInput(entry.call.input), entry, this.#core);
      if (isThenable(result)) this.#goOn(entry, result);
      else this.#finish(entry, this.#encodeResult(result));
    } catch (error) {
      this.#finish(entry, failureOf(error));
    }
  }

  #goOn(entry: Entry, result: PromiseLike<unknown>): void {
    if (this.#starting === entry) {
      this.#starting = null;
      this.#keep(entry);
    }
    void this.#await(entry, result);
  }

  /** Never rejects. */
  async #await(entry: Entry, promise: PromiseLike<unknown>): Promise<void> {
    try {
      const result = await promise;
      this.#finish(entry, this.#encodeResult(result));
    } catch (error) {
      this.#finish(entry, failureOf(error));
    }
  }

  #encodeResult(result: unknown): Outcome {
    try {
      const output = encodeKept(result, "result");
      if (output.length <= this.#core.maxBodyBytes()) return completed(output);
      return uncompleted("failed", "RESULT_NOT_SENDABLE", `the result of ${output.length} bytes exceeds the transport`);
    } catch (error) {
      return uncompleted("failed", "RESULT_NOT_SENDABLE", messageOf(error));
    }
  }

  /** The first outcome counts: a handler that ends after its deadline or cancellation changes nothing. */
  #finish(entry: Entry, outcome: Outcome): void {
    if (entry.state === "ended") return;
    if (entry.state === "queued") this.#queue.delete(entry.id);
    entry.state = "ended";
    if (this.#starting === entry) this.#starting = null;
    else this.#calls.delete(entry.id);
    if (outcome.status !== "notStarted") this.#known.ended(entry.id, outcome);
    this.#port.progressed();
    entry.sink.settle(outcome, entry.id);
    if (ABORTING.has(outcome.status)) entry.abort(outcome.message);
    if (this.#queue.size > 0) this.#pump();
    if (this.#idle !== null && this.size === 0) this.#reportIdle();
  }

  #reportIdle(): void {
    const waiting = this.#idle ?? [];
    this.#idle = null;
    for (const resolve of waiting) resolve();
  }
}

const EXPIRED = uncompleted("timedOut", "DEADLINE_EXCEEDED", "the deadline passed");

/** Outcomes of calls whose handler may still be running. */
const ABORTING: ReadonlySet<Outcome["status"]> = new Set<Outcome["status"]>(["cancelled", "timedOut", "unknown"]);

function isThenable(value: unknown): value is PromiseLike<unknown> {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return false;
  return typeof (value as { readonly then?: unknown }).then === "function";
}

/** A handler refuses its input with this; the call counts as not started. */
export class InvalidInput extends Error {}

function decodeInput(input: Uint8Array): unknown {
  try {
    return decodePayload(input, "input");
  } catch (error) {
    throw new InvalidInput(messageOf(error));
  }
}

function failureOf(error: unknown): Outcome {
  if (error instanceof InvalidInput) return refused("INVALID_INPUT", messageOf(error));
  return uncompleted("failed", "HANDLER_FAILED", messageOf(error), codeOf(error));
}

/** Anything can be thrown, also what throws when it is looked at. */
function messageOf(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error);
  } catch {
    return "unknown error";
  }
}

function codeOf(error: unknown): string {
  try {
    const code = typeof error === "object" && error !== null ? (error as { code?: unknown }).code : undefined;
    return typeof code === "string" || typeof code === "number" ? String(code) : "";
  } catch {
    return "";
  }
}
