/** Where a child's program is. */
import { fileURLToPath, pathToFileURL } from "node:url";
import { isAbsolute } from "node:path";
import { InvalidOptionError } from "../errors.js";

const RULE = 'a file URL such as new URL("./child.js", import.meta.url), or an absolute path';

/** The program as a URL. @throws InvalidOptionError */
export function programUrl(option: string, program: URL | string): URL {
  const url = typeof program === "string" && isAbsolute(program) ? pathToFileURL(program) : toUrl(program);
  if (url === null || pathOf(url) === null) throw new InvalidOptionError(option, program, RULE);
  return url;
}

export function programPath(option: string, program: URL | string): string {
  return fileURLToPath(programUrl(option, program));
}

function toUrl(program: URL | string): URL | null {
  if (program instanceof URL) return program;
  return typeof program === "string" && URL.canParse(program) ? new URL(program) : null;
}

/** The file's path; null where there is none, as for another protocol, or for a file on another host. */
function pathOf(url: URL): string | null {
  try {
    const path = fileURLToPath(url);
    return path === "/" ? null : path;
  } catch {
    return null;
  }
}
