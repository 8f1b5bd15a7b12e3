/** Where figures come from: machine, versions, commit, and how busy the machine was. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { cpus, loadavg, release, totalmem, type } from "node:os";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { findNatsServer } from "../test/support/find-nats-server.js";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** What the figures depend on, and where each of it is installed. */
const PACKAGES = {
  "@nats-io/transport-node": "node_modules",
  msgpackr: "node_modules",
  xstate: "node_modules",
  moleculer: "benchmarks/peers/node_modules",
} as const;

export interface Environment {
  readonly machine: string;
  /** Node, nats-server, packages. */
  readonly versions: readonly string[];
  /** With "+" behind it if the working tree held more than that. */
  readonly commit: string;
  /** Over the last minute before it began. */
  readonly load: number;
  /** ISO 8601. */
  readonly measuredAt: string;
}

export async function readEnvironment(): Promise<Environment> {
  return {
    machine: machine(),
    versions: [`Node ${process.version.slice(1)}`, await natsServerVersion(), ...(await packageVersions())],
    commit: await commit(),
    load: Number((loadavg()[0] ?? 0).toFixed(1)),
    measuredAt: new Date().toISOString(),
  };
}

/** Two lines for a terminal. */
export function toHeader({ machine: where, versions, commit: at, load, measuredAt }: Environment): string {
  return `${where}, load ${load} · ${at} · ${measuredAt}\n${versions.join(" · ")}`;
}

function machine(): string {
  const processors = cpus();
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  return `${processors.length} × ${processors[0]?.model.trim() ?? "unknown CPU"}, ${memory}, ${type()} ${release()}`;
}

async function natsServerVersion(): Promise<string> {
  try {
    return (await output(await findNatsServer(), "--version")).replace(": v", " ");
  } catch {
    return "nats-server not found";
  }
}

/** Those that are installed. */
async function packageVersions(): Promise<readonly string[]> {
  const versions = Object.entries(PACKAGES).map(async ([name, folder]) => {
    try {
      const manifest = await readFile(`${ROOT}/${folder}/${name}/package.json`, "utf8");
      return [`${name} ${(JSON.parse(manifest) as { readonly version: string }).version}`];
    } catch {
      return [];
    }
  });
  return (await Promise.all(versions)).flat();
}

/** What the benchmarks write themselves is no change. */
async function commit(): Promise<string> {
  try {
    const generated = ["RESULTS.md", "results", "charts"].map((name) => `:!benchmarks/${name}`);
    const changes = await output("git", "status", "--porcelain", "--", ".", ...generated);
    return `${await output("git", "rev-parse", "--short", "HEAD")}${changes === "" ? "" : "+"}`;
  } catch {
    return "unknown commit";
  }
}

async function output(program: string, ...args: readonly string[]): Promise<string> {
  return (await promisify(execFile)(program, args, { cwd: ROOT })).stdout.trim();
}
