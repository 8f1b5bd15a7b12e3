/** The rules over journals: a good run breaks none, and each is broken by what it forbids. */
import { describe, expect, it } from "vitest";
import { checkHistory } from "./checks.js";
import { toHistory } from "./history.js";
import { planChaos } from "./plan.js";
import { DRIVER, type Event } from "./records.js";

const PLAN = planChaos({ seed: 1, pace: "default", middles: 1, leaves: 1 });
const { deadMs, slackMs, shutdownMs, suspicionMs } = PLAN.times;

const [ROOT, MIDDLE, LEAF, NEW_LEAF] = ["c#1", "c.m0#2", "c.m0.l0#3", "c.m0.l0#4"];

type Line = readonly [atMs: number, process: string, event: Event];

const pidOf = (process: string): number => Number(process.slice(process.indexOf("#") + 1));

/** `owner` is the pid of the process that it belongs to. */
const begun = (process: string, epoch: string, owner: number | null = null): readonly Line[] => [
  [0, DRIVER, { type: "spawned", pid: pidOf(process), of: process, why: "" }],
  [1, process, { type: "start", pid: pidOf(process), owner, startedBy: owner === null ? "operator" : "parent" }],
  [2, process, { type: "epoch", epoch }],
];

const link = (id: string, state: string, epoch: string, from = "opening"): Event => {
  return { type: "link", id, from, state, epoch };
};

/** The call `v` from the root to the leaf. */
const issued = (more: Partial<Extract<Event, { type: "issued" }>> = {}): Event => ({
  type: "issued",
  kind: "command",
  value: "v",
  targets: ["c.m0.l0"],
  timeoutMs: 1_000,
  idempotent: false,
  throws: false,
  cancellable: false,
  probe: false,
  ...more,
});

const outcome = (more: Partial<Extract<Event, { type: "outcome" }>> = {}): Event => ({
  type: "outcome",
  value: "v",
  target: "c.m0.l0",
  status: "completed",
  code: "",
  message: "",
  by: LEAF,
  ...more,
});

const began = (epoch = "1.1.1", commandId = "id"): Event => ({ type: "began", value: "v", commandId, epoch });
const finished = (epoch = "1.1.1", commandId = "id"): Event => ({ type: "finished", value: "v", commandId, epoch });
const settled: Event = { type: "settled", value: "v" };

const TREE: readonly Line[] = [
  ...begun(ROOT, "1"),
  ...begun(MIDDLE, "1.1"),
  ...begun(LEAF, "1.1.1"),
  [3, ROOT, link("m0", "alive", "1.1")],
  [3, MIDDLE, link("l0", "alive", "1.1.1")],
];

const CALL: readonly Line[] = [
  [100, ROOT, issued()],
  [101, LEAF, began()],
  [102, LEAF, finished()],
  [103, ROOT, outcome()],
  [104, ROOT, settled],
];

const END_MS = 100_000;

const END: readonly Line[] = [
  [END_MS - 2, ROOT, { type: "rest", running: 0, queued: 0, pending: 0, open: 0 }],
  [END_MS - 1, DRIVER, { type: "whole", when: "at rest", tookMs: 0, isWhole: true, tree: "" }],
  [END_MS, ROOT, { type: "leaving", how: "shutdownTree", timeoutMs: shutdownMs }],
  ...[LEAF, MIDDLE, ROOT].flatMap((name): readonly Line[] => [
    [END_MS + 1, name, { type: "ended", reason: "shutdown" }],
    [END_MS + 2, DRIVER, { type: "exited", pid: 1, of: name, exit: 0, stderr: "" }],
  ]),
];

const GOOD = [...TREE, ...CALL, ...END];

/** The rules that a run breaks. */
function broken(lines: readonly Line[]): readonly string[] {
  const records = lines
    .map(([atMs, process, event]) => ({ atMs, wallMs: atMs, process, ...event }))
    .toSorted((a, b) => a.atMs - b.atMs);
  return [...new Set(checkHistory(toHistory(PLAN, records)).map(({ rule }) => rule))];
}

/** The good run without some lines. */
function without(...types: readonly Event["type"][]): readonly Line[] {
  return GOOD.filter(([, , { type }]) => !types.includes(type));
}

