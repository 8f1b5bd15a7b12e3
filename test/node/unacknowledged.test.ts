/** What a channel's peer has not acknowledged. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { Unacknowledged } from "../../src/node/unacknowledged.js";
import type { Message } from "../../src/protocol/messages.js";

test("is what was sent and not acknowledged yet, whatever is acknowledged", () => {
  const step = fc.oneof(fc.constant("send" as const), fc.integer({ min: 0, max: 2_000 }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 2_000, size: "max" }), (steps) => {
      const unacknowledged = new Unacknowledged();
      let model: Message[] = [];
      let sent = 0;
      for (const each of steps) {
        if (each === "send") {
          const message: Message = { kind: "ack.frame", seq: ++sent };
          unacknowledged.push(message);
          model.push(message);
        } else {
          const left = model.filter(({ seq }) => seq > each);
          expect(unacknowledged.acknowledge(each)).toBe(left.length < model.length);
          model = left;
        }
        expect(unacknowledged.size).toBe(model.length);
        expect(unacknowledged.latest).toBe(model.at(-1) ?? null);
        for (const count of [0, 1, 3]) expect(unacknowledged.first(count)).toEqual(model.slice(0, count));
      }
    }),
    { numRuns: 30 },
  );
});
