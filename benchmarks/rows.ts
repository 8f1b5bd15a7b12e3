/** From readings to rows: medians, ratios to the baseline, goals. */
import type { Bench, Goal, TakenReading } from "./bench.js";

export interface Row {
  readonly bench: string;
  /** What was compared, and in what: "node.command(), 1 in flight, p50". */
  readonly case: string;
  readonly variant: string;
  readonly reading: string;
  /** Median over the runs. */
  readonly value: number;
  readonly unit: string;
  /** The variant that it is compared with. */
  readonly against: string | null;
  /** Median over the runs of value / value of the baseline in the same run; null beside a baseline of 0. */
  readonly ratio: number | null;
  readonly goal: string | null;
  readonly met: boolean | null;
  /** Which part of its goal's floor it reaches, 1 being all of it. */
  readonly ofFloor?: number;
  readonly min: number;
  readonly max: number;
  readonly runs: number;
}

export type RowSource = Pick<Bench, "name" | "baseline" | "goals">;

/** For each variant and case a row for each of its goals, and one for the baseline if no goal is about that. */
export function toRows(bench: RowSource, readings: readonly TakenReading[]): readonly Row[] {
  const groups = new Map<string, TakenReading[]>();
  for (const reading of readings) {
    const key = keyOf(reading.variant, reading.case);
    groups.set(key, [...(groups.get(key) ?? []), reading]);
  }
  const byLabel = new Map([...groups.values()].map((group) => [labelOf(group), group]));
  const rowOf = (group: Group, goal: Goal | null): Row =>
    toRow(bench, group, goal, comparedWith(bench, groups, group, goal));
  return [...groups.values()].flatMap((group) =>
    goalsOf(bench, group).map((goal) => {
      const row = rowOf(group, goal);
      const floor = byLabel.get(goal?.floor ?? "");
      return goal === null || floor === undefined ? row : besideFloor(goal, row, rowOf(floor, goal));
    }),
  );
}

/** A floor is the least where less is better, and the most where more is. */
function besideFloor({ of, is }: Goal, row: Row, floor: Row): Row {
  const [reached, limit] = [row[of], floor[of]];
  if (reached === null || limit === null) return row;
  return { ...row, ofFloor: rounded(is === ">=" ? reached / limit : limit / reached) };
}

function keyOf(variant: string, name: string): string {
  return `${variant}\n${name}`;
}

type Group = readonly TakenReading[];

function goalsOf(bench: RowSource, group: Group): readonly (Goal | null)[] {
  const given = bench.goals[labelOf(group)] ?? [];
  const goals = "of" in given ? [given] : given;
  return goals.some(({ against }) => against === undefined) ? goals : [null, ...goals];
}

function labelOf([first]: Group): string {
  if (first === undefined) return "";
  return first.variant === "" ? first.case : `${first.variant}, ${first.case}`;
}

interface Compared {
  readonly against: string;
  readonly group: Group;
}

function comparedWith(
  bench: RowSource,
  groups: ReadonlyMap<string, Group>,
  [first]: Group,
  goal: Goal | null,
): Compared | null {
  const against = goal?.against ?? bench.baseline;
  if (against === null || first === undefined || first.variant === against) return null;
  const group = groups.get(keyOf(against, first.case));
  return group === undefined ? null : { against, group };
}

function toRow(bench: RowSource, group: Group, goal: Goal | null, compared: Compared | null): Row {
  const [{ variant, case: reading, unit }] = group as readonly [TakenReading];
  const values = group.map(({ value }) => value);
  const value = median(values);
  const ratio = compared === null ? null : ratioOf(values, compared.group);
  return {
    bench: bench.name,
    case: labelOf(group),
    variant,
    reading,
    value: rounded(value),
    unit,
    against: compared?.against ?? null,
    ratio: ratio === null || !Number.isFinite(ratio) ? null : rounded(ratio),
    goal: goal === null ? null : `${goal.of} ${goal.is} ${goal.limit}`,
    met: goal === null ? null : isMet(goal, goal.of === "ratio" ? ratio : value),
    min: rounded(Math.min(...values)),
    max: rounded(Math.max(...values)),
    runs: values.length,
  };
}

/** Run by run, so that what slowed a whole run down changes nothing. */
function ratioOf(values: readonly number[], baseline: Group): number {
  return median(values.map((each, run) => each / (baseline[run]?.value ?? Number.NaN)));
}

/** What the benchmark promises to show, but did not measure: goals and readings of its chart without a row. */
export function missing({ goals, chart }: Pick<Bench, "goals" | "chart">, rows: readonly Row[]): readonly string[] {
  const cases = new Set(rows.map((row) => row.case));
  const readings = new Set(rows.map((row) => row.reading));
  return [...Object.keys(goals).filter((label) => !cases.has(label)), ...chart.filter((each) => !readings.has(each))];
}

/** A goal that could not be measured is not met. */
function isMet({ is, limit }: Goal, measured: number | null): boolean {
  if (measured === null) return false;
  return is === ">=" ? measured >= limit : measured <= limit;
}

/** @throws RangeError without values */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/**
 * The value below which the fraction `q` of the values lies, interpolated between neighbours.
 *
 * @throws RangeError without values
 */
export function quantile(values: Iterable<number>, q: number): number {
  const sorted = Float64Array.from(values).toSorted();
  const place = (sorted.length - 1) * q;
  const below = sorted[Math.floor(place)];
  const above = sorted[Math.ceil(place)];
  if (below === undefined || above === undefined) throw new RangeError("a quantile needs at least one value");
  return below + (above - below) * (place - Math.floor(place));
}

/** Three digits say all that a noisy machine can. */
export function rounded(value: number): number {
  return Math.abs(value) >= 1_000 ? Math.round(value) : Number(value.toPrecision(3));
}
