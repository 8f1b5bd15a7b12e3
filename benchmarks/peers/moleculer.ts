/** Moleculer as a peer: installed in this folder alone, so that neither the package nor its development depends on it. */
import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** A compiled program is told where the sources are. */
const ROOT = process.env["BENCH_ROOT"] ?? fileURLToPath(new URL("../..", import.meta.url));
const FOLDER = join(ROOT, "benchmarks/peers/");
const require = createRequire(FOLDER);

/** What is used of its types, which are not there until it is installed. */
interface Broker {
  createService(schema: object): void;
  start(): Promise<void>;
  stop(): Promise<void>;
  waitForServices(name: string): Promise<unknown>;
  call(action: string, params: unknown): Promise<unknown>;
}

interface Moleculer {
  readonly ServiceBroker: new (options: object) => Broker;
}

/** As it comes, but silent; JSON is the faster one of its serializers. */
export function createBroker(servers: string, nodeID: string): Broker {
  const { ServiceBroker } = require("moleculer") as Moleculer;
  return new ServiceBroker({ nodeID, namespace: "bench", transporter: servers, serializer: "JSON", logger: false });
}

/** @throws Error that says what to run */
export async function installPeers(): Promise<void> {
  if (isInstalled()) return;
  const command = `npm ci --prefix ${FOLDER}`;
  console.error(`installing what is compared with: ${command}`);
  try {
    await promisify(execFile)("npm", ["ci", "--no-audit", "--no-fund"], { cwd: FOLDER });
  } catch (error) {
    throw new Error(`Moleculer is missing: run ${command}, or give --no-peers`, { cause: error });
  }
}

function isInstalled(): boolean {
  try {
    require.resolve("moleculer");
    return true;
  } catch {
    return false;
  }
}
