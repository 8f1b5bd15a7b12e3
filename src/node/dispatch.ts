/**
 * Calls from the user's side: one command with its retries, deadline and cancellation, as a promise or an outcome.
 */
import { type BackoffOptions, nextBackoffMs } from "../../machines/backoff.js";
import type { CommandStatus } from "../../machines/command.js";
import { CommandError, type CommandErrorCode, InvalidOptionError, PayloadTooLargeError } from "../errors.js";
import { rethrowLater } from "../health/rethrow-later.js";
import { isMeta } from "../protocol/fields.js";
import type { Meta } from "../protocol/messages.js";
import { assertPath } from "../protocol/path.js";
import { decodePayload, encodePayload } from "../protocol/payload.js";
import { type CallSink, type Outcome, uncompleted, withoutCertainty } from "./call.js";
import type { CallContent, OutgoingCall } from "./call-entry.js";
import type { NodeCore } from "./core.js";
import { assertCommandName } from "./handlers.js";
import { atLeast, callable, delay, flag, positiveInteger } from "./option-checks.js";

export interface RetryOptions extends BackoffOptions {
  /** Times that the command is sent in all. */
  readonly attemptsMax: number;
}

export interface CommandOptions {
  /** Deadline, milliseconds from now. @default the node's commandTimeoutMs */
  readonly timeoutMs?: number;
  /** Cancels the command; the wait then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /**
   * The command may run twice without harm. Only then is it sent again after its executor was lost or refused it.
   * @default false
   */
  readonly idempotent?: boolean;
  /** How an idempotent command is retried. @default { attemptsMax: 10, baseMs: 100, maxMs: 5_000 } */
  readonly retry?: Partial<RetryOptions>;
  /** Your own key, 1 to 64 characters: the executor runs one key once. @default one that no other call has */
  readonly commandId?: string;
  /** The next node on the way runs it, or passes it on, only with at least this version of our document. @default 0 */
  readonly minSyncVersion?: number;
  /** Headers for the handler, for example a traceparent: at most 32 texts. */
  readonly meta?: Meta;
  readonly onProgress?: (value: unknown) => void;
}

export type RequestOptions = Omit<CommandOptions, "minSyncVersion" | "retry" | "commandId">;

/** How one command ended, as data. */
export type CommandOutcome<Output = unknown> =
  | {
      readonly status: "completed";
      /** The node it was for, relative to the caller. */
      readonly target: string;
      readonly commandId: string;
      readonly value: Output;
      /** Times it was sent. */
      readonly attempts: number;
      readonly durationMs: number;
    }
  | {
      readonly status: Exclude<CommandStatus, "completed">;
      readonly target: string;
      readonly commandId: string;
      readonly error: CommandError;
      readonly attempts: number;
      readonly durationMs: number;
    };

/** A call checked and encoded; the calls of a fan-out share one. */
export interface PreparedCall extends CallContent {
  readonly startedAtMs: number;
  readonly retry: RetryOptions;
  readonly onProgress: ((value: unknown) => void) | null;
}

export interface DispatchPort {
  readonly core: NodeCore;
  /** Hands a call to the link that its target lies behind. */
  submit(call: OutgoingCall, target: string): void;
  cancel(id: string, target: string, sink: CallSink): void;
}

/** Gets what a dispatched call came to: one of the two, once. */
export interface DispatchTaker {
  completed(value: unknown, dispatch: Dispatch): void;
  uncompleted(status: Uncompleted, error: CommandError, dispatch: Dispatch): void;
}

export type Uncompleted = Exclude<CommandStatus, "completed">;

const RETRY: RetryOptions = { attemptsMax: 10, baseMs: 100, maxMs: 5_000 };

/** Answers after which the same command may be sent again. */
const RETRYABLE: ReadonlySet<CommandErrorCode | ""> = new Set<CommandErrorCode>([
  "OVERLOADED",
  "DRAINING",
  "UNAVAILABLE",
  "NOT_READY",
  "EXECUTOR_LOST",
]);

/**
 * Checks a call and encodes its input.
 *
 * @throws InvalidPathError, InvalidOptionError, UnsupportedPayloadError, PayloadTooLargeError
 */