const stood = (name: string, fromMs: number, untilMs: number): readonly Line[] => [
  [fromMs, DRIVER, { type: "stopped", pid: 1, of: name }],
  [untilMs, DRIVER, { type: "continued", pid: 1, of: name }],
];

const leaves = (name: string, endedAtMs: number): readonly Line[] => [
  [1_000, name, { type: "leaving", how: "stop", timeoutMs: shutdownMs }],
  [endedAtMs, name, { type: "ended", reason: "stopped" }],
];

it("a good run breaks no rule", () => {
  expect(broken(GOOD)).toEqual([]);
});

describe("calls", () => {
  const RULE = "every accepted call ends in exactly one outcome, by its deadline";
  const dueMs = 100 + 1_000 + slackMs;

  it("must end", () => {
    expect(broken(without("outcome", "settled"))).toEqual([RULE]);
    expect(broken(without("outcome"))).toEqual([RULE]);
  });

  it("need not end if their caller was killed before", () => {
    const killed: Line = [dueMs, DRIVER, { type: "killed", pid: 1, of: ROOT }];
    expect(broken([...without("outcome", "settled"), killed])).toEqual([]);
    const afterwards: Line = [dueMs + 1, DRIVER, { type: "killed", pid: 1, of: ROOT }];
    expect(broken([...without("outcome", "settled"), afterwards])).toEqual([RULE]);
  });

  it("need not end if their caller's supervisor killed it, which had just ended", () => {
    const owned = begun(NEW_LEAF, "1.1.2", pidOf(MIDDLE));
    const asked: Line = [200, NEW_LEAF, issued({ value: "w", kind: "request", targets: [], timeoutMs: 20_000 })];
    const ended: Line = [500, NEW_LEAF, { type: "ended", reason: "shutdown" }];
    const exited: Line = [520, DRIVER, { type: "exited", pid: 4, of: NEW_LEAF, exit: "unknown", stderr: "" }];
    const why = { reason: "it did not end in time", exit: null, generation: 1, attempt: 0, delayMs: null };
    const killed: Line = [501, MIDDLE, { type: "decided", id: "l0", decision: "killed", ...why }];
    const lines = [...GOOD, ...owned, asked, ended, exited];
    expect(broken(lines)).toContain(RULE);
    expect(broken([...lines, killed])).not.toContain(RULE);
    const another: Line = [501, ROOT, { type: "decided", id: "m0", decision: "killed", ...why }];
    expect(broken([...lines, another])).toContain(RULE);
  });

  it("must end once", () => {
    expect(broken([...GOOD, [105, ROOT, outcome()]])).toEqual([RULE]);
  });

  it("must end by their deadline, on the clock of a caller that did not stand still", () => {
    const late: readonly Line[] = [
      ...without("outcome", "settled"),
      [dueMs + 10, ROOT, outcome()],
      [dueMs + 10, ROOT, settled],
    ];
    expect(broken(late)).toEqual([RULE]);
    expect(broken([...late, ...stood(ROOT, 200, 220)])).toEqual([]);
  });

  it("must have an outcome for each target", () => {
    const both = issued({ kind: "fanOut", targets: ["c.m0", "c.m0.l0"] });
    expect(broken([...without("issued"), [100, ROOT, both]])).toEqual([RULE]);
  });

  it.each<[string, Event]>([
    ["completed with the result of another call", outcome({ message: "got the result of w" })],
    ["failed, though the handler does not throw", outcome({ status: "failed", code: "HANDLER_FAILED", by: null })],
    ["not started, though it was", outcome({ status: "notStarted", code: "UNAVAILABLE", by: null })],
    ["cancelled by nobody", outcome({ status: "cancelled", by: null })],
    ["timed out too early", outcome({ status: "timedOut", by: null })],
    ["an unheard-of status", outcome({ status: "lost", by: null })],
  ])("must not be %s", (_what, wrong) => {
    expect(broken([...without("outcome"), [103, ROOT, wrong]])).toEqual(["an outcome says what happened"]);
  });

  it("must not complete if the handler throws", () => {
    const throws: Line = [100, ROOT, issued({ throws: true })];
    expect(broken([...without("issued"), throws])).toEqual(["an outcome says what happened"]);
  });

  it("complete only after a handler came to its end", () => {
    expect(broken(without("finished"))).toContain("an outcome says what happened");
  });

  it("run once in one process", () => {
    const twice = [...GOOD, [105, LEAF, began()], [106, LEAF, finished()]] satisfies readonly Line[];
    expect(broken(twice)).toContain("a handler runs at most once for a command id and executor epoch");
  });

  it("run once at all unless they are idempotent", () => {
    const again: readonly Line[] = [
      ...begun(NEW_LEAF, "1.1.2"),
      [105, NEW_LEAF, began("1.1.2")],
      [END_MS, DRIVER, { type: "exited", pid: 1, of: NEW_LEAF, exit: 0, stderr: "" }],
    ];
    expect(broken([...GOOD, ...again])).toEqual(["what is not idempotent runs at most once"]);
    expect(broken([...without("issued"), [100, ROOT, issued({ idempotent: true })], ...again])).toEqual([]);
  });

  it("do not run unless somebody asked for them", () => {
    const foreign: Line = [105, LEAF, { type: "began", value: "w", commandId: "id", epoch: "1.1.1" }];
    expect(broken([...GOOD, foreign])).toEqual(["nothing runs that nobody asked for"]);
  });

  it("complete when all is well", () => {
    const timedOut = outcome({ status: "timedOut", by: null });
    const probe = [...without("issued", "outcome"), [1, ROOT, issued({ probe: true, timeoutMs: 50 })]] as const;
    expect(broken([...probe, [103, ROOT, timedOut]])).toEqual(["when all is well, everybody can be reached"]);
  });
});

