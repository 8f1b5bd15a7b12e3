/** Restart types against the ways in which a child can end: the same for children of this process and of their own. */
import { describe, expect, test } from "vitest";
import type { EndReason, Node } from "../../src/index.js";
import type { ExitKind, RestartType } from "../../machines/child-spec.js";
import { states, World } from "../node/kit.js";
import { type ChildParts, family, only, type Incarnations } from "./kit.js";

interface Ending {
  readonly name: string;
  readonly kind: ExitKind;
  readonly end: (child: Incarnations) => void;
  /** What the ended node says; null for one that says nothing any more. */
  readonly reason: EndReason | null;
}

const byItself = (act: (node: Node) => unknown) => (child: Incarnations) => void act(child.latest);

const ENDINGS: readonly Ending[] = [
  { name: "stop()", kind: "normal", end: byItself((node) => node.stop()), reason: "stopped" },
  { name: "shutdownTree()", kind: "shutdown", end: byItself((node) => node.shutdownTree()), reason: "shutdown" },
  { name: "fail()", kind: "failed", end: byItself((node) => node.fail("out of luck")), reason: "failed" },
  {
    name: "a missing dependency",
    kind: "dependencyDown",
    end: byItself((node) => node.fail("no database", { dependencyDown: true })),
    reason: "dependencyDown",
  },
];
const KILLED: Ending = { name: "a kill", kind: "failed", end: ({ process }) => process.kill(), reason: null };

/** OTP's table: whether a child is started again. */
const RESTARTED: Readonly<Record<RestartType, readonly ExitKind[]>> = {
  permanent: ["normal", "shutdown", "failed", "dependencyDown"],
  transient: ["failed", "dependencyDown"],
  temporary: [],
};

const PLACES: readonly [string, ChildParts][] = [
  ["in the parent's process", {}],
  ["in a process of its own", { host: {} }],
];

describe.each(PLACES)("a child %s", (_, place) => {
  const endings = place.host === undefined ? ENDINGS : [...ENDINGS, KILLED];
  const cases = (["permanent", "transient", "temporary"] as const).flatMap((restart) =>
    endings.map((ending) => [restart, ending.name, ending] as const),
  );

  test.each(cases)("%s, after %s", async (restart, _name, { kind, end, reason }) => {
    const world = new World();
    const { shop, of, decisions } = family(world, ["a", "b"], { child: place, each: { a: { ...place, restart } } });
    await world.up(shop);
    const [former] = of("a").nodes;
    const entered = states(shop);
    decisions.length = 0;
    end(of("a"));
    const isRestarted = RESTARTED[restart].includes(kind);
    await world.until(() => decisions.length > 0, "a decision");
    await world.run(20_000);
    if (reason !== null) expect(await former?.ended).toBe(reason);
    expect(of("a").nodes).toHaveLength(isRestarted ? 2 : 1);
    expect(of("b").nodes).toHaveLength(1);
    expect(shop.state).toBe("SYNCHRONIZED");
    expect(entered).not.toContain("FAILED");
    expect(decisions[0]).toMatchObject({ id: "a", exit: kind, decision: isRestarted ? "restarting" : "finished" });
    const info = shop.whichChildren().find(({ id }) => id === "a");
    if (isRestarted) expect(info).toMatchObject({ state: "running", generation: 2 });
    else if (restart === "temporary") expect(info).toBeUndefined();
    else expect(info).toMatchObject({ state: "stopped", generation: 1 });
    const isCounted = isRestarted && kind !== "dependencyDown";
    if (info !== undefined) expect(info.restartsLeft).toBe(isCounted ? 2 : 3);
    await world.end(shop);
  });
});

describe("while another incarnation is on its way", () => {
  test.each(PLACES)("the only child %s is missing, but has not failed", async (_, place) => {
    const world = new World();
    const supervision = { backoff: { baseMs: 5_000, maxMs: 5_000 } };
    const { shop, of } = family(world, ["a"], { child: place, supervision });
    await world.up(shop);
    const entered = states(shop);
    of("a").latest.fail("out of luck");
    await world.until(() => of("a").nodes.length === 2);
    await world.until(() => shop.state === "SYNCHRONIZED");
    expect(entered).toEqual(["DEGRADED", "SYNCHRONIZED"]);
  });

  test("a critical child that is killed degrades its parent, and no more", async () => {
    const world = new World();
    const { shop, of } = family(world, ["a"], { child: { host: {}, critical: true } });
    await world.up(shop);
    const entered = states(shop);
    of("a").process.kill();
    await world.until(() => of("a").nodes.length === 2 && shop.state === "SYNCHRONIZED");
    expect(entered).toEqual(["DEGRADED", "SYNCHRONIZED"]);
  });

  test("a parent whose transient child has finished is whole", async () => {
    const world = new World();
    const { shop, of, decisions } = family(world, ["a"], { child: { restart: "transient", critical: true } });
    await world.up(shop);
    await world.end(of("a").latest);
    await world.until(() => only(decisions, "finished").length === 1);
    await world.run(60_000);
    expect(shop.state).toBe("SYNCHRONIZED");
  });
});
