/**
 * Calls from the user's side: one command with its retries, deadline and cancellation, as a promise or an outcome.
 */
import { type BackoffOptions, nextBackoffMs } from "../../machines/backoff.js";
import type { CommandStatus } from "../../machines/command.js";
import { CommandError, type CommandErrorCode, InvalidOptionError, PayloadTooLargeError } from "../errors.js";
import { randomId } from "../health/clock.js";
import { isMeta } from "../protocol/codec.js";
import type { Meta } from "../protocol/messages.js";
import { assertPath } from "../protocol/path.js";
import { decodePayload, encodePayload } from "../protocol/payload.js";
import { type CallSink, type Outcome, uncompleted, withoutCertainty } from "./call.js";
import type { OutgoingCall } from "./call-table.js";
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
  /** Your own key, 1 to 64 characters: the executor runs one key once. @default a random one */
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

/** A call checked and encoded, before it is handed to a link. */
export interface PreparedCall {
  readonly target: string;
  readonly name: string;
  readonly commandId: string;
  readonly input: Uint8Array;
  readonly startedAtMs: number;
  readonly deadlineAtMs: number;
  readonly idempotent: boolean;
  readonly retry: RetryOptions;
  readonly minSyncVersion: number;
  readonly meta: Meta | null;
  readonly onProgress: ((value: unknown) => void) | null;
}

export interface DispatchPort {
  readonly core: NodeCore;
  /** Hands a call to the link that its target lies behind. */
  submit(call: OutgoingCall, target: string): void;
  cancel(call: PreparedCall, sink: CallSink): void;
}

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
  const { idempotent = false, minSyncVersion = 0, meta = null } = options;
  const commandId = resolveCommandId(core, options.commandId);
  if (meta !== null && !isMeta(meta)) throw new InvalidOptionError("meta", meta, "a map of at most 32 texts");
  if (!Number.isSafeInteger(minSyncVersion) || minSyncVersion < 0) {
    throw new InvalidOptionError("minSyncVersion", minSyncVersion, "an integer >= 0");
  }
  const nowMs = core.now();
  const call: PreparedCall = {
    target,
    name,
    commandId,
    input: encodePayload(input, "input"),
    startedAtMs: nowMs,
    deadlineAtMs: nowMs + timeoutMs,
    idempotent: flag("idempotent", idempotent),
    retry: resolveRetry(options, idempotent),
    minSyncVersion,
    meta,
    onProgress: options.onProgress === undefined ? null : callable("onProgress", options.onProgress),
  };
  assertSize(core, call);
  return call;
}

function resolveCommandId(core: NodeCore, given: string | undefined): string {
  if (given === undefined) return randomId(core.options.random, 16);
  if (typeof given === "string" && given.length >= 1 && given.length <= 64) return given;
  throw new InvalidOptionError("commandId", given, "a string of 1 to 64 characters");
}

function resolveRetry(options: CommandOptions, idempotent: boolean): RetryOptions {
  const { retry } = options;
  if (retry !== undefined && !idempotent) {
    throw new InvalidOptionError("retry", retry, "given only with idempotent: true");
  }
  const resolved = {
    attemptsMax: positiveInteger("retry.attemptsMax", retry?.attemptsMax ?? RETRY.attemptsMax),
    baseMs: delay("retry.baseMs", retry?.baseMs ?? RETRY.baseMs),
    maxMs: delay("retry.maxMs", retry?.maxMs ?? RETRY.maxMs),
  };
  atLeast("retry.maxMs", resolved.maxMs, "retry.baseMs", resolved.baseMs);
  return resolved;
}

/** What a call takes besides its input and headers, bytes, at most. */
const CALL_OVERHEAD_BYTES = 1_024;

function assertSize(core: NodeCore, { input, meta, target }: PreparedCall): void {
  const headers = meta === null ? "" : JSON.stringify(meta);
  const bytes = input.length + 3 * (headers.length + target.length);
  const maxBytes = core.maxBodyBytes() - CALL_OVERHEAD_BYTES;
  if (bytes > maxBytes) throw new PayloadTooLargeError(bytes, maxBytes);
}

/** Runs a prepared call to its outcome; never rejects. Aborting the signal settles it as cancelled at once. */
export function dispatch(
  port: DispatchPort,
  call: PreparedCall,
  signal: AbortSignal | undefined,
): Promise<CommandOutcome> {
  return new Promise((resolve) => {
    const attempt = new Dispatch(port, call, (outcome) => {
      signal?.removeEventListener("abort", abort);
      resolve(outcome);
    });
    const abort = (): void => attempt.abort();
    if (signal?.aborted === true) return attempt.abort();
    signal?.addEventListener("abort", abort, { once: true });
    attempt.start();
  });
}

