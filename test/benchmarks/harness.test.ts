/** The harness of the benchmarks: what rows say, how they are printed, and that the program keeps its word. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { type Bench, type Goal, takeReadings, type TakenReading } from "../../benchmarks/bench.js";
import { median, missing, quantile, type Row, rounded, toRows } from "../../benchmarks/rows.js";
import { toTable, verdict } from "../../benchmarks/table.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

function readings(variant: string, ...values: readonly number[]): readonly TakenReading[] {
  return values.map((value) => ({ variant, case: "rate", unit: "1/s", value }));
}

function rowsOf(goal: Goal | readonly Goal[] | null, ...taken: readonly (readonly TakenReading[])[]): readonly Row[] {
  const goals = goal === null ? {} : { "ours, rate": goal };
  return toRows({ name: "b", baseline: "theirs", goals }, taken.flat());
}

describe("rows", () => {
  it("hold the median, with the least and the greatest", () => {
    const [row] = rowsOf(null, readings("ours", 30, 10, 20));
    expect(row).toEqual({
      bench: "b",
      case: "ours, rate",
      variant: "ours",
      reading: "rate",
      value: 20,
      unit: "1/s",
      against: null,
      ratio: null,
      goal: null,
      met: null,
      min: 10,
      max: 30,
      runs: 3,
    });
  });

  it("compare run by run, so that a run that was slow for all changes no ratio", () => {
    const [ours, theirs] = rowsOf(null, readings("ours", 200, 20, 220), readings("theirs", 100, 10, 110));
    expect(ours).toMatchObject({ against: "theirs", ratio: 2 });
    expect(theirs).toMatchObject({ against: null, ratio: null });
  });

  it.each([
    [{ of: "ratio", is: ">=", limit: 2 }, true, "ratio >= 2"],
    [{ of: "ratio", is: "<=", limit: 1.9 }, false, "ratio <= 1.9"],
    [{ of: "value", is: "<=", limit: 200 }, true, "value <= 200"],
    [{ of: "value", is: ">=", limit: 201 }, false, "value >= 201"],
  ] as const)("judge the goal %o", (goal, met, text) => {
    const [ours, theirs] = rowsOf(goal, readings("ours", 200), readings("theirs", 100));
    expect(ours).toMatchObject({ goal: text, met });
    expect(theirs).toMatchObject({ goal: null, met: null });
  });

  it("take a ratio without a baseline for missed", () => {
    expect(rowsOf({ of: "ratio", is: ">=", limit: 1 }, readings("ours", 1))).toMatchObject([{ met: false }]);
  });

  it("say each goal by itself, also one about another variant than the baseline", () => {
    const goals: readonly Goal[] = [
      { of: "ratio", is: ">=", limit: 2 },
      { of: "ratio", is: ">=", limit: 5, against: "others" },
    ];
    const taken = [readings("ours", 200), readings("theirs", 100), readings("others", 50)];
    const both = rowsOf(goals, ...taken).slice(0, 2);
    expect(both).toMatchObject([
      { against: "theirs", ratio: 2, goal: "ratio >= 2", met: true },
      { against: "others", ratio: 4, goal: "ratio >= 5", met: false },
    ]);
    const [plain, other] = rowsOf(goals.slice(1), ...taken);
    expect(plain).toMatchObject({ against: "theirs", ratio: 2, goal: null });
    expect(other).toMatchObject({ against: "others", ratio: 4, met: false });
  });

  describe("beside a floor", () => {
    const faster: Goal = { of: "ratio", is: ">=", limit: 5, floor: "limit, rate" };
    const shorter: Goal = { of: "value", is: "<=", limit: 100, floor: "limit, rate" };
    it.each([
      [faster, 300, 400, 0.75, "NO (75 % of the floor)"],
      [faster, 360, 400, 0.9, "at its limit (90 % of the floor)"],
      [faster, 500, 400, 1.25, "yes"],
      [shorter, 200, 190, 0.95, "at its limit (95 % of the floor)"],
      [shorter, 200, 120, 0.6, "NO (60 % of the floor)"],
    ])("%o with %d against %d reaches %d of it: %s", (goal, ours, limit, ofFloor, text) => {
      const [row, other] = rowsOf(goal, readings("ours", ours), readings("limit", limit), readings("theirs", 100));
      expect(row).toMatchObject({ ofFloor });
      expect(verdict(row as Row)).toBe(text);
      expect(other).not.toHaveProperty("ofFloor");
    });

    it("that was not measured, nothing is said of it", () => {
      const [row] = rowsOf(faster, readings("ours", 300), readings("theirs", 100));
      expect(verdict(row as Row)).toBe("NO");
    });
  });

  it("tell what was promised and not measured", () => {
    const goal: Goal = { of: "value", is: ">=", limit: 1 };
    const rows = rowsOf(null, readings("ours", 1));
    const promised = { goals: { "ours, rate": goal, "ours, p99": goal }, chart: ["rate", "p50"] };
    expect(missing(promised, rows)).toEqual(["ours, p99", "p50"]);
  });

  it("name a case without variants by itself", () => {
    expect(rowsOf(null, readings("", 1))).toMatchObject([{ case: "rate" }]);
  });
});

describe("quantiles", () => {
  it("interpolate between neighbours", () => {
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(quantile([10, 20, 30], 0.99)).toBeCloseTo(29.8);
    expect(() => median([])).toThrow(RangeError);
  });

  it.each([
    [1234.5, 1235],
    [12.345, 12.3],
    [0.012345, 0.0123],
    [0, 0],
  ])("round %d to %d", (value, expected) => {
    expect(rounded(value)).toBe(expected);
  });
});

describe("runs", () => {
  it("take the subjects in turn, after one run to warm up", async () => {
    const order: string[] = [];
    const told: string[] = [];
    const subject = (variant: string) => ({
      variant,
      measure: async () => [{ case: "rate", unit: "", value: order.push(variant) }],
    });
    const bench: Bench = {
      name: "b",
      question: "?",
      runs: 1,
      warmUps: 1,
      baseline: null,
      goals: {},
      chart: [],
      stage: async (_, measure) => {
        await measure(["A", "B"].map(subject));
        order.push("cleared up");
      },
    };
    const taken = await takeReadings(bench, {
      runs: 2,
      operations: null,
      minutes: null,
      peers: false,
      tell: (line) => told.push(line),
    });
    expect(order).toEqual(["A", "B", "A", "B", "A", "B", "cleared up"]);
    expect(taken.map(({ value }) => value)).toEqual([3, 4, 5, 6]);
    expect(told).toEqual(["warming up", "run 1 of 2", "run 2 of 2"]);
  });
});

describe("the table", () => {
  it("aligns numbers right and words left", () => {
    const goal: Goal = { of: "ratio", is: ">=", limit: 3 };
    const rows = rowsOf(goal, readings("ours", 12_000), readings("theirs", 6_000));
    expect(`\n${toTable(rows)}\n`).toBe(`
case          median        min – max  unit  ratio  against  goal        met
ours, rate    12,000  12,000 – 12,000  1/s     2 ×  theirs   ratio >= 3  NO
theirs, rate   6,000    6,000 – 6,000  1/s
`);
  });
});

describe("the program", () => {
  it("lists the benchmarks when none is named", async () => {
    const { code, stdout } = await runProgram();
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ {2}commands {2,}What/m);
  });

  it.each([
    [["nonsense"], 'there is no benchmark "nonsense"'],
    [["commands", "--runs", "0"], "--runs must be an integer >= 1"],
    [["commands", "--minutes", "0"], "--minutes must be a number > 0"],
    [["all", "--json"], "--json is for one benchmark"],
  ])("refuses %j with its usage", async (args, message) => {
    const { code, stdout, stderr } = await runProgram(...args);
    expect(code).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toContain(message);
    expect(stderr).toContain("Usage: npm run bench");
  });

  it.each([
    ["codec", 64],
    ["deep", 50],
    ["overhead", 2],
  ])("measures all that %s promises", { timeout: 60_000 }, async (name, operations) => {
    const { code, stdout, stderr } = await runProgram(name, "--json", "--runs", "1", "--operations", `${operations}`);
    expect([code, stderr]).toEqual([0, expect.stringMatching(/took \d+ s/)]);
    expect(stderr).not.toContain("not measured");
    expect((JSON.parse(stdout) as readonly Row[]).filter(({ goal }) => goal !== null)).not.toEqual([]);
  });

  it("measures commands between two processes over a real server", { timeout: 60_000 }, async () => {
    const options = ["--json", "--no-peers", "--runs", "1", "--operations", "200"];
    const { code, stdout, stderr } = await runProgram("commands", ...options);
    expect([code, stderr]).toEqual([0, expect.stringContaining("run 1 of 1")]);
    expect(stderr).not.toContain("not measured");
    expect(stdout.trimEnd()).not.toContain("\n");
    const rows = JSON.parse(stdout) as readonly Row[];
    const sequential = rows.find((row) => row.case === "node.command(), 1 in flight, p50");
    expect(sequential).toEqual({
      bench: "commands",
      case: "node.command(), 1 in flight, p50",
      variant: "node.command()",
      reading: "1 in flight, p50",
      value: expect.any(Number),
      unit: "µs",
      against: "request()",
      ratio: expect.any(Number),
      goal: "ratio <= 1",
      met: expect.any(Boolean),
      min: expect.any(Number),
      max: expect.any(Number),
      runs: 1,
    });
    expect(rows.every(({ value }) => value > 0)).toBe(true);
  });
});

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function runProgram(...args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const program = ["--import", "tsx", "benchmarks/main.ts", ...args];
    const child = execFile(process.execPath, program, { cwd: ROOT }, (_, stdout, stderr) =>
      resolve({ code: child.exitCode, stdout, stderr }),
    );
  });
}
