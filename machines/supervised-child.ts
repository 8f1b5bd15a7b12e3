/** One declared child as its supervisor sees it: which incarnation of it lives, and what is being done about it. */
import { setup } from "xstate";
import { lifecycleTable } from "./lifecycle.js";

export type SupervisedState = "stopped" | "starting" | "running" | "stopping" | "restarting" | "cooling";

export type SupervisedEvent =
  /** Its starter is asked for an incarnation. */
  | { readonly type: "child.start" }
  /** Its subtree is ready. */
  | { readonly type: "child.ready" }
  /** A living process that this supervisor did not start holds the path. */
  | { readonly type: "child.adopted" }
  /** It is told to end, or says that it is ending. */
  | { readonly type: "child.stop" }
  /** It is certainly gone. */
  | { readonly type: "child.exited" }
  /** It is to be started again after a delay. */
  | { readonly type: "restart.scheduled" }
  /** It was restarted too often and rests before the next attempt. */
  | { readonly type: "restart.cooling" }
  /** It is not to be started after all. */
  | { readonly type: "restart.withdrawn" };

export const supervisedChildMachine = setup({ types: { events: {} as SupervisedEvent } }).createMachine({
  id: "supervisedChild",
  description: "One declared child as its supervisor sees it.",
  initial: "stopped",
  states: {
    stopped: {
      description: "No incarnation lives: not started yet, its turn has not come, or it ended for good.",
      on: {
        "child.start": "starting",
        "child.adopted": "running",
        "restart.scheduled": "restarting",
        "restart.cooling": "cooling",
      },
    },
    starting: {
      description: "An incarnation was started; its subtree is not ready yet.",
      on: { "child.ready": "running", "child.stop": "stopping", "child.exited": "stopped" },
    },
    running: {
      description: "The incarnation is ready, or was.",
      on: { "child.stop": "stopping", "child.exited": "stopped" },
    },
    stopping: {
      description: "The incarnation is ending; it is killed when it takes too long.",
      on: { "child.exited": "stopped" },
    },
    restarting: {
      description: "Waits for the end of its delay before the next incarnation.",
      on: { "child.start": "starting", "child.adopted": "running", "restart.withdrawn": "stopped" },
    },
    cooling: {
      description: "Failed too often; tried again after the cooldown.",
      on: { "child.start": "starting", "child.adopted": "running", "restart.withdrawn": "stopped" },
    },
  },
});

export const supervisedChildTable = lifecycleTable<SupervisedState, SupervisedEvent["type"]>(supervisedChildMachine);
