/**
 * Resolved options that nodes share which are made alike: ten thousand leaves of one kind have theirs once, and are not
 * checked ten thousand times.
 *
 * What a user can change after it was given never counts as the same: handlers are compared one by one with those that
 * were given before, and with other objects inside nothing is shared.
 */
import type { NodeOptions, ResolvedNodeOptions } from "./options.js";

interface Shared {
  readonly given: Readonly<Partial<NodeOptions>>;
  readonly resolved: ResolvedNodeOptions;
}

/** Kinds of nodes remembered for each transport. */
const KINDS_MAX = 4;
const kinds = new WeakMap<object, Shared[]>();

/** Options that are copied when they are resolved. */
const COPIED: ReadonlySet<string> = new Set([
  "children",
  "supervision",
  "thresholds",
  "backoff",
  "heartbeat",
  "failureDetector",
]);
const HANDLERS: ReadonlySet<string> = new Set(["commands", "requests"]);

/** What options that are alike were resolved to. */
export function sharedOptions(options: NodeOptions): ResolvedNodeOptions | undefined {
  const known = isObject(options.transport) ? kinds.get(options.transport) : undefined;
  return known?.find((shared) => isAlike(shared, options))?.resolved;
}

export function shareOptions(options: NodeOptions, resolved: ResolvedNodeOptions): void {
  const given = entriesOf(options);
  if (given.some(([name, value]) => COPIED.has(name) && !isNothing(value))) return;
  const known = kinds.get(options.transport) ?? [];
  known.unshift({ given: Object.fromEntries(given), resolved });
  known.length = Math.min(known.length, KINDS_MAX);
  kinds.set(options.transport, known);
}

function isAlike({ given, resolved }: Shared, options: NodeOptions): boolean {
  let left = Object.keys(given).length;
  for (const [name, value] of entriesOf(options)) {
    const known = name as keyof NodeOptions;
    if (!(name in given) || !isSame(name, value, HANDLERS.has(name) ? resolved[known as "commands"] : given[known]))
      return false;
    left--;
  }
  return left === 0;
}

function entriesOf(options: NodeOptions): readonly (readonly [name: string, value: unknown])[] {
  return Object.entries(options).filter(([name, value]) => name !== "path" && value !== undefined);
}

function isSame(name: string, value: unknown, before: unknown): boolean {
  if (COPIED.has(name)) return isNothing(value);
  return HANDLERS.has(name) ? hasSameEntries(before as object, value) : Object.is(before, value);
}

function isNothing(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

function hasSameEntries(before: object, value: unknown): boolean {
  if (!isObject(value)) return false;
  const names = Object.keys(value);
  const isKnown = (name: string): boolean =>
    Object.hasOwn(before, name) && before[name as keyof object] === value[name as keyof object];
  return names.length === Object.keys(before).length && names.every(isKnown);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
