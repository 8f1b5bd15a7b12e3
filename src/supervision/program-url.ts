/** Where a child's program is. */
import { fileURLToPath, pathToFileURL } from "node:url";
import { isAbsolute } from "node:path";
import { InvalidOptionError } from "../errors.js";

/** The program as a URL. @throws InvalidOptionError */
export function programUrl(option: string, program: URL | string): URL {
  if (program instanceof URL && program.protocol === "file:") return program;
  if (typeof program === "string" && program.startsWith("file:")) return new URL(program);
  if (typeof program === "string" && isAbsolute(program)) return pathToFileURL(program);
  throw new InvalidOptionError(
    option,
    program,
    'a file URL such as new URL("./child.js", import.meta.url), or an absolute path',
  );
}

export function programPath(option: string, program: URL | string): string {
  return fileURLToPath(programUrl(option, program));
}