describe("epochs", () => {
  const RULE = "one live accepted epoch for a path";

  it("belong to one process", () => {
    expect(broken([...GOOD, ...begun(NEW_LEAF, "1.1.1"), [END_MS, DRIVER, gone(NEW_LEAF)]])).toEqual([RULE]);
  });

  it("stay with their process", () => {
    expect(broken([...GOOD, [50, LEAF, { type: "epoch", epoch: "1.1.3" }]])).toEqual(["a process keeps its epoch"]);
  });

  it("of a root may grow", () => {
    expect(broken([...GOOD, [50, ROOT, { type: "epoch", epoch: "2" }]])).toEqual([]);
    expect(broken([...GOOD, [50, ROOT, { type: "epoch", epoch: "0" }]])).toEqual(["a process keeps its epoch"]);
  });

  it("are accepted in their order", () => {
    const back: readonly Line[] = [
      [50, MIDDLE, link("l0", "opening", "1.1.2", "alive")],
      [60, MIDDLE, link("l0", "opening", "1.1.1", "alive")],
    ];
    expect(broken([...GOOD, ...back])).toEqual([RULE]);
  });

  it("that were superseded give no results", () => {
    const superseded: Line = [101, MIDDLE, link("l0", "opening", "1.1.2", "alive")];
    expect(broken([...GOOD, superseded])).toEqual(["no effect of a stale epoch is accepted"]);
    const afterwards: Line = [103, MIDDLE, link("l0", "opening", "1.1.2", "alive")];
    expect(broken([...GOOD, afterwards])).toEqual([]);
  });

  it("of those who are taken for dead give no results", () => {
    const lines: readonly Line[] = [...stood(LEAF, 0, deadMs), ...GOOD.map(later(deadMs))];
    const dead: Line = [deadMs + 101, MIDDLE, link("l0", "dead", "1.1.1", "suspect")];
    expect(broken([...lines, dead])).toEqual(["no effect of a stale epoch is accepted"]);
  });

  it("that slept and were replaced start nothing", () => {
    const wokeAtMs = 50 + suspicionMs * 2;
    const lines: readonly Line[] = [
      ...TREE,
      ...END,
      [60, MIDDLE, link("l0", "opening", "1.1.2", "alive")],
      [70, ROOT, issued({ idempotent: true, timeoutMs: 50_000 })],
      [wokeAtMs + 1, LEAF, began()],
      [wokeAtMs + 2, ROOT, outcome({ status: "unknown", by: null })],
      [wokeAtMs + 3, ROOT, settled],
    ];
    const slept = stood(LEAF, 50, wokeAtMs);
    expect(broken([...lines, ...slept])).toEqual(["who slept and was replaced starts nothing when it wakes"]);
    const orphaned: Event = {
      type: "state",
      from: "SYNCHRONIZED",
      state: "DEGRADED",
      reasons: ["uplink"],
      failure: null,
    };
    expect(broken([...lines, ...slept, [40, LEAF, orphaned]])).toEqual([]);
    // Who sleeps for less than silence needs to be suspect need not notice.
    expect(broken([...lines, ...stood(LEAF, wokeAtMs - suspicionMs + 1, wokeAtMs)])).toEqual([]);
  });

  it("give way to greater ones only", () => {
    const fenced: Line = [50, LEAF, { type: "ended", reason: "fenced" }];
    const lines = GOOD.filter(([, process, { type }]) => !(process === LEAF && type === "ended"));
    expect(broken([...lines, fenced])).toEqual(["who gives way has a rival"]);
    const rival: readonly Line[] = [...begun(NEW_LEAF, "1.1.2"), [END_MS, DRIVER, gone(NEW_LEAF)]];
    expect(broken([...lines, fenced, ...rival])).toEqual([]);
  });
});

