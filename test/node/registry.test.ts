/** Items by id: as a Map, but without keeping the dead alive. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { Registry } from "../../src/node/registry.js";

test("behaves as a Map, whatever comes and goes", () => {
  const id = fc.integer({ min: 0, max: 200 }).map(String);
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), id), { maxLength: 1_000 }), (steps) => {
      const registry = new Registry<string>();
      const model = new Map<string, string>();
      for (const [isAdded, key] of steps) {
        if (!isAdded) expect(registry.delete(key)).toBe(model.delete(key));
        else if (!model.has(key)) {
          registry.add(key, `item ${key}`);
          model.set(key, `item ${key}`);
        }
        expect(registry.get(key)).toBe(model.get(key));
        expect(registry.size).toBe(model.size);
      }
      expect([...registry.values()]).toEqual([...model.values()]);
    }),
  );
});

test("shows in the order of their coming what comes when all have gone, also the same item again", () => {
  interface Items {
    delete(id: string): boolean;
    values(): Iterable<string>;
  }
  const walk = (items: Items, add: (id: string) => void): readonly string[] => {
    const seen: string[] = [];
    add("a");
    for (const item of items.values()) {
      seen.push(item);
      if (seen.length > 2) continue;
      items.delete("a");
      add("a");
      add(`b${seen.length}`);
    }
    return seen;
  };
  const registry = new Registry<string>();
  const map = new Map<string, string>();
  const model = walk(map, (id) => void map.set(id, id));
  expect(walk(registry, (id) => registry.add(id, id))).toEqual(model);
  expect(model).toEqual(["a", "a", "b1", "a", "b2"]);
});

test("may change while it is walked through, and shows what is added meanwhile", () => {
  const registry = new Registry<number>();
  for (let n = 0; n < 100; n++) registry.add(`${n}`, n);
  const seen: number[] = [];
  for (const n of registry.values()) {
    seen.push(n);
    registry.delete(`${n}`);
    if (n < 10) registry.add(`again ${n}`, n + 1_000);
  }
  expect(seen).toEqual([
    ...Array.from({ length: 100 }, (_, n) => n),
    ...Array.from({ length: 10 }, (_, n) => n + 1_000),
  ]);
  expect(registry.size).toBe(10);
});
