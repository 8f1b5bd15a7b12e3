/**
 * Every error that the runtime throws or rejects with. Match on `code`: it is part of the API, messages are not.
 */
import type { CommandStatus } from "../machines/command.js";

export type ErrorCode =
  | "INVALID_OPTION"
  | "INVALID_PATH"
  | "UNSUPPORTED_PAYLOAD"
  | "PAYLOAD_TOO_LARGE"
  | "WRONG_STATE"
  | "WAIT_TIMED_OUT"
  | "NODE_ENDED"
  | "NODE_FENCED"
  | "DUPLICATE_PATH"
  | "CHILD_NOT_FOUND"
  | "CHILD_EXISTS"
  | "CHILD_RUNNING"
  | "CHILD_NOT_STARTED"
  | "DEPENDENCY_DOWN"
  | "TRANSPORT_CLOSED"
  | "TRANSPORT_UNAVAILABLE"
  | "PERMISSION_DENIED"
  | CommandErrorCode;

/** Why a command or a request did not complete. */
export type CommandErrorCode =
  | "HANDLER_FAILED"
  | "CANCELLED"
  | "DEADLINE_EXCEEDED"
  | "OVERLOADED"
  | "DRAINING"
  | "UNKNOWN_COMMAND"
  | "UNKNOWN_CHILD"
  | "UNAVAILABLE"
  | "NOT_READY"
  | "INVALID_INPUT"
  | "RESULT_NOT_SENDABLE"
  | "TOO_LARGE_FOR_HOP"
  | "EXECUTOR_LOST"
  | "QUORUM_IMPOSSIBLE";

export class FractalTreeError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  /** Errors travel in JSON answers and logs: unlike Error's own, this form keeps the message. */
  toJSON(): object {
    return { message: this.message, ...Object.fromEntries(Object.entries(this)) };
  }
}

/** An option, argument or field is out of its rule. */
export class InvalidOptionError extends FractalTreeError {
  override readonly name = "InvalidOptionError";
  readonly option: string;
  readonly value: unknown;
  readonly rule: string;

  constructor(option: string, value: unknown, rule: string) {
    super("INVALID_OPTION", `${option} must be ${rule}, got ${describe(value)}`);
    this.option = option;
    this.value = value;
    this.rule = rule;
  }
}

/** A path, child id, tree name or namespace has the wrong form. */
export class InvalidPathError extends FractalTreeError {
  override readonly name = "InvalidPathError";
  readonly field: string;
  readonly value: unknown;
  readonly rule: string;

  constructor(field: string, value: unknown, rule: string) {
    super("INVALID_PATH", `${field} must be ${rule}, got ${describe(value)}`);
    this.field = field;
    this.value = value;
    this.rule = rule;
  }
}

/** A value that cannot travel; `field` is its path inside the payload. */
export class UnsupportedPayloadError extends FractalTreeError {
  override readonly name = "UnsupportedPayloadError";
  readonly field: string;
  readonly rule: string;

  constructor(field: string, rule: string) {
    super("UNSUPPORTED_PAYLOAD", `${field} ${rule}`);
    this.field = field;
    this.rule = rule;
  }
}

/** A message that exceeds what the transport carries. There is no chunking: send a reference instead. */
export class PayloadTooLargeError extends FractalTreeError {
  override readonly name = "PayloadTooLargeError";
  readonly payloadBytes: number;
  readonly maxPayloadBytes: number;

  constructor(payloadBytes: number, maxPayloadBytes: number) {
    super(
      "PAYLOAD_TOO_LARGE",
      `the message takes ${payloadBytes} bytes, more than the ${maxPayloadBytes} that the transport carries; send a reference to the data instead`,
    );
    this.payloadBytes = payloadBytes;
    this.maxPayloadBytes = maxPayloadBytes;
  }
}

/** The call is not possible in the node's present phase. */
export class WrongStateError extends FractalTreeError {
  override readonly name = "WrongStateError";

  constructor(message: string) {
    super("WRONG_STATE", message);
  }
}

/** No child of this id is declared. */
export class ChildNotFoundError extends FractalTreeError {
  override readonly name = "ChildNotFoundError";
  readonly path: string;

  constructor(path: string) {
    super("CHILD_NOT_FOUND", `no child is declared at ${path}`);
    this.path = path;
  }
}

/** A child of this id is declared, or has joined, already. */
export class ChildExistsError extends FractalTreeError {
  override readonly name = "ChildExistsError";
  readonly path: string;

  constructor(path: string) {
    super("CHILD_EXISTS", `there is a child at ${path} already; restart it, or delete it first`);
    this.path = path;
  }
}

/** The child runs, or waits to be started again: terminate it first. */
export class ChildRunningError extends FractalTreeError {
  override readonly name = "ChildRunningError";
  readonly path: string;

