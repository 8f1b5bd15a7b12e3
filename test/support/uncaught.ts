/** Collects what surfaces as an uncaught exception while `run` is under way, instead of failing the test run. */
export async function collectUncaught(run: () => Promise<void>): Promise<unknown[]> {
  const collected: unknown[] = [];
  const usual = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", (error) => collected.push(error));
  try {
    await run();
  } finally {
    process.removeAllListeners("uncaughtException");
    for (const listener of usual) process.on("uncaughtException", listener);
  }
  return collected;
}
