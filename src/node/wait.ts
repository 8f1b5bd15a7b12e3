/** Waiting for a node's state. */
import type { CoordinationState } from "../../machines/coordination.js";
import { InvalidOptionError, NodeEndedError, WaitTimeoutError } from "../errors.js";
import { STATES } from "../protocol/messages.js";
import { delay } from "./option-checks.js";
import type { NodeRuntime } from "./runtime.js";

export interface WaitOptions {
  readonly signal?: AbortSignal;
  /** Rejects with WAIT_TIMED_OUT after this long, milliseconds. @default no limit */
  readonly timeoutMs?: number;
}

/** @throws WaitTimeoutError, NodeEndedError, the signal's reason, all by rejection; InvalidOptionError */
export async function untilState(
  runtime: NodeRuntime,
  state: CoordinationState,
  { signal, timeoutMs }: WaitOptions,
): Promise<void> {
  const { core, coordinator } = runtime;
  const { path, emitter } = core;
  const { clock } = core.options;
  if (!STATES.includes(state)) throw new InvalidOptionError("state", state, `one of ${STATES.join(", ")}`);
  const limitMs = timeoutMs === undefined ? null : delay("timeoutMs", timeoutMs);
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(signal.reason as Error);
    if (coordinator.state === state) return resolve();
    if (runtime.phase === "ended") return reject(new NodeEndedError(path, "it cannot reach a state"));
    const settle = (act: () => void): void => {
      for (const undo of undos) undo();
      act();
    };
    const abort = (): void => settle(() => reject(signal?.reason as Error));
    const expire = (): void => settle(() => reject(new WaitTimeoutError(`${path} ${state}`, limitMs ?? 0)));
    const timer = limitMs === null ? null : clock.setTimeout(expire, limitMs);
    const undos = [
      emitter.on("state.changed", (change) => change.state === state && settle(resolve)),
      emitter.on("node.ended", ({ reason }) => settle(() => reject(new NodeEndedError(path, reason)))),
      () => signal?.removeEventListener("abort", abort),
      () => timer !== null && clock.clearTimeout(timer),
    ];
    signal?.addEventListener("abort", abort, { once: true });
  });
}