export function prepareCall(
  core: NodeCore,
  target: string,
  name: string,
  input: unknown,
  options: CommandOptions,
): PreparedCall {
  if (target !== "") assertPath("target", target);
  assertCommandName("name", name);
  const timeoutMs = delay("timeoutMs", options.timeoutMs ?? core.options.commandTimeoutMs);
  const { idempotent = false, minSyncVersion = 0 } = options;
  const meta = copyMeta(options.meta ?? null);
  assertCommandId(options.commandId);
  if (!Number.isSafeInteger(minSyncVersion) || minSyncVersion < 0) {
    throw new InvalidOptionError("minSyncVersion", minSyncVersion, "an integer >= 0");
  }
  const nowMs = core.now();
  const call: PreparedCall = {
    name,
    input: encodePayload(input, "input"),
    startedAtMs: nowMs,
    deadlineAtMs: nowMs + timeoutMs,
    idempotent: flag("idempotent", idempotent),
    retry: resolveRetry(options, idempotent),
    minSyncVersion,
    meta,
    onProgress: options.onProgress === undefined ? null : callable("onProgress", options.onProgress),
  };
  assertSize(core, call, target);
  return call;
}

/** The caller may change its own afterwards. */
function copyMeta(given: Meta | null): Meta | null {
  if (given === null) return null;
  const copy = isMeta(given) ? { ...given } : null;
  if (copy === null || !isMeta(copy))
    throw new InvalidOptionError("meta", given, "a map of at most 32 well-formed texts");
  return copy;
}

function assertCommandId(given: unknown): void {
  if (given === undefined) return;
  if (typeof given === "string" && given.length >= 1 && given.length <= 64 && given.isWellFormed()) return;
  throw new InvalidOptionError("commandId", given, "a well-formed string of 1 to 64 characters");
}

function resolveRetry(options: CommandOptions, idempotent: boolean): RetryOptions {
  const { retry } = options;
  if (retry !== undefined && !idempotent) {
    throw new InvalidOptionError("retry", retry, "given only with idempotent: true");
  }
  if (retry === undefined) return RETRY;
  const resolved = {
    attemptsMax: positiveInteger("retry.attemptsMax", retry.attemptsMax ?? RETRY.attemptsMax),
    baseMs: delay("retry.baseMs", retry.baseMs ?? RETRY.baseMs),
    maxMs: delay("retry.maxMs", retry.maxMs ?? RETRY.maxMs),
  };
  atLeast("retry.maxMs", resolved.maxMs, "retry.baseMs", resolved.baseMs);
  return resolved;
}

/** What a call takes besides its input and headers, bytes, at most. */
const CALL_OVERHEAD_BYTES = 1_024;

function assertSize(core: NodeCore, { input, meta }: PreparedCall, target: string): void {
  const headers = meta === null ? "" : JSON.stringify(meta);
  const bytes = input.length + 3 * (headers.length + target.length);
  const maxBytes = core.maxBodyBytes() - CALL_OVERHEAD_BYTES;
  if (bytes > maxBytes) throw new PayloadTooLargeError(bytes, maxBytes);
}

/** One prepared call to one target, until its taker gets the outcome: exactly once, possibly before `start` returns. */
export class Dispatch implements OutgoingCall, CallSink {
  readonly content: PreparedCall;
  readonly #taker: DispatchTaker;
  readonly id: string;
  /** Path below this node. */
  readonly path: string;
  readonly #port: DispatchPort;
  #isDone = false;
  /** Times that it was sent. */
  attempts = 0;
  /** An earlier attempt was lost after it may have begun. */
  #mayHaveBegun = false;
  #isStarted = false;
  #forgetWait: (() => void) | null = null;
  #forgetSignal: (() => void) | null = null;
  /** Path below the link that it was handed to. */
  target = "";
  #delayMs = 0;

  constructor(port: DispatchPort, content: PreparedCall, path: string, id: string, taker: DispatchTaker) {
    this.id = id;
    this.path = path;
    this.#port = port;
    this.content = content;
    this.#taker = taker;
  }

  get sink(): CallSink {
    return this;
  }

  /** Since it was made, milliseconds. */
  get durationMs(): number {
    return this.#port.core.now() - this.content.startedAtMs;
  }

