/** The demo as users run it: one process and many, as text and as JSON, with right and wrong arguments, and interrupted. */
import { createHash } from "node:crypto";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CliRun, processesOf, runCli, startCli } from "./run-cli.js";

interface Summary {
  readonly ok: boolean;
  readonly files: number;
  readonly bytes: number;
  readonly digest: string;
  readonly plainDigest: string;
  readonly retries: number;
  readonly recoveryMs: number;
  readonly totalMs: number;
  readonly timeline: readonly { readonly atMs: number; readonly path: string; readonly state: string }[];
}

const KEYS = ["ok", "files", "bytes", "digest", "plainDigest", "retries", "recoveryMs", "totalMs", "timeline"];

const scratch = mkdtempSync(join(tmpdir(), "fractal-tree-demo-test-"));
const folder = join(scratch, "files");
const contents = new Map<string, Buffer>();

beforeAll(() => {
  for (let index = 0; index < 300; index++) {
    contents.set(`part-${index % 7}/deep/file ${index}.txt`, Buffer.alloc(index * 50, `content ${index}`));
  }
  contents.set("empty", Buffer.alloc(0));
  contents.set("large.bin", Buffer.alloc(3_000_000, "large"));
  // In UTF-8 the first of these comes first, in UTF-16 the second.
  contents.set("\uFB01.txt", Buffer.from("ligature"));
  contents.set("\u{1F332}.txt", Buffer.from("tree"));
  for (const [path, content] of contents) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  symlinkSync("large.bin", join(folder, "link"));
  symlinkSync("..", join(folder, "part-1", "up"));
});

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function sha256(data: Buffer | string): string {
  return createHash("sha256").update(data).digest("hex");
}

/** Computed from what was written, not from what is found. */
function expectedDigest(): string {
  const paths = [...contents.keys()].toSorted((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)));
  return sha256(paths.map((path) => `${sha256(contents.get(path) ?? "")}  ${path}\0`).join(""));
}

function summaryOf({ stdout }: CliRun): Summary {
  expect(stdout).toMatch(/^\{.*\}\n$/);
  return JSON.parse(stdout) as Summary;
}

function statesOf({ timeline }: Summary, path: string): readonly string[] {
  return timeline.filter((entry) => entry.path === path).map(({ state }) => state);
}

function expectWhole(run: CliRun): void {
  const summary = summaryOf(run);
  expect(Object.keys(summary)).toEqual(KEYS);
  expect(summary).toMatchObject({
    ok: true,
    files: contents.size,
    bytes: [...contents.values()].reduce((sum, { length }) => sum + length, 0),
    digest: expectedDigest(),
    plainDigest: expectedDigest(),
  });
  expect(summary.retries).toBeGreaterThan(0);
  expect(summary.recoveryMs).toBeGreaterThan(0);
  expect(summary.recoveryMs).toBeLessThan(summary.totalMs);
}

/** The root saw it and got over it; one middle node started twice; nobody else did. */
function expectOneIncident(summary: Summary): void {
  // On a host under load it may go through DEGRADED more than once.
  expect(statesOf(summary, "demo").join()).toMatch(/^CONNECTING,SYNCHRONIZED(,DEGRADED,SYNCHRONIZED)+$/);
  const starts = summary.timeline.filter(({ state }) => state === "CONNECTING").map(({ path }) => path);
  const twice = starts.filter((path, index) => starts.indexOf(path) !== index);
  expect(twice).toEqual([expect.stringMatching(/^demo\.[abc]$/)]);
  expect(new Set(starts).size).toBe(13);
  const times = summary.timeline.map(({ atMs }) => atMs);
  expect(times).toEqual(times.toSorted((left, right) => left - right));
}

