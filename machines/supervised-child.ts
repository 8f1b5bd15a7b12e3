/** One declared child as its supervisor sees it: which incarnation of it lives, and what is being done about it. */
import { setup } from "xstate";
import type { ChildPlan } from "./child-spec.js";
import { lifecycleTable } from "./lifecycle.js";
import type { RestartHistory } from "./restart-intensity.js";
import type { SupervisedExit } from "./supervision.js";

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

/** One child. Mutable on purpose, as there may be ten thousand; only the supervisor writes. */
export interface SupervisedChild {
  readonly plan: ChildPlan;
  state: SupervisedState;
  generation: number;
  /** It is to run. */
  wanted: boolean;
  /** It is to end because of a sibling, and then to start again. */
  cycling: boolean;
  /** Terminated by a user, or ended for good: it stays so until a user restarts it. */
  terminated: boolean;
  /** Its first start was asked for by a user, who is told if it fails: then it is not tried again. */
  trial: "new" | "again" | null;
  /** Why it is ending although nobody told it to; null otherwise. */
  ending: SupervisedExit | null;
  killed: boolean;
  /** Not to be started before, milliseconds. */
  notBeforeMs: number;
  /** When its start or its end has taken too long, milliseconds. */
  deadlineAtMs: number;
  history: RestartHistory;
  attempt: number;
  delayMs: number;
  readyAtMs: number;
}

/** A child that was just declared: it is to run. */
export function newChild(plan: ChildPlan, { isTrial }: { readonly isTrial: boolean }): SupervisedChild {
  return {
    plan,
    state: "stopped",
    generation: 0,
    wanted: true,
    cycling: false,
    terminated: false,
    trial: isTrial ? "new" : null,
    ending: null,
    killed: false,
    notBeforeMs: 0,
    deadlineAtMs: Infinity,
    history: [],
    attempt: 0,
    delayMs: 0,
    readyAtMs: Infinity,
  };
}

/** An incarnation of it may live. */
export function isActive({ state }: SupervisedChild): boolean {
  return state === "starting" || state === "running" || state === "stopping";
}

/** What an end is attributed to: what was said of it before, unless its exit tells more. */
export function causeOf(child: SupervisedChild, exit: SupervisedExit): SupervisedExit {
  const { ending, killed } = child;
  if (ending === null || exit.kind === "dependencyDown") return exit;
  // A farewell does not say who wanted the end, and who took leave in order may still crash.
  if (isOrderly(ending) && !killed) return exit;
  const isCrash = exit.kind === "failed" && !killed && ending.kind !== "dependencyDown";
  return isCrash ? exit : ending;
}

function isOrderly({ kind }: SupervisedExit): boolean {
  return kind === "normal" || kind === "shutdown";
}
