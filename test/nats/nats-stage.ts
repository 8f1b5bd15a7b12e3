/** A stage over a real NATS server in real time: every host is cut off by subject, and dies by losing clock and transport. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Clock, Timer, Transport } from "../../src/index.js";
import { realClock } from "../../src/health/real-clock.js";
import { type NatsConnectionLike, natsTransport } from "../../src/nats.js";
import { broadcastSubject, childrenSubject, downSubject, upSubject } from "../../src/protocol/subjects.js";
import type { Subscription } from "../../src/transport/transport.js";
import { type Cuts, type Host, NODE, type Stage } from "../node/paths/stage.js";

const POLL_MS = 5;

/** `tree` keeps this stage apart from others on the same connection; children are `top.node.<id>`. */
export function natsStage(connection: NatsConnectionLike, tree: string): Stage {
  const transport = natsTransport({ connection, tree });
  let cuts: Cuts = { parent: false, children: false };
  const isCut = cutTest(transport, () => cuts);
  return {
    keepsInstants: false,
    host: (name) => newHost(transport, name === NODE ? isCut : () => false),
    cut: (now) => (cuts = now),
    until: async (condition, withinMs) => {
      const untilMs = realClock.now() + withinMs;
      while (!condition() && realClock.now() < untilMs) await sleep(POLL_MS);
      return condition();
    },
  };
}

/** Whether a subject that the node publishes or hears on is cut. */
function cutTest(transport: Transport, cuts: () => Cuts): (subject: string) => boolean {
  const ofParent = new Set([
    upSubject(transport, "top.node"),
    downSubject(transport, "top.node"),
    broadcastSubject(transport, "top"),
  ]);
  const prefixes = [
    childrenSubject(transport, "top.node").replace("*", ""),
    downSubject(transport, "top.node."),
    broadcastSubject(transport, "top.node"),
  ];
  return (subject) =>
    ofParent.has(subject) ? cuts().parent : cuts().children && prefixes.some((prefix) => subject.startsWith(prefix));
}

function newHost(transport: Transport, isCut: (subject: string) => boolean): Host {
  const subscriptions: Subscription[] = [];
  let isAlive = true;
  const { clock, stop } = mortalClock();
  return {
    clock,
    random: Math.random,
    transport: {
      namespace: transport.namespace,
      tree: transport.tree,
      maxPayloadBytes: transport.maxPayloadBytes,
      get connected() {
        return transport.connected;
      },
      publish: (subject, payload, options) => {
        if (isAlive && !isCut(subject)) transport.publish(subject, payload, options);
      },
      subscribe: (subject, listener) => {
        const subscription = transport.subscribe(subject, (payload, at) => {
          if (isAlive && !isCut(at)) listener(payload, at);
        });
        subscriptions.push(subscription);
        return subscription;
      },
      onConnection: (listener) => transport.onConnection(listener),
      close: async () => {},
    },
    kill: () => {
      isAlive = false;
      stop();
      for (const subscription of subscriptions) subscription.unsubscribe();
    },
  };
}

/** The process's clock for one host: nothing of a dead host runs any more. */
function mortalClock(): { readonly clock: Clock; readonly stop: () => void } {
  const timers = new Set<Timer>();
  let isAlive = true;
  const clock: Clock = {
    now: () => realClock.now(),
    wallNow: () => realClock.wallNow(),
    setTimeout: (callback, delayMs) => {
      const timer = realClock.setTimeout(() => {
        timers.delete(timer);
        callback();
      }, delayMs);
      if (isAlive) timers.add(timer);
      else realClock.clearTimeout(timer);
      return timer;
    },
    clearTimeout: (timer) => {
      timers.delete(timer);
      realClock.clearTimeout(timer);
    },
    defer: (callback) => realClock.defer(() => isAlive && callback()),
  };
  const stop = (): void => {
    isAlive = false;
    for (const timer of timers) realClock.clearTimeout(timer);
    timers.clear();
  };
  return { clock, stop };
}
