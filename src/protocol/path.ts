/** Paths and the other names that become NATS subject tokens. */
import { InvalidPathError } from "../errors.js";

const TOKEN_PATTERN = "[A-Za-z0-9_-]{1,64}";
const TOKEN = new RegExp(`^${TOKEN_PATTERN}$`);
const TOKEN_RULE = "1 to 64 characters of A-Z a-z 0-9 _ -";

/** Levels of a tree; with the longest ids a subject stays well below the server's limits. */
const DEPTH_MAX = 32;

const PATH = new RegExp(`^${TOKEN_PATTERN}(?:\\.${TOKEN_PATTERN}){0,${DEPTH_MAX - 1}}$`);

/** Characters of the longest path: ids of 64 and the dots between them. */
export const PATH_LENGTH_MAX = DEPTH_MAX * 65 - 1;

/**
 * Checks one token: a child id, tree name or namespace.
 *
 * @throws InvalidPathError
 */
export function assertToken(field: string, value: unknown): asserts value is string {
  if (typeof value !== "string" || !TOKEN.test(value)) throw new InvalidPathError(field, value, TOKEN_RULE);
}

/**
 * Checks a path: 1 to 32 tokens joined by dots, absolute (`shop.orders.eu`) or relative to a node (`orders.eu`).
 *
 * @throws InvalidPathError
 */
export function assertPath(field: string, value: unknown): asserts value is string {
  if (!isPath(value)) {
    throw new InvalidPathError(field, value, `1 to ${DEPTH_MAX} ids joined by dots, each ${TOKEN_RULE}`);
  }
}

/** The last text that was one: whoever sends many messages sends them to few. */
let lastPath = "";

export function isPath(value: unknown): value is string {
  if (typeof value !== "string" || value === "") return false;
  if (value === lastPath) return true;
  const isOne = PATH.test(value);
  if (isOne) lastPath = value;
  return isOne;
}

/** The parent's path, or null for a root. */
export function parentPath(path: string): string | null {
  const dot = path.lastIndexOf(".");
  return dot === -1 ? null : path.slice(0, dot);
}

const DOT = ".".charCodeAt(0);

/** The last token. */
export function lastToken(path: string): string {
  let start = path.length;
  // V8 calls into its runtime for the last index of a character.
  while (start > 0 && path.charCodeAt(start - 1) !== DOT) start--;
  return path.slice(start);
}

/** Splits a relative path into the child to go through and the rest below it (empty when the child itself is meant). */
export function splitTarget(target: string): { readonly childId: string; readonly rest: string } {
  const dot = target.indexOf(".");
  return dot === -1 ? { childId: target, rest: "" } : { childId: target.slice(0, dot), rest: target.slice(dot + 1) };
}
