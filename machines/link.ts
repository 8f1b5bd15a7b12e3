/**
 * A link as the parent sees it: one child's attachment, in SWIM's words (alive, suspect, dead, left).
 *
 * A suspect child keeps its session and its commands: it may only be busy. Only a dead one loses both.
 */
import { setup } from "xstate";
import { lifecycleTable } from "./lifecycle.js";

export type LinkState = "absent" | "opening" | "alive" | "suspect" | "dead" | "failed" | "left";

export type LinkEvent =
  /** A session was opened with the child: COORD_INIT was answered. */
  | { readonly type: "session.opened" }
  /** COORD_READY: the child's subtree is ready. */
  | { readonly type: "child.ready" }
  /** Silent for longer than its promise and its habits explain. */
  | { readonly type: "child.silent" }
  /** Heard again. */
  | { readonly type: "child.heard" }
  /** Silent for longer than the longest stall that is forgiven. */
  | { readonly type: "child.died" }
  /** The child reported that it failed. */
  | { readonly type: "child.failed" }
  /** The child took leave in order, or acknowledged its shutdown. */
  | { readonly type: "child.left" }
  /** The parent begins another attempt to coordinate: how the child ended in an earlier one does not fail this one. */
  | { readonly type: "child.expected" };

export const linkMachine = setup({ types: { events: {} as LinkEvent } }).createMachine({
  id: "link",
  description: "One child as its parent sees it.",
  initial: "absent",
  states: {
    absent: {
      description: "Expected, but not heard of since the parent began to coordinate.",
      on: { "session.opened": "opening" },
    },
    opening: {
      description: "A session is open; the child's subtree is not ready yet.",
      on: {
        "session.opened": "opening",
        "child.ready": "alive",
        "child.failed": "failed",
        "child.died": "dead",
        "child.left": "left",
      },
    },
    alive: {
      description: "Ready and heard of in time.",
      on: {
        "session.opened": "opening",
        "child.silent": "suspect",
        "child.failed": "failed",
        "child.died": "dead",
        "child.left": "left",
      },
    },
    suspect: {
      description: "Silent; its session and commands are kept.",
      on: {
        "session.opened": "opening",
        "child.heard": "alive",
        "child.failed": "failed",
        "child.died": "dead",
        "child.left": "left",
      },
    },
    dead: {
      description: "Silent for too long; its session is closed. It may come back under a new session.",
      on: { "session.opened": "opening", "child.expected": "absent" },
    },
    failed: {
      description: "Reported failure; it recovers by itself and announces itself again.",
      on: { "session.opened": "opening", "child.left": "left", "child.died": "dead", "child.expected": "absent" },
    },
    left: {
      description: "Gone in order; a redeployed one announces itself again.",
      on: { "session.opened": "opening" },
    },
  },
});

export type LinkEventType = LinkEvent["type"];

export const linkTable = lifecycleTable<LinkState, LinkEventType>(linkMachine);
