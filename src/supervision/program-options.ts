/** The rules that options of programs obey which run in threads and processes of their own. */
import { InvalidOptionError } from "../errors.js";

/** A misspelt option would silently do nothing. @throws InvalidOptionError, like all below */
export function known(options: object, names: readonly string[]): void {
  const unknown = Object.entries(options).find(([name]) => !names.includes(name));
  if (unknown !== undefined) throw new InvalidOptionError(unknown[0], unknown[1], `one of ${names.join(", ")}`);
}

/** @param of what the options belong to */
export function optionsOf<Options extends object>(of: string, options: Options): Options {
  if (typeof options === "object" && options !== null) return options;
  throw new InvalidOptionError(`${of} options`, options, "an object");
}

export function strings(option: string, value: readonly string[]): string[] {
  if (Array.isArray(value) && value.every((entry) => typeof entry === "string")) return [...value];
  throw new InvalidOptionError(option, value, "an array of strings");
}

/** This process's environment with more. */
export function environment(option: string, value: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isObject || !Object.values(value).every((entry) => typeof entry === "string")) {
    throw new InvalidOptionError(option, value, "an object of strings");
  }
  return { ...process.env, ...value };
}

/** What can be sent to a thread or process. */
export function cloneable(option: string, value: unknown): unknown {
  try {
    return structuredClone(value);
  } catch {
    throw new InvalidOptionError(option, value, "without functions and whatever else cannot be cloned");
  }
}
