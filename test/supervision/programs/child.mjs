/** A child in a thread or process of its own that does what its test tells it to. It runs the built package. */
import { writeFileSync } from "node:fs";
import { createNode, DependencyDownError, runChild } from "fractal-tree";

/** @type {Promise<never>} */
const never = new Promise(() => {});

// It misbehaves before it can be told how: by its arguments.
const early = process.argv[2];
if (early === "throws at the top") throw new Error("the top level threw");
if (early === "exits at the top") process.exit(7);
if (early === "keeps a handle at the top" || early === "calls late") setInterval(() => {}, 1_000);
if (early === "calls late") {
  const closed = new Promise((resolve) => process.once("disconnect", () => setTimeout(resolve, 0)));
  process.send?.("here");
  await closed;
}
if (early === "never runs a child") setInterval(() => {}, 1_000);
else await runChild(build, early === "takes the usual time" ? {} : { exitTimeoutMs: 300 });

/** @param {import("fractal-tree").ChildContext} context */
async function build({ path, id, generation, transport, args, data }) {
  const { misbehaviour, pidFile } = data ?? {};
  if (pidFile !== undefined) writeFileSync(pidFile, String(process.pid));
  if (misbehaviour === "fails to build") throw new Error("no configuration");
  if (misbehaviour === "lacks a dependency") throw new DependencyDownError("the database is away");
  if (misbehaviour === "builds something else") return createNode({ path: `${path}.else`, transport });
  if (misbehaviour === "keeps a handle" || misbehaviour === "never builds") setInterval(() => {}, 1_000);
  if (misbehaviour === "never builds") await never;
  const node = createNode({
    path,
    transport,
    commands: {
      who: () => ({ path, id, generation, args, data, pid: process.pid }),
      echo: (/** @type {string} */ input) => input,
      exit: (/** @type {number} */ code) => process.exit(code),
      throwLater: () => void setTimeout(() => fail("it threw"), 0),
      rejectLater: () => void (async () => fail("it rejected"))(),
      stop: () => void node.stop(),
      fail: (/** @type {boolean} */ dependencyDown) => node.fail("it failed", { dependencyDown }),
    },
  });
  if (misbehaviour === "ignores the stop") node.shutdownTree = () => never;
  return node;
}

/** @param {string} message */
function fail(message) {
  throw new Error(message);
}
