import { expect, test } from "vitest";
import { Outbox } from "../../src/transport/outbox.js";

const message = (subject: string, bytes: number, expiresAtMs = 100) => ({
  subject,
  payload: new Uint8Array(bytes),
  expiresAtMs,
});

function flushed(outbox: Outbox, nowMs: number): string[] {
  const subjects: string[] = [];
  outbox.flush(nowMs, ({ subject }) => subjects.push(subject));
  return subjects;
}

test("keeps order and empties at a flush", () => {
  const outbox = new Outbox({ messagesMax: 10, bytesMax: 10 });
  for (const subject of ["a", "b", "c"]) outbox.add(message(subject, 1));
  expect(flushed(outbox, 0)).toEqual(["a", "b", "c"]);
  expect(flushed(outbox, 0)).toEqual([]);
});

test("drops the oldest beyond its number of messages", () => {
  const outbox = new Outbox({ messagesMax: 2, bytesMax: 10 });
  for (const subject of ["a", "b", "c"]) outbox.add(message(subject, 1));
  expect(flushed(outbox, 0)).toEqual(["b", "c"]);
});

test("drops as many of the oldest as a new message's bytes need, and what is too large for it altogether", () => {
  const outbox = new Outbox({ messagesMax: 10, bytesMax: 10 });
  for (const subject of ["a", "b", "c"]) outbox.add(message(subject, 4));
  expect(flushed(outbox, 0)).toEqual(["b", "c"]);
  for (const [subject, bytes] of [
    ["a", 4],
    ["b", 11],
    ["c", 4],
  ] as const)
    outbox.add(message(subject, bytes));
  expect(flushed(outbox, 0)).toEqual(["c"]);
});

test("does not send what has expired, to the millisecond", () => {
  const outbox = new Outbox({ messagesMax: 10, bytesMax: 10 });
  for (const expiresAtMs of [49, 50, 51]) outbox.add(message(String(expiresAtMs), 1, expiresAtMs));
  expect(flushed(outbox, 50)).toEqual(["51"]);
});

test("counts its bytes anew after a flush", () => {
  const outbox = new Outbox({ messagesMax: 10, bytesMax: 10 });
  outbox.add(message("a", 10));
  flushed(outbox, 0);
  outbox.add(message("b", 10));
  expect(flushed(outbox, 0)).toEqual(["b"]);
});
