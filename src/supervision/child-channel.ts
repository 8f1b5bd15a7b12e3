/**
 * What a starter and its child in another thread or process say to each other, beside the transport's messages:
 *
 *   child → starter   hello · started · refused(code, message) · ended(reason, failure) · crashed(message)
 *   starter → child   start(order) · stop(timeoutMs)
 *
 * The child speaks first, so that nothing is lost while its program loads.
 */
import type { PortTransportNames } from "../transport/port-transport.js";

const TAG = "ft.child";

/** What a child is told to be. */
export interface StartOrder extends PortTransportNames {
  readonly path: string;
  readonly id: string;
  readonly generation: number;
  readonly args: unknown;
  readonly data: unknown;
  /** It goes on when its parent's process is gone. */
  readonly outlivesParent: boolean;
}

export type FromChild =
  | readonly [tag: string, kind: "hello"]
  | readonly [tag: string, kind: "started"]
  | readonly [tag: string, kind: "refused", code: string, message: string]
  | readonly [tag: string, kind: "ended", reason: string, failure: string | null]
  | readonly [tag: string, kind: "crashed", message: string];

export type ToChild =
  | readonly [tag: string, kind: "start", order: StartOrder]
  | readonly [tag: string, kind: "stop", timeoutMs: number];

type WithoutTag<T> = T extends readonly [string, ...infer Rest] ? Rest : never;

export function fromChild(...parts: WithoutTag<FromChild>): FromChild {
  return [TAG, ...parts] as unknown as FromChild;
}

export function toChild(...parts: WithoutTag<ToChild>): ToChild {
  return [TAG, ...parts] as unknown as ToChild;
}

/** What a message of the child's says; null when it is none. Both sides run the same version of this package. */
export function asFromChild(message: unknown): FromChild | null {
  return isTagged(message) ? (message as unknown as FromChild) : null;
}

/** What a message of the starter's says; null when it is none. */
export function asToChild(message: unknown): ToChild | null {
  return isTagged(message) ? (message as unknown as ToChild) : null;
}

function isTagged(message: unknown): message is readonly unknown[] {
  return Array.isArray(message) && message[0] === TAG && typeof message[1] === "string";
}

/** Exit code of a child that lacks a dependency: EX_TEMPFAIL of sysexits.h. */
export const EXIT_DEPENDENCY_DOWN = 75;
