/** Who wants to know whether a transport is connected. */
import { rethrowLater } from "./subscriptions.js";
import type { Subscription } from "./transport.js";

export class ConnectionListeners {
  readonly #listeners = new Set<{ readonly call: (connected: boolean) => void }>();

  add(call: (connected: boolean) => void): Subscription {
    const entry = { call };
    this.#listeners.add(entry);
    return { unsubscribe: () => void this.#listeners.delete(entry) };
  }

  notify(connected: boolean): void {
    for (const { call } of this.#listeners) {
      try {
        call(connected);
      } catch (error) {
        rethrowLater(error);
      }
    }
  }
}