  /** Aborting the signal settles it as cancelled at once. */
  start(signal?: AbortSignal): void {
    if (signal?.aborted === true) return this.abort();
    if (signal !== undefined) this.#listen(signal);
    this.#submit();
  }

  /** As `start`, when whoever made it hands it to its link. */
  startHandedOver(): void {
    this.#isStarted = true;
  }

  /** The caller has gone; the executor is told, but not waited for. */
  abort(): void {
    if (this.#isDone) return;
    this.#finish(uncompleted("cancelled", "CANCELLED", "cancelled by the caller"));
    if (this.#isStarted) this.#port.cancel(this.id, this.path, this);
  }

  sent(): void {
    this.attempts++;
  }

  progress(value: Uint8Array): void {
    const { onProgress } = this.content;
    if (this.#isDone || onProgress === null) return;
    let progress: unknown;
    try {
      progress = decodePayload(value, "progress");
    } catch {
      return this.#port.core.drop(this.path, "garbled progress");
    }
    try {
      onProgress(progress);
    } catch (error) {
      rethrowLater(error);
    }
  }

  settle(outcome: Outcome): void {
    if (this.#isDone) return;
    if (outcome.status === "unknown") this.#mayHaveBegun = true;
    if (this.#mayRetry(outcome)) this.#retryLater(outcome);
    else this.#finish(this.#mayHaveBegun ? withoutCertainty(outcome) : outcome);
  }

  #listen(signal: AbortSignal): void {
    const abort = (): void => this.abort();
    signal.addEventListener("abort", abort, { once: true });
    this.#forgetSignal = () => signal.removeEventListener("abort", abort);
  }

  #submit(): void {
    this.#isStarted = true;
    this.#port.submit(this, this.path);
  }

  #mayRetry({ status, code }: Outcome): boolean {
    const { idempotent, retry } = this.content;
    if (!idempotent || (status !== "notStarted" && status !== "unknown") || this.#port.core.isOver) return false;
    // One that joined and left is unknown until it joins again.
    const isRetryable = RETRYABLE.has(code) || (code === "UNKNOWN_CHILD" && this.attempts > 0);
    if (!isRetryable || this.attempts >= retry.attemptsMax) return false;
    return this.#port.core.retries.hasRoom(this.path);
  }

  #retryLater(refusal: Outcome): void {
    const { core } = this.#port;
    const { retry, deadlineAtMs } = this.content;
    this.#delayMs = nextBackoffMs(retry, this.#delayMs, core.options.random());
    const leftMs = deadlineAtMs - core.now();
    const waitMs = Math.max(1, Math.ceil(Math.min(this.#delayMs, leftMs)));
    this.#forgetWait = core.retries.wait(this.path, () => this.#retry(refusal), waitMs);
  }

  #retry(refusal: Outcome): void {
    const { core } = this.#port;
    if (core.isOver) return this.settle(refusal);
    if (core.now() < this.content.deadlineAtMs) return this.#submit();
    const message = `the deadline passed; before that: ${refusal.message}`;
    this.settle(uncompleted("timedOut", "DEADLINE_EXCEEDED", message));
  }

  #finish(outcome: Outcome): void {
    this.#isDone = true;
    this.#forgetWait?.();
    this.#forgetSignal?.();
    if (outcome.status === "completed") this.#complete(outcome);
    else this.#fail(outcome, outcome.status);
  }

  #complete(outcome: Outcome): void {
    let value: unknown;
    try {
      value = decodePayload(outcome.output, "result");
    } catch {
      return this.#fail(uncompleted("failed", "RESULT_NOT_SENDABLE", "garbled result"), "failed");
    }
    this.#taker.completed(value, this);
  }

  #fail(outcome: Outcome, status: Uncompleted): void {
    this.#taker.uncompleted(status, this.#toError(outcome, status), this);
  }

  #toError({ code, message, handlerCode }: Outcome, status: Uncompleted): CommandError {
    const { core } = this.#port;
    return new CommandError({
      status,
      code: code === "" ? "HANDLER_FAILED" : code,
      message,
      path: this.path === "" ? core.path : `${core.path}.${this.path}`,
      name: this.content.name,
      commandId: this.id,
      handlerCode,
    });
  }
}
