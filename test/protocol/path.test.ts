/** Paths and subjects: what is a name, how they split, and that no two meanings share a subject. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InvalidPathError } from "../../src/errors.js";
import { assertPath, assertToken, isPath, lastToken, parentPath, splitTarget } from "../../src/protocol/path.js";
import { broadcastSubject, childrenSubject, downSubject, senderId, upSubject } from "../../src/protocol/subjects.js";
import { anyPath, anyToken } from "./arbitraries.js";

const LONGEST = "x".repeat(64);
const DEEPEST = Array<string>(32).fill("x").join(".");

const GOOD_TOKENS = ["a", "A-Z_09", "0", "-", "_", LONGEST];
const BAD_TOKENS = [
  "",
  " ",
  "a b",
  "a.b",
  "*",
  ">",
  "a*",
  "ü",
  "a\n",
  "\na",
  "a/b",
  "$SYS",
  `${LONGEST}x`,
  7,
  null,
  undefined,
  ["a"],
];

describe("a token", () => {
  it.each(GOOD_TOKENS)("may be %j", (token) => {
    expect(() => assertToken("id", token)).not.toThrow();
    expect(isPath(token)).toBe(true);
  });

  it.each(BAD_TOKENS)("may not be %j, and the error says where and why", (token) => {
    expect(() => assertToken("id", token)).toThrow(InvalidPathError);
    expect(() => assertToken("id", token)).toThrow(/^id must be 1 to 64 characters of A-Z a-z 0-9 _ -, got /);
  });
});

describe("a path", () => {
  it.each(["shop", "shop.orders.eu", DEEPEST, Array<string>(32).fill(LONGEST).join(".")])("may be %s", (path) => {
    expect(isPath(path)).toBe(true);
    expect(() => assertPath("path", path)).not.toThrow();
  });

  it.each([...BAD_TOKENS.filter((token) => token !== "a.b"), ".", ".a", "a.", "a..b", "a.*", "a.>", `${DEEPEST}.x`])(
    "may not be %j",
    (path) => {
      expect(isPath(path)).toBe(false);
      expect(() => assertPath("target", path)).toThrow(InvalidPathError);
      expect(() => assertPath("target", path)).toThrow(/^target must be 1 to 32 ids joined by dots/);
    },
  );

  it("splits into parent and last token, and at its first dot", () => {
    fc.assert(
      fc.property(anyPath, anyToken, (path, id) => {
        const child = `${path}.${id}`;
        expect(parentPath(child)).toBe(path);
        expect(lastToken(child)).toBe(id);
        const below = splitTarget(`${id}.${path}`);
        expect(below).toEqual({ childId: id, rest: path });
        expect(splitTarget(id)).toEqual({ childId: id, rest: "" });
        expect(parentPath(id)).toBeNull();
        expect(lastToken(id)).toBe(id);
      }),
    );
  });

  it("is walked down to its end by splitting", () => {
    fc.assert(
      fc.property(anyPath, (path) => {
        const walked: string[] = [];
        for (let rest = path; rest !== "";) {
          const split = splitTarget(rest);
          walked.push(split.childId);
          rest = split.rest;
        }
        expect(walked.join(".")).toBe(path);
      }),
    );
  });
});

/** Whether a NATS subscription receives a subject. */
function matches(pattern: string, subject: string): boolean {
  const [wanted, tokens] = [pattern.split("."), subject.split(".")];
  return wanted.length === tokens.length && wanted.every((token, i) => token === "*" || token === tokens[i]);
}

describe("subjects", () => {
  const names = { namespace: "ft", tree: "acme" };

  it("are namespace, tree, direction and path", () => {
    expect(upSubject(names, "shop.orders")).toBe("ft.acme.up.shop.orders");
    expect(childrenSubject(names, "shop.orders")).toBe("ft.acme.up.shop.orders.*");
    expect(downSubject(names, "shop.orders")).toBe("ft.acme.down.shop.orders");
    expect(broadcastSubject(names, "shop.orders")).toBe("ft.acme.all.shop.orders");
  });

  it("let a parent hear its children, each by its id, and nobody else", () => {
    fc.assert(
      fc.property(anyPath, anyToken, anyToken, (parent, id, grandchild) => {
        const pattern = childrenSubject(names, parent);
        const heard = upSubject(names, `${parent}.${id}`);
        expect(matches(pattern, heard)).toBe(true);
        expect(senderId(heard)).toBe(id);
        expect(matches(pattern, upSubject(names, parent))).toBe(false);
        expect(matches(pattern, upSubject(names, `${parent}.${id}.${grandchild}`))).toBe(false);
        expect(matches(pattern, downSubject(names, `${parent}.${id}`))).toBe(false);
        expect(matches(pattern, broadcastSubject(names, `${parent}.${id}`))).toBe(false);
      }),
    );
  });

  it("never mean two things", () => {
    const make = [upSubject, downSubject, broadcastSubject];
    fc.assert(
      fc.property(anyToken, anyToken, anyPath, anyToken, anyToken, anyPath, (n1, t1, path1, n2, t2, path2) => {
        const first = make.map((subject) => subject({ namespace: n1, tree: t1 }, path1));
        const second = new Set(make.map((subject) => subject({ namespace: n2, tree: t2 }, path2)));
        expect(new Set(first).size).toBe(3);
        const same = n1 === n2 && t1 === t2 && path1 === path2;
        expect(first.some((subject) => second.has(subject))).toBe(same);
      }),
    );
  });

  it("hold no wildcard and fit the server's limit of 4 kB for a line", () => {
    const deepest = Array<string>(32).fill(LONGEST).join(".");
    const subject = childrenSubject({ namespace: LONGEST, tree: LONGEST }, deepest);
    expect(subject.length).toBeLessThan(4_096 - 512);
    fc.assert(
      fc.property(anyPath, (path) => {
        expect(downSubject(names, path)).toMatch(/^[\w-]+(?:\.[\w-]+)*$/);
      }),
    );
  });
});
