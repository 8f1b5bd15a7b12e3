/** What is published works for whoever installs it: packed, installed into an empty project, imported, typechecked, run. */
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

const PROGRAM = `
import { createNode, memoryTransport } from "fractal-tree";
import { connectNats, natsTransport } from "fractal-tree/nats";
import { coordinationMachine } from "fractal-tree/machines";
import { SimulatedClock } from "fractal-tree/testing";
import manifest from "fractal-tree/package.json" with { type: "json" };

const transport = memoryTransport();
const commands = { double: (input) => input * 2 };
const root = createNode({ path: "root", transport, children: [{ id: "leaf" }] });
const leaf = createNode({ path: "root.leaf", transport, commands });
await Promise.all([root.start(), leaf.start()]);
await root.until("SYNCHRONIZED", { timeoutMs: 5000 });
const doubled = await root.command("leaf", "double", 21);
await root.shutdownTree();
const imported = [connectNats, natsTransport, SimulatedClock].map((each) => typeof each);
console.log(JSON.stringify({ doubled, imported, machine: coordinationMachine.id, version: manifest.version }));
`;

const TYPED = `
import { type CommandOutcome, createNode, type HandlerContext, memoryTransport, type Node } from "fractal-tree";
import { connectNats } from "fractal-tree/nats";
import { type CoordinationState, coordinationMachine } from "fractal-tree/machines";
import { SimulatedClock } from "fractal-tree/testing";

const clock = new SimulatedClock();
const double = (input: number, { progress, signal }: HandlerContext) => {
  progress(signal.aborted);
  return input * 2;
};
const node: Node = createNode({ path: "root", transport: memoryTransport({ clock }), clock, commands: { double } });
export const state: CoordinationState = node.state;
export const doubled: Promise<number> = node.command<number>("leaf", "double", 21);
export const outcome: Promise<CommandOutcome<number>> = node.tryCommand<number>("leaf", "double", 21);
export const machineId: string = coordinationMachine.id;
export const remote = connectNats({ servers: "nats://127.0.0.1:4222", tree: "acme" });
// @ts-expect-error there is no such state
void node.until("READY");
// @ts-expect-error a tree must be named on NATS
void connectNats({ servers: "nats://127.0.0.1:4222" });
`;

const TSCONFIG = {
  compilerOptions: {
    target: "es2022",
    lib: ["es2022", "esnext.disposable"],
    module: "nodenext",
    strict: true,
    noEmit: true,
    skipLibCheck: false,
    types: ["node"],
    typeRoots: [join(ROOT, "node_modules/@types")],
  },
  files: ["typed.ts"],
};

const run = promisify(execFile);

/** npm as a user's shell has it, not as a script of this package. */
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_ENV$)/i.test(name)));

let project = "";
let packed: readonly string[] = [];

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), "fractal-tree-tarball-"));
  // Without its scripts: they would rebuild dist under the feet of the tests that run beside this one.
  const pack = ["pack", "--ignore-scripts", "--json", "--pack-destination", project];
  const { stdout } = await run("npm", pack, { cwd: ROOT, env });
  const [{ filename, files }] = JSON.parse(stdout) as [{ filename: string; files: readonly { path: string }[] }];
  packed = files.map(({ path }) => path);
  await writeFile(join(project, "package.json"), JSON.stringify({ private: true, type: "module" }));
  await writeFile(join(project, "program.js"), PROGRAM);
  await writeFile(join(project, "typed.ts"), TYPED);
  await writeFile(join(project, "tsconfig.json"), JSON.stringify(TSCONFIG));
  await run("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", `./${filename}`], { cwd: project, env });
}, 180_000);

afterAll(async () => {
  await rm(project, { recursive: true, force: true });
});

describe("the tarball", () => {
  it("holds what was built and what there is to read, no more", () => {
    const strangers = packed.filter(
      (path) =>
        !/^(?:dist\/|docs\/.*\.(?:md|svg)$|(?:README|CHANGELOG|CONTRIBUTING)\.md$|LICENSE$|package\.json$)/.test(path),
    );
    expect(strangers).toEqual([]);
    expect(packed).toEqual(expect.arrayContaining(["LICENSE", "README.md", "CHANGELOG.md", "dist/src/index.d.ts"]));
    expect(packed.filter((path) => /(?<!\.d)\.ts$/.test(path))).toEqual([]);
  });

  it("can be imported by every subpath, and runs a tree", async () => {
    const { stdout } = await run(process.execPath, ["--no-warnings", "program.js"], { cwd: project, env });
    expect(JSON.parse(stdout)).toEqual({
      doubled: 42,
      imported: ["function", "function", "function"],
      machine: "coordination",
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    });
  });

  it("has types that hold without skipLibCheck", async () => {
    const tsc = join(ROOT, "node_modules/.bin/tsc");
    const { stdout } = await run(tsc, ["-p", project], { cwd: project, env }).catch(
      (error: { stdout: string }) => error,
    );
    expect(stdout).toBe("");
  }, 60_000);

  it("brings its command", async () => {
    const { stdout } = await run("npx", ["--no-install", "fractal-tree", "--help"], { cwd: project, env });
    expect(stdout).toContain("usage: fractal-tree");
  });
});
