/** What a node tells its user: typed events, and streams of them for `for await`. */
import type { CoordinationState, DegradedReason } from "../../machines/coordination.js";
import type { LinkState } from "../../machines/link.js";
import type { SupervisionDecision } from "../../machines/supervision.js";
import { EventStream } from "./event-stream.js";
import type { CommandError, DuplicatePathError, NodeFencedError } from "../errors.js";
import { rethrowLater } from "../health/rethrow-later.js";

export interface StateChange {
  /** Monotonic time of the node's clock, milliseconds. */
  readonly atMs: number;
  readonly path: string;
  readonly from: CoordinationState;
  readonly state: CoordinationState;
  /** Why it is DEGRADED; empty in other states. */
  readonly reasons: readonly DegradedReason[];
  /** Why it FAILED; null in other states. */
  readonly failure: string | null;
}

export interface ChildChange {
  readonly atMs: number;
  readonly id: string;
  readonly from: LinkState;
  readonly state: LinkState;
  /** The child's epoch, dotted; empty when it was granted none. */
  readonly epoch: string;
}

export interface SupervisionEvent extends SupervisionDecision {
  /** Monotonic time of the node's clock, milliseconds. */
  readonly atMs: number;
  /** The child's epoch, dotted: of its latest incarnation that had a session; empty before the first. */
  readonly epoch: string;
}

export interface NodeEvents {
  "state.changed": StateChange;
  "child.changed": ChildChange;
  /** What was decided about a child that this node starts itself: each start, restart and end, with its reason. */
  "supervision.decided": SupervisionEvent;
  /** A child reported data of its own. */
  "child.reported": { readonly id: string; readonly data: unknown };
  /** The parent's document arrived. */
  "sync.received": { readonly version: number; readonly document: unknown };
  /** Something that was accepted could not be delivered or answered. */
  "command.undelivered": { readonly path: string; readonly name: string; readonly error: CommandError };
  /** An inbound message was dropped; told once for each sender and reason. */
  "message.dropped": { readonly sender: string; readonly reason: string };
  /** Another process took this path over, or keeps it; this node has stopped itself. */
  "node.fenced": { readonly error: NodeFencedError | DuplicatePathError };
  /** The connection was lost, or is back. States are kept meanwhile and nobody is judged. */
  "transport.changed": { readonly connected: boolean };
  "node.ended": { readonly reason: EndReason };
}

/** Why a node is over for good. */
export type EndReason =
  | "stopped"
  | "shutdown"
  | "orphaned"
  | "fenced"
  | "duplicatePath"
  | "transportClosed"
  /** It FAILED and is not to recover by itself: its parent starts it again, or `onFailed` is "end". */
  | "failed"
  /** As `failed`, for want of something that is not its own fault. */
  | "dependencyDown";

type Listener<T> = (event: T) => void;

export class NodeEmitter {
  /** Made for the first listener: most nodes have none. */
  #listeners: Map<string, Set<Listener<never>>> | null = null;
  #streams: Set<() => void> | null = null;
  #isClosed = false;

  /** Adds a listener; the returned function removes it. */
  on<K extends keyof NodeEvents>(name: K, listener: Listener<NodeEvents[K]>): () => void {
    this.#listeners ??= new Map();
    let listeners = this.#listeners.get(name);
    if (listeners === undefined) this.#listeners.set(name, (listeners = new Set()));
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  hasListeners(name: keyof NodeEvents): boolean {
    return (this.#listeners?.get(name)?.size ?? 0) > 0;
  }

  /** A listener that throws must not break the runtime, nor be hidden. */
  emit<K extends keyof NodeEvents>(name: K, event: NodeEvents[K]): void {
    const listeners = this.#listeners?.get(name);
    if (listeners === undefined) return;
    for (const listener of listeners) {
      try {
        (listener as Listener<NodeEvents[K]>)(event);
      } catch (error) {
        rethrowLater(error);
      }
    }
  }

  /** Events from now on, until the node ends, the signal aborts or the consumer breaks off. */
  stream<K extends keyof NodeEvents>(name: K, signal?: AbortSignal): EventStream<NodeEvents[K]> {
    const end = (): void => stream.end();
    const stream = new EventStream<NodeEvents[K]>(() => {
      off();
      this.#streams?.delete(end);
      signal?.removeEventListener("abort", end);
    });
    const off = this.on(name, (event) => stream.push(event));
    (this.#streams ??= new Set()).add(end);
    signal?.addEventListener("abort", end, { once: true });
    if (this.#isClosed || signal?.aborted === true) stream.end();
    return stream;
  }

  /** Ends all streams and forgets all listeners. */
  close(): void {
    this.#isClosed = true;
    for (const end of this.#streams ?? []) end();
    this.#listeners?.clear();
  }
}