describe("ends", () => {
  const SHUTDOWN = "shutdown ends by its deadline";

  it("come by their deadline", () => {
    expect(broken([...GOOD, ...leaves(LEAF, 1_000 + shutdownMs + slackMs + 1)])).toContain(SHUTDOWN);
  });

  it("of a tree take everybody along", () => {
    const lines = GOOD.filter(([, , event]) => !(event.type === "exited" && event.of === LEAF));
    expect(broken(lines)).toEqual([SHUTDOWN]);
    expect(broken(without("leaving"))).toEqual([SHUTDOWN]);
  });

  it("are no crashes", () => {
    const RULE = "nothing is thrown that nobody handles";
    expect(broken([...GOOD, [50, LEAF, { type: "uncaught", message: "TypeError" }]])).toEqual([RULE]);
    const crashed = { ...gone(NEW_LEAF), exit: 134 } as Event;
    expect(broken([...GOOD, ...begun(NEW_LEAF, "1.1.2"), [50, DRIVER, crashed]])).toEqual([RULE]);
  });
});

describe("the tree", () => {
  it("must be whole again", () => {
    const not: Line = [50, DRIVER, { type: "whole", when: "after the faults", tookMs: 1, isWhole: false, tree: "" }];
    expect(broken([...GOOD, not])).toEqual(["once faults stop, the tree is SYNCHRONIZED again within the bound"]);
  });

  it("must rest in the end", () => {
    const busy: Line = [END_MS - 1, LEAF, { type: "rest", running: 0, queued: 0, pending: 1, open: 0 }];
    expect(broken([...GOOD, busy])).toEqual(["nothing is under way at rest"]);
    const owned = begun(NEW_LEAF, "1.1.2", pidOf(MIDDLE));
    const early: Line = [END_MS - 9, NEW_LEAF, { type: "rest", running: 1, queued: 0, pending: 0, open: 0 }];
    expect(broken([...GOOD, ...owned, early])).toContain("nothing is under way at rest");
    const left: Line = [END_MS - 8, NEW_LEAF, { type: "ended", reason: "stopped" }];
    expect(broken([...GOOD, ...owned, early, left])).not.toContain("nothing is under way at rest");
  });

  it("takes nobody for dead without a cause", () => {
    const RULE = "nobody is taken for dead without a cause";
    const dead: Line = [50_000, MIDDLE, link("l0", "dead", "1.1.1", "suspect")];
    expect(broken([...GOOD, dead])).toEqual([RULE]);
    expect(broken([...GOOD, dead, ...stood(LEAF, 40_000, 50_000)])).toEqual([]);
    expect(broken([...GOOD, dead, ...stood(LEAF, 30_000, 31_000)])).toEqual([RULE]);
    const cut: Line = [40_000, DRIVER, { type: "fault", what: "server cut off (silent)", target: "1", forMs: 9_000 }];
    expect(broken([...GOOD, dead, cut])).toEqual([]);
    const killed: Line = [40_000, DRIVER, { type: "fault", what: "server killed", target: "1", forMs: 9_000 }];
    expect(broken([...GOOD, dead, killed])).toEqual([RULE]);
  });

  it("has documents that never go back", () => {
    const synced = (atMs: number, count: number): Line => [atMs, LEAF, { type: "synced", by: MIDDLE, count }];
    expect(broken([...GOOD, synced(10, 1), synced(20, 3)])).toEqual([]);
    expect(broken([...GOOD, synced(10, 3), synced(20, 2)])).toEqual(["documents never go back"]);
  });
});

