/** The parts of the demo whose failures a run of the whole does not show. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { array, assert, nat, property, record, string } from "fast-check";
import { describe, expect, it } from "vitest";
import { splitIntoBatches } from "../../src/cli/demo/batches.js";
import { compareDigests } from "../../src/cli/demo/comparison.js";
import { FileDigester, type FileDigests } from "../../src/cli/demo/files.js";
import { SeverableTransport } from "../../src/cli/demo/severable-transport.js";
import { memoryTransport } from "../../src/index.js";

function digests(entries: Readonly<Record<string, string>>): FileDigests {
  return new Map(Object.entries(entries).map(([path, sha256]) => [path, { sha256, bytes: 1 }]));
}

describe("compareDigests", () => {
  const plain = digests({ a: "1", b: "2" });

  it("finds the same files in another order the same", () => {
    const comparison = compareDigests(digests({ b: "2", a: "1" }), [], plain);
    expect(comparison).toMatchObject({ isSame: true, lost: [], doubled: [], differing: [] });
    expect(comparison.digest).toBe(comparison.plainDigest);
  });

  it.each([
    ["a lost file", digests({ a: "1" }), { lost: ["b"], differing: [] }],
    ["another content", digests({ a: "1", b: "3" }), { lost: [], differing: ["b"] }],
    ["a file too many", digests({ a: "1", b: "2", c: "3" }), { lost: [], differing: ["c"] }],
  ])("finds %s", (_, tree, found) => {
    const comparison = compareDigests(tree, [], plain);
    expect(comparison).toMatchObject({ isSame: false, doubled: [], ...found });
    expect(comparison.digest).not.toBe(comparison.plainDigest);
  });

  it("takes a doubled file for a difference although the digests are the same", () => {
    expect(compareDigests(plain, ["a"], plain)).toMatchObject({ isSame: false, doubled: ["a"] });
  });
});

describe("splitIntoBatches", () => {
  const file = record({ path: string({ maxLength: 4_000 }), bytes: nat({ max: 50_000_000 }) });

  it("puts every file into one batch that fits a message", () => {
    assert(
      property(array(file, { maxLength: 600 }), (files) => {
        const batches = splitIntoBatches(files);
        expect(batches.flat()).toEqual(files.map(({ path }) => path));
        for (const batch of batches) {
          expect(batch.length).toBeGreaterThan(0);
          expect(Buffer.byteLength(batch.join(""))).toBeLessThanOrEqual(128 * 1024);
        }
      }),
      { numRuns: 30 },
    );
  });

  it("has enough for a small folder, too", () => {
    const files = Array.from({ length: 100 }, (_, index) => ({ path: `${index}`, bytes: 10 }));
    expect(splitIntoBatches(files).length).toBeGreaterThan(45);
  });
});

describe("FileDigester", () => {
  it("names the file that it cannot read", async () => {
    const folder = await mkdtemp(join(tmpdir(), "fractal-tree-digest-"));
    try {
      await writeFile(join(folder, "there"), "abc");
      const digester = new FileDigester(folder);
      const sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
      expect(await digester.digest("there")).toEqual({ sha256, bytes: 3 });
      await expect(digester.digest("gone")).rejects.toThrow(/^cannot read gone: ENOENT/);
      // Opens, but cannot be read: the error of read() itself names no file.
      await expect(digester.digest(".")).rejects.toThrow(/^cannot read \.: EISDIR/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe("SeverableTransport", () => {
  it("carries messages until it is severed, then nothing, without a word", async () => {
    const broker = memoryTransport();
    const [one, other] = [new SeverableTransport(broker), new SeverableTransport(broker)];
    const heard: string[] = [];
    const changes: boolean[] = [];
    one.subscribe("to.one", (payload) => heard.push(`one ${payload.join()}`));
    other.subscribe("to.other", (payload) => heard.push(`other ${payload.join()}`));
    one.onConnection((connected) => changes.push(connected));
    one.publish("to.other", Uint8Array.of(1));
    other.publish("to.one", Uint8Array.of(2));
    await turn();
    expect(heard).toEqual(["other 1", "one 2"]);

    other.publish("to.one", Uint8Array.of(3));
    one.sever();
    one.publish("to.other", Uint8Array.of(4));
    one.subscribe("to.late", () => heard.push("late"));
    broker.publish("to.late", Uint8Array.of(5));
    await turn();
    await broker.close();
    expect(heard).toEqual(["other 1", "one 2"]);
    expect(changes).toEqual([]);
  });
});
