/** What a worker tells the demo over IPC. Coordination goes over NATS alone. */
import type { StateChange } from "../../index.js";

export interface WorkerReport {
  readonly change: StateChange;
  /** When it came about, milliseconds since 1970: the change's own time is that of the worker's clock. */
  readonly atMs: number;
}