describe("owned processes", () => {
  const RULE = "nothing owned outlives its supervisor";
  const { orphanMs } = PLAN.times;
  const MINE = "c.m0#5";
  const owned = begun(MINE, "1.2", pidOf(ROOT));
  const goneAt = (atMs: number, name: string): Line => [atMs, DRIVER, gone(name)];

  it("are gone when the node that started them has ended", () => {
    expect(broken([...GOOD, ...owned, goneAt(END_MS, MINE)])).toEqual([]);
    expect(broken([...GOOD, ...owned, goneAt(END_MS + slackMs, MINE)])).toEqual([RULE]);
    expect(broken([...GOOD, ...owned])).toContain(RULE);
  });

  it("follow a process that is gone at once within a bound, not counting what they slept", () => {
    const parent = begun("c#6", "9");
    const child = begun("c.m0#7", "9.1", 6);
    const within = (afterMs: number): readonly Line[] => [
      ...GOOD,
      ...parent,
      ...child,
      goneAt(50, "c#6"),
      goneAt(50 + afterMs, "c.m0#7"),
    ];
    expect(broken(within(orphanMs))).toEqual([]);
    expect(broken(within(orphanMs + slackMs + 1))).toEqual([RULE]);
    expect(broken([...within(orphanMs + slackMs + 1), ...stood("c.m0#7", 60, 70)])).toEqual([]);
  });

  it("are replaced only when they are gone", () => {
    const again = begun("c.m0#8", "1.3", pidOf(ROOT)).map(later(2_000));
    const both = [...GOOD, ...owned, ...again, goneAt(END_MS, "c.m0#8")];
    expect(broken([...both, goneAt(2_000, MINE)])).toEqual([]);
    expect(broken([...both, goneAt(4_000, MINE)])).toEqual([
      "a replacement starts only when the process before it is gone",
    ]);
  });
});

describe("restarts", () => {
  const RULE = "restarts stay within their budget";
  const { restartPeriodMs: periodMs } = PLAN.times;

  const restarted = (atMs: number, id: string, more: object = {}): Line => {
    const decision = {
      decision: "restarting",
      reason: "SIGKILL",
      exit: "failed",
      generation: 1,
      attempt: 1,
      delayMs: 50,
    };
    return [atMs, ROOT, { type: "decided", id, ...decision, ...more }];
  };
  const often = (times: number, everyMs: number, more: object = {}): readonly Line[] =>
    Array.from({ length: times }, (_, i) => restarted(100 + i * everyMs, "m0", more));
  const ofMany = (children: number): readonly Line[] =>
    Array.from({ length: children }, (_, i) => restarted(100 + i, `m${i % 4}`));

  it("of one child stay within its budget", () => {
    expect(broken([...GOOD, ...often(3, 10)])).toEqual([]);
    expect(broken([...GOOD, ...often(4, 10)])).toEqual([RULE]);
    expect(broken([...GOOD, ...often(8, periodMs / 2)])).toEqual([]);
  });

  it("of all children stay within the supervisor's", () => {
    expect(broken([...GOOD, ...ofMany(10)])).toEqual([]);
    expect(broken([...GOOD, ...ofMany(11)])).toEqual([RULE]);
  });

  it("are not counted when a sibling, a dependency or a new beginning made them", () => {
    expect(broken([...GOOD, ...often(4, 10, { reason: "a sibling failed" })])).toEqual([]);
    expect(broken([...GOOD, ...often(4, 10, { exit: "dependencyDown" })])).toEqual([]);
    const anew: Line = [115, ROOT, { type: "state", from: "FAILED", state: "CONNECTING", reasons: [], failure: null }];
    expect(broken([...GOOD, ...often(2, 10), anew, ...often(2, 10).map(later(20))])).toEqual([]);
  });
});

function gone(name: string): Event {
  return { type: "exited", pid: 1, of: name, exit: "SIGKILL", stderr: "" };
}

function later(byMs: number): (line: Line) => Line {
  return ([atMs, process, event]) => [atMs + byMs, process, event];
}
