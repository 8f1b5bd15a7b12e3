/**
 * Runs handlers: the executor's side of commands and of upward requests.
 *
 * X1. A handler runs at most once for one call id while its outcome is retained; a duplicate gets the stored outcome.
 * X2. Every accepted call's sink is settled exactly once, also when the handler never ends: the deadline answers.
 * X3. Running and queued calls are bounded; beyond that the answer is "overloaded", at once.
 * X4. A handler that throws harms nobody: the caller gets its message and code, not its stack.
 */
import type { Clock, Timer } from "../health/clock.js";
import type { Meta } from "../protocol/messages.js";
import { decodePayload, encodePayload } from "../protocol/payload.js";
import { type Call, type CallSink, completed, type Outcome, refused, uncompleted } from "./call.js";
import { OutcomeCache } from "./outcome-cache.js";

/** What a prepared handler gets; the node adds its own parts for the user. */
export interface Invocation {
  readonly id: string;
  readonly name: string;
  readonly signal: AbortSignal;
  readonly meta: Meta | null;
  remainingMs(): number;
  progress(value: unknown): void;
}

/** Input is decoded and validated; the result is not encoded yet. */
export type PreparedHandler = (input: unknown, invocation: Invocation) => unknown;

export interface ExecutorOptions {
  readonly clock: Clock;
  readonly concurrency: number;
  readonly queueMax: number;
  readonly outcomesMax: number;
  readonly outcomesMaxBytes: number;
  /** Largest result that can travel, bytes. */
  readonly maxResultBytes: () => number;
  readonly handler: (name: string) => PreparedHandler | undefined;
  /** Asked before each handler starts; false holds it until `resume`. */
  readonly mayStart: () => boolean;
  /** A call has ended. */
  readonly progressed: () => void;
}

interface Entry {
  readonly call: Call;
  sink: CallSink;
  readonly deadlineAtMs: number;
  timer: Timer | null;
  /** Made when the handler asks for its signal: most never do. */
  controller: AbortController | null;
  /** Why the handler is to stop; null while it is not. */
  abortReason: DOMException | null;
}

export class Executor {
  readonly #options: ExecutorOptions;
  readonly #outcomes: OutcomeCache;
  readonly #running = new Map<string, Entry>();
  /** Insertion order is the order of arrival. */
  readonly #queue = new Map<string, Entry>();
  #draining = false;
  #idle: (() => void)[] = [];

  constructor(options: ExecutorOptions) {
    this.#options = options;
    this.#outcomes = new OutcomeCache(options.outcomesMax, options.outcomesMaxBytes);
  }

  get running(): number {
    return this.#running.size;
  }

  get queued(): number {
    return this.#queue.size;
  }

