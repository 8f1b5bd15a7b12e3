/** The lists of natsPermissions, as text; what a server makes of them is tested in test/nats/permissions.test.ts. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { InvalidOptionError, InvalidPathError } from "../../src/errors.js";
import { formatNatsPermissions, natsPermissions, type NatsPermissionsOptions } from "../../src/nats.js";

describe("natsPermissions", () => {
  test("lists what a node publishes and hears", () => {
    expect(natsPermissions("shop.orders", { tree: "prod", namespace: "acme" })).toEqual({
      publish: {
        allow: [
          "acme.prod.up.shop.orders",
          "acme.prod.down.shop.orders.*",
          "acme.prod.all.shop.orders",
          "acme.prod.end.shop.orders",
          "acme.prod.end.shop.orders.*",
        ],
      },
      subscribe: {
        allow: ["acme.prod.down.shop.orders", "acme.prod.all.shop", "acme.prod.up.shop.orders.*", "acme.prod.end.>"],
      },
    });
  });

  test("gives a root nothing upward", () => {
    expect(natsPermissions("shop", { tree: "prod" })).toEqual({
      publish: { allow: ["ft.prod.down.shop.*", "ft.prod.all.shop", "ft.prod.end.shop", "ft.prod.end.shop.*"] },
      subscribe: { allow: ["ft.prod.up.shop.*", "ft.prod.end.>"] },
    });
  });

  test("adds what a watcher hears", () => {
    const { publish, subscribe } = natsPermissions("shop", { tree: "prod", watch: ["shop.a.x"] });
    expect(publish).toEqual(natsPermissions("shop", { tree: "prod" }).publish);
    expect(subscribe.allow.slice(2)).toEqual(["ft.prod.up.shop.a.x", "ft.prod.all.shop.a.x"]);
  });

  test("adds what a watcher of a subtree hears", () => {
    const { subscribe } = natsPermissions("shop", { tree: "prod", watchSubtrees: ["shop.a"] });
    expect(subscribe.allow.slice(2)).toEqual([
      "ft.prod.up.shop.a",
      "ft.prod.all.shop.a",
      "ft.prod.up.shop.a.>",
      "ft.prod.all.shop.a.>",
    ]);
  });

  test.each([
    ["", {}, InvalidPathError],
    ["shop.*", {}, InvalidPathError],
    ["shop.>", {}, InvalidPathError],
    ["shop", { tree: undefined }, InvalidOptionError],
    ["shop", { tree: "*" }, InvalidPathError],
    ["shop", { namespace: ">" }, InvalidPathError],
    ["shop", { watch: ["shop.a", "*"] }, InvalidPathError],
    ["shop", { watchSubtrees: ["shop.>"] }, InvalidPathError],
  ])("refuses path %o with %o: a wildcard would give away more than one node", (path, wrong, error) => {
    const options = { tree: "prod", ...wrong } as NatsPermissionsOptions;
    expect(() => natsPermissions(path, options)).toThrow(error);
  });
});

test("docs/security.md shows what formatNatsPermissions writes", () => {
  const text = readFileSync(new URL("../../docs/security.md", import.meta.url), "utf8");
  expect(text).toContain(formatNatsPermissions(natsPermissions("shop.orders", { tree: "prod" })));
});
