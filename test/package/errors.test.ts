/** Every error says its class by `name` and what went wrong by a literal `code`. */
import { describe, expect, it } from "vitest";
import * as errors from "../../src/errors.js";
import { FractalTreeError } from "../../src/errors.js";

type ErrorClass = new (...args: never[]) => FractalTreeError;

const COMMAND_ERROR = {
  status: "failed",
  code: "HANDLER_FAILED",
  message: "it threw",
  path: "shop.orders",
  name: "reserve",
  commandId: "c1",
  handlerCode: "SOLD_OUT",
} as const;

/** One instance of each class. */
const EXAMPLES: Readonly<Record<string, () => FractalTreeError>> = {
  InvalidOptionError: () => new errors.InvalidOptionError("shutdownMs", -1, "at least 0"),
  InvalidPathError: () => new errors.InvalidPathError("path", "a..b", "ids joined by dots"),
  UnsupportedPayloadError: () => new errors.UnsupportedPayloadError("input.at", "is an invalid Date"),
  PayloadTooLargeError: () => new errors.PayloadTooLargeError(2_000_000, 1_048_576),
  WrongStateError: () => new errors.WrongStateError("the node was not started"),
  ChildNotFoundError: () => new errors.ChildNotFoundError("shop.orders"),
  ChildExistsError: () => new errors.ChildExistsError("shop.orders"),
  ChildRunningError: () => new errors.ChildRunningError("shop.orders", "running"),
  ChildNotStartedError: () => new errors.ChildNotStartedError("shop.orders", "exit code 1"),
  DependencyDownError: () => new errors.DependencyDownError("no database"),
  WaitTimeoutError: () => new errors.WaitTimeoutError("SYNCHRONIZED", 5_000),
  NodeEndedError: () => new errors.NodeEndedError("shop", "stopped"),
  NodeFencedError: () => new errors.NodeFencedError("shop", "7.1"),
  DuplicatePathError: () => new errors.DuplicatePathError("shop"),
  TransportClosedError: () => new errors.TransportClosedError(),
  TransportUnavailableError: () => new errors.TransportUnavailableError("nats://127.0.0.1:4222", new Error("refused")),
  PermissionDeniedError: () => new errors.PermissionDeniedError("publish", "ft.shop.up.shop.orders"),
  CommandError: () => new errors.CommandError(COMMAND_ERROR),
};

/** Classes whose code is told by what happened. */
const CODE_BY_INSTANCE = new Set(["CommandError"]);

const CLASSES = Object.entries(errors as Record<string, unknown>).filter(
  (entry): entry is [string, ErrorClass] =>
    typeof entry[1] === "function" && entry[1].prototype instanceof FractalTreeError,
);

describe("errors", () => {
  it("all have an example here", () => {
    expect(CLASSES.map(([name]) => name).toSorted()).toEqual(Object.keys(EXAMPLES).toSorted());
  });

  it.each(CLASSES)("%s has the name of its class", (name, type) => {
    const error = EXAMPLES[name]?.();
    expect(type.name).toBe(name);
    expect(error).toBeInstanceOf(type);
    expect(error).toBeInstanceOf(Error);
    expect(error?.name).toBe(name);
    expect(String(error)).toBe(`${name}: ${error?.message}`);
  });

  it.each(CLASSES)("%s has a code and a message that names its values", (name) => {
    const error = EXAMPLES[name]?.();
    expect(error?.code).toMatch(/^[A-Z]+(?:_[A-Z]+)*$/);
    expect(error?.message).not.toMatch(/undefined|\[object/);
  });

  it("have a code each", () => {
    const fixed = CLASSES.filter(([name]) => !CODE_BY_INSTANCE.has(name)).map(([name]) => EXAMPLES[name]?.().code);
    expect(new Set(fixed).size).toBe(fixed.length);
    expect(fixed).not.toContain(COMMAND_ERROR.code);
  });

  it("keep what a caller decides by as fields", () => {
    expect(new errors.CommandError(COMMAND_ERROR)).toMatchObject({
      status: "failed",
      code: "HANDLER_FAILED",
      path: "shop.orders",
      commandName: "reserve",
      commandId: "c1",
      handlerCode: "SOLD_OUT",
    });
    expect(EXAMPLES["TransportUnavailableError"]?.().cause).toBeInstanceOf(Error);
    expect(EXAMPLES["PayloadTooLargeError"]?.()).toMatchObject({ payloadBytes: 2_000_000, maxPayloadBytes: 1_048_576 });
  });

  it.each([
    ["a text", "x", '"x"'],
    ["a long text", "x".repeat(100), `"${"x".repeat(80)}…"`],
    ["an object", { a: 1 }, "an object"],
    ["an array", [1], "an array"],
    ["nothing", undefined, "undefined"],
    ["null", null, "null"],
    ["a number", -1, "-1"],
    ["a symbol", Symbol("s"), "Symbol(s)"],
  ])("describe %s that is out of its rule", (_, value, description) => {
    expect(new errors.InvalidOptionError("limit", value, "above 0").message).toBe(
      `limit must be above 0, got ${description}`,
    );
  });
});
