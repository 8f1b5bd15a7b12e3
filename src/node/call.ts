/**
 * Calls: what a command down and a request up have in common, from the caller's and from the executor's side.
 */
import type { CommandStatus } from "../../machines/command.js";
import type { CommandErrorCode } from "../errors.js";
import type { Meta } from "../protocol/messages.js";
import { UNDEFINED_PAYLOAD } from "../protocol/payload.js";

/** What a call says to its executor, as the message has it that brought it. */
export interface Call {
  readonly name: string;
  readonly input: Uint8Array;
  readonly meta: Meta | null;
  /** It is to run only where at least this version of the parent's document is. @default 0 */
  readonly minSyncVersion?: number;
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

/** Where the answers of calls go, given with their ids. `settle` is called exactly once, `progress` any number of times before. */
export interface CallSink {
  /** The call was sent, or sent again. */
  sent?(): void;
  progress(value: Uint8Array, id: string): void;
  settle(outcome: Outcome, id: string): void;
}

/** Thousands of them are kept, and an output is all that tells them apart. */
class Completion implements Outcome {
  readonly output: Uint8Array;

  constructor(output: Uint8Array) {
    this.output = output;
  }

  get status(): "completed" {
    return "completed";
  }

  get code(): "" {
    return "";
  }

  get message(): "" {
    return "";
  }

  get handlerCode(): "" {
    return "";
  }
}

/** With an output of no byte or one, as most handlers have that return nothing, a number or a truth: all share these. */
const NOTHING = new Completion(UNDEFINED_PAYLOAD);
const SHORT = Array.from({ length: 0x100 }, (_, byte) => new Completion(Uint8Array.of(byte)));

export function completed(output: Uint8Array): Outcome {
  if (output.length > 1) return new Completion(output);
  return output.length === 0 ? NOTHING : (SHORT[output[0] as number] as Outcome);
}

/** With an output of its own: an answer is a view of all that came with it. */
export function copyOutcome({ status, code, message, handlerCode, output }: Outcome): Outcome {
  return { status, code, message, handlerCode, output: new Uint8Array(output) };
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
