/** What a node throws where nobody catches it, collected instead of failing the run without a word about the case. */
import { collectUncaught } from "../support/uncaught.js";

/** Runs and returns the errors that surfaced as uncaught exceptions or unhandled rejections. Rejects as `run` does. */
export async function surfaced(run: () => Promise<void>): Promise<readonly unknown[]> {
  const rejections: unknown[] = [];
  const usual = process.listeners("unhandledRejection");
  process.removeAllListeners("unhandledRejection");
  process.on("unhandledRejection", (error) => rejections.push(error));
  try {
    const exceptions = await collectUncaught(async () => {
      await run();
      // Rejections are told after the turn.
      await new Promise((resolve) => setImmediate(resolve));
    });
    return [...exceptions, ...rejections];
  } finally {
    process.removeAllListeners("unhandledRejection");
    for (const listener of usual) process.on("unhandledRejection", listener);
  }
}
