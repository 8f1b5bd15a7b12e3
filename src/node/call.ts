/**
 * Calls: what a command down and a request up have in common, from the caller's and from the executor's side.
 */
import type { CommandStatus } from "../../machines/command.js";
import type { CommandErrorCode } from "../errors.js";
import type { Meta } from "../protocol/messages.js";
import { UNDEFINED_PAYLOAD } from "../protocol/payload.js";

/** One call as it arrives at an executor or relay. */
export interface Call {
  /** Made once by the caller, unchanged over hops and retries. */
  readonly id: string;
  readonly name: string;
  readonly input: Uint8Array;
  /** Time left at arrival, milliseconds. */
  readonly deadlineMs: number;
  readonly meta: Meta | null;
  /** It is to run only where a certain document of the parent is. @default false */
  readonly needsDocument?: boolean;
}

/** How a call ended, in the form in which it travels. */
export interface Outcome {
  readonly status: CommandStatus;
  /** Empty when completed. */
  readonly code: CommandErrorCode | "";
  readonly message: string;
  /** `code` of the error that the handler threw, or empty. */
  readonly handlerCode: string;
  readonly output: Uint8Array;
}

/** Longest text that is sent or passed on, characters: it must fit whatever the next transport carries. */
export const TEXT_LENGTH_MAX = 1_000;

const CODE_LENGTH_MAX = 64;

/** Where a call's answers go. `settle` is called exactly once, `progress` any number of times before. */
export interface CallSink {
  /** The call was sent, or sent again. */
  sent?(): void;
  progress(value: Uint8Array): void;
  settle(outcome: Outcome): void;
}

export function completed(output: Uint8Array): Outcome {
  return { status: "completed", code: "", message: "", handlerCode: "", output };
}

export function uncompleted(
  status: Exclude<CommandStatus, "completed">,
  code: CommandErrorCode,
  message: string,
  handlerCode = "",
): Outcome {
  const texts = { message: message.slice(0, TEXT_LENGTH_MAX), handlerCode: handlerCode.slice(0, CODE_LENGTH_MAX) };
  return { status, code, ...texts, output: UNDEFINED_PAYLOAD };
}

export function refused(code: CommandErrorCode, message: string): Outcome {
  return uncompleted("notStarted", code, message);
}

/** A refusal by one executor says nothing of another one that was lost with the same call. */
export function withoutCertainty(outcome: Outcome): Outcome {
  return outcome.status === "notStarted" ? { ...outcome, status: "unknown" } : outcome;
}
