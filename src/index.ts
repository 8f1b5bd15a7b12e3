/** fractal-tree: a supervision and coordination runtime for TypeScript services. */
export {
  CommandError,
  DuplicatePathError,
  FractalTreeError,
  InvalidOptionError,
  InvalidPathError,
  NodeEndedError,
  NodeFencedError,
  PayloadTooLargeError,
  PermissionDeniedError,
  TransportClosedError,
  TransportUnavailableError,
  UnsupportedPayloadError,
  WaitTimeoutError,
  WrongStateError,
} from "./errors.js";
export { validated } from "./node/handlers.js";
export { createNode } from "./node/node.js";
export { stopOnSignals } from "./node/signals.js";
export { memoryTransport } from "./transport/memory.js";

export type { CoordinationState, DegradedReason } from "../machines/coordination.js";
export type { CommandStatus } from "../machines/command.js";
export type { Epoch } from "../machines/epoch.js";
export type { LinkState } from "../machines/link.js";
export type { Threshold } from "../machines/thresholds.js";
export type { CommandErrorCode, ErrorCode } from "./errors.js";
export type { Clock, Random, Timer } from "./health/clock.js";
export type { CommandOptions, CommandOutcome, RequestOptions, RetryOptions } from "./node/dispatch.js";
export type { ChildChange, EndReason, NodeEvents, StateChange } from "./node/events.js";
export type { FanOut, FanOutOptions } from "./node/fan-out.js";
export type { Commands, Handler, HandlerContext, ValidatedHandler } from "./node/handlers.js";
export type { Node, StopOptions } from "./node/node.js";
export type { ChildOptions, EpochStore, Logger, NodeOptions, OrphanPolicy } from "./node/options.js";
export type { SyncedDocument } from "./node/synchronizer.js";
export type { ChildStatus, ChildView, NodeStatus } from "./node/views.js";
export type { WaitOptions } from "./node/wait.js";
export type { Meta } from "./protocol/messages.js";
export type { MemoryTransportOptions } from "./transport/memory.js";
export type { MessageListener, PublishOptions, Subscription, Transport } from "./transport/transport.js";
