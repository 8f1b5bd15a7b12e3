import { defineConfig } from "vitest/config";

/** Tests that run processes, servers or connections: real time passes in them, and they are left the machine. */
const REAL = ["test/{benchmarks,cli,examples,nats,package}/**/*.test.ts", "test/supervision/separate-*.test.ts"];

export default defineConfig({
  // Outside node_modules, which the demo digests: a run must not change what another one reads.
  cacheDir: ".vitest-cache",
  test: {
    testTimeout: 30_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: {
          name: "virtual time",
          include: ["test/**/*.test.ts"],
          exclude: REAL,
          // They mind no load, so that two cores are used.
          maxWorkers: "100%",
          sequence: { groupOrder: 0 },
        },
      },
      { extends: true, test: { name: "real time", include: REAL, sequence: { groupOrder: 1 } } },
    ],
  },
});
