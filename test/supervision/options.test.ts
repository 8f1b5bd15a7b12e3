/** Bad declarations of children and of their supervision: each is refused by name, with its value and the rule. */
import { describe, expect, test } from "vitest";
import { createNode, InvalidOptionError, memoryTransport, type Node, type NodeOptions } from "../../src/index.js";

const transport = memoryTransport();
const start = ({ path }: { readonly path: string }): Node => createNode({ path, transport });

function refusal(options: Partial<NodeOptions>): unknown {
  try {
    createNode({ path: "shop", transport, ...options });
  } catch (error) {
    return error;
  }
  return expect.fail(`accepted ${JSON.stringify(options)}`);
}

type Loose = Readonly<Record<string, unknown>>;
const child = (spec: Loose): Partial<NodeOptions> => ({
  children: [{ id: "ok" }, { id: "a", start, ...spec }],
});
const supervision = (options: Loose): Partial<NodeOptions> => ({ supervision: options });

const DELAYS = [0, -1, Number.NaN, Infinity, 2 ** 31, "5"];
const COUNTS = [-1, 1.5, Number.NaN, Infinity, 2 ** 60, "5", null];
const MILLISECONDS = "a number of milliseconds from 1 to 2147483647";

describe("delays", () => {
  const cases: readonly [string, (value: unknown) => Partial<NodeOptions>][] = [
    ["children[1].shutdown", (shutdown) => child({ shutdown })],
    ["children[1].startTimeoutMs", (startTimeoutMs) => child({ startTimeoutMs })],
    ["children[1].requireProgress.withinMs", (withinMs) => child({ requireProgress: { withinMs } })],
    ["supervision.periodMs", (periodMs) => supervision({ periodMs })],
    ["supervision.backoff.baseMs", (baseMs) => supervision({ backoff: { baseMs } })],
    ["supervision.backoff.maxMs", (maxMs) => supervision({ backoff: { maxMs, baseMs: 1 } })],
    ["supervision.stableMs", (stableMs) => supervision({ stableMs })],
    ["supervision.cooldownMs", (cooldownMs) => supervision({ cooldownMs })],
    ["supervision.adoptionMs", (adoptionMs) => supervision({ adoptionMs })],
    ["supervision.template.shutdown", (shutdown) => supervision({ template: { start, shutdown } })],
    ["supervision.template.startTimeoutMs", (startTimeoutMs) => supervision({ template: { start, startTimeoutMs } })],
  ];
  test.each(cases)("%s", (option, options) => {
    for (const value of DELAYS) {
      const error = refusal(options(value));
      expect(error).toBeInstanceOf(InvalidOptionError);
      expect(error).toMatchObject({ code: "INVALID_OPTION", option, value });
      if (option.endsWith("shutdown") && value === "5") continue;
      // A bound below another one is told as such.
      if (option.endsWith("maxMs") && (value === 0 || value === -1)) continue;
      expect((error as InvalidOptionError).rule).toBe(MILLISECONDS);
    }
  });
});

describe("counts, of which 0 means never", () => {
  test.each(["intensity", "childIntensity"])("supervision.%s", (name) => {
    for (const value of COUNTS) {
      // null stands for the default of the child's, as undefined does.
      if (value === null && name === "childIntensity") continue;
      const error = refusal(supervision({ [name]: value }));
      expect(error).toMatchObject({ option: `supervision.${name}`, value, rule: "an integer >= 0" });
    }
    expect(createNode({ path: "shop", transport, ...supervision({ [name]: 0 }) }).path).toBe("shop");
  });
});

