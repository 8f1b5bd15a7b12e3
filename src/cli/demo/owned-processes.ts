/** The child processes of the demo, none of which outlives it. */
import type { ChildProcess } from "node:child_process";

const running = new Set<ChildProcess>();

// However this process ends, short of SIGKILL: what waits for them to end in order is elsewhere.
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export function owned(child: ChildProcess): ChildProcess {
  // It could not be started: its "error" event says why.
  if (child.pid === undefined) return child;
  running.add(child);
  child.on("exit", () => running.delete(child));
  return child;
}

/** Ends a process with SIGKILL and resolves when it is gone; what may still come in `graceMs` is awaited first. */
export async function endProcess(child: ChildProcess, graceMs = 0): Promise<void> {
  if (!running.has(child)) return;
  const timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
  await new Promise((resolve) => {
    child.once("exit", resolve);
  });
  clearTimeout(timer);
}
