/** SIGTERM and the like: the service leaves in order instead of looking like a crash. */
import { constants } from "node:os";
import { InvalidOptionError } from "../errors.js";
import type { Node, StopOptions } from "./node.js";
import { delay, known, list, record, withMethods } from "./option-checks.js";

export interface StopOnSignalsOptions extends StopOptions {
  /** @default ["SIGTERM", "SIGINT"] */
  readonly signals?: readonly NodeJS.Signals[];
}

const OPTIONS = ["signals", "timeoutMs", "reason"] as const;

/**
 * Stops the node at the first of these signals. The process then ends by itself once nothing else keeps it alive; close
 * the transport and your servers after `await node.ended`.
 *
 * @returns a function that stops listening
 * @throws InvalidOptionError
 */
export function stopOnSignals(node: Node, options: StopOnSignalsOptions = {}): () => void {
  withMethods("node", node, ["stop"]);
  const { signals, stop } = resolve(options);
  const off = (): void => signals.forEach((signal) => void process.removeListener(signal, leave));
  const leave = (signal: NodeJS.Signals): void => {
    off();
    void node.stop({ reason: signal, ...stop });
  };
  for (const signal of signals) process.once(signal, leave);
  void node.ended.then(off);
  return off;
}

/** A mistake is to show when the service starts, not when it is to end. */
function resolve(options: StopOnSignalsOptions): {
  readonly signals: readonly NodeJS.Signals[];
  readonly stop: StopOptions;
} {
  known("options", record("options", options), OPTIONS);
  const { signals = ["SIGTERM", "SIGINT"], ...stop } = options;
  list("signals", signals).forEach((signal, place) => assertSignal(`signals[${place}]`, signal));
  if (stop.timeoutMs !== undefined) delay("timeoutMs", stop.timeoutMs);
  if (stop.reason !== undefined && typeof stop.reason !== "string") {
    throw new InvalidOptionError("reason", stop.reason, "a text");
  }
  return { signals, stop };
}

/** Those that no process can handle. */
const DEADLY: ReadonlySet<string> = new Set(["SIGKILL", "SIGSTOP"]);

function assertSignal(option: string, signal: NodeJS.Signals): void {
  if (Object.hasOwn(constants.signals, signal) && !DEADLY.has(signal)) return;
  throw new InvalidOptionError(option, signal, "the name of a signal that can be handled, such as SIGTERM");
}