  get freeSlots(): number {
    return Math.max(0, this.#options.queueMax - this.#queue.size);
  }

  /** Takes a call, or answers it at once: from the cache, or because it cannot be taken. */
  accept(call: Call, sink: CallSink): void {
    if (this.rejoin(call.id, sink)) return;
    const refusal = this.#refusal(call);
    if (refusal !== null) return sink.settle(refusal);
    this.#enqueue(call, sink);
  }

  /** Answers a call that is known already: now, or when it ends. Returns whether it is. */
  rejoin(id: string, sink: CallSink): boolean {
    const stored = this.#outcomes.get(id);
    const known = this.#running.get(id) ?? this.#queue.get(id);
    if (stored !== undefined) sink.settle(stored);
    else if (known !== undefined) known.sink = sink;
    return stored !== undefined || known !== undefined;
  }

  /** Cancels a call; one that is not here yet will be answered as cancelled when it comes. */
  cancel(id: string): void {
    const outcome = uncompleted("cancelled", "CANCELLED", "cancelled by the caller");
    const entry = this.#running.get(id) ?? this.#queue.get(id);
    if (entry !== undefined) this.#finish(entry, outcome);
    else if (this.#outcomes.get(id) === undefined) this.#outcomes.set(id, outcome);
  }

  /** Asks again whether handlers may start. */
  resume(): void {
    this.#pump();
  }

  /** Refuses what waits and needs a document of the parent: another parent's are not the same. */
  refuseInformed(why: string): void {
    for (const entry of this.#queue.values()) {
      if (entry.call.needsDocument) this.#finish(entry, refused("UNAVAILABLE", why));
    }
  }

  /** Refuses new calls and resolves when the accepted ones have ended. */
  drain(): Promise<void> {
    this.#draining = true;
    if (this.#running.size + this.#queue.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Ends everything: aborts what runs, refuses what waits. */
  close(why: string): void {
    this.#draining = true;
    for (const entry of this.#queue.values()) this.#finish(entry, refused("UNAVAILABLE", why));
    for (const entry of this.#running.values()) this.#finish(entry, uncompleted("unknown", "EXECUTOR_LOST", why));
  }

  #refusal(call: Call): Outcome | null {
    if (this.#draining) return refused("DRAINING", "the node is draining and takes no new calls");
    if (this.#options.handler(call.name) === undefined) {
      return refused("UNKNOWN_COMMAND", `there is no handler for ${JSON.stringify(call.name)}`);
    }
    if (this.#queue.size >= this.#options.queueMax) {
      return refused("OVERLOADED", `${this.#queue.size} calls are already queued`);
    }
    return call.deadlineMs <= 0 ? uncompleted("timedOut", "DEADLINE_EXCEEDED", "it arrived too late") : null;
  }

  #enqueue(call: Call, sink: CallSink): void {
    const { clock } = this.#options;
    const entry: Entry = {
      call,
      sink,
      deadlineAtMs: clock.now() + call.deadlineMs,
      timer: null,
      controller: null,
      abortReason: null,
    };
    entry.timer = clock.setTimeout(() => this.#expire(entry), call.deadlineMs);
    this.#queue.set(call.id, entry);
    this.#pump();
  }

  #expire(entry: Entry): void {
    entry.timer = null;
    this.#finish(entry, uncompleted("timedOut", "DEADLINE_EXCEEDED", "the deadline passed"));
  }

  #pump(): void {
    for (const entry of this.#queue.values()) {
      if (this.#running.size >= this.#options.concurrency) return;
      if (!this.#options.mayStart()) return;
      this.#queue.delete(entry.call.id);
      this.#running.set(entry.call.id, entry);
      void this.#run(entry);
    }
  }

  /** Never rejects. */
  async #run(entry: Entry): Promise<void> {
    const { call } = entry;
    const invocation = this.#invocation(entry);
    try {
      const handler = this.#options.handler(call.name) as PreparedHandler;
      const result = await handler(decodeInput(call.input), invocation);
      this.#finish(entry, this.#encodeResult(result));
    } catch (error) {
      this.#finish(entry, failureOf(error));
    }
  }

  #invocation(entry: Entry): Invocation {
    const { id, name, meta } = entry.call;
    return {
      id,
      name,
      meta,
      get signal() {
        return signalOf(entry);
      },
      remainingMs: () => Math.max(0, entry.deadlineAtMs - this.#options.clock.now()),
      progress: (value) => {
        const bytes = encodePayload(value, "progress");
        if (this.#running.get(id) === entry) entry.sink.progress(bytes);
      },
    };
  }

  #encodeResult(result: unknown): Outcome {
    try {
      const output = encodePayload(result, "result");
      if (output.length <= this.#options.maxResultBytes()) return completed(output);
      return uncompleted("failed", "RESULT_NOT_SENDABLE", `the result of ${output.length} bytes exceeds the transport`);
    } catch (error) {
      return uncompleted("failed", "RESULT_NOT_SENDABLE", messageOf(error));
    }
  }

  /** The first outcome counts: a handler that ends after its deadline or cancellation changes nothing. */
  #finish(entry: Entry, outcome: Outcome): void {
    const { id } = entry.call;
    if (!this.#running.delete(id) && !this.#queue.delete(id)) return;
    if (entry.timer !== null) this.#options.clock.clearTimeout(entry.timer);
    if (outcome.status !== "notStarted") this.#outcomes.set(id, outcome);
    this.#options.progressed();
    entry.sink.settle(outcome);
    if (ABORTING.has(outcome.status)) {
      entry.abortReason = new DOMException(outcome.message, "AbortError");
      entry.controller?.abort(entry.abortReason);
    }
    this.#pump();
    this.#reportIdle();
  }

  #reportIdle(): void {
    if (this.#running.size + this.#queue.size > 0) return;
    const waiting = this.#idle;
    this.#idle = [];
    for (const resolve of waiting) resolve();
  }
}

/** Outcomes of calls whose handler may still be running. */
const ABORTING: ReadonlySet<Outcome["status"]> = new Set<Outcome["status"]>(["cancelled", "timedOut", "unknown"]);

function signalOf(entry: Entry): AbortSignal {
  if (entry.controller === null) {
    entry.controller = new AbortController();
    if (entry.abortReason !== null) entry.controller.abort(entry.abortReason);
  }
  return entry.controller.signal;
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