describe("fractal-tree demo", () => {
  it("tells the same digest as the plain one, as one line of JSON", async () => {
    const run = await runCli(["demo", "--dir", folder, "--json"]);
    expectWhole(run);
    expectOneIncident(summaryOf(run));
    expect(run.stdout.trimEnd()).not.toContain("\n");
  });

  it("tells people the timeline and the summary", async () => {
    const { stdout, stderr } = await runCli(["demo", "--dir", folder]);
    expect(stdout).toMatch(
      /demo +SYNCHRONIZED[^]* demo\.[abc] +killed[^]* demo +DEGRADED +children[^]* demo +SYNCHRONIZED/,
    );
    expect(stdout).toMatch(/files +304 \(.*\): 0 lost, 0 doubled, 0 different\n/);
    expect(stdout).toMatch(/plain digest +[0-9a-f]{64}, the same\n/);
    expect(stdout).toMatch(
      /its leaves +3 of 3 survived and attached again: (demo\.[abc]\.\d \(boot [0-9a-f]{8}\)(, )?){3}\n/,
    );
    expect(stdout).toMatch(/result +ok\n$/);
    expect(stderr).toMatch(/100 % tree: 304 of 304 files/);
  });

  it("is content with an empty folder", async () => {
    const empty = join(scratch, "empty");
    mkdirSync(empty);
    const summary = summaryOf(await runCli(["demo", "--dir", empty, "--json"]));
    expect(summary).toMatchObject({ ok: true, files: 0, bytes: 0, retries: 0 });
    expectOneIncident(summary);
  });

  it("ends with 1 when the results differ", async () => {
    const changing = join(scratch, "changing");
    mkdirSync(changing);
    let count = 0;
    const change = (): void => {
      writeFileSync(join(scratch, "next"), `${count++}`);
      renameSync(join(scratch, "next"), join(changing, "counter"));
    };
    change();
    const timer = setInterval(change, 10);
    const run = await runCli(["demo", "--dir", changing], { code: 1 }).finally(() => clearInterval(timer));
    expect(run.stdout).toMatch(/files +1 .*0 lost, 0 doubled, 1 different\n +different +counter\n/);
    expect(run.stdout).toMatch(/changed by others while the demo ran: counter\n/);
    expect(run.stdout).toMatch(/result +NOT ok\n$/);
  });

  it.skipIf(process.getuid?.() === 0)("names a file that it cannot read", async () => {
    const locked = join(scratch, "locked");
    mkdirSync(locked);
    writeFileSync(join(locked, "secret"), "");
    chmodSync(join(locked, "secret"), 0);
    const run = await runCli(["demo", "--dir", locked, "--json"], { code: 1 });
    expect(run.stdout).toBe("");
    expect(run.stderr).toContain("cannot read secret: EACCES");
  });
});

describe("fractal-tree demo --processes", () => {
  it("does the same with a process for each node, of which none is left", async () => {
    const run = await runCli(["demo", "--dir", folder, "--json", "--processes"]);
    expectWhole(run);
    expectOneIncident(summaryOf(run));
    expect(await processesOf(run.pid)).toEqual([]);
  });

  it("kills by SIGKILL, and the leaves are the same processes as before", async () => {
    const { stdout } = await runCli(["demo", "--dir", folder, "--processes"]);
    expect(stdout).toMatch(/ demo\.[abc] +killed: SIGKILL to process \d+\n/);
    expect(stdout).toMatch(/3 of 3 survived and attached again: (demo\.[abc]\.\d \(process \d+\)(, )?){3}\n/);
  });

  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("leaves no process behind after %s", async (signal, code) => {
    const { child, pid, seen, ended } = startCli(["demo", "--dir", folder, "--json", "--processes"]);
    await seen("killed");
    expect(await processesOf(pid)).not.toEqual([]);
    child.kill(signal);
    expect(await ended).toMatchObject({ code, stdout: "" });
    expect(await processesOf(pid)).toEqual([]);
  });

  // Only Linux ends the server of a demo that was killed.
  it.runIf(process.platform === "linux")("leaves no process behind when it is killed", async () => {
    const { child, pid, seen } = startCli(["demo", "--dir", folder, "--processes"]);
    await seen("killed");
    child.kill("SIGKILL");
    for (let tries = 0; tries < 100 && (await processesOf(pid)).length > 0; tries++) await sleep(50);
    expect(await processesOf(pid)).toEqual([]);
  });

  it("says what is wrong with the server", async () => {
    const env = { NATS_SERVER: join(scratch, "nowhere") };
    const run = await runCli(["demo", "--dir", folder, "--json", "--processes"], { code: 1, env });
    expect(run.stdout).toBe("");
    expect(run.stderr).toContain(`NATS_SERVER is ${env.NATS_SERVER}, which is not an executable file`);
  });
});

describe("fractal-tree", () => {
  it.each([
    [[], "a command is missing"],
    [["dance"], "Unknown command 'dance'"],
    [["--dance"], "Unknown option '--dance'"],
    [["demo", "--dance"], "Unknown option '--dance'"],
    [["demo", "dance"], "Unexpected argument 'dance'"],
    [["demo", "--json=yes"], "Option '--json' does not take an argument"],
    [["demo", "--dir"], "Option '--dir <value>' argument missing"],
    [["demo", "--dir="], "--dir: the folder is missing"],
    [["demo", "--dir", join(scratch, "nowhere")], "--dir: there is no folder"],
    [["demo", "--dir", process.execPath], "is not a folder"],
  ])("refuses %j with a usage line", async (args, message) => {
    const run = await runCli(args, { code: 2 });
    expect(run.stdout).toBe("");
    expect(run.stderr).toContain(message);
    expect(run.stderr).toMatch(/^usage: fractal-tree /m);
  });

  it.each([[["--help"]], [["-h"]], [["demo", "--help"]], [["demo", "-h"]]])("explains itself for %j", async (args) => {
    const run = await runCli(args);
    expect(run.stderr).toBe("");
    expect(run.stdout).toMatch(/^usage: fractal-tree /);
  });

  it("tells its version", async () => {
    const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { readonly version: string };
    expect((await runCli(["--version"])).stdout).toBe(`${version}\n`);
  });
});
