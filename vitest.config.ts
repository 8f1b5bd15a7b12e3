import { defineConfig } from "vitest/config";

export default defineConfig({
  // Outside node_modules, which the demo digests: a run must not change what another one reads.
  cacheDir: ".vitest-cache",
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
