/** What is remembered of calls that were passed on is bounded by what was answered, not by what came with the answers. */
import { expect, test } from "vitest";
import { completed } from "../../src/node/call.js";
import { RelayMemory } from "../../src/node/relay-memory.js";

test("keeps an answer without the frame that it came in", () => {
  const memory = new RelayMemory(10, 10_000);
  const frame = new Uint8Array(65_536).fill(7);
  memory.note("call", completed(frame.subarray(100, 103)), 1);
  frame.fill(0);
  const output = memory.recall("call", 1)?.output;
  expect(output).toEqual(new Uint8Array([7, 7, 7]));
  expect(output?.buffer.byteLength).toBe(3);
});
