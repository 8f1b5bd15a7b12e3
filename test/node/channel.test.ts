/** One end of a link, and what acknowledges many of them, apart from any node. */
import { expect, test } from "vitest";
import { Acknowledger } from "../../src/node/acknowledger.js";
import { Channel, type ChannelPort } from "../../src/node/channel.js";
import { type FrameLetter, frameApart } from "../../src/node/frame-letter.js";
import { decodeFrame, encodeFrame } from "../../src/protocol/codec.js";
import { SimulatedClock } from "../../src/testing/simulated-clock.js";

interface Written {
  readonly frame: FrameLetter;
  readonly ttlMs: number;
}

/** A parent's end; what it writes is noted. */
function parentEnd(session = "s", clock = new SimulatedClock()) {
  const written: Written[] = [];
  const port: ChannelPort = {
    clock,
    maxPayloadBytes: 1_048_576,
    isLocal: false,
    get heardAtMs() {
      return clock.now();
    },
    ackKind: "heartbeat.ack",
    publish: (frame, ttlMs) => void written.push({ frame, ttlMs }),
    deliver: () => {},
    drop: () => {},
    credit: () => 0,
    awaitAck: () => {},
    isBusy: () => false,
    onHeader: () => {},
    overrun: () => {},
  };
  return { channel: new Channel(port, { version: 1, session, broadcastStart: 0 }), written };
}

test("a frame with anything in sequence is worth sending late, in whatever order it comes", () => {
  const { channel, written } = parentEnd();
  const refill = (): void => channel.forward({ kind: "heartbeat.ack", seq: -3 });
  const others: Readonly<Record<string, () => void>> = {
    alone: () => {},
    "before what is not": () => channel.acknowledge(),
    "before what is": () => channel.send({ kind: "heartbeat.ack", seq: 0 }, true),
  };
  for (const other of Object.values(others)) {
    refill();
    other();
    channel.flush();
    other();
    refill();
    channel.flush();
  }
  channel.acknowledge();
  channel.flush();
  expect(written.map(({ ttlMs }) => ttlMs)).toEqual([...Array.from({ length: 6 }, () => 10_000), 0]);
  channel.close();
});

test("what is acknowledged along with a broadcast never makes it unreadable, whatever room there is", async () => {
  const clock = new SimulatedClock();
  for (const count of [65_536, 65_537]) {
    const acknowledger = new Acknowledger({ clock, maxPayloadBytes: 2 ** 24, openCount: count, publish: () => {} });
    for (let n = 0; n < count; n++) {
      const { channel } = parentEnd(`s${n}`, clock);
      channel.ackAtMs = clock.now();
      acknowledger.add(channel, clock.now() + 50);
    }
    const along = acknowledger.takeAlong(2 ** 23);
    expect(along).toHaveLength(count === 65_536 ? 1 : 0);
    expect(decodeFrame(encodeFrame(frameApart(along, "b")), "down")).toMatchObject({ kind: "frame" });
    acknowledger.close();
  }
});
