/** fractal-tree: a supervision and coordination runtime for TypeScript services. */
export {
  ChildExistsError,
  ChildNotFoundError,
  ChildNotStartedError,
  ChildRunningError,
  CommandError,
  DependencyDownError,
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
export { watchNode } from "./node/watch.js";
export { childProcess } from "./supervision/child-process.js";
export { inProcess } from "./supervision/in-process.js";
export { runChild } from "./supervision/run-child.js";
export { workerThread } from "./supervision/worker-thread.js";
export { memoryTransport } from "./transport/memory.js";

export type { AutoShutdown, ExitKind, RestartType, Shutdown, Strategy } from "../machines/child-spec.js";
export type { SupervisedState } from "../machines/supervised-child.js";
export type { SupervisionDecision } from "../machines/supervision.js";
export type { CoordinationState, DegradedReason } from "../machines/coordination.js";
export type { CommandStatus } from "../machines/command.js";
export type { Epoch } from "../machines/epoch.js";
export type { LinkState } from "../machines/link.js";
export type { Threshold } from "../machines/thresholds.js";
export type { CommandErrorCode, ErrorCode } from "./errors.js";
export type { Clock, Random, Timer } from "./health/clock.js";
export type { CommandOptions, CommandOutcome, RequestOptions, RetryOptions } from "./node/dispatch.js";
export type { ChildChange, EndReason, NodeEvents, StateChange, SupervisionEvent } from "./node/events.js";
export type { FanOut, FanOutOptions } from "./node/fan-out.js";
export type { Commands, Handler, HandlerContext, ValidatedHandler } from "./node/handlers.js";
export type { FailOptions, Node, StopOptions } from "./node/node.js";
export type {
  ChildSpec,
  ChildTemplate,
  DynamicChild,
  OwnedChildSpec,
  ProgressRequirement,
  RemoteChildSpec,
  SupervisionOptions,
} from "./node/child-options.js";
export type { ChildCount, ChildInfo } from "./node/child-operations.js";
export type { EpochStore, FailurePolicy, Logger, NodeOptions, OrphanPolicy } from "./node/options.js";
export type { SyncedDocument } from "./node/synchronizer.js";
export type { ChildStatus, ChildView, NodeStatus } from "./node/views.js";
export type { WaitOptions } from "./node/wait.js";
export type { NodeWatch, WatchNodeOptions, WatchOptions } from "./node/watch.js";
export type { NodeEnd } from "./node/watched-node.js";
export type { Meta } from "./protocol/messages.js";
export type { ChildProcessOptions } from "./supervision/child-process.js";
export type { ChildContext, RunChildOptions } from "./supervision/run-child.js";
export type { WorkerThreadOptions } from "./supervision/worker-thread.js";
export type { NodeFactory, StartableNode } from "./supervision/in-process.js";
export type { ChildExit, StartContext, StartedChild, Starter } from "./supervision/starter.js";
export type { MemoryTransportOptions } from "./transport/memory.js";
export type {
  Letter,
  LetterListener,
  MessageListener,
  PublishOptions,
  Route,
  Subscription,
  Transport,
} from "./transport/transport.js";
