/** Handlers of commands and requests as users write them, and what they get. */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { Epoch } from "../../machines/epoch.js";
import { InvalidOptionError } from "../errors.js";
import type { Meta } from "../protocol/messages.js";
import { record } from "./option-checks.js";
import {
  type HandlerEnvironment,
  type Handlers,
  InvalidInput,
  type Invocation,
  type PreparedHandler,
} from "./executor.js";

/** What a handler knows of its call. */
export interface HandlerContext {
  /** The node that runs the handler. */
  readonly path: string;
  /** The command's or request's name. */
  readonly name: string;
  /** The same over hops and retries of one call: fit as an idempotency key. */
  readonly commandId: string;
  /** Aborts at the deadline, on cancellation and when the node ends. */
  readonly signal: AbortSignal;
  /** The node's incarnation: a fencing token for what the handler does outside. Compare with `compareEpochs`. */
  readonly epoch: Epoch;
  /** Headers that the caller gave, or null. */
  readonly meta: Meta | null;
  /** Time left until the deadline, milliseconds. */
  readonly remainingMs: () => number;
  /** Reports progress to the caller; may be lost. @throws UnsupportedPayloadError */
  readonly progress: (value: unknown) => void;
}

// A node's handlers differ in their inputs; `never` lets each declare its own, the caller's side is typed by `command<T>()`.
export type Handler = (input: never, context: HandlerContext) => unknown;

/** A handler with a validator: any Standard Schema (zod, valibot, arktype, …). */
export interface ValidatedHandler<Schema extends StandardSchemaV1 = StandardSchemaV1> {
  /** Input that does not satisfy it is refused as INVALID_INPUT before the handler starts. */
  readonly input: Schema;
  readonly run: (input: never, context: HandlerContext) => unknown;
}

export type Commands = Readonly<Record<string, Handler | ValidatedHandler>>;

/** Joins a validator and a handler, with the handler's input typed by the validator. */
export function validated<Schema extends StandardSchemaV1>(
  input: Schema,
  run: (input: StandardSchemaV1.InferOutput<Schema>, context: HandlerContext) => unknown,
): ValidatedHandler<Schema> {
  return { input, run: run };
}

const known = new WeakMap<Commands, Handlers>();

/** Handlers of resolved options, which nodes share that are made alike; own properties only, so that "constructor" is no command. */
export function handlersOf(commands: Commands): Handlers {
  const handlers = known.get(commands) ?? prepareAll(commands);
  known.set(commands, handlers);
  return handlers;
}

function prepareAll(commands: Commands): Handlers {
  return new Map(Object.keys(commands).map((name) => [name, prepare(commands[name] as Handler | ValidatedHandler)]));
}

function prepare(command: Handler | ValidatedHandler): PreparedHandler {
  if (typeof command === "function") {
    return (input, invocation, environment) => command(input as never, new CallContext(invocation, environment));
  }
  return async (input, invocation, environment) => {
    const value = await validate(command.input, input);
    return command.run(value as never, new CallContext(invocation, environment));
  };
}

async function validate(schema: StandardSchemaV1, input: unknown): Promise<unknown> {
  const result = await schema["~standard"].validate(input);
  if (result.issues === undefined) return result.value;
  const issues = result.issues.map((issue) => `${pathOf(issue)}${issue.message}`);
  throw new InvalidInput(issues.join("; "));
}

function pathOf(issue: StandardSchemaV1.Issue): string {
  const keys = (issue.path ?? []).map((part) => String(typeof part === "object" ? part.key : part));
  return keys.length === 0 ? "" : `${keys.join(".")}: `;
}

/** A class, because every call gets one; what may be taken out of it is bound when it is asked for. */
class CallContext implements HandlerContext {
  readonly path: string;
  readonly name: string;
  readonly commandId: string;
  readonly epoch: Epoch;
  readonly meta: Meta | null;
  readonly #invocation: Invocation;

  constructor(invocation: Invocation, environment: HandlerEnvironment) {
    this.path = environment.path;
    this.name = invocation.name;
    this.commandId = invocation.id;
    this.epoch = environment.epoch;
    // The nodes of a process share what was broadcast to them.
    this.meta = invocation.meta === null ? null : { ...invocation.meta };
    this.#invocation = invocation;
  }

  get signal(): AbortSignal {
    return this.#invocation.signal;
  }

  get remainingMs(): () => number {
    return () => this.#invocation.remainingMs();
  }

  get progress(): (value: unknown) => void {
    return (value) => this.#invocation.progress(value);
  }
}

const NAME_LENGTH_MAX = 64;

/** @throws InvalidOptionError */
export function assertCommands(option: string, commands: Commands): void {
  for (const name of Object.keys(record(option, commands))) {
    assertCommandName(`${option} name`, name);
    const command: unknown = commands[name];
    const run = typeof command === "function" ? command : (command as Partial<ValidatedHandler> | null)?.run;
    if (typeof run !== "function") {
      throw new InvalidOptionError(`${option}.${name}`, command, "a function or { input: schema, run: function }");
    }
    if (typeof command !== "function") assertSchema(`${option}.${name}.input`, command as Partial<ValidatedHandler>);
  }
}

function assertSchema(option: string, command: Partial<ValidatedHandler>): void {
  const schema = command.input as { "~standard"?: { validate?: unknown } } | undefined;
  if (typeof schema?.["~standard"]?.validate !== "function") {
    throw new InvalidOptionError(option, schema, "a Standard Schema validator, such as zod's or valibot's");
  }
}

export function assertCommandName(option: string, name: unknown): asserts name is string {
  if (typeof name !== "string" || name.length < 1 || name.length > NAME_LENGTH_MAX || !name.isWellFormed()) {
    throw new InvalidOptionError(option, name, `a well-formed string of 1 to ${NAME_LENGTH_MAX} characters`);
  }
}