describe("single options", () => {
  const cases: readonly [string, Partial<NodeOptions>, RegExp, unknown?][] = [
    ["supervision", { supervision: null as never }, /an object/, null],
    ["children[1].start", child({ start: 5 }), /a function that makes the node/, 5],
    ["children[1].start", child({ start: {} }), /a function that makes the node/],
    ["children[1].start", child({ start: null }), /a function that makes the node/, null],
    ["children[1].restart", child({ restart: "always" }), /one of permanent, transient, temporary/, "always"],
    ["children[1].shutdown", child({ shutdown: "kill" }), /milliseconds, "brutal_kill" or "infinity"/, "kill"],
    ["children[1].shutdown", child({ shutdown: null }), /milliseconds, "brutal_kill" or "infinity"/, null],
    ["children[1].significant", child({ significant: 1 }), /true or false/, 1],
    ["children[1].significant", child({ significant: true }), /false for a permanent child/, true],
    [
      "children[1].significant",
      child({ significant: true, restart: "transient" }),
      /false while supervision\.autoShutdown is never/,
      true,
    ],
    ["children[1].critical", child({ critical: "yes" }), /true or false/, "yes"],
    ["children[1].requireProgress", child({ requireProgress: true }), /an object/, true],
    [
      "children[1].requireProgress.whileIdle",
      child({ requireProgress: { withinMs: 9_999, whileIdle: 1 } }),
      /true or false/,
      1,
    ],
    [
      "children[1].requireProgress.withinMs",
      child({ requireProgress: { withinMs: 3_999 } }),
      />= 2 × heartbeat\.maxMs \(4000\)/,
      3_999,
    ],
    [
      "supervision.template.requireProgress.withinMs",
      supervision({ template: { start, requireProgress: { withinMs: 3_999 } } }),
      />= 2 × heartbeat\.maxMs \(4000\)/,
      3_999,
    ],
    ["supervision.backoff", supervision({ backoff: 5 }), /an object/, 5],
    ["children[1].remote", child({ remote: true }), /absent where start is given/, true],
    [
      "children[1].start",
      { children: [{ id: "b" }, { id: "a", remote: false } as never] },
      /given where remote is false/,
    ],
    [
      "children[1].start",
      { children: [{ id: "b" }, { id: "a", restart: "transient" } as never] },
      /given where restart is/,
    ],
    ["children[1].remote", { children: [{ id: "b" }, { id: "a", remote: 1 } as never] }, /true or false/, 1],
    ["supervision", { supervision: 5 as never }, /an object/, 5],
    ["supervision", { supervision: [] as never }, /an object/],
    ["supervision.strategy", supervision({ strategy: "all" }), /one of one_for_one, one_for_all, rest_for_one/, "all"],
    [
      "supervision.autoShutdown",
      supervision({ autoShutdown: true }),
      /one of never, any_significant, all_significant/,
      true,
    ],
    [
      "supervision.backoff.maxMs",
      supervision({ backoff: { baseMs: 500, maxMs: 100 } }),
      />= supervision\.backoff\.baseMs \(500\)/,
      100,
    ],
    ["supervision.template", supervision({ template: 5 }), /an object/, 5],
    ["supervision.template.start", supervision({ template: {} }), /a function that makes the node/],
    ["supervision.template.restart", supervision({ template: { start, restart: 5 } }), /one of permanent/, 5],
    ["supervision.template.critical", supervision({ template: { start, critical: 1 } }), /true or false/, 1],
    ["supervision.template.significant", supervision({ template: { start, significant: true } }), /permanent/, true],
    ["onFailed", { onFailed: "stop" as never }, /one of recover, end/, "stop"],
  ];
  test.each(cases)("%s: %o", (option, options, rule, ...value) => {
    const error = refusal(options);
    expect(error).toBeInstanceOf(InvalidOptionError);
    expect(error).toMatchObject({ code: "INVALID_OPTION", option });
    expect((error as InvalidOptionError).rule).toMatch(rule);
    if (value.length > 0) expect((error as InvalidOptionError).value).toEqual(value[0]);
  });
});

describe("misspelt names", () => {
  const cases: readonly [string, Partial<NodeOptions>, RegExp][] = [
    ["children[1].restarts", child({ restarts: "transient" }), /id, critical, remote, start, restart, shutdown/],
    ["children[1].timeoutMs", child({ timeoutMs: 5 }), /startTimeoutMs/],
    ["children[0].citical", { children: [{ id: "a", citical: true } as never] }, /id, critical, remote, start/],
    [
      "children[1].requireProgress.within",
      child({ requireProgress: { withinMs: 9_999, within: 5 } }),
      /withinMs, whileIdle/,
    ],
    ["supervision.maxRestarts", supervision({ maxRestarts: 5 }), /strategy, intensity, childIntensity, periodMs/],
    ["supervision.template.id", supervision({ template: { start, id: "a" } }), /start, restart, shutdown/],
    ["supervision.backoff.minMs", supervision({ backoff: { minMs: 5 } }), /baseMs, maxMs/],
    ["supervisor", { supervisor: {} } as never, /supervision/],
  ];
  test.each(cases)("%s", (option, options, rule) => {
    const error = refusal(options);
    expect(error).toBeInstanceOf(InvalidOptionError);
    expect(error).toMatchObject({ option, rule: expect.stringMatching(rule) });
  });
});

test("the smallest values that are allowed", () => {
  const smallest = {
    children: [
      { id: "a", start, shutdown: 1, startTimeoutMs: 1 },
      { id: "b", start, shutdown: "brutal_kill", restart: "temporary", significant: true },
      { id: "c", start: { start: () => Promise.reject(new Error("never called")) }, shutdown: "infinity", args: null },
      { id: "d", remote: true },
      { id: "e", start, requireProgress: { withinMs: 4_000 } },
    ],
    supervision: {
      autoShutdown: "all_significant",
      intensity: 0,
      childIntensity: 0,
      periodMs: 1,
      backoff: { baseMs: 1, maxMs: 1 },
      stableMs: 1,
      cooldownMs: null,
      adoptionMs: 1,
    },
  } as const;
  expect(createNode({ path: "shop", transport, ...smallest }).whichChildren()).toHaveLength(5);
});
