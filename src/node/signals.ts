/** SIGTERM and the like: the service leaves in order instead of looking like a crash. */
import type { Node, StopOptions } from "./node.js";

export interface StopOnSignalsOptions extends StopOptions {
  /** @default ["SIGTERM", "SIGINT"] */
  readonly signals?: readonly NodeJS.Signals[];
}

/**
 * Stops the node at the first of these signals. The process then ends by itself once nothing else keeps it alive; close
 * the transport and your servers after `await node.ended`.
 *
 * @returns a function that stops listening
 */
export function stopOnSignals(node: Node, options: StopOnSignalsOptions = {}): () => void {
  const { signals = ["SIGTERM", "SIGINT"], ...stop } = options;
  const off = (): void => signals.forEach((signal) => void process.removeListener(signal, leave));
  const leave = (signal: NodeJS.Signals): void => {
    off();
    void node.stop({ reason: signal, ...stop });
  };
  for (const signal of signals) process.once(signal, leave);
  void node.ended.then(off);
  return off;
}
