/** From readings to rows: medians, ratios to the baseline, goals. */
import type { Bench, Goal, TakenReading } from "./bench.js";

export interface Row {
  readonly bench: string;
  readonly case: string;
  /** Median over the runs. */
  readonly value: number;
  readonly unit: string;
  /** The variant that it is compared with. */
  readonly against: string | null;
  /** Median over the runs of value / value of the baseline in the same run; null beside a baseline of 0. */
  readonly ratio: number | null;
  readonly goal: string | null;
  readonly met: boolean | null;
  readonly min: number;
  readonly max: number;
  readonly runs: number;
}

export type RowSource = Pick<Bench, "name" | "baseline" | "goals">;

export function toRows(bench: RowSource, readings: readonly TakenReading[]): readonly Row[] {
  const groups = new Map<string, TakenReading[]>();
  for (const reading of readings) {
    const key = keyOf(reading.variant, reading.case);
    groups.set(key, [...(groups.get(key) ?? []), reading]);
  }
  return [...groups.values()].map((group) => toRow(bench, group, baselineOf(bench, groups, group)));
}

function keyOf(variant: string, name: string): string {
  return `${variant}\n${name}`;
}

function baselineOf(
  bench: RowSource,
  groups: ReadonlyMap<string, readonly TakenReading[]>,
  group: readonly TakenReading[],
): readonly TakenReading[] | null {
  const [first] = group;
  if (bench.baseline === null || first === undefined || first.variant === bench.baseline) return null;
  return groups.get(keyOf(bench.baseline, first.case)) ?? null;
}

function toRow(bench: RowSource, group: readonly TakenReading[], baseline: readonly TakenReading[] | null): Row {
  const [{ variant, case: name, unit }] = group as readonly [TakenReading];
  const values = group.map(({ value }) => value);
  const value = median(values);
  const ratio =
    baseline === null ? null : median(values.map((each, run) => each / (baseline[run]?.value ?? Number.NaN)));
  const label = variant === "" ? name : `${variant}, ${name}`;
  const goal = bench.goals[label];
  return {
    bench: bench.name,
    case: label,
    value: rounded(value),
    unit,
    against: baseline === null ? null : bench.baseline,
    ratio: ratio === null || !Number.isFinite(ratio) ? null : rounded(ratio),
    goal: goal === undefined ? null : `${goal.of} ${goal.is} ${goal.limit}`,
    met: goal === undefined ? null : isMet(goal, goal.of === "ratio" ? ratio : value),
    min: rounded(Math.min(...values)),
    max: rounded(Math.max(...values)),
    runs: values.length,
  };
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
