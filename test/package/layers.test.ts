/**
 * The house: `machines/` decides and knows nothing else; the folders of `src/` import in one direction only. Read from
 * the import statements of the files, so that a new file is held to the rule without being listed.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/**
 * Who may import whom directly; what is reached over several arrows is allowed, too. `entries` are the public subpaths
 * in `src/` itself. The folders between node and machines are one layer: they may use each other.
 */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  cli: ["entries"],
  entries: ["observe", "workflows", "testing"],
  testing: ["services"],
  observe: ["services"],
  workflows: ["services"],
  services: ["log", "node"],
  log: ["health", "protocol", "transport"],
  node: ["supervision"],
  supervision: ["health", "protocol", "transport"],
  health: ["protocol", "transport", "errors"],
  protocol: ["health", "transport", "errors"],
  transport: ["health", "protocol", "errors"],
  errors: ["machines"],
  machines: [],
};

interface Import {
  readonly file: string;
  /** As written. */
  readonly specifier: string;
  /** The imported file, or null for a package. */
  readonly target: string | null;
  readonly isType: boolean;
}

const STATEMENT = /^(?:import|export)\s(?:(type)\s)?[^;"']*?from\s*["']([^"']+)["']|^import\s*["']([^"']+)["']/gm;
const DYNAMIC = /\bimport\(\s*["']([^"']+)["']\s*\)/g;

function importsOf(file: string): readonly Import[] {
  const text = withoutComments(readFileSync(join(ROOT, file), "utf8"));
  const statements = [...text.matchAll(STATEMENT)].map(([, type, from, bare]) =>
    toImport(file, from ?? bare ?? "", type !== undefined),
  );
  return [...statements, ...[...text.matchAll(DYNAMIC)].map(([, specifier]) => toImport(file, specifier ?? "", false))];
}

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/^\s*\/\/.*$/gm, "");
}

function toImport(file: string, specifier: string, isType: boolean): Import {
  const isRelative = specifier.startsWith(".");
  const target = isRelative ? join(dirname(file), specifier).replace(/\.js$/, ".ts") : null;
  return { file, specifier, target, isType };
}

function filesBelow(folder: string): readonly string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
    .toSorted();
}

/** `src/node/call.ts` belongs to node, `src/errors.ts` to errors, `src/index.ts` to the entries. */
function areaOf(file: string): string {
  const [top, second] = file.split("/");
  if (top !== "src") return top ?? "";
  if (second === "errors.ts") return "errors";
  return second?.endsWith(".ts") === true ? "entries" : (second ?? "");
}

function reachable(area: string, seen = new Set<string>()): ReadonlySet<string> {
  if (seen.has(area)) return seen;
  seen.add(area);
  for (const next of ARROWS[area] ?? []) reachable(next, seen);
  return seen;
}

const FILES = [...filesBelow("machines"), ...filesBelow("src")];
const IMPORTS = FILES.flatMap(importsOf);

describe("layers", () => {
  it("are read at all", () => {
    const errors = IMPORTS.find((each) => each.file === "src/protocol/path.ts" && each.target === "src/errors.ts");
    expect(errors?.isType).toBe(false);
    const epoch = IMPORTS.find((each) => each.file === "src/protocol/messages.ts");
    expect(epoch).toMatchObject({ target: "machines/epoch.ts", isType: true });
  });

  it("have a place for every folder", () => {
    expect([...new Set(FILES.map(areaOf))].filter((area) => ARROWS[area] === undefined)).toEqual([]);
  });

  it("import downwards only", () => {
    const wrong = IMPORTS.filter(({ file, target }) => target !== null && !reachable(areaOf(file)).has(areaOf(target)));
    expect(wrong.map(({ file, specifier }) => `${file} imports ${specifier}`)).toEqual([]);
  });

  it("know no test, example or benchmark", () => {
    const outside = IMPORTS.filter(({ target }) => target !== null && !/^(?:machines|src)\//.test(target));
    expect(outside.map(({ file, specifier }) => `${file} imports ${specifier}`)).toEqual([]);
  });
});

describe("machines/", () => {
  it("imports xstate and machines/ only", () => {
    const own = IMPORTS.filter(({ file }) => areaOf(file) === "machines");
    const foreign = own.filter(({ specifier, target }) => specifier !== "xstate" && target === null);
    expect(foreign.map(({ file, specifier }) => `${file} imports ${specifier}`)).toEqual([]);
    expect(own.length).toBeGreaterThan(0);
  });
});

describe("files", () => {
  it("do not import each other in circles", () => {
    const edges = new Map<string, readonly string[]>();
    for (const file of FILES) {
      const values = IMPORTS.filter((each) => each.file === file && each.target !== null && !each.isType);
      edges.set(
        file,
        values.map((each) => each.target as string),
      );
    }
    expect(FILES.flatMap((file) => circleThrough(file, edges))).toEqual([]);
  });
});

/** The shortest circle of imports that leads back to `start`, as text, or nothing. */
function circleThrough(start: string, edges: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const ways: string[][] = [[start]];
  const seen = new Set<string>();
  for (const way of ways) {
    for (const next of edges.get(way.at(-1) as string) ?? []) {
      if (next === start) return [[...way, start].join(" → ")];
      if (seen.has(next)) continue;
      seen.add(next);
      ways.push([...way, next]);
    }
  }
  return [];
}