  constructor(path: string, state: string) {
    super("CHILD_RUNNING", `the child at ${path} is ${state}; terminate it first`);
    this.path = path;
  }
}

/** A child that was to be started is not running. */
export class ChildNotStartedError extends FractalTreeError {
  override readonly name = "ChildNotStartedError";
  readonly path: string;
  readonly reason: string;

  constructor(path: string, reason: string) {
    super("CHILD_NOT_STARTED", `the child at ${path} did not start: ${reason}`);
    this.path = path;
    this.reason = reason;
  }
}

/**
 * Thrown by a child's `start`: it lacks something that is not its own fault, such as a database. It is tried again after
 * a delay, and the restart is not counted.
 */
export class DependencyDownError extends FractalTreeError {
  override readonly name = "DependencyDownError";

  constructor(message: string, options?: ErrorOptions) {
    super("DEPENDENCY_DOWN", message, options);
  }
}

/** A wait took longer than its `timeoutMs`. */
export class WaitTimeoutError extends FractalTreeError {
  override readonly name = "WaitTimeoutError";
  readonly timeoutMs: number;

  constructor(what: string, timeoutMs: number) {
    super("WAIT_TIMED_OUT", `${what} did not happen within ${timeoutMs} ms`);
    this.timeoutMs = timeoutMs;
  }
}

/** What was waited for cannot happen any more: the node has ended. */
export class NodeEndedError extends FractalTreeError {
  override readonly name = "NodeEndedError";

  constructor(path: string, reason: string) {
    super("NODE_ENDED", `node ${path} has ended: ${reason}`);
  }
}

/** Another incarnation of this path has taken over; this one stopped itself. */
export class NodeFencedError extends FractalTreeError {
  override readonly name = "NodeFencedError";
  readonly path: string;
  readonly byEpoch: string;

  constructor(path: string, byEpoch: string) {
    super(
      "NODE_FENCED",
      `node ${path} was superseded by another process with epoch ${byEpoch} and has stopped; check for two deployments of this path`,
    );
    this.path = path;
    this.byEpoch = byEpoch;
  }
}

/** Too many takeovers of this path: the incumbent stays and this newcomer stopped itself. */
export class DuplicatePathError extends FractalTreeError {
  override readonly name = "DuplicatePathError";
  readonly path: string;

  constructor(path: string) {
    super(
      "DUPLICATE_PATH",
      `path ${path} is contested by several processes; the incumbent stays and this one has stopped; give each its own path`,
    );
    this.path = path;
  }
}

/** The transport was closed by its owner. */
export class TransportClosedError extends FractalTreeError {
  override readonly name = "TransportClosedError";

  constructor() {
    super("TRANSPORT_CLOSED", "the transport is closed; create a new one");
  }
}

/** No server could be reached. */
export class TransportUnavailableError extends FractalTreeError {
  override readonly name = "TransportUnavailableError";

  constructor(servers: string, cause: unknown) {
    super("TRANSPORT_UNAVAILABLE", `cannot reach NATS at ${servers}; is nats-server running there?`, { cause });
  }
}

/** The NATS server refuses this connection's user a subject: what goes over it is lost until the permissions change. */
export class PermissionDeniedError extends FractalTreeError {
  override readonly name = "PermissionDeniedError";
  readonly operation: "publish" | "subscribe";
  readonly subject: string;

  constructor(operation: "publish" | "subscribe", subject: string, cause?: unknown) {
    const may = operation === "publish" ? "publish" : "subscribe to";
    super(
      "PERMISSION_DENIED",
      `the NATS server does not let this user ${may} ${subject}; give the user what natsPermissions() of fractal-tree/nats lists for its path`,
      { cause },
    );
    this.operation = operation;
    this.subject = subject;
  }
}

export interface CommandErrorDetails {
  readonly status: Exclude<CommandStatus, "completed">;
  readonly code: CommandErrorCode;
  readonly message: string;
  /** The node that was to execute it. */
  readonly path: string;
  readonly name: string;
  readonly commandId: string;
  /** `code` of the error that the handler threw, if it had one. */
  readonly handlerCode?: string;
}

/** A command, or an upward request, that did not complete. `status` says what is known of its effect. */
export class CommandError extends FractalTreeError {
  override readonly name = "CommandError";
  declare readonly code: CommandErrorCode;
  readonly status: Exclude<CommandStatus, "completed">;
  readonly path: string;
  readonly commandName: string;
  readonly commandId: string;
  readonly handlerCode: string | undefined;

  constructor(details: CommandErrorDetails) {
    super(details.code, `${details.name} at ${details.path}: ${details.message}`);
    this.status = details.status;
    this.path = details.path;
    this.commandName = details.name;
    this.commandId = details.commandId;
    this.handlerCode = details.handlerCode === "" ? undefined : details.handlerCode;
  }
}

function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "an array" : "an object";
  return String(value);
}
