/** What every transport must do (see src/transport/transport.ts), as one suite that each of them runs. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { PayloadTooLargeError, TransportClosedError } from "../../src/errors.js";
import type { Subscription, Transport } from "../../src/transport/transport.js";
import { collectUncaught } from "../support/uncaught.js";

/** Two ends of one broker; in memory both are the same transport. */
export interface TransportPair {
  readonly publisher: Transport;
  readonly subscriber: Transport;
}

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (payload: Uint8Array) => new TextDecoder().decode(payload);

let fences = 0;

/**
 * Resolves when everything subscribed before is in force and everything published before has been delivered: a message
 * after them, on the same connections, has come through.
 */
export async function settled({ publisher, subscriber }: TransportPair): Promise<void> {
  const subject = `test.fence.${fences++}`;
  let arrived: (() => void) | undefined;
  const subscription = subscriber.subscribe(subject, () => arrived?.());
  // The subscriber's own message proves that the server knows the subscriptions; the publisher's comes after.
  for (const sender of [subscriber, publisher]) {
    await new Promise<void>((resolve) => {
      arrived = resolve;
      sender.publish(subject, encode("fence"));
    });
  }
  subscription.unsubscribe();
}

/** Subscribes and keeps what arrives as `subject=text`. */
export function collect(
  transport: Transport,
  subject: string,
): { readonly got: string[]; readonly subscription: Subscription } {
  const got: string[] = [];
  const subscription = transport.subscribe(subject, (payload, from) => got.push(`${from}=${decode(payload)}`));
  return { got, subscription };
}

