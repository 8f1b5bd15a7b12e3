/**
 * A node's own connection to a broker that others share, which can be cut as if the node's process had been killed:
 * nothing gets through in either direction any more, nobody is told, and the node itself notices nothing.
 */
import type { MessageListener, PublishOptions, Subscription, Transport } from "../../index.js";

export class SeverableTransport implements Transport {
  readonly #broker: Transport;
  readonly #subscriptions = new Set<Subscription>();
  #isSevered = false;

  constructor(broker: Transport) {
    this.#broker = broker;
  }

  get namespace(): string {
    return this.#broker.namespace;
  }

  get tree(): string {
    return this.#broker.tree;
  }

  get maxPayloadBytes(): number {
    return this.#broker.maxPayloadBytes;
  }

  get connected(): boolean {
    return this.#broker.connected;
  }

  publish(subject: string, payload: Uint8Array, options?: PublishOptions): void {
    if (!this.#isSevered) this.#broker.publish(subject, payload, options);
  }

  subscribe(subject: string, listener: MessageListener): Subscription {
    if (this.#isSevered) return { unsubscribe: () => {} };
    return this.#own(this.#broker.subscribe(subject, listener));
  }

  onConnection(listener: (connected: boolean) => void): Subscription {
    return this.#own(this.#broker.onConnection(listener));
  }

  /** Drops everything in both directions from now on, silently. */
  sever(): void {
    this.#isSevered = true;
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    this.#subscriptions.clear();
  }

  /** The broker stays open: others use it. */
  async close(): Promise<void> {
    this.sever();
  }

  #own(subscription: Subscription): Subscription {
    this.#subscriptions.add(subscription);
    return {
      unsubscribe: () => {
        this.#subscriptions.delete(subscription);
        subscription.unsubscribe();
      },
    };
  }
}
