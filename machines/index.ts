/** The machines and pure functions that decide what the runtime does. */
export { nextBackoffMs } from "./backoff.js";
export { commandMachine, commandTable } from "./command.js";
export { coordinationMachine, degradedReasons } from "./coordination.js";
export { compareEpochs, formatEpoch, grantEpoch } from "./epoch.js";
export { forgivenStallMs } from "./failure-detector.js";
export { lifecycleTable } from "./lifecycle.js";
export { linkMachine, linkTable } from "./link.js";
export { noteRestart, restartsLeft } from "./restart-intensity.js";
export { supervisedChildMachine, supervisedChildTable } from "./supervised-child.js";
export { Supervisor } from "./supervisor.js";
export { isComplete, isEnough, isFailure, NO_CHILDREN, reaches } from "./thresholds.js";

export type { BackoffOptions } from "./backoff.js";
export type { CommandEvent, CommandState, CommandStatus } from "./command.js";
export type {
  CoordinationContext,
  CoordinationEffect,
  CoordinationEvent,
  CoordinationInput,
  CoordinationState,
  DegradedReason,
} from "./coordination.js";
export type { Epoch } from "./epoch.js";
export type { LifecycleTable } from "./lifecycle.js";
export type { LinkEvent, LinkState } from "./link.js";
export type { AutoShutdown, ChildPlan, ExitKind, RestartType, Shutdown, Strategy } from "./child-spec.js";
export type { IntensityOptions, RestartHistory } from "./restart-intensity.js";
export type { SupervisedChild, SupervisedEvent, SupervisedState } from "./supervised-child.js";
export type { SupervisedExit, SupervisionDecision, SupervisorAction, SupervisorOptions } from "./supervision.js";
export type { ChildCounts, Threshold, Thresholds } from "./thresholds.js";