class Dispatch implements CallSink {
  readonly #port: DispatchPort;
  readonly #call: PreparedCall;
  readonly #done: (outcome: CommandOutcome) => void;
  #attempts = 0;
  #delayMs = 0;
  #forgetWait: (() => void) | null = null;
  #isStarted = false;
  #isDone = false;
  /** An earlier attempt was lost after it may have begun. */
  #mayHaveBegun = false;

  constructor(port: DispatchPort, call: PreparedCall, done: (outcome: CommandOutcome) => void) {
    this.#port = port;
    this.#call = call;
    this.#done = done;
  }

  start(): void {
    this.#isStarted = true;
    const { target, commandId: id, name, input, deadlineAtMs, idempotent, minSyncVersion, meta } = this.#call;
    const call = { id, name, target: "", input, deadlineAtMs, idempotent, minSyncVersion, meta, sink: this };
    this.#port.submit(call, target);
  }

  /** The caller has gone; the executor is told, but not waited for. */
  abort(): void {
    if (this.#isDone) return;
    this.#finish(uncompleted("cancelled", "CANCELLED", "cancelled by the caller"));
    if (this.#isStarted) this.#port.cancel(this.#call, this);
  }

  sent(): void {
    this.#attempts++;
  }

  progress(value: Uint8Array): void {
    const { onProgress } = this.#call;
    if (this.#isDone || onProgress === null) return;
    let progress: unknown;
    try {
      progress = decodePayload(value, "progress");
    } catch {
      return this.#port.core.drop(this.#call.target, "garbled progress");
    }
    try {
      onProgress(progress);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  settle(outcome: Outcome): void {
    if (this.#isDone) return;
    if (outcome.status === "unknown") this.#mayHaveBegun = true;
    if (this.#mayRetry(outcome)) this.#retryLater(outcome);
    else this.#finish(this.#mayHaveBegun ? withoutCertainty(outcome) : outcome);
  }

  #mayRetry({ status, code }: Outcome): boolean {
    const { idempotent, retry } = this.#call;
    if (!idempotent || (status !== "notStarted" && status !== "unknown") || this.#port.core.isOver) return false;
    // One that joined and left is unknown until it joins again.
    const isRetryable = RETRYABLE.has(code) || (code === "UNKNOWN_CHILD" && this.#attempts > 0);
    if (!isRetryable || this.#attempts >= retry.attemptsMax) return false;
    return this.#port.core.retries.hasRoom(this.#call.target);
  }

  #retryLater(refusal: Outcome): void {
    const { core } = this.#port;
    const { retry, deadlineAtMs } = this.#call;
    this.#delayMs = nextBackoffMs(retry, this.#delayMs, core.options.random());
    const leftMs = deadlineAtMs - core.now();
    const waitMs = Math.max(1, Math.ceil(Math.min(this.#delayMs, leftMs)));
    this.#forgetWait = core.retries.wait(this.#call.target, () => this.#retry(refusal), waitMs);
  }

  #retry(refusal: Outcome): void {
    const { core } = this.#port;
    if (core.isOver) return this.settle(refusal);
    if (core.now() < this.#call.deadlineAtMs) return this.start();
    const message = `the deadline passed; before that: ${refusal.message}`;
    this.settle(uncompleted("timedOut", "DEADLINE_EXCEEDED", message));
  }

  #finish(outcome: Outcome): void {
    this.#isDone = true;
    const { core } = this.#port;
    this.#forgetWait?.();
    this.#done(toCommandOutcome(core, this.#call, outcome, this.#attempts));
  }
}

function toCommandOutcome(core: NodeCore, call: PreparedCall, outcome: Outcome, attempts: number): CommandOutcome {
  const { target, commandId } = call;
  const durationMs = core.now() - call.startedAtMs;
  if (outcome.status === "completed") {
    try {
      const value = decodePayload(outcome.output, "result");
      return { status: "completed", target, commandId, value, attempts, durationMs };
    } catch {
      const error = toError(
        core,
        call,
        { ...outcome, code: "RESULT_NOT_SENDABLE", message: "garbled result" },
        "failed",
      );
      return { status: "failed", target, commandId, error, attempts, durationMs };
    }
  }
  const error = toError(core, call, outcome, outcome.status);
  return { status: outcome.status, target, commandId, error, attempts, durationMs };
}

function toError(
  core: NodeCore,
  call: PreparedCall,
  outcome: Outcome,
  status: Exclude<CommandStatus, "completed">,
): CommandError {
  const path = call.target === "" ? core.path : `${core.path}.${call.target}`;
  return new CommandError({
    status,
    code: outcome.code === "" ? "HANDLER_FAILED" : outcome.code,
    message: outcome.message,
    path,
    name: call.name,
    commandId: call.commandId,
    handlerCode: outcome.handlerCode,
  });
}
