/** The tables of the flat machines are their machines, proved for every state and event; what a table cannot mirror is refused. */
import { getShortestPaths, getSimplePaths } from "@xstate/graph";
import { type AnyStateMachine, createMachine, getNextSnapshot } from "xstate";
import { describe, expect, it } from "vitest";
import { commandMachine, commandTable } from "../../machines/command.js";
import { lifecycleTable } from "../../machines/lifecycle.js";
import { linkMachine, linkTable } from "../../machines/link.js";
import { supervisedChildMachine, supervisedChildTable } from "../../machines/supervised-child.js";
import { edgesOf, eventsOf, statesOf } from "./definition.js";

type Table = Readonly<Record<string, Readonly<Record<string, string | undefined>>>>;

const LIFECYCLES: readonly (readonly [name: string, machine: AnyStateMachine, table: Table])[] = [
  ["link", linkMachine, linkTable],
  ["command", commandMachine, commandTable],
  ["supervised child", supervisedChildMachine, supervisedChildTable],
];

/** What the machine itself does, from any state. */
function next(machine: AnyStateMachine, state: string, event: string): string {
  const snapshot = machine.resolveState({ value: state, context: {} });
  return getNextSnapshot(machine, snapshot, { type: event }).value as string;
}

describe.each(LIFECYCLES)("the table of the %s machine", (_, machine, table) => {
  const pairs = statesOf(machine).flatMap((state) => eventsOf(machine).map((event) => [state, event] as const));

  it.each(pairs)("is the machine's in %s on %s", (state, event) => {
    expect(table[state]?.[event] ?? state).toBe(next(machine, state, event));
  });

  it("has a row for each state and an entry for each transition, no more", () => {
    expect(Object.keys(table)).toEqual(statesOf(machine));
    const entries = Object.entries(table).flatMap(([state, row]) => Object.keys(row).map((event) => [state, event]));
    expect(entries).toEqual(edgesOf(machine).map(({ from, event }) => [from, event]));
  });

  it("reaches every state", () => {
    const paths = getShortestPaths(machine, { events: eventsOf(machine).map((type) => ({ type })) });
    expect(new Set(paths.map((path) => path.state.value))).toEqual(new Set(statesOf(machine)));
  });
});

describe("a command", () => {
  const events = eventsOf(commandMachine);
  const finals = statesOf(commandMachine).filter(
    (state) => Object.keys((commandTable as Table)[state] ?? {}).length === 0,
  );
  const open = statesOf(commandMachine).filter((state) => !finals.includes(state));

  it("has a final state for each outcome", () => {
    expect(finals).toEqual(["completed", "failed", "cancelled", "timedOut", "notStarted", "unknown"]);
    for (const state of finals) expect(commandMachine.states[state as "failed"]?.type).toBe("final");
  });

  it("ends on every path: none is stuck, and its deadline ends it from wherever it is", () => {
    const paths = getSimplePaths(commandMachine, { events: events.map((type) => ({ type }) as never) });
    console.log(`command: ${paths.length} simple paths`);
    for (const { state } of paths) {
      const ended = finals.includes(state.value)
        ? state.value
        : (commandTable as Table)[state.value]?.["command.expired"];
      expect(finals).toContain(ended);
    }
  });

  it.each(finals)("stays %s whatever comes later", (state) => {
    for (const event of events) expect(next(commandMachine, state, event)).toBe(state);
  });

  it.each(open)("can be cancelled, refused and given up while %s", (state) => {
    for (const event of ["command.expired", "command.refused"]) {
      expect(finals).toContain(next(commandMachine, state, event));
    }
    const cancelled = next(commandMachine, state, "command.cancel");
    expect([...finals, "cancelling"]).toContain(cancelled);
  });

  it("that is being cancelled is never sent again", () => {
    for (const event of events) expect(["cancelling", ...finals]).toContain(next(commandMachine, "cancelling", event));
  });
});

describe("a link", () => {
  it("comes back from everywhere by a new session only", () => {
    for (const state of statesOf(linkMachine)) expect(next(linkMachine, state, "session.opened")).toBe("opening");
    for (const state of ["absent", "dead", "failed", "left"]) {
      const revived = eventsOf(linkMachine).filter((event) =>
        ["alive", "opening"].includes(next(linkMachine, state, event)),
      );
      expect(revived).toEqual(["session.opened"]);
    }
  });

  it("keeps its session while suspect and loses it when dead", () => {
    expect(next(linkMachine, "alive", "child.silent")).toBe("suspect");
    expect(next(linkMachine, "suspect", "child.heard")).toBe("alive");
    expect(next(linkMachine, "dead", "child.heard")).toBe("dead");
  });

  it("starts another attempt without the deaths of earlier ones, which would fail a critical child's parent for ever", () => {
    const expectedAnew = statesOf(linkMachine).filter((state) => next(linkMachine, state, "child.expected") !== state);
    expect(expectedAnew).toEqual(["dead", "failed"]);
    for (const state of expectedAnew) expect(next(linkMachine, state, "child.expected")).toBe("absent");
  });
});

const go = (transition: object) => ({ initial: "a", states: { a: { on: { go: transition } }, b: {} } });

describe("lifecycleTable", () => {
  it("mirrors a plain machine", () => {
    const machine = createMachine({
      initial: "a",
      states: { a: { on: { go: "b", again: "a" } }, b: { type: "final" } },
    });
    expect(lifecycleTable(machine)).toEqual({ a: { go: "b", again: "a" }, b: {} });
  });

  it.each<[string, object]>([
    ["a guard", go({ target: "b", guard: () => true })],
    ["several candidates", go([{ target: "b" }, { target: "a" }])],
    ["a transition without target", go({ actions: [] })],
    ["a forbidden transition", { initial: "a", states: { a: { on: { go: undefined } }, b: {} } }],
    ["a transition action", go({ target: "b", actions: () => {} })],
    ["a wildcard", { initial: "a", states: { a: { on: { "*": "b" } }, b: {} } }],
    ["a partial wildcard", { initial: "a", states: { a: { on: { "child.*": "b" } }, b: {} } }],
    ["an entry action", { initial: "a", states: { a: { entry: () => {} } } }],
    ["an exit action", { initial: "a", states: { a: { exit: () => {} } } }],
    ["an eventless transition", { initial: "a", states: { a: { always: "b" }, b: {} } }],
    ["a delayed transition", { initial: "a", states: { a: { after: { 10: "b" } }, b: {} } }],
    ["an invoked actor", { initial: "a", states: { a: { invoke: { src: "x" } } } }],
    ["a transition of the root", { initial: "a", on: { go: ".b" }, states: { a: {}, b: {} } }],
    ["nested states", { initial: "a", states: { a: { initial: "x", states: { x: {} } } } }],
    ["a nested parallel state", { initial: "a", states: { a: { type: "parallel", states: { x: {}, y: {} } } } }],
    ["a history state", { initial: "a", states: { a: { on: { go: "h" } }, h: { type: "history" } } }],
    ["parallel states", { type: "parallel", states: { a: {}, b: {} } }],
  ])("refuses %s", (__, config) => {
    const machine = createMachine(config as never);
    expect(() => lifecycleTable(machine as AnyStateMachine)).toThrow(/is not flat|plain|acts or moves|of its own/);
  });
});
