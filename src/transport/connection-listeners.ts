/** Who wants to know whether a transport is connected. */
import { rethrowLater } from "../health/rethrow-later.js";
import type { Subscription } from "./transport.js";

type Call = (connected: boolean) => void;

export class ConnectionListeners {
  readonly #listeners = new Set<ConnectionListener>();

  add(call: Call): Subscription {
    const listener = new ConnectionListener(this.#listeners, call);
    this.#listeners.add(listener);
    return listener;
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

class ConnectionListener implements Subscription {
  readonly call: Call;
  readonly #all: Set<ConnectionListener>;

  constructor(all: Set<ConnectionListener>, call: Call) {
    this.#all = all;
    this.call = call;
  }

  unsubscribe(): void {
    this.#all.delete(this);
  }
}
