/**
 * Hostile input at a live tree, in virtual time. A failure prints fast-check's seed and path: FUZZ_SEED and FUZZ_PATH
 * with these values, and the test's name, run that case alone. FUZZ_RUNS=10000 runs that many cases of each kind.
 */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeFrame } from "../../src/protocol/codec.js";
import { LiveTree, SUBJECTS } from "./live-tree.js";
import {
  anyBytesShot,
  anyInsiderShot,
  anyMutation,
  anyOutsiderShot,
  anyReplay,
  anySalvo,
  type Volley,
} from "./shots.js";
import { surfaced } from "./surfaced.js";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 25);
const { FUZZ_SEED, FUZZ_PATH } = process.env;
const REPLAY = FUZZ_SEED === undefined ? {} : { seed: Number(FUZZ_SEED), path: FUZZ_PATH ?? "" };
const LIMIT_MS = 60_000 + RUNS * 1_000;

/** What one case did to the tree. */
type Check = (tree: LiveTree, shoot: () => Promise<void>) => Promise<void>;

async function fuzz(salvo: fc.Arbitrary<readonly Volley[]>, check: Check): Promise<void> {
  const property = fc.asyncProperty(fc.nat(), salvo, async (seed, volleys) => {
    const fired: string[] = [];
    const errors = await surfaced(async () => {
      const tree = await LiveTree.grow(seed);
      await check(tree, () => fire(tree, volleys, fired)).catch((error: unknown) => {
        throw new Error(`${String(error)}\nfired:\n${fired.join("\n")}\nseen:\n${tree.events.join("\n")}`);
      });
      await tree.end();
    });
    expect(errors, fired.join("\n")).toEqual([]);
  });
  await fc.assert(property, { numRuns: RUNS, ...REPLAY });
}

async function fire(tree: LiveTree, volleys: readonly Volley[], fired: string[]): Promise<void> {
  for (const { shots, pauseMs } of volleys) {
    for (const shot of shots) {
      const { subject, bytes } = shot.aim({ subjects: SUBJECTS, wire: tree.world.wire });
      fired.push(`${tree.world.nowMs.toFixed()} ${subject} ${readable(subject, bytes)}`);
      tree.world.broker.publish(subject, bytes);
    }
    await tree.world.run(pauseMs);
  }
}

const TEXT_SHOWN = 80;

function readable(subject: string, bytes: Uint8Array): string {
  const decoded = decodeFrame(bytes, subject.includes(".up.") ? "up" : "down");
  if (decoded.kind === "malformed") return `${decoded.reason}: ${Buffer.from(bytes).toString("hex")}`;
  return JSON.stringify(decoded.frame, (_key, value: unknown) => {
    if (value instanceof Uint8Array) return `${value.length} bytes`;
    return typeof value === "string" && value.length > TEXT_SHOWN ? `${value.length} characters` : value;
  });
}

/**
 * A parent that hears a stale session calls its child, which opens a new one with it (docs/protocol.md, section 5). The
 * calls go on in it.
 */
const isRenewal = (event: string): boolean => / sees \w+ (?:opening|alive)$/.test(event);

/** Nothing that an honest node sees of another has changed, each call was answered, each command ran once. */
const withoutEffect: Check = async (tree, shoot) => {
  const before = tree.view();
  await shoot();
  await tree.world.run(2_000);
  await tree.calm();
  expect(tree.events.filter((event) => !isRenewal(event))).toEqual([]);
  expect(tree.view()).toEqual(before);
  expect(tree.outcomes.filter((outcome) => outcome !== "completed")).toEqual([]);
  expect([...tree.runs.values()].filter((runs) => runs !== 1)).toEqual([]);
  expect(await tree.serves()).toBe(true);
};

/** Why a process ends by the word of its parent or child; whoever can speak in their place can make it do so. */
const ENDS = / (?:fenced|duplicatePath|shutdown)$/;

/**
 * Links may end, and processes by what their parent or child seems to say; whoever runs them starts them again. Then the
 * tree is whole, and a new session serves. The link beside it has worked all the time, unless its parent ended.
 */
const untilMended: Check = async (tree, shoot) => {
  await shoot();
  // What was begun ends within its deadline.
  await tree.world.run(2_000);
  await tree.isWhole();
  await tree.calm();
  expect(tree.ends.filter((end) => !ENDS.test(end))).toEqual([]);
  if (await tree.serves()) return;
  tree.node("shop").fail("for the sake of another session");
  tree.node("shop.a").fail("for the sake of another session");
  await tree.world.run(1);
  await tree.isWhole();
  expect(await tree.serves()).toBe(true);
};

describe.each([
  ["bytes", anyBytesShot],
  ["frames sent again, late, in any order, on any subject", anyReplay],
  ["messages of one who knows no session", anyOutsiderShot],
])("%s", (_what, shot) => {
  test("have no effect", { timeout: LIMIT_MS }, async () => {
    await expect(fuzz(anySalvo(shot), withoutEffect)).resolves.toBeUndefined();
  });
});

describe.each([
  ["frames of the wire, changed", anyMutation],
  ["messages of one who knows all sessions", anyInsiderShot],
])("%s", (_what, shot) => {
  test("harm no more than what their place allows", { timeout: LIMIT_MS }, async () => {
    await expect(fuzz(anySalvo(shot), untilMended)).resolves.toBeUndefined();
  });
});
