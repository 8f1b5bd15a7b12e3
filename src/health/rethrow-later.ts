/** Lets an error surface without stopping whoever called the function that threw it. */
export function rethrowLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
