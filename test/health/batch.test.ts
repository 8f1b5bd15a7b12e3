/** What waits for the end of a turn, or of a job, comes in order, all of it, and before what it brings about. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { AsyncLocalStorage } from "node:async_hooks";
import { afterEach, expect, it, vi } from "vitest";
import { endOfJob, endOfTurn } from "../../src/health/batch.js";
import { collectUncaught } from "../support/uncaught.js";

afterEach(() => {
  vi.useRealTimers();
});

it("runs callbacks in order, none of them in the turn itself", async () => {
  const order: string[] = [];
  endOfTurn.add(() => order.push("first"));
  await Promise.resolve();
  endOfTurn.add(() => order.push("second"));
  expect(order).toEqual([]);
  await nextTurn();
  expect(order).toEqual(["first", "second"]);
});

it("leaves to promises what callbacks resolve until all have run", async () => {
  const order: string[] = [];
  for (const name of ["first", "second"]) {
    endOfTurn.add(() => {
      order.push(name);
      queueMicrotask(() => order.push(`after ${name}`));
    });
  }
  await nextTurn();
  expect(order).toEqual(["first", "second", "after first", "after second"]);
});

it("leaves to the next turn what a callback adds", async () => {
  const order: string[] = [];
  const again = (): void => {
    order.push("again");
    if (order.length < 5) endOfTurn.add(again);
  };
  endOfTurn.add(again);
  endOfTurn.add(() => order.push("once"));
  setImmediate(() => order.push("the loop's own"));
  await nextTurn();
  expect(order).toEqual(["again", "once", "the loop's own"]);
  await nextTurn();
  expect(order).toEqual(["again", "once", "the loop's own", "again"]);
});

it("runs the others when one throws, which surfaces", async () => {
  const failure = new Error("a callback's");
  const order: string[] = [];
  const uncaught = await collectUncaught(async () => {
    endOfTurn.add(() => {
      throw failure;
    });
    endOfTurn.add(() => order.push("other"));
    await nextTurn();
    await nextTurn();
  });
  expect(order).toEqual(["other"]);
  expect(uncaught).toEqual([failure]);
});

it("runs callbacks in the context of no request", async () => {
  const request = new AsyncLocalStorage<string>();
  const seen: unknown[] = [];
  for (const name of ["A", "B"]) request.run(name, () => endOfTurn.add(() => seen.push(request.getStore())));
  await nextTurn();
  expect(seen).toEqual([undefined, undefined]);
});

it("goes on after a test has taken the timers and given them back", async () => {
  const order: string[] = [];
  vi.useFakeTimers();
  endOfTurn.add(() => order.push("while they were taken"));
  vi.useRealTimers();
  endOfTurn.add(() => order.push("after"));
  await nextTurn();
  expect(order).toEqual(["while they were taken", "after"]);
});

it("runs what is to follow a job before anything else of the event loop", async () => {
  const order: string[] = [];
  setImmediate(() => order.push("the loop's own"));
  endOfTurn.add(() => order.push("the turn's end"));
  const noting = (what: string) => ({ flush: () => void order.push(what) });
  const first = (): void => (order.push("first"), endOfJob.add(noting("what it brings about")));
  endOfJob.add({ flush: first });
  queueMicrotask(() => order.push("a promise's"));
  endOfJob.add(noting("second"));
  expect(order).toEqual([]);
  await nextTurn();
  const rest = ["the loop's own", "the turn's end"];
  expect(order).toEqual(["first", "second", "a promise's", "what it brings about", ...rest]);
});