export function transportConformance(name: string, makePair: () => Promise<TransportPair>): void {
  describe(`${name} conforms`, () => {
    let pair: TransportPair;
    let publisher: Transport;
    let subscriber: Transport;
    beforeEach(async () => {
      pair = await makePair();
      ({ publisher, subscriber } = pair);
    });
    afterEach(async () => {
      await Promise.all([publisher.close(), subscriber.close()]);
    });

    test("delivers in the order of publication, over subjects too", async () => {
      const got: string[] = [];
      for (const subject of ["test.a", "test.b"]) subscriber.subscribe(subject, (payload) => got.push(decode(payload)));
      await settled(pair);
      const sent = Array.from({ length: 500 }, (_, i) => String(i));
      for (const [i, text] of sent.entries()) publisher.publish(i % 3 === 0 ? "test.b" : "test.a", encode(text));
      await settled(pair);
      expect(got).toEqual(sent);
    });

    test("delivers to every listener of a subject, in the order of subscription", async () => {
      const got: string[] = [];
      for (const id of ["first", "second", "third"]) subscriber.subscribe("test.a", () => got.push(id));
      await settled(pair);
      publisher.publish("test.a", encode("x"));
      await settled(pair);
      expect(got).toEqual(["first", "second", "third"]);
    });

    test("matches exact subjects exactly and * as one last token", async () => {
      const exact = collect(subscriber, "test.a");
      const wildcard = collect(subscriber, "test.a.*");
      await settled(pair);
      for (const subject of ["test.a", "test.a.b", "test.a.b.c", "test.ab", "test", "test.a.c"]) {
        publisher.publish(subject, encode("x"));
      }
      await settled(pair);
      expect(exact.got).toEqual(["test.a=x"]);
      expect(wildcard.got).toEqual(["test.a.b=x", "test.a.c=x"]);
    });

    test("matches > as one or more last tokens, beside other subscriptions to the same subjects", async () => {
      const exact = collect(subscriber, "test.a.b");
      const wildcard = collect(subscriber, "test.a.*");
      const tail = collect(subscriber, "test.a.>");
      const wide = collect(subscriber, "test.>");
      await settled(pair);
      for (const subject of ["test.a", "test.a.b", "test.a.b.c", "test.ab.c"]) publisher.publish(subject, encode("x"));
      await settled(pair);
      expect(exact.got).toEqual(["test.a.b=x"]);
      expect(wildcard.got).toEqual(["test.a.b=x"]);
      expect(tail.got).toEqual(["test.a.b=x", "test.a.b.c=x"]);
      const ours = wide.got.filter((got) => !got.startsWith("test.fence"));
      expect(ours).toEqual(["test.a=x", "test.a.b=x", "test.a.b.c=x", "test.ab.c=x"]);
      for (const { subscription } of [tail, wide]) subscription.unsubscribe();
      publisher.publish("test.a.b", encode("y"));
      await settled(pair);
      expect([tail.got.length, exact.got]).toEqual([2, ["test.a.b=x", "test.a.b=y"]]);
    });

    test.each(["", "a..b", "a.", ".a", "a.*.b", "a.>.b", "*", ">", "a>", "a b"])(
      "refuses to subscribe to %j",
      (subject) => {
        expect(() => subscriber.subscribe(subject, () => {})).toThrow("subject must be");
      },
    );

    test("keeps a subject while one of its listeners is left", async () => {
      const first = collect(subscriber, "test.a");
      const second = collect(subscriber, "test.a");
      await settled(pair);
      first.subscription.unsubscribe();
      first.subscription.unsubscribe();
      publisher.publish("test.a", encode("1"));
      await settled(pair);
      second.subscription.unsubscribe();
      publisher.publish("test.a", encode("2"));
      await settled(pair);
      const third = collect(subscriber, "test.a");
      await settled(pair);
      publisher.publish("test.a", encode("3"));
      await settled(pair);
      expect([first.got, second.got, third.got]).toEqual([[], ["test.a=1"], ["test.a=3"]]);
    });

    test("an unsubscription inside a listener takes effect at once, for itself and for others", async () => {
      const got: string[] = [];
      const own = subscriber.subscribe("test.a", () => {
        got.push("own");
        own.unsubscribe();
        other.unsubscribe();
      });
      const other = subscriber.subscribe("test.a", () => got.push("other"));
      subscriber.subscribe("test.a", () => got.push("rest"));
      await settled(pair);
      publisher.publish("test.a", encode("1"));
      publisher.publish("test.a", encode("2"));
      await settled(pair);
      expect(got).toEqual(["own", "rest", "rest"]);
    });

    test("a listener added inside a listener gets the next message, not the present one", async () => {
      const got: string[] = [];
      let added = false;
      subscriber.subscribe("test.a", () => {
        if (!added) subscriber.subscribe("test.a", (payload) => got.push(decode(payload)));
        added = true;
      });
      await settled(pair);
      publisher.publish("test.a", encode("1"));
      await settled(pair);
      publisher.publish("test.a", encode("2"));
      await settled(pair);
      expect(got).toEqual(["2"]);
    });

    test("a throwing listener stops nobody else, and its error surfaces", async () => {
      const failure = new Error("listener failed");
      let rest: string[] = [];
      const uncaught = await collectUncaught(async () => {
        subscriber.subscribe("test.a", () => {
          throw failure;
        });
        rest = collect(subscriber, "test.a").got;
        await settled(pair);
        publisher.publish("test.a", encode("1"));
        publisher.publish("test.a", encode("2"));
        await settled(pair);
      });
      expect(rest).toEqual(["test.a=1", "test.a=2"]);
      expect(uncaught).toEqual([failure, failure]);
    });

    test("a payload is the publisher's again after publish", async () => {
      const { got } = collect(subscriber, "test.a");
      await settled(pair);
      const payload = encode("before");
      publisher.publish("test.a", payload);
      payload.fill(0);
      await settled(pair);
      expect(got).toEqual(["test.a=before"]);
    });

    test("a payload is the listener's: what comes later does not change it", async () => {
      const kept: Uint8Array[] = [];
      subscriber.subscribe("test.a", (payload) => kept.push(payload));
      await settled(pair);
      const texts = Array.from({ length: 2_000 }, (_, i) => `${i}:${"x".repeat(i)}`);
      for (const text of texts) publisher.publish("test.a", encode(text));
      await settled(pair);
      expect(kept.map(decode)).toEqual(texts);
    });

    test("what a listener does to a payload does not reach the publisher's", async () => {
      subscriber.subscribe("test.a", (payload) => payload.fill(0));
      await settled(pair);
      const payload = encode("kept");
      publisher.publish("test.a", payload);
      await settled(pair);
      expect(decode(payload)).toBe("kept");
    });

    test("carries empty payloads and those of the maximum, and refuses larger ones at the call", async () => {
      const sizes: number[] = [];
      subscriber.subscribe("test.a", (payload) => sizes.push(payload.length));
      await settled(pair);
      const { maxPayloadBytes } = publisher;
      publisher.publish("test.a", new Uint8Array(0));
      publisher.publish("test.a", new Uint8Array(maxPayloadBytes));
      const oversized = new Uint8Array(maxPayloadBytes + 1);
      expect(() => publisher.publish("test.a", oversized)).toThrow(PayloadTooLargeError);
      await settled(pair);
      expect(sizes).toEqual([0, maxPayloadBytes]);
      expect(publisher.connected).toBe(true);
    });

    test("never calls a listener from within publish or subscribe", async () => {
      const within: boolean[] = [];
      let inside = false;
      const listener = () => within.push(inside);
      subscriber.subscribe("test.a", listener);
      await settled(pair);
      inside = true;
      for (let i = 0; i < 100; i++) subscriber.publish("test.a", new Uint8Array(1_000));
      subscriber.subscribe("test.a", listener);
      inside = false;
      await settled(pair);
      expect(within.length).toBeGreaterThanOrEqual(100);
      expect(within).not.toContain(true);
    });

    test("once closed it says so, delivers nothing, and refuses to publish and to subscribe", async () => {
      const { got } = collect(subscriber, "test.a");
      const seen: boolean[] = [];
      subscriber.onConnection((connected) => seen.push(connected));
      const silenced = subscriber.onConnection(() => seen.push(true));
      silenced.unsubscribe();
      await settled(pair);
      publisher.publish("test.a", encode("late"));
      const closing = subscriber.close();
      expect(subscriber.connected).toBe(false);
      expect(() => subscriber.publish("test.a", encode("x"))).toThrow(TransportClosedError);
      expect(() => subscriber.subscribe("test.a", () => {})).toThrow(TransportClosedError);
      await closing;
      await subscriber.close();
      expect(got).toEqual([]);
      expect(seen).toEqual([false]);
    });
  });
}
