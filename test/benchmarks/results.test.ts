/** What is made of stored measurements: the report, the charts, and that those in the repository are made so. */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { toChart } from "../../benchmarks/chart.js";
import { readResults, type Result, saveResult, toReport, writeReport } from "../../benchmarks/results.js";
import { type Row, toRows } from "../../benchmarks/rows.js";

const BENCHMARKS = new URL("../../benchmarks/", import.meta.url);

const ENVIRONMENT = {
  machine: "2 × CPU",
  versions: ["Node 20.0.0", "nats-server 2.9.10"],
  commit: "abcdef0",
  load: 0.1,
  measuredAt: "2026-11-21T10:00:00.000Z",
};

function rows(): readonly Row[] {
  const goals = {
    "ours, rate": [
      { of: "ratio", is: ">=", limit: 2 },
      { of: "ratio", is: ">=", limit: 5, against: "a|b" },
    ],
  } as const;
  const values = { ours: 20_000, theirs: 10_000, "a|b": 5_000 };
  const readings = Object.entries(values).map(([variant, value]) => ({ variant, case: "rate", unit: "1/s", value }));
  return toRows({ name: "x", baseline: "theirs", goals }, readings);
}

function result(name: string): Result {
  return {
    name,
    question: "Is a < b?",
    chart: ["rate", "never measured"],
    notes: ["A note."],
    environment: ENVIRONMENT,
    options: "--runs 1",
    tookSeconds: 3,
    rows: rows(),
  };
}

describe("the report", () => {
  it("says goals first, then each benchmark with its origin, chart, table and notes", () => {
    expect(toReport([result("x")])).toMatchSnapshot();
  });
});

describe("a chart", () => {
  it("draws one bar for a variant, to the scale of its group, with figures beside it", () => {
    const svg = toChart(result("x")) ?? "";
    expect(svg.match(/<rect class="(?:ours|other)".*?width="(\d+)"/g)).toHaveLength(3);
    expect(svg).toMatch(/<rect class="ours" x="230" y="\d+" width="330".*?>20,000\/s · 2 × theirs</);
    expect(svg).toMatch(/<rect class="other" x="230" y="\d+" width="165".*?>10,000\/s</);
    expect(svg).toContain("<title>Is a &lt; b?</title>");
    expect(svg).not.toContain("never measured");
  });

  it("is none without a bar", () => {
    expect(toChart({ question: "?", chart: ["never measured"], rows: rows() })).toBeNull();
  });
});

describe("results", () => {
  it("are kept one by one, and make the whole report", async () => {
    const folder = await mkdtemp(`${tmpdir()}/fractal-tree-results-`);
    try {
      const url = pathToFileURL(`${folder}/`);
      await saveResult(result("x"), url);
      await saveResult(result("y"), url);
      const results = await readResults(["y", "never measured", "x"], url);
      expect(results).toEqual([result("y"), result("x")]);
      await writeReport(results, url);
      expect(await readdir(new URL("charts/", url))).toEqual(["x.svg", "y.svg"]);
      expect(await readFile(new URL("RESULTS.md", url), "utf8")).toBe(toReport(results));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it("in the repository are not written by hand", async () => {
    const report = await readFile(new URL("RESULTS.md", BENCHMARKS), "utf8");
    const names = [...report.matchAll(/^## ([a-z]+)$/gm)].map(([, name]) => name ?? "");
    const results = await readResults(names, BENCHMARKS);
    expect(report, "run `npm run bench -- report`").toBe(toReport(results));
    const charts = await readdir(new URL("charts/", BENCHMARKS));
    const drawn = results.filter((each) => toChart(each) !== null);
    expect(charts).toEqual(drawn.map(({ name }) => `${name}.svg`).toSorted());
    for (const each of drawn) {
      expect(await readFile(new URL(`charts/${each.name}.svg`, BENCHMARKS), "utf8")).toBe(toChart(each));
    }
  });
});
