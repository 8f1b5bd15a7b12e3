/** A transport that can be cut off without anyone being told: in one process, the nearest thing to `kill -9`. */
import type { Subscription, Transport } from "fractal-tree";

export function severable(inner: Transport): { readonly transport: Transport; readonly sever: () => void } {
  const subscriptions = new Set<Subscription>();
  let isSevered = false;
  const transport: Transport = {
    namespace: inner.namespace,
    tree: inner.tree,
    maxPayloadBytes: inner.maxPayloadBytes,
    connected: true,
    publish: (subject, payload, options) => {
      if (!isSevered) inner.publish(subject, payload, options);
    },
    subscribe: (subject, listener) => {
      const subscription = inner.subscribe(subject, listener);
      subscriptions.add(subscription);
      return subscription;
    },
    onConnection: (listener) => inner.onConnection(listener),
    close: async () => {},
  };
  const sever = (): void => {
    isSevered = true;
    for (const subscription of subscriptions) subscription.unsubscribe();
  };
  return { transport, sever };
}
