/** Arguments that make no sense: told with a usage line, exit code 2. */
import { parseArgs, type ParseArgsConfig } from "node:util";

export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly usage: string;

  constructor(message: string, usage: string) {
    super(message);
    this.usage = usage;
  }
}

type Options = NonNullable<ParseArgsConfig["options"]>;
type Config<T extends Options> = { args: string[]; options: T; strict: true; allowPositionals: false };
type Values<T extends Options> = ReturnType<typeof parseArgs<Config<T>>>["values"];

/** @throws UsageError */
export function parseOptions<const T extends Options>(args: readonly string[], options: T, usage: string): Values<T> {
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values;
  } catch (error) {
    // Only the first sentence says what is wrong; the rest is advice for programmers.
    const [message = ""] = (error instanceof Error ? error.message : String(error)).split(". ");
    throw new UsageError(message, usage);
  }
}
