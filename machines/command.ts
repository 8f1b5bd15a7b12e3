/**
 * The life of a command as its caller sees it. Every accepted command ends in exactly one final state.
 */
import { setup } from "xstate";
import { lifecycleTable } from "./lifecycle.js";

/** How a command ended. */
export type CommandStatus = "completed" | "failed" | "cancelled" | "timedOut" | "notStarted" | "unknown";

export type CommandState = "queued" | "sent" | "waiting" | "cancelling" | CommandStatus;

export type CommandEvent =
  /** Handed to the link, within the child's credit. */
  | { readonly type: "command.sent" }
  /** The executor returned a result. */
  | { readonly type: "command.completed" }
  /** The handler threw. */
  | { readonly type: "command.failed" }
  /** The executor confirms that it was cancelled, or it never left. */
  | { readonly type: "command.cancelled" }
  /** The deadline passed. */
  | { readonly type: "command.expired" }
  /** Refused before it began: overloaded, unknown, draining, no such child. */
  | { readonly type: "command.refused" }
  /** The executor was lost after the command may have begun. */
  | { readonly type: "command.lost" }
  /** The executor was lost, but the command is idempotent: it waits to be sent again. */
  | { readonly type: "command.postponed" }
  /** The caller wants it stopped. */
  | { readonly type: "command.cancel" };

const finals = {
  completed: { type: "final", description: "The handler returned a result." },
  failed: { type: "final", description: "The handler threw." },
  cancelled: { type: "final", description: "The caller stopped it." },
  timedOut: { type: "final", description: "The deadline passed first." },
  notStarted: { type: "final", description: "It certainly did not begin." },
  unknown: { type: "final", description: "The executor was lost after it may have begun." },
} as const;

export const commandMachine = setup({ types: { events: {} as CommandEvent } }).createMachine({
  id: "command",
  description: "One command as its caller sees it.",
  initial: "queued",
  states: {
    queued: {
      description: "Accepted by the caller's node, waiting for the child's credit.",
      on: {
        "command.sent": "sent",
        "command.cancel": "cancelled",
        "command.expired": "timedOut",
        "command.refused": "notStarted",
        "command.postponed": "waiting",
      },
    },
    sent: {
      description: "On its way to the executor or running there.",
      on: {
        "command.completed": "completed",
        "command.failed": "failed",
        "command.cancelled": "cancelled",
        "command.cancel": "cancelling",
        "command.expired": "timedOut",
        "command.refused": "notStarted",
        "command.lost": "unknown",
        "command.postponed": "waiting",
      },
    },
    waiting: {
      description: "Idempotent and without an executor: it is sent again, under the same id, when there is one.",
      on: {
        "command.sent": "sent",
        "command.cancel": "cancelled",
        "command.expired": "timedOut",
        "command.refused": "notStarted",
        "command.lost": "unknown",
        "command.postponed": "waiting",
      },
    },
    cancelling: {
      description: "The executor was asked to stop it.",
      on: {
        "command.completed": "completed",
        "command.failed": "failed",
        "command.cancelled": "cancelled",
        "command.expired": "cancelled",
        "command.refused": "notStarted",
        "command.lost": "unknown",
        "command.postponed": "cancelled",
      },
    },
    ...finals,
  },
});

export type CommandEventType = CommandEvent["type"];

export const commandTable = lifecycleTable<CommandState, CommandEventType>(commandMachine);
